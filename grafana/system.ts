/**
 * The dashboard for operators: throughput and lag, refusals, and the servers and hosts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { REASONS } from "../processor/event.ts";
import { choice, chosen, dashboard } from "./dashboard.ts";
import { MACHINES } from "./machines.ts";
import { bars, lines, number, table } from "./panel.ts";
import { metrics, now, rows } from "./query.ts";

const SILENT = "No metrics: is the processor running, and Prometheus reading it?";
const IN_RANGE = "refused_at >= $__timeFrom() and refused_at < $__timeTo()";
const IS_CHOSEN = `(${chosen("reason")} is null or reason = any (${chosen("reason")}))`;

/** The quantile `q` of a histogram over all instances. */
function quantile(q: number, histogram: string): string {
  return `histogram_quantile(${q}, sum by (le) (rate(clickstream_${histogram}_bucket[$__rate_interval])))`;
}

/** The quantiles p50 and p99. */
function quantiles(histogram: string, prefix = ""): Record<string, string> {
  return { [`${prefix}p50`]: quantile(0.5, histogram), [`${prefix}p99`]: quantile(0.99, histogram) };
}

const ready = number(
  {
    title: "Ready",
    description: "1 if every instance has Kafka, PostgreSQL and the schema, 0 if one of them has not; /ready says why.",
    unit: "none",
    empty: SILENT,
  },
  now({ ready: "min(clickstream_ready)" }),
  [[null, "red"], [1, "green"]],
);

const lagNow = number(
  {
    title: "Lag",
    description: "Records in Kafka that are still to be committed, of all partitions.",
    unit: "short",
    empty: SILENT,
  },
  metrics({ lag: "sum(min by (partition) (clickstream_lag_records))" }),
  [[null, "green"], [100_000, "orange"], [1_000_000, "red"]],
);

const sinceCommit = number(
  {
    title: "Since the last commit",
    description: "Time since the last commit of any instance. It grows in a quiet shop too, for there is nothing to " +
      "commit then.",
    unit: "s",
    empty: SILENT,
    decimals: 0,
  },
  metrics({ "since the last commit": "time() - max(clickstream_last_commit_timestamp_seconds)" }),
  [[null, "green"], [30, "orange"], [120, "red"]],
);

const watermarkDelayNow = number(
  {
    title: "Watermark delay",
    description: "How far the watermark of the partition that is furthest behind is behind the clock; 10 s are its " +
      "allowance for late events.",
    unit: "s",
    empty: SILENT,
    decimals: 0,
  },
  metrics({ "watermark delay": "time() - min(max by (partition) (clickstream_watermark_timestamp_seconds))" }),
  [[null, "green"], [60, "orange"], [300, "red"]],
);

const refusedShare = number(
  {
    title: "Refused",
    description: "Messages that can't be events ÷ all messages, of the last five minutes.",
    unit: "percentunit",
    empty: "No message in the last five minutes",
    decimals: 2,
  },
  metrics({
    refused: 'sum(rate(clickstream_events_total{outcome="refused"}[5m])) / sum(rate(clickstream_events_total[5m]))',
  }),
  [[null, "green"], [0.01, "orange"], [0.05, "red"]],
);

const unaccounted = number(
  {
    title: "Unaccounted for",
    description:
      "Conservation: records consumed, less those stored, duplicates and refused, of all partitions. Always 0.",
    unit: "none",
    empty: "Nothing has been consumed yet",
  },
  rows(`select sum(consumed - stored - duplicates - refused)::bigint as "unaccounted for" from clickstream.progress`),
  [[null, "red"], [0, "green"], [1, "red"]],
);

const outcomes = lines(
  {
    title: "Events by outcome",
    description: "Messages taken in per second: stored as events, left out as duplicates, refused.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ "{{outcome}}": "sum by (outcome) (rate(clickstream_events_total[$__rate_interval]))" }),
);

const lag = lines(
  {
    title: "Lag by partition",
    description: "Records of each partition that are still to be committed.",
    unit: "short",
    empty: SILENT,
  },
  metrics({ "partition {{partition}}": "min by (partition) (clickstream_lag_records)" }),
);

const watermarkDelay = lines(
  {
    title: "Watermark delay by partition",
    description: "The clock less the watermark: the largest event time committed from the partition, less 10 s. It " +
      "grows while a partition brings nothing.",
    unit: "s",
    empty: SILENT,
  },
  metrics({
    "partition {{partition}}": "time() - max by (partition) (clickstream_watermark_timestamp_seconds)",
  }),
);

const latency = lines(
  {
    title: "How old are events when they are committed?",
    description: "Time to the commit from the event in the shop, and from its Kafka timestamp: of half of the stored " +
      "events it is less than p50, of 99 % less than p99.",
    unit: "s",
    empty: SILENT,
  },
  metrics({
    ...quantiles("event_time_latency_seconds", "event time, "),
    ...quantiles("produce_time_latency_seconds", "produce time, "),
  }),
);

const commitTime = lines(
  {
    title: "Commit time",
    description:
      "What PostgreSQL took for a commit, and how long its first record had waited for it to be sent: half " +
      "of them less than p50, 99 % less than p99.",
    unit: "s",
    empty: SILENT,
  },
  metrics({ ...quantiles("commit_duration_seconds"), ...quantiles("commit_wait_seconds", "waited, ") }),
);

const commitRows = lines(
  {
    title: "Rows written by table",
    description: "Rows that commits write per second: of views, events and refusals.",
    unit: "rowsps",
    empty: SILENT,
  },
  metrics({ "{{table}}": "sum by (table) (rate(clickstream_commit_rows_total[$__rate_interval]))" }),
);

const fetched = lines(
  {
    title: "Bytes read from Kafka",
    description: "Bytes of records per second, as they were sent: compressed, if they were.",
    unit: "Bps",
    empty: SILENT,
  },
  metrics({ read: "sum(rate(clickstream_fetch_bytes_total[$__rate_interval]))" }),
);

const restarts = lines(
  {
    title: "Restarts and retries",
    description:
      "How often uncommitted work was forgotten and read again, by cause, how often Kafka or PostgreSQL failed and " +
      "was tried again, and how often Kafka's group could not be told how far it has got; in each step of this graph.",
    unit: "short",
    empty: SILENT,
  },
  metrics({
    "{{cause}}": "sum by (cause) (increase(clickstream_restarts_total[$__rate_interval]))",
    "retries": "sum(increase(clickstream_retries_total[$__rate_interval]))",
    "group not told": "sum(increase(clickstream_group_commit_failures_total[$__rate_interval]))",
  }),
);

const memory = lines(
  {
    title: "Memory of the processor",
    description: "Resident memory of each instance, and the part of it that is JavaScript's heap.",
    unit: "bytes",
    empty: SILENT,
  },
  metrics({
    "{{instance}}": "process_resident_memory_bytes and on (instance, job) clickstream_up",
    "{{instance}} heap": "clickstream_heap_bytes",
  }),
);

const refusedByReason = lines(
  {
    title: "Refusals by reason over time",
    description: "Messages per second that can't be events, by the reason.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ "{{reason}}": "sum by (reason) (rate(clickstream_refusals_total[$__rate_interval]))" }),
  { stacked: true },
);

const reasons = table(
  {
    title: "Refusals by reason",
    description: "Rows of refusals that came in this time. A click on a reason shows its rows.",
    unit: "short",
    empty: "Nothing was refused in this time",
  },
  rows(`
select reason, count(*) as refusals, count(*) filter (where replayed_at is not null) as replayed,
  max(refused_at) as "last at"
from clickstream.refusals
where ${IN_RANGE}
group by reason
order by 2 desc, 1`),
  {
    reason: {
      link: { title: "Show its rows", url: "/d/clickstream-system?${__url_time_range}&var-reason=${__value.raw}" },
    },
    "last at": { width: 190 },
  },
);

const refusals = table(
  {
    title: "Latest refusals",
    description:
      "The fifty latest of the reasons chosen above, with the first 200 bytes of each message, in hexadecimal " +
      "what is not printable ASCII. `clickstream refusals show ID` shows it whole, `clickstream refusals replay` sends " +
      "it into the topic again.",
    unit: "none",
    empty: "Nothing was refused in this time",
  },
  rows(`
select id, refused_at as "time", reason, field, detail, topic, partition, "offset",
  encode(substring(payload from 1 for 200), 'escape') as payload, replayed_at as "replayed at"
from clickstream.refusals
where ${IN_RANGE} and ${IS_CHOSEN}
order by id desc
limit 50`),
  { id: { width: 80 }, time: { width: 190 }, partition: { width: 80 }, offset: { width: 100 } },
);

const duplicates = lines(
  {
    title: "Duplicates",
    description: "Share of messages that repeat the eventId of one within ten minutes, by Kafka timestamps.",
    unit: "percentunit",
    empty: SILENT,
  },
  metrics({
    duplicates: 'sum(rate(clickstream_events_total{outcome="duplicate"}[$__rate_interval])) ' +
      "/ sum(rate(clickstream_events_total[$__rate_interval]))",
  }),
);

const late = lines(
  {
    title: "Late events",
    description: "Stored events per second that came after the watermark of their partition. They are counted in the " +
      "window that they belong to.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ late: "sum(rate(clickstream_late_events_total[$__rate_interval]))" }),
);

const lateness = lines(
  {
    title: "Lateness",
    description:
      "The watermark less the event time, of late events: half of them by less than p50, 99 % by less than p99.",
    unit: "s",
    empty: "No event was late in this time",
  },
  metrics(quantiles("lateness_seconds")),
);

const progress = table(
  {
    title: "Progress of each partition",
    description:
      "What was consumed, and what became of it: consumed = stored + duplicates + refused, and next offset - first offset " +
      "= consumed + skipped + gaps, so that nothing is unaccounted for.",
    unit: "locale",
    empty: "Nothing has been consumed yet",
  },
  rows(`
select topic, partition, first_offset as "first offset", next_offset as "next offset", consumed, stored, duplicates,
  refused, skipped, gaps,
  abs(consumed - stored - duplicates - refused) + abs(next_offset - first_offset - consumed - skipped - gaps)
    as "unaccounted for", watermark, committed_at as "committed at",
  committed_by as "committed by"
from clickstream.progress
order by topic, partition`),
  { partition: { width: 80 }, watermark: { width: 190 }, "committed at": { width: 190 } },
);

const conservation = bars(
  {
    title: "Do the tables hold what was stored?",
    description:
      "Events stored by progress, and events counted by traffic, both read at once: they are the same. It adds " +
      "all of traffic up, which takes its time.",
    unit: "locale",
    empty: "Nothing has been stored yet",
  },
  rows(`
select 'progress' as "by", sum(stored)::bigint as events from (
  select stored from clickstream.progress union all select stored from clickstream.former_progress) p
union all
select 'traffic', sum(events)::bigint from clickstream.traffic`),
  { x: "by", lying: true },
);

/** The dashboard *System Monitoring*. */
export const SYSTEM: Dashboard = dashboard({
  uid: "clickstream-system",
  title: "System Monitoring",
  description: "Whether the pipeline keeps up and loses nothing, what it refuses, and how what is under it does. All " +
    "times are UTC.",
  from: "now-6h",
  refresh: "30s",
  sources: ["postgres", "prometheus"],
  variables: [choice("reason", "Reason of refusal", REASONS)],
  annotations: {
    "Work begun again": {
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
    {
      title: "Is all well?",
      lines: [{
        height: 4,
        panels: [
          [4, ready],
          [4, lagNow],
          [4, watermarkDelayNow],
          [4, sinceCommit],
          [4, refusedShare],
          [4, unaccounted],
        ],
      }],
    },
    {
      title: "Does it keep up?",
      lines: [
        { height: 8, panels: [[8, outcomes], [8, lag], [8, watermarkDelay]] },
        { height: 8, panels: [[8, latency], [8, commitTime], [8, commitRows]] },
        { height: 7, panels: [[8, fetched], [8, restarts], [8, memory]] },
      ],
    },
    {
      title: "What is refused, repeated or late?",
      lines: [
        { height: 8, panels: [[14, refusedByReason], [10, reasons]] },
        { height: 10, panels: [[24, refusals]] },
        { height: 7, panels: [[8, duplicates], [8, late], [8, lateness]] },
      ],
    },
    { title: "Is anything lost?", lines: [{ height: 8, panels: [[24, progress]] }] },
    ...MACHINES,
    { title: "Is anything lost? The tables", closed: true, lines: [{ height: 6, panels: [[24, conservation]] }] },
  ],
});
