/**
 * The dashboard for the shop's analysts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { EVENT_COLORS, WEEK_COLORS } from "./colors.ts";
import { choice, dashboard, dayOf, found, one, timeZoneOfDays } from "./dashboard.ts";
import { LIVE } from "./live.ts";
import { heat, lines, linesOfTwo, ranking, RECENT, table } from "./panel.ts";
import { rows, series } from "./query.ts";
import { DEVICES, EPOCH, NOTHING, OF_ALL, OF_CHOSEN, RANGE, rates, REGIONS, STEP, wholeSteps } from "./scope.ts";

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
where not is_bot and window_end > $__timeFrom() and window_end <= $__timeTo()
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
select "time", revenue_cents / clickstream.minor_units() as "revenue", conversion_rate as "conversion rate"
from clickstream.conversions(${wholeSteps(STEP)}, ${STEP}, ${DEVICES}, ${REGIONS})`),
  { "conversion rate": "percentunit" },
  { step: "1h", colors: { "conversion rate": "green", revenue: "blue" } },
);

/** SQL for the last midnight in the shop's time zone, and for the time since that of a week before. */
const MIDNIGHT = `clickstream.day_start(${dayOf("$__timeTo()")})`;
const WEEK_AGO = `(${MIDNIGHT} - clickstream.day_start(${dayOf("$__timeTo()")} - 7))`;

const today = lines(
  {
    title: "Today and one week ago",
    description:
      `Events/s since midnight in the shop's time zone, and as long after midnight a week earlier. ${OF_CHOSEN}`,
    unit: "eps",
    empty: "No events today or one week ago",
  },
  series(`
select r."time" + late.by as "time", late.day as metric, sum(r.per_second) as "events"
from (values ('today', interval '0'), ('a week before', ${WEEK_AGO})) as late (day, by)
cross join lateral clickstream.event_rates(${MIDNIGHT} - late.by,
  date_bin(${STEP}, $__timeTo()::timestamptz, ${EPOCH}) - late.by, ${STEP}, ${DEVICES}, ${REGIONS}) r
group by 1, 2
order by 1, 2`),
  { step: "10m", colors: WEEK_COLORS, dashed: ["a week before"] },
);

const SINCE_MIDNIGHT = (by: string) =>
  `clickstream.conversion(${MIDNIGHT} - ${by}, $__timeTo()::timestamptz - ${by}, ${DEVICES}, ${REGIONS})`;

const todayInNumbers = table(
  {
    title: "Today in numbers",
    description:
      "Since midnight in the shop's time zone, and as long after midnight a week earlier, by the start of the session. " +
      OF_CHOSEN,
    empty: "No session began today or one week ago",
  },
  rows(`
select f.figure, f.today, f.before as "a week before", (f.today - f.before) / nullif(f.before, 0) as change
from ${SINCE_MIDNIGHT("interval '0'")} t
cross join ${SINCE_MIDNIGHT(WEEK_AGO)} w
cross join lateral (values
  (1, 'Sessions', t.sessions::double precision, w.sessions::double precision),
  (2, 'Conversions', t.conversions, w.conversions),
  (3, 'Conversion rate, %', 100 * t.conversion_rate, 100 * w.conversion_rate),
  (4, 'Users', t.users, w.users),
  (5, 'Revenue', round(t.revenue_cents / clickstream.minor_units()), round(w.revenue_cents / clickstream.minor_units()))
) as f (place, figure, today, before)
order by f.place`),
  {
    figure: { width: 160 },
    today: { unit: "locale", decimals: 1 },
    "a week before": { unit: "locale", decimals: 1 },
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
    unit: "locale",
    empty: NOTHING,
  },
  rows(`select device, events from clickstream.devices(${RANGE}, ${DEVICES}, ${REGIONS})`),
  "events",
);

const regions = ranking(
  {
    title: "Regions",
    description: `Events of the nine busiest regions, and of all others. ${OF_CHOSEN}`,
    unit: "locale",
    empty: NOTHING,
  },
  rows(`
select case when n <= 9 then region else 'others' end as region, sum(events)::bigint as events
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
    description: `Events by weekday and hour of the shop's time zone, of the last 28 days. ${OF_CHOSEN}`,
    unit: "short",
    empty: "No events in the last 28 days",
  },
  rows(`
select (array['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'])[day_of_week] as day,
${HOURS.map((h) => `  sum(events) filter (where hour = ${h}) as "${String(h).padStart(2, "0")}"`).join(",\n")}
from clickstream.activity_heatmap(${RANGE}, ${DEVICES}, ${REGIONS})
group by day_of_week
order by day_of_week`),
  { day: { width: 96, unit: "string" } },
  { least: 44, last: "28d" },
);

const OF_TOUCH =
  "By the touch chosen above. Last: the session itself. Last non-direct: if the session is direct, the latest one of " +
  "its user in the 30 days before that is not. First: the first session of its user. This one looks at all sessions of the " +
  "users, and is slow over many days. Sessions count by their start. Of all devices and regions.";

const channels = table(
  {
    title: "Channels",
    description: `Sessions, conversions and revenue by channel, as GA4 groups them. ${OF_TOUCH}`,
    empty: "No session began in this time range",
  },
  rows(`
select channel, sum(sessions)::bigint as sessions, sum(conversions)::bigint as conversions,
  sum(revenue_cents) / clickstream.minor_units() as revenue
from clickstream.campaigns(${RANGE}, '$touch')
group by channel
order by 4 desc, 2 desc, 1`),
  {
    channel: { width: 150, unit: "string" },
    sessions: { unit: "locale", as: "gauge" },
    conversions: { unit: "locale", width: 100 },
    revenue: { unit: "locale", decimals: 0, as: "gauge" },
  },
);

const campaigns = table(
  {
    title: "Sources and campaigns",
    description:
      "The fifty sources, media and campaigns with the most revenue. Average order: revenue ÷ sessions with a " +
      `purchase. ${OF_TOUCH}`,
    empty: "No session began in this time range",
  },
  rows(`
select channel, source, medium, campaign, sessions, conversions, revenue_cents / clickstream.minor_units() as revenue,
  average_order_cents / clickstream.minor_units() as "average order"
from clickstream.campaigns(${RANGE}, '$touch')
limit 50`),
  {
    channel: { width: 150, unit: "string" },
    source: { unit: "string" },
    medium: { width: 110, unit: "string" },
    campaign: { unit: "string" },
    sessions: { unit: "locale", width: 90 },
    conversions: { unit: "locale", width: 100 },
    revenue: { unit: "locale", decimals: 0, width: 100 },
    "average order": { unit: "locale", decimals: 2, width: 120 },
  },
);

const currencies = table(
  {
    title: "Purchases by currency",
    description:
      "Purchases of the UTC days of this time range by the currency that they were sent in, and their revenue, converted " +
      "to CURRENCY if it is set. Without a rate, a purchase adds nothing to revenue: fill the rates, and run a rebuild. " +
      "Of people and bots, on all devices and in all regions.",
    empty: "No purchases with a currency in this time range",
  },
  rows(`
select currency, sum(purchases) as purchases, sum(revenue_cents) / clickstream.minor_units() as revenue,
  sum(unconverted) as "without a rate", min(window_start) filter (where unconverted > 0) as "first day without"
from clickstream.currencies
where window_start > $__timeFrom()::timestamptz - interval '24 hours' and window_start < $__timeTo()
group by currency
order by 2 desc, 1`),
  {
    currency: { width: 100 },
    purchases: { unit: "locale", width: 110 },
    revenue: { unit: "locale", decimals: 0, as: "gauge" },
    "without a rate": { unit: "locale", width: 130 },
    "first day without": RECENT,
  },
);

const botShares = lines(
  {
    title: "Share of bots",
    description:
      "Events with a user agent on the list of bots ÷ all events, and sessions of bots ÷ all sessions, by the hour or " +
      "longer step, in whole steps. A session is a bot's if one of its events is, or if it has at least 200 events and " +
      "more than 60 per started minute. Of the other panels, only Purchases by currency counts bots. Of all devices and regions.",
    unit: "percentunit",
    empty: "No events and no sessions in this time range",
  },
  series(`
select "time", event_share as "events of bots", session_share as "sessions of bots"
from clickstream.bot_shares(${wholeSteps(STEP)}, ${STEP})`),
  { step: "1h" },
);

const bots = table(
  {
    title: "Bots by day",
    description: "Events and sessions of bots, and what share of all events and sessions they are, by UTC day. " +
      "The first and the last day may be cut off. Of all devices and regions.",
    empty: "No events and no sessions in this time range",
  },
  rows(`
select to_char("time" at time zone 'UTC', 'YYYY-MM-DD') as day, bot_events as "events of bots",
  event_share as "share of events", bot_sessions as "sessions of bots", session_share as "share of sessions"
from clickstream.bot_shares(${RANGE}, interval '24 hours')
order by 1 desc`),
  {
    day: { width: 110, unit: "string" },
    "events of bots": { unit: "locale" },
    "share of events": { unit: "percentunit", decimals: 1, width: 130 },
    "sessions of bots": { unit: "locale", width: 130 },
    "share of sessions": { unit: "percentunit", decimals: 1, width: 130 },
  },
);

/** The dashboard *Clickstream Analytics*. */
export const ANALYTICS: Dashboard = dashboard({
  uid: "clickstream-analytics",
  title: "Clickstream Analytics",
  description:
    "Traffic, conversion and revenue of the shop, live and over time. Times are UTC; days, weekdays and hours of the " +
    "day are those of the shop's time zone.",
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
    one("touch", "Campaigns by touch", ["last_non_direct", "last", "first"]),
    timeZoneOfDays(),
  ],
  sections: [
    LIVE,
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
    {
      title: "Currencies",
      closed: true,
      lines: [{ height: 8, panels: [[24, currencies]] }],
    },
    {
      title: "Campaigns",
      closed: true,
      lines: [{ height: 11, panels: [[24, channels]] }, { height: 13, panels: [[24, campaigns]] }],
    },
    { title: "Bots", closed: true, lines: [{ height: 10, panels: [[12, botShares], [12, bots]] }] },
  ],
});
