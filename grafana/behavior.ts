/**
 * The dashboard on user behavior: funnels, cohorts, sessions, carts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { USER_COLORS } from "./colors.ts";
import { dashboard, dayOf, one, timeZoneOfDays, typed } from "./dashboard.ts";
import { bars, heat, number, ranking, table, TIME } from "./panel.ts";
import { rows } from "./query.ts";
import { RATES, STEPS } from "./scope.ts";

const RANGE = "$__timeFrom(), $__timeTo()";
/** The days of the shop's time zone that the time range touches, half-open. */
const DAYS = `${dayOf("$__timeFrom()")}, ${dayOf("$__timeTo()")} + 1`;
/** Most sessions whose raw events a panel reads. */
const MOST_SESSIONS = 50_000;
/** The time range, or its end with the most recent sessions: where these begin is in an index. */
const RANGE_READ = `
  coalesce((
    select s.started_at
    from clickstream.sessions s
    where s.started_at >= $__timeFrom() and s.started_at < $__timeTo() and not s.is_bot
    order by s.started_at desc
    offset ${MOST_SESSIONS - 1} limit 1
  ), $__timeFrom()), $__timeTo()`;
const NO_SESSION = "No session began in this time range";
const BY_START = "For sessions that began in this time range.";
const BY_START_READ = `For the latest ${MOST_SESSIONS.toLocaleString("en")} sessions that began in this time range.`;
/** A title that says which sessions are read. */
const ofLatest = (title: string) => `${title} (latest ${MOST_SESSIONS / 1000}k sessions)`;

const FUNNEL =
  "Steps in a session, in event-time order: a page_view, then an add_to_cart at the same time or later, then a " +
  `purchase at the same time or later. ${BY_START}`;

const funnel = ranking(
  { title: "Funnel", description: `Sessions that reached each step. ${FUNNEL}`, unit: "locale", empty: NO_SESSION },
  rows(`select name as step, sessions from clickstream.funnel(${RANGE})`),
  "sessions",
);

const funnelRates = table(
  {
    title: "Step and overall rates",
    description:
      "Step rate: sessions of a step ÷ sessions of the previous step; 100 % for the first. Overall rate: ÷ sessions of " +
      `the first step. ${FUNNEL}`,
    empty: NO_SESSION,
  },
  rows(`
select ${STEPS}
from clickstream.funnel(${RANGE})`),
  RATES,
);

const abandonment = number(
  {
    title: "Cart abandonment",
    description:
      "Among sessions with an add_to_cart: those that ended without a purchase ÷ those that ended or bought. A " +
      `session has ended when the event-time watermark is 30 minutes past its last event. ${BY_START}`,
    unit: "percentunit",
    empty: "No session added to the cart in this time range",
    decimals: 1,
  },
  rows(`select abandonment_rate as "abandonment rate" from clickstream.carts(${RANGE})`),
);

const carts = ranking(
  {
    title: "Cart outcomes",
    description:
      "Sessions with an add_to_cart. Bought: with a purchase. Abandoned: ended without one (event-time watermark 30 " +
      `minutes past the last event). Open: not ended. ${BY_START}`,
    unit: "locale",
    empty: "No session added to the cart in this time range",
  },
  rows(`
select c.fate, c.sessions
from clickstream.carts(${RANGE}) r
cross join lateral (values ('bought', r.bought), ('abandoned', r.abandoned), ('open', r.open)) as c (fate, sessions)`),
  "sessions",
);

const ownFunnel = table(
  {
    title: ofLatest("Custom funnel"),
    description:
      "Sessions that reached each event type named above under Steps, each at the same time as the previous one or " +
      `later. ${BY_START_READ} Reads raw events, so it needs STORE_EVENTS and leaves out sessions with expired events.`,
    empty: NO_SESSION,
  },
  rows(`
select ${STEPS}
from clickstream.funnel(${RANGE_READ}, regexp_split_to_array(trim('$steps'), '\\s*,\\s*'))`),
  RATES,
);

const entryPaths = table(
  {
    title: "Conversion by entry page",
    description:
      "Sessions by the page of their earliest page view, and how many of them reached the cart and then the " +
      `purchase. The fifty pages with the most purchases. ${BY_START}`,
    empty: "No session viewed a page in this time range",
  },
  rows(`
select entry_page as "entry page", sessions, carted as "to the cart", cart_rate as "cart rate",
  purchased as "to the purchase", purchase_rate as "purchase rate", revenue_cents / clickstream.minor_units() as revenue
from clickstream.entry_paths(${RANGE})
limit 50`),
  {
    "entry page": { width: 220 },
    sessions: { unit: "locale", width: 90 },
    "to the cart": { unit: "locale", width: 100 },
    "cart rate": { unit: "percentunit", decimals: 1, as: "gauge" },
    "to the purchase": { unit: "locale", width: 130 },
    "purchase rate": { unit: "percentunit", decimals: 1, as: "gauge" },
    revenue: { unit: "locale", decimals: 0, width: 90 },
  },
);

/** Days in the retention triangle, counted from the first day, of which everybody is. */
const RETAINED = Array.from({ length: 14 }, (_, day) => day + 1);

/** Share of a cohort that has the darkest colour. */
const RETAINED_MOST = 0.3;

const retention = heat(
  {
    title: "Retention by cohort",
    description:
      "Users by the day of their first stored event, of the last 28 days, and the share of them with an event n " +
      "days later. Days that have not ended are empty.",
    unit: "percentunit",
    empty: "No cohort's first day has ended in the last 28 days",
    decimals: 0,
    max: RETAINED_MOST,
  },
  rows(`
select cohort_day::text as cohort, max(cohort_size) as users,
${
    RETAINED.map((n) =>
      `  case when cohort_day + ${n} < ${dayOf("now()")} then ` +
      `coalesce(max(rate) filter (where day_number = ${n}), 0) end as "day ${n}"`
    ).join(",\n")
  }
from clickstream.retention(${DAYS})
group by cohort_day
order by cohort_day desc`),
  { cohort: { width: 110, unit: "string" }, users: { unit: "locale", width: 80 } },
  { least: 56, last: "28d" },
);

const newUsers = bars(
  {
    title: "New and returning users",
    description:
      "Users with an event on each day. New: their first stored event is of that day. Returning: they have an " +
      "earlier event. Today is incomplete.",
    unit: "short",
    empty: "No users in this time range",
  },
  rows(`
select to_char(day, 'Dy DD Mon') as day, new_users as "new", returning_users as "returning"
from clickstream.new_users(${DAYS})`),
  { x: "day", stacked: true, colors: USER_COLORS },
);

const TOP =
  `user_id as "user", events, sessions, purchases, revenue_cents / clickstream.minor_units() as revenue, last_seen as "last seen"`;

const topUsers = table(
  {
    title: "Top users",
    description:
      `The fifty users with the most revenue or events, as chosen above. ${BY_START} Revenue is in the currency of ` +
      "the events.",
    empty: NO_SESSION,
  },
  rows(`
select ${TOP}
from (
  select * from clickstream.top_users(${RANGE}, 50) where '$top' = 'revenue'
  union all
  (select * from clickstream.top_users(${RANGE}) where '$top' = 'events' order by events desc, user_id limit 50)
) t
order by case when '$top' = 'revenue' then revenue_cents end desc, events desc, user_id`),
  {
    user: { width: 140 },
    events: { unit: "locale", as: "gauge" },
    sessions: { unit: "locale", width: 90 },
    purchases: { unit: "locale", width: 100 },
    revenue: { unit: "locale", decimals: 0, as: "gauge" },
    "last seen": TIME,
  },
);

const lengths = bars(
  {
    title: "Session duration",
    description: `Time from the first event to the last; 0 for a session with one event. ${BY_START}`,
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`select name as length, sessions from clickstream.session_lengths(${RANGE})`),
  { x: "length" },
);

const depths = bars(
  {
    title: "Page views per session",
    description: `Sessions by their number of page views. ${BY_START}`,
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`select name as "page views", sessions from clickstream.session_depths(${RANGE})`),
  { x: "page views" },
);

const RAW = "From the raw events of this time range, so it needs STORE_EVENTS.";

const products = table(
  {
    title: "Products",
    description:
      `Page views, add_to_cart events, purchases and revenue of the fifty products with the most revenue. ${RAW}`,
    empty: "No event names a product in this time range",
  },
  rows(`
select product_id as product, views, carts, purchases, revenue_cents / clickstream.minor_units() as revenue
from clickstream.products(${RANGE})
limit 50`),
  {
    product: { width: 160, unit: "string" },
    views: { unit: "locale", as: "gauge" },
    carts: { unit: "locale", width: 90 },
    purchases: { unit: "locale", width: 100 },
    revenue: { unit: "locale", decimals: 0, as: "gauge" },
  },
);

const searches = table(
  {
    title: "Searches",
    description: `The fifty terms that were searched for most, and by how many users. ${RAW}`,
    empty: "Nothing was searched for in this time range",
  },
  rows(`select term, searches, users from clickstream.searches(${RANGE}) limit 50`),
  { term: { unit: "string" }, searches: { unit: "locale", as: "gauge" }, users: { unit: "locale", width: 90 } },
);

const orders = table(
  {
    title: "Orders",
    description:
      "Orders and their mean value, in this time range and in the one of the same length before. An order is what a user " +
      `bought with one orderId, or a purchase without. Buyers return if they had bought on an earlier day. ${RAW}`,
    empty: "Nothing was bought in this time range",
  },
  rows(`
select t.time, t.orders, t.average as "average order", t.buyers, t.came_back as "returning buyers"
from clickstream.orders_compared(${RANGE}) o
cross join lateral (values
  ('this time', o.orders, o.average_order_cents / clickstream.minor_units(), o.buyers, o.returning_buyers),
  ('the time before', o.previous_orders, o.previous_average_order_cents / clickstream.minor_units(), o.previous_buyers,
    o.previous_returning_buyers)
) as t (time, orders, average, buyers, came_back)`),
  {
    time: { unit: "string" },
    orders: { unit: "locale", width: 90 },
    "average order": { unit: "locale", decimals: 2 },
    buyers: { unit: "locale", width: 90 },
    "returning buyers": { unit: "locale" },
  },
);

/** The pages of sessions from one end. */
const pathsFrom = (direction: "start" | "end", title: string, which: string) =>
  table(
    {
      title: ofLatest(title),
      description:
        `The ${which} three pages of sessions, the fifty most frequent, and how many of these bought. ${BY_START_READ} ${RAW}`,
      empty: NO_SESSION,
    },
    rows(
      `select path, sessions, conversion_rate as "purchase rate" from clickstream.paths(${RANGE_READ}, 3, '${direction}') limit 50`,
    ),
    {
      path: { unit: "string" },
      sessions: { unit: "locale", as: "gauge", width: 160 },
      "purchase rate": { unit: "percentunit", decimals: 1, width: 120 },
    },
  );
const firstPages = pathsFrom("start", "First pages", "first");
const lastPages = pathsFrom("end", "Last pages", "last");

/** The dashboard *User Behavior Analytics*. */
export const BEHAVIOR: Dashboard = dashboard({
  uid: "clickstream-behavior",
  title: "User Behavior Analytics",
  description: "Funnels, carts, cohorts, sessions and top users. Times are UTC; days are those of the shop's time " +
    "zone.",
  from: "now-7d",
  refresh: "5m",
  sources: ["postgres"],
  variables: [
    one("top", "Top users by", ["revenue", "events"]),
    typed("steps", "Steps", "page_view, search, add_to_cart, checkout, purchase"),
    timeZoneOfDays(),
  ],
  sections: [
    {
      title: "Funnel and carts",
      lines: [
        { height: 9, panels: [[8, funnel], [10, funnelRates], [6, carts]] },
        { height: 10, panels: [[18, entryPaths], [6, abandonment]] },
      ],
    },
    {
      title: "Users and retention",
      lines: [
        { height: 16, panels: [[24, retention]] },
        { height: 9, panels: [[10, newUsers], [14, topUsers]] },
      ],
    },
    { title: "Sessions", lines: [{ height: 9, panels: [[13, lengths], [11, depths]] }] },
    {
      title: "Products, orders and searches",
      closed: true,
      lines: [{ height: 12, panels: [[12, products], [12, searches]] }, { height: 5, panels: [[24, orders]] }],
    },
    {
      title: "Other funnels, and paths",
      closed: true,
      lines: [{ height: 9, panels: [[24, ownFunnel]] }, { height: 12, panels: [[12, firstPages], [12, lastPages]] }],
    },
  ],
});
