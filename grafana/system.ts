/**
 * The dashboard for operators: throughput and lag, refusals, and the servers and hosts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { REASONS } from "../processor/event.ts";
import { OUTCOME_COLORS } from "./colors.ts";
import { choice, dashboard } from "./dashboard.ts";
import { HEALTH } from "./health.ts";
import { MACHINES } from "./machines.ts";
import { bars, lines, RECENT, table } from "./panel.ts";
import { metrics, rows } from "./query.ts";
import { reasons, refusals, refusedByReason, SILENT } from "./refusals.ts";

/** The quantile `q` of a histogram over all instances. */
function quantile(q: number, histogram: string): string {
  return `histogram_quantile(${q}, sum by (le) (rate(clickstream_${histogram}_bucket[$__rate_interval])))`;
}

/** The quantiles p50 and p99. */
function quantiles(histogram: string, prefix = ""): Record<string, string> {
  return { [`${prefix}p50`]: quantile(0.5, histogram), [`${prefix}p99`]: quantile(0.99, histogram) };
}

const outcomes = lines(
  {
    title: "Records by outcome",
    description: "Records/s by outcome: stored as events, dropped as duplicates, refused.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ "{{outcome}}": "sum by (outcome) (rate(clickstream_events_total[$__rate_interval]))" }),
  { colors: OUTCOME_COLORS },
);

const lag = lines(
  {
    title: "Lag by partition",
    description: "Lag = high watermark − next offset: records of each partition not yet committed.",
    unit: "short",
    decimals: 0,
    empty: SILENT,
  },
  metrics({ "partition {{partition}}": "min by (partition) (clickstream_lag_records)" }),
  { upTo: 10 },
);

const watermarkDelay = lines(
  {
    title: "Watermark delay by partition",
    description:
      "Clock − event-time watermark. The event-time watermark is the largest committed event time of the partition " +
      "− 10 s. The delay grows while the partition has no new records.",
    unit: "s",
    empty: SILENT,
  },
  metrics({
    "partition {{partition}}": "time() - max by (partition) (clickstream_watermark_timestamp_seconds)",
  }),
);

const latency = lines(
  {
    title: "End-to-end latency",
    description:
      "p50 and p99 of the time from an event to its commit. Event time: from the event's timestamp. Produce time: " +
      "from its Kafka timestamp.",
    unit: "s",
    empty: SILENT,
  },
  metrics({
    ...quantiles("event_time_latency_seconds", "event time, "),
    ...quantiles("produce_time_latency_seconds", "produce time, "),
  }),
  { logarithmic: true },
);

const commitTime = lines(
  {
    title: "Commit time",
    description:
      "p50 and p99 of the time that PostgreSQL takes for a commit, and of the time that its first record waited " +
      "before the commit was sent.",
    unit: "s",
    empty: SILENT,
  },
  metrics({ ...quantiles("commit_duration_seconds"), ...quantiles("commit_wait_seconds", "waited, ") }),
  { logarithmic: true },
);

const commitRows = lines(
  {
    title: "Rows written by table",
    description: "Rows/s that commits write to views, events and refusals.",
    unit: "rowsps",
    empty: SILENT,
  },
  metrics({ "{{table}}": "sum by (table) (rate(clickstream_commit_rows_total[$__rate_interval]))" }),
);

const fetched = lines(
  {
    title: "Bytes read from Kafka",
    description: "Bytes/s of records as they were sent: compressed if the producer compressed them.",
    unit: "Bps",
    empty: SILENT,
  },
  metrics({ read: "sum(rate(clickstream_fetch_bytes_total[$__rate_interval]))" }),
);

const restarts = lines(
  {
    title: "Restarts and retries",
    description:
      "Restarts by cause: uncommitted records were dropped and read again. Retries after failures of Kafka or " +
      "PostgreSQL. Failed commits of offsets to Kafka's consumer group. Counts per step of this graph.",
    unit: "short",
    decimals: 0,
    empty: SILENT,
  },
  metrics({
    "{{cause}}": "sum by (cause) (increase(clickstream_restarts_total[$__rate_interval]))",
    "retries": "sum(increase(clickstream_retries_total[$__rate_interval]))",
    "group commit failures": "sum(increase(clickstream_group_commit_failures_total[$__rate_interval]))",
  }),
  { upTo: 4 },
);

const memory = lines(
  {
    title: "Processor memory",
    description:
      "Resident memory (RSS) of each instance, and its parts: JavaScript heap, buffers, and what the kernel has taken.",
    unit: "bytes",
    empty: SILENT,
  },
  metrics({
    "{{instance}}": "process_resident_memory_bytes and on (instance, job) clickstream_up",
    "{{instance}} {{kind}}": "clickstream_memory_bytes",
  }),
);

const duplicates = lines(
  {
    title: "Duplicates",
    description:
      "Share of records that are duplicates: an event with the same id was seen within 10 minutes by Kafka timestamps.",
    unit: "percentunit",
    empty: SILENT,
  },
  metrics({
    duplicates: 'sum(rate(clickstream_events_total{outcome="duplicate"}[$__rate_interval])) ' +
      "/ sum(rate(clickstream_events_total[$__rate_interval]))",
  }),
  { upTo: 0.05 },
);

const late = lines(
  {
    title: "Late events",
    description:
      "Stored events/s with an event time before the event-time watermark of their partition. They count in the " +
      "window of their event time.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ late: "sum(rate(clickstream_late_events_total[$__rate_interval]))" }),
  { upTo: 1 },
);

const lateness = lines(
  {
    title: "Lateness",
    description: "p50 and p99 of event-time watermark − event time, of late events.",
    unit: "s",
    empty: "No late events in this time range",
  },
  metrics(quantiles("lateness_seconds")),
  { logarithmic: true },
);

const COUNTS = {
  consumed: 95,
  stored: 95,
  duplicates: 85,
  refused: 75,
  skipped: 70,
  gaps: 55,
  unaccounted: 95,
};

const progress = table(
  {
    title: "Progress by partition",
    description:
      "Conservation by partition: consumed = stored + duplicates + refused, and next offset − first offset = " +
      "consumed + skipped + gaps. Unaccounted must be 0.",
    empty: "Nothing has been consumed yet",
  },
  rows(`
select topic, partition, first_offset as "first offset", next_offset as "next offset", consumed, stored, duplicates,
  refused, skipped, gaps,
  abs(consumed - stored - duplicates - refused) + abs(next_offset - first_offset - consumed - skipped - gaps)
    as unaccounted, watermark, committed_at as "committed at",
  committed_by as "committed by"
from clickstream.progress
order by topic, partition`),
  {
    topic: { width: 140 },
    partition: { width: 75 },
    "first offset": { width: 90 },
    "next offset": { width: 95 },
    ...Object.fromEntries(Object.entries(COUNTS).map(([name, width]) => [name, { unit: "locale", width }])),
    watermark: RECENT,
    "committed at": RECENT,
  },
);

const conservation = bars(
  {
    title: "Stored events by table",
    description:
      "Events stored by progress and events counted by traffic, read at the same time. They must be equal. Slow, " +
      "because it sums the whole traffic table.",
    unit: "locale",
    empty: "Nothing has been stored yet",
  },
  rows(`
select 'progress' as "by", sum(stored)::bigint as events from (
  select stored from clickstream.progress union all select stored from clickstream.former_progress) p
union all
select 'traffic', sum(events)::bigint from clickstream.traffic`),
  { x: "by" },
);

/** The dashboard *System Monitoring*. */
export const SYSTEM: Dashboard = dashboard({
  uid: "clickstream-system",
  title: "System Monitoring",
  description:
    "Lag, latency, refusals and conservation of the pipeline, and the state of PostgreSQL, Kafka and the hosts. All " +
    "times are UTC.",
  from: "now-6h",
  refresh: "30s",
  sources: ["postgres", "prometheus"],
  variables: [choice("reason", "Refusal reason", REASONS)],
  annotations: {
    "Pipeline restarted": {
      expr: "sum by (cause) (increase(clickstream_restarts_total[1m])) > 0",
      color: "orange",
      tags: "cause",
    },
    "Processor restarted": {
      expr: "sum by (instance) (resets(clickstream_commits_total[1m])) > 0",
      color: "red",
      tags: "instance",
    },
    "New version": {
      expr: "count by (version) (clickstream_build_info) unless count by (version) (clickstream_build_info offset 1m)",
      color: "blue",
      tags: "version",
    },
  },
  sections: [
    ...HEALTH,
    {
      title: "Throughput and latency",
      lines: [
        { height: 8, panels: [[8, outcomes], [8, lag], [8, watermarkDelay]] },
        { height: 8, panels: [[8, latency], [8, commitTime], [8, commitRows]] },
        { height: 7, panels: [[8, fetched], [8, restarts], [8, memory]] },
      ],
    },
    {
      title: "Refusals, duplicates, late events",
      lines: [
        { height: 8, panels: [[14, refusedByReason], [10, reasons]] },
        { height: 10, panels: [[24, refusals]] },
        { height: 7, panels: [[8, duplicates], [8, late], [8, lateness]] },
      ],
    },
    { title: "Conservation", lines: [{ height: 8, panels: [[24, progress]] }] },
    ...MACHINES,
    { title: "Conservation: tables", closed: true, lines: [{ height: 6, panels: [[24, conservation]] }] },
  ],
});
