/**
 * The panels on refused records.
 * @module
 */
import { chosen } from "./dashboard.ts";
import { lines, RECENT, table, TIME } from "./panel.ts";
import { metrics, rows } from "./query.ts";

/** Text of a panel on metrics that has no data. */
export const SILENT = "No metrics: is the processor running, and does Prometheus scrape it?";

const IN_RANGE = "refused_at >= $__timeFrom() and refused_at < $__timeTo()";
const IS_CHOSEN = `(${chosen("reason")} is null or reason = any (${chosen("reason")}))`;

/** Refused records per second, by reason. */
export const refusedByReason = lines(
  {
    title: "Refusals by reason over time",
    description: "Refused records/s by reason.",
    unit: "eps",
    empty: SILENT,
  },
  metrics({ "{{reason}}": "sum by (reason) (rate(clickstream_refusals_total[$__rate_interval]))" }),
  { stacked: true },
);

/** Refused and replayed records by reason. */
export const reasons = table(
  {
    title: "Refusals by reason",
    description: "Refusals in this time range. Click a reason to show its rows.",
    empty: "No refusals in this time range",
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
    refusals: { unit: "locale", width: 90 },
    replayed: { unit: "locale", width: 90 },
    "last at": TIME,
  },
);

/** The newest refusals of the chosen reasons. */
export const refusals = table(
  {
    title: "Latest refusals",
    description:
      "The fifty latest refusals of the reasons chosen above, with the first 200 bytes of each record; bytes that are " +
      "not printable ASCII are escaped. `clickstream refusals show ID` shows the whole record, " +
      "`clickstream refusals replay` sends it to the topic again.",
    empty: "No refusals in this time range",
  },
  rows(`
select id, refused_at as "time", reason, field, detail, topic, partition, "offset",
  encode(substring(payload from 1 for 200), 'escape') as payload, replayed_at as "replayed at"
from clickstream.refusals
where ${IN_RANGE} and ${IS_CHOSEN}
order by id desc
limit 50`),
  {
    id: { width: 70 },
    time: RECENT,
    reason: { width: 130 },
    field: { width: 85 },
    topic: { width: 140 },
    partition: { width: 75 },
    offset: { width: 85 },
    "replayed at": RECENT,
  },
);
