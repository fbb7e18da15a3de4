/**
 * Panels on PostgreSQL, Kafka and hosts, fed by their exporters; the panel on tables is fed by PostgreSQL itself.
 * @module
 */
import type { Section } from "./dashboard.ts";
import { lines, state, table, TIME } from "./panel.ts";
import { metrics, now, rows } from "./query.ts";

const NO_POSTGRES = "No metrics: is the PostgreSQL exporter running, and does Prometheus scrape it?";
const NO_KAFKA = "No metrics: does the broker run the JMX exporter, and does Prometheus scrape it?";
const NO_HOST = "No metrics: is the node exporter running, and does Prometheus scrape it?";

const connections = lines(
  {
    title: "Connections",
    description: "Connections to the server by state.",
    unit: "short",
    decimals: 0,
    empty: NO_POSTGRES,
  },
  metrics({ "{{state}}": "sum by (state) (pg_stat_activity_count) > 0" }),
  { stacked: true },
);

const connectionsUsed = state(
  {
    title: "Connections used",
    description: "Connections ÷ the server's limit (max_connections).",
    unit: "percentunit",
    decimals: 0,
    empty: NO_POSTGRES,
  },
  now("used", "(sum(pg_stat_activity_count) / min(pg_settings_max_connections))"),
  [[null, "green"], [0.8, "orange"], [0.95, "red"]],
);

const databaseSize = lines(
  {
    title: "Database size",
    description: "Bytes on disk, with indexes.",
    unit: "bytes",
    empty: NO_POSTGRES,
  },
  metrics({ "{{datname}}": 'max by (datname) (pg_database_size_bytes{datname!~"template.*"})' }),
);

const slowest = lines(
  {
    title: "Oldest transaction",
    description: "Age of the oldest running transaction by state, in each database.",
    unit: "s",
    empty: NO_POSTGRES,
  },
  metrics({ "{{datname}} {{state}}": "max by (datname, state) (pg_stat_activity_max_tx_duration) > 0" }),
);

const replication = lines(
  {
    title: "Replication",
    description: "Bytes of write-ahead log that each replica has not yet replayed.",
    unit: "bytes",
    empty: "No replica is connected, or the PostgreSQL exporter is not scraped",
  },
  metrics({ "{{application_name}}": "max by (application_name) (pg_stat_replication_pg_wal_lsn_diff)" }),
);

const tables = table(
  {
    title: "Tables: size and dead rows",
    description:
      "Sums over the partitions of a table. Dead rows are old row versions left by updates, until autovacuum frees " +
      "their space. Row counts are PostgreSQL's estimates.",
    empty: "The schema has no tables",
  },
  rows(`
select coalesce(parent.relname, s.relname) as "table", sum(pg_total_relation_size(s.relid))::bigint as size,
  sum(s.n_live_tup)::bigint as "rows", sum(s.n_dead_tup)::bigint as "dead rows",
  sum(s.n_dead_tup)::double precision / nullif(sum(s.n_live_tup + s.n_dead_tup), 0)::double precision as dead,
  max(s.last_autovacuum) as "last autovacuum"
from pg_stat_user_tables s
left join pg_inherits i on i.inhrelid = s.relid
left join pg_class parent on parent.oid = i.inhparent
where s.schemaname = 'clickstream'
group by 1
order by 2 desc`),
  {
    size: { unit: "bytes", as: "gauge" },
    rows: { unit: "locale", width: 120 },
    "dead rows": { unit: "locale", width: 120 },
    dead: { unit: "percentunit", decimals: 1, width: 80 },
    "last autovacuum": TIME,
  },
);

const brokerMessages = lines(
  {
    title: "Records into the broker",
    description: "Records/s that producers send.",
    unit: "mps",
    empty: NO_KAFKA,
  },
  metrics({ "{{topic}}": "sum by (topic) (rate(kafka_server_brokertopicmetrics_messagesin_total[$__rate_interval]))" }),
);

const brokerBytes = lines(
  {
    title: "Bytes in and out of the broker",
    description: "Bytes/s that producers send and consumers fetch.",
    unit: "Bps",
    empty: NO_KAFKA,
  },
  metrics({
    in: "sum(rate(kafka_server_brokertopicmetrics_bytesin_total[$__rate_interval]))",
    out: "sum(rate(kafka_server_brokertopicmetrics_bytesout_total[$__rate_interval]))",
  }),
);

const brokerHealth = lines(
  {
    title: "Under-replicated and offline partitions",
    description: "Partitions with too few in-sync replicas, and partitions without a leader. Both must be 0.",
    unit: "short",
    decimals: 0,
    empty: NO_KAFKA,
  },
  metrics({
    "under-replicated": "sum(kafka_server_replicamanager_underreplicatedpartitions)",
    "offline": "sum(kafka_controller_kafkacontroller_offlinepartitionscount)",
  }),
  { upTo: 4 },
);

const cpu = lines(
  {
    title: "CPU usage",
    description: "Share of time that the CPUs of each host were not idle.",
    unit: "percentunit",
    empty: NO_HOST,
    max: 1,
  },
  metrics({ "{{instance}}": '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))' }),
);

const hostMemory = lines(
  {
    title: "Memory usage",
    description: "Share of each host's memory that is not available to programs.",
    unit: "percentunit",
    empty: NO_HOST,
    max: 1,
  },
  metrics({ "{{instance}}": "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes" }),
);

const disks = lines(
  {
    title: "Disk usage",
    description: "Share of each file system in use.",
    unit: "percentunit",
    empty: NO_HOST,
    max: 1,
  },
  metrics({
    "{{instance}} {{mountpoint}}": '1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs"} ' +
      '/ node_filesystem_size_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs"}',
  }),
);

/** Sections on PostgreSQL, Kafka and hosts. */
export const MACHINES: readonly Section[] = [
  {
    title: "PostgreSQL",
    lines: [
      {
        height: 7,
        panels: [[4, connectionsUsed], [5, connections], [5, databaseSize], [5, slowest], [5, replication]],
      },
      { height: 9, panels: [[24, tables]] },
    ],
  },
  {
    title: "Kafka broker",
    lines: [{ height: 7, panels: [[8, brokerMessages], [8, brokerBytes], [8, brokerHealth]] }],
  },
  { title: "Hosts", lines: [{ height: 7, panels: [[8, cpu], [8, hostMemory], [8, disks]] }] },
];
