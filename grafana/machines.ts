/**
 * Panels on PostgreSQL, Kafka and hosts, fed by their exporters; the panel on tables is fed by PostgreSQL itself.
 * @module
 */
import type { Section } from "./dashboard.ts";
import { lines, table } from "./panel.ts";
import { metrics, rows } from "./query.ts";

const NO_POSTGRES = "No metrics: is the PostgreSQL exporter running, and Prometheus reading it?";
const NO_KAFKA = "No metrics: has the broker its JMX exporter, and is Prometheus reading it?";
const NO_HOST = "No metrics: is the node exporter running, and Prometheus reading it?";

const connections = lines(
  {
    title: "Connections",
    description: "Connections to the server by state, and how many it takes at most.",
    unit: "short",
    empty: NO_POSTGRES,
  },
  metrics({ "{{state}}": "sum by (state) (pg_stat_activity_count)", "at most": "min(pg_settings_max_connections)" }),
);

const databaseSize = lines(
  {
    title: "Size of the databases",
    description: "Bytes on disk, with indexes.",
    unit: "bytes",
    empty: NO_POSTGRES,
  },
  metrics({ "{{datname}}": 'max by (datname) (pg_database_size_bytes{datname!~"template.*"})' }),
);

const slowest = lines(
  {
    title: "Slowest transaction",
    description: "How long the transaction has been running that began first, by its state, in each database.",
    unit: "s",
    empty: NO_POSTGRES,
  },
  metrics({ "{{datname}} {{state}}": "max by (datname, state) (pg_stat_activity_max_tx_duration) > 0" }),
);

const replication = lines(
  {
    title: "Replication",
    description: "Bytes of the write-ahead log that each replica has still to replay.",
    unit: "bytes",
    empty: "No replica is connected, or PostgreSQL's exporter is not read",
  },
  metrics({ "{{application_name}}": "max by (application_name) (pg_stat_replication_pg_wal_lsn_diff)" }),
);

const tables = table(
  {
    title: "Tables: size and dead rows",
    description:
      "Partitions added up. Dead rows are versions that updates have left behind; autovacuum makes their room " +
      "free again. As PostgreSQL estimates them.",
    unit: "short",
    empty: "The schema has no table",
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
    dead: { unit: "percentunit", decimals: 1 },
    "last autovacuum": { width: 190 },
  },
);

const brokerMessages = lines(
  {
    title: "Messages into the broker",
    description: "Messages that producers send per second.",
    unit: "mps",
    empty: NO_KAFKA,
  },
  metrics({ "{{topic}}": "sum by (topic) (rate(kafka_server_brokertopicmetrics_messagesin_total[$__rate_interval]))" }),
);

const brokerBytes = lines(
  {
    title: "Bytes in and out of the broker",
    description: "Bytes per second that producers send and consumers fetch.",
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
    title: "Partitions at risk",
    description: "Partitions with fewer replicas in sync than they should have, and those without a leader: 0 each.",
    unit: "short",
    empty: NO_KAFKA,
  },
  metrics({
    "under-replicated": "sum(kafka_server_replicamanager_underreplicatedpartitions)",
    "offline": "sum(kafka_controller_kafkacontroller_offlinepartitionscount)",
  }),
);

const cpu = lines(
  {
    title: "Processor time",
    description: "Share of the time in which the processors of each host were not idle.",
    unit: "percentunit",
    empty: NO_HOST,
    max: 1,
  },
  metrics({ "{{instance}}": '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))' }),
);

const hostMemory = lines(
  {
    title: "Memory in use",
    description: "Share of each host's memory that programs could not be given.",
    unit: "percentunit",
    empty: NO_HOST,
    max: 1,
  },
  metrics({ "{{instance}}": "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes" }),
);

const disks = lines(
  {
    title: "Disks in use",
    description: "Share of each file system that is full.",
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
      { height: 7, panels: [[6, connections], [6, databaseSize], [6, slowest], [6, replication]] },
      { height: 9, panels: [[24, tables]] },
    ],
  },
  {
    title: "Kafka broker",
    lines: [{ height: 7, panels: [[8, brokerMessages], [8, brokerBytes], [8, brokerHealth]] }],
  },
  { title: "Hosts", lines: [{ height: 7, panels: [[8, cpu], [8, hostMemory], [8, disks]] }] },
];
