/**
 * The dashboard for the shop's analysts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { EVENT_COLORS, WEEK_COLORS } from "./colors.ts";
import { choice, chosen, dashboard, found } from "./dashboard.ts";
import { heat, lines, linesOfTwo, number, ranking, table, TIME, trend } from "./panel.ts";
import { rows, series } from "./query.ts";

const RANGE = "$__timeFrom(), $__timeTo()";
/** Width of one step of a graph. */
const STEP = "$__interval_ms * interval '1 millisecond'";
const EPOCH = "'1970-01-01T00:00Z'";

/** The whole steps of the time range, so that no graph falls at its end. */
function wholeSteps(step: string): string {
  return `date_bin(${step}, $__timeFrom()::timestamptz + ${step} - interval '1 microsecond', ${EPOCH}), ` +
    `date_bin(${step}, $__timeTo()::timestamptz, ${EPOCH})`;
}

/** Event rates by type, 0 in steps without events of a type that has some in the time range. */
function rates(step: string, figure: "events" | "per_second"): ReturnType<typeof series> {
  return series(`
with r as (select * from clickstream.event_rates(${wholeSteps(step)}, ${step}, ${DEVICES}, ${REGIONS}))
select s."time", t.event_type as metric, coalesce(r.${figure}, 0) as "events"
from (select generate_series(min("time"), max("time"), ${step}) as "time" from r) s
cross join (select event_type from r group by event_type) t
left join r on r."time" = s."time" and r.event_type = t.event_type
order by 1, 2`);
}

const DEVICES = chosen("device");
const REGIONS = chosen("region");
/** Condition on a row with a device and a region. */
const IS_CHOSEN =
  `(${DEVICES} is null or device = any (${DEVICES})) and (${REGIONS} is null or region = any (${REGIONS}))`;
const OF_CHOSEN = "Of the devices and regions chosen above.";
const OF_ALL = "Of all devices and regions: not stored per device or region.";
const NOTHING = "No events in this time range";

/** The last sixty whole minutes of the time range. */
const LAST_MINUTES = `generate_series(date_trunc('minute', $__timeTo()::timestamptz) - interval '60 minutes',
  date_trunc('minute', $__timeTo()::timestamptz) - interval '1 minute', interval '1 minute') as m (minute)`;

const WEEK = "Beside it, the change against the same time a week before; behind it, the days since then.";

/**
 * What a report says of the time range and of the same times up to seven days earlier, so that a panel shows the week's
 * course and its change. Over more than eight days, only the first and the last are computed.
 */
function overWeek(report: string, figure: string, name: string): ReturnType<typeof series> {
  return series(`
select $__timeTo()::timestamptz - week.ago as "time",
  case when week.ago > interval '0' then coalesce(nullif(${figure}, 0), 'NaN') else ${figure} end as "${name}"
from (
  select days * interval '1 day' as ago
  from generate_series(7, 0,
    case when $__timeTo()::timestamptz - $__timeFrom()::timestamptz > interval '8 days' then -7 else -1 end) as days
) as week
cross join lateral clickstream.${report}($__timeFrom()::timestamptz - week.ago,
  $__timeTo()::timestamptz - week.ago, ${DEVICES}, ${REGIONS}) r
order by 1`);
}

const rate = number(
  {
    title: "Events per second",
    description: `Events in the last whole minute ÷ 60. The graph shows the last hour. ${OF_CHOSEN}`,
    unit: "eps",
    empty: NOTHING,
    decimals: 1,
  },
  series(`
select m.minute as "time", coalesce(sum(t.events), 0) / 60.0 as "events per second"
from ${LAST_MINUTES}
left join clickstream.traffic t on t.window_start = m.minute and ${IS_CHOSEN}
group by m.minute
order by m.minute`),
);

const activeNow = number(
  {
    title: "Active users (5 min)",
    description: `Distinct users with any event in the last five whole minutes. The graph shows the last hour. ` +
      `Exact up to 4,096 users, then at most 1 % off. ${OF_ALL}`,
    unit: "locale",
    empty: NOTHING,
  },
  series(`
select m.minute + interval '1 minute' as "time", coalesce(a.users, 0) as "active users"
from ${LAST_MINUTES}
left join clickstream.active_users a on a.window_start = m.minute - interval '4 minutes'
order by m.minute`),
);

const conversionRate = trend(
  {
    title: "Conversion rate",
    description:
      `Sessions with at least one purchase ÷ all sessions that began in this time range. ${OF_CHOSEN} ${WEEK}`,
    unit: "percentunit",
    empty: "No session began in this time range",
    decimals: 2,
  },
  overWeek("conversion", "r.conversion_rate", "conversion rate"),
  "more",
);

const revenue = trend(
  {
    title: "Revenue",
    description:
      "Price × quantity of the purchases in sessions that began in this time range, in the currency of the " +
      `events (not converted). ${OF_CHOSEN} ${WEEK}`,
    unit: "locale",
    empty: "No session began in this time range",
    decimals: 2,
  },
  overWeek("conversion", "r.revenue_cents / 100.0::double precision", "revenue"),
  "more",
);

const sessions = trend(
  {
    title: "Sessions",
    description:
      "Sessions that began in this time range. A session has the events of one user (and of one sessionId, if the " +
      `client sends it), each at most 30 minutes after the previous one. ${OF_CHOSEN} ${WEEK}`,
    unit: "locale",
    empty: "No session began in this time range",
  },
  overWeek("conversion", "r.sessions::double precision", "sessions"),
  "more",
);

const bounceRate = trend(
  {
    title: "Bounce rate",
    description:
      "Sessions with exactly one page view and no other event ÷ sessions with a page view, for sessions that " +
      `began in this time range. ${OF_CHOSEN} ${WEEK}`,
    unit: "percentunit",
    empty: "No session viewed a page in this time range",
    decimals: 1,
  },
  overWeek("bounces", "r.bounce_rate", "bounce rate"),
  "less",
);

const rateByType = lines(
  {
    title: "Event rate by type",
    description: `Events/s by event type, in whole steps. ${OF_CHOSEN}`,
    unit: "eps",
    empty: NOTHING,
  },
  rates(STEP, "per_second"),
  { stacked: true, colors: EVENT_COLORS },
);

const lastHour = lines(
  {
    title: "Events by type, last hour",
    description: `Events in each whole minute by event type. ${OF_CHOSEN}`,
    unit: "short",
    decimals: 0,
    empty: "No events in the last hour",
  },
  rates("interval '1 minute'", "events"),
  { stacked: true, colors: EVENT_COLORS, last: "1h" },
);

const activeUsers = lines(
  {
    title: "Active users over time",
    description:
      "Distinct users with any event in five minutes, for every minute; longer steps show the maximum. The last " +
      `minutes are incomplete. ${OF_ALL}`,
    unit: "short",
    empty: NOTHING,
  },
  series(`
select $__timeGroupAlias(window_end, $__interval), max(users) as "active users"
from clickstream.active_users
where window_end > $__timeFrom() and window_end <= $__timeTo()
group by 1
order by 1`),
);

const conversionOverTime = linesOfTwo(
  {
    title: "Conversion rate and revenue over time",
    description:
      "Sessions with a purchase ÷ all sessions, and revenue in the currency of the events, by the hour or longer step " +
      `in which the session began, in whole steps. Sessions of the last point may still buy. ${OF_CHOSEN}`,
    unit: "locale",
    empty: "No session began in this time range",
  },
  series(`
select "time", revenue_cents / 100.0 as "revenue", conversion_rate as "conversion rate"
from clickstream.conversions(${wholeSteps(STEP)}, ${STEP}, ${DEVICES}, ${REGIONS})`),
  { "conversion rate": "percentunit" },
  { step: "1h", colors: { "conversion rate": "green", revenue: "blue" } },
);

const today = lines(
  {
    title: "Today and one week ago",
    description: `Events/s since midnight UTC, and at the same time seven days earlier. ${OF_CHOSEN}`,
    unit: "eps",
    empty: "No events today or one week ago",
  },
  series(`
select r."time" + late.by as "time", late.day as metric, sum(r.per_second) as "events"
from (values ('today', interval '0'), ('a week before', interval '7 days')) as late (day, by)
cross join lateral clickstream.event_rates(date_trunc('day', $__timeTo()::timestamptz, 'UTC') - late.by,
  date_bin(${STEP}, $__timeTo()::timestamptz, ${EPOCH}) - late.by, ${STEP}, ${DEVICES}, ${REGIONS}) r
group by 1, 2
order by 1, 2`),
  { colors: WEEK_COLORS, dashed: ["a week before"] },
);

const SINCE_MIDNIGHT = (by: string) =>
  `clickstream.conversion(date_trunc('day', $__timeTo()::timestamptz, 'UTC') - interval '${by}', ` +
  `$__timeTo()::timestamptz - interval '${by}', ${DEVICES}, ${REGIONS})`;

const todayInNumbers = table(
  {
    title: "Today in numbers",
    description: "Since midnight UTC, and until the same time seven days earlier, by the start of the session. " +
      OF_CHOSEN,
    empty: "No session began today or one week ago",
  },
  rows(`
select f.figure, f.today, f.before as "a week before", (f.today - f.before) / nullif(f.before, 0) as change
from ${SINCE_MIDNIGHT("0 days")} t
cross join ${SINCE_MIDNIGHT("7 days")} w
cross join lateral (values
  (1, 'Sessions', t.sessions::double precision, w.sessions::double precision),
  (2, 'Conversions', t.conversions, w.conversions),
  (3, 'Conversion rate, %', 100 * t.conversion_rate, 100 * w.conversion_rate),
  (4, 'Users', t.users, w.users),
  (5, 'Revenue', t.revenue_cents / 100.0, w.revenue_cents / 100.0)
) as f (place, figure, today, before)
order by f.place`),
  {
    figure: { width: 160 },
    today: { unit: "locale", decimals: 2 },
    "a week before": { unit: "locale", decimals: 2 },
    change: { unit: "percentunit", decimals: 1, width: 100 },
  },
);

const topPages = table(
  {
    title: "Top pages",
    description:
      "The fifty pages with the most views. Bounce rate: bounced sessions that entered on the page ÷ sessions that " +
      "entered on it. Exit rate: sessions that left on the page ÷ its page views. Views count by minute; entries, " +
      `bounces and exits by the start of the session. ${OF_ALL}`,
    empty: "No page was viewed in this time range",
  },
  rows(`
select page, views, entries, bounce_rate as "bounce rate", exits, exit_rate as "exit rate"
from clickstream.top_pages(${RANGE})
limit 50`),
  {
    views: { unit: "locale", as: "gauge" },
    "bounce rate": { unit: "percentunit", decimals: 1, width: 110 },
    "exit rate": { unit: "percentunit", decimals: 1, width: 110 },
    entries: { unit: "locale", width: 100 },
    exits: { unit: "locale", width: 100 },
  },
);

const devices = ranking(
  {
    title: "Devices",
    description: `Events by device. ${OF_CHOSEN}`,
    unit: "short",
    empty: NOTHING,
  },
  rows(`select device, events from clickstream.devices(${RANGE}, ${DEVICES}, ${REGIONS})`),
  "events",
);

const regions = ranking(
  {
    title: "Regions",
    description: `Events of the nine busiest regions, and of all others. ${OF_CHOSEN}`,
    unit: "short",
    empty: NOTHING,
  },
  rows(`
select case when n <= 9 then region else 'all others' end as region, sum(events)::bigint as events
from (
  select region, events, row_number() over (order by events desc, region) as n
  from clickstream.regions(${RANGE}, ${DEVICES}, ${REGIONS})
) r
group by 1
order by min(n)`),
  "events",
);

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

const heatmap = heat(
  {
    title: "Events by weekday and hour",
    description: `Events by weekday and hour, UTC, of the last 28 days. ${OF_CHOSEN}`,
    unit: "short",
    decimals: 0,
    empty: "No events in the last 28 days",
  },
  rows(`
select (array['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'])[day_of_week] as day,
${HOURS.map((h) => `  sum(events) filter (where hour = ${h}) as "${String(h).padStart(2, "0")}"`).join(",\n")}
from clickstream.activity_heatmap(${RANGE}, ${DEVICES}, ${REGIONS})
group by day_of_week
order by day_of_week`),
  { day: { width: 100, unit: "string" } },
  { least: 44, last: "28d" },
);

/** The minute from which on there are fifty events. Found in `traffic`, so that older events need not be read. */
const LATEST_SINCE = `(
  select min(m.window_start)
  from (
    select window_start, sum(events) as events, sum(sum(events)) over (order by window_start desc) as up_to
    from clickstream.traffic
    where window_start >= greatest($__timeFrom(), $__timeTo()::timestamptz - interval '1 day')
      and window_start < $__timeTo() and ${IS_CHOSEN}
    group by window_start
  ) m
  where m.up_to - m.events < 50
)`;

const latest = table(
  {
    title: "Latest events",
    description:
      "The fifty latest events by event time, from the last day of this time range. Reads raw events, so it is " +
      `empty if STORE_EVENTS is off. ${OF_CHOSEN}`,
    empty: "No events on the last day of this time range, or STORE_EVENTS is off",
  },
  rows(`
select event_time as "time", event_type as type, user_id as "user", page, device, region, product_id as product,
  case when event_type = 'purchase' then revenue_cents / 100.0 end as revenue
from clickstream.events
where event_time >= ${LATEST_SINCE} and event_time >= $__timeFrom() and event_time < $__timeTo() and ${IS_CHOSEN}
order by event_time desc
limit 50`),
  {
    time: TIME,
    type: { width: 120, colors: EVENT_COLORS },
    user: { width: 110 },
    device: { width: 75 },
    region: { width: 70 },
    product: { width: 80 },
    revenue: { unit: "locale", decimals: 2, width: 80 },
  },
);

/** The dashboard *Clickstream Analytics*. */
export const ANALYTICS: Dashboard = dashboard({
  uid: "clickstream-analytics",
  title: "Clickstream Analytics",
  description: "Traffic, conversion and revenue of the shop, live and over time. All times are UTC.",
  from: "now-24h",
  refresh: "10s",
  sources: ["postgres"],
  variables: [
    choice("device", "Device", ["desktop", "mobile", "tablet", "other", "unknown"]),
    found(
      "region",
      "Region",
      "select region from clickstream.regions($__timeTo()::timestamptz - interval '1 day', $__timeTo()) order by region",
    ),
  ],
  sections: [
    {
      title: "Live",
      lines: [
        {
          height: 5,
          panels: [[4, rate], [4, activeNow], [4, sessions], [4, conversionRate], [4, revenue], [4, bounceRate]],
        },
        { height: 11, panels: [[15, latest], [9, lastHour]] },
      ],
    },
    {
      title: "Over time",
      lines: [
        { height: 8, panels: [[12, rateByType], [12, activeUsers]] },
        { height: 8, panels: [[24, conversionOverTime]] },
        { height: 8, panels: [[14, today], [10, todayInNumbers]] },
      ],
    },
    {
      title: "Pages, devices, regions, hours",
      lines: [
        { height: 11, panels: [[24, topPages]] },
        { height: 9, panels: [[8, devices], [16, regions]] },
        { height: 10, panels: [[24, heatmap]] },
      ],
    },
  ],
});
