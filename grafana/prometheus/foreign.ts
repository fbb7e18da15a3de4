/**
 * Metrics of third-party exporters that panels and alerts use, by exporter. The names are those of Debian's versions,
 * which the tests run.
 * @module
 */
const NODE = "node exporter 1.5";
const POSTGRES = "PostgreSQL exporter 0.11";

/** Metric names by exporter. */
export const FOREIGN: Readonly<Record<string, string>> = {
  node_cpu_seconds_total: NODE,
  node_memory_MemAvailable_bytes: NODE,
  node_memory_MemTotal_bytes: NODE,
  node_filesystem_avail_bytes: NODE,
  node_filesystem_size_bytes: NODE,
  pg_up: POSTGRES,
  pg_stat_activity_count: POSTGRES,
  pg_stat_activity_max_tx_duration: POSTGRES,
  pg_stat_replication_pg_wal_lsn_diff: POSTGRES,
  pg_settings_max_connections: POSTGRES,
  pg_database_size_bytes: POSTGRES,
};
