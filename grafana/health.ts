/**
 * The panels that say at a glance whether the pipeline works: its state now, alerts, and the latest events.
 * @module
 */
import { ALERT_COLORS, EVENT_COLORS } from "./colors.ts";
import type { Section } from "./dashboard.ts";
import { RECENT, state, table } from "./panel.ts";
import { now, rows, seriesNow } from "./query.ts";
import { SILENT } from "./refusals.ts";

const ready = state(
  {
    title: "Ready",
    description:
      "Ready: every instance has Kafka, PostgreSQL and the schema. Not ready: an instance lacks one; /ready says which. " +
      "Down: an instance does not answer Prometheus, or there is none.",
    unit: "none",
    empty: SILENT,
  },
  now("ready", 'min(clickstream_ready or up{job="clickstream"} - 1)'),
  [[null, "red"], [1, "green"]],
  { "1": ["Ready", "green"], "0": ["Not ready", "red"], "-1": ["Down", "red"] },
  "Down",
);

const lagNow = state(
  {
    title: "Lag",
    description: "Lag = high watermark − next offset: records not yet committed, summed over all partitions.",
    unit: "short",
    empty: SILENT,
  },
  now("lag", "sum(min by (partition) (clickstream_lag_records))"),
  [[null, "green"], [100_000, "orange"], [1_000_000, "red"]],
);

const sinceCommit = state(
  {
    title: "Time since last commit",
    description:
      "Time since the last commit of any instance. It also grows while no events arrive, because nothing is " +
      "committed then.",
    unit: "s",
    empty: SILENT,
    decimals: 0,
  },
  now("time since last commit", "(time() - max(clickstream_last_commit_timestamp_seconds))"),
  [[null, "green"], [30, "orange"], [120, "red"]],
);

const watermarkDelayNow = state(
  {
    title: "Watermark delay",
    description:
      "Clock − event-time watermark, of the partition that is furthest behind. 10 s of it are the allowed delay of " +
      "late events.",
    unit: "s",
    empty: SILENT,
    decimals: 0,
  },
  now("watermark delay", "(time() - min(max by (partition) (clickstream_watermark_timestamp_seconds)))"),
  [[null, "green"], [60, "orange"], [300, "red"]],
);

const refusedShare = state(
  {
    title: "Refused",
    description: "Refused records ÷ all records of the last five minutes; 0 without records.",
    unit: "percentunit",
    empty: SILENT,
    decimals: 2,
  },
  now(
    "refused",
    '(sum(rate(clickstream_events_total{outcome="refused"}[5m])) / (sum(rate(clickstream_events_total[5m])) > 0) ' +
      "or 0 * max(clickstream_up)) and on () clickstream_up",
  ),
  [[null, "green"], [0.03, "orange"], [0.1, "red"]],
);

const unaccounted = state(
  {
    title: "Unaccounted records",
    description: "Conservation: consumed − stored − duplicates − refused, summed over all partitions. Must be 0.",
    unit: "none",
    empty: "Nothing has been consumed yet",
  },
  rows(
    `select sum(consumed - stored - duplicates - refused)::bigint as "unaccounted records" from clickstream.progress`,
  ),
  [[null, "red"], [0, "green"], [1, "red"]],
  {},
  "Nothing consumed",
);

const alerts = table(
  {
    title: "Alerts",
    description:
      "Alerts that are pending or firing now, and since when. Prometheus evaluates them; docs/debugging.md says for each " +
      "what to do.",
    empty: "No alert is pending or firing",
  },
  seriesNow(
    "1000 * min by (severity, alertname, alertstate) " +
      '(ALERTS{alertname=~"Clickstream.+"} * ignoring (alertstate) group_left () ALERTS_FOR_STATE)',
  ),
  {
    alertname: { name: "alert" },
    alertstate: { name: "state", width: 90, colors: ALERT_COLORS },
    severity: { width: 90, colors: ALERT_COLORS },
    Value: { name: "since", unit: "dateTimeFromNow", width: 130 },
    Time: { isHidden: true },
  },
);

const latest = table(
  {
    title: "Recent events",
    description: "The twenty latest events of the last hour by event time. Reads raw events, so it is empty if " +
      "STORE_EVENTS is off.",
    empty: "No events in the last hour, or STORE_EVENTS is off",
  },
  rows(`
select event_time as "time", event_type as type, user_id as "user", page, kafka_partition as partition,
  kafka_offset as "offset"
from clickstream.events
where event_time >= $__timeTo()::timestamptz - interval '1 hour' and event_time < $__timeTo()
order by event_time desc
limit 20`),
  {
    time: RECENT,
    type: { width: 145, colors: EVENT_COLORS },
    user: { width: 110 },
    partition: { width: 80 },
    offset: { width: 90 },
  },
);

/** Sections on the state of the pipeline. */
export const HEALTH: readonly Section[] = [
  {
    title: "Health",
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
  { title: "Alerts and recent events", lines: [{ height: 8, panels: [[10, alerts], [14, latest]] }] },
];
