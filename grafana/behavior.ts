/**
 * The dashboard on user behavior: funnels, cohorts, sessions, carts.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { dashboard, typed } from "./dashboard.ts";
import { bars, heat, number, table } from "./panel.ts";
import { rows } from "./query.ts";

const RANGE = "$__timeFrom(), $__timeTo()";
/** The UTC days that the time range touches, half-open. */
const DAYS =
  "($__timeFrom()::timestamptz at time zone 'UTC')::date, ($__timeTo()::timestamptz at time zone 'UTC')::date + 1";
const NO_SESSION = "No session began in this time";
const BY_START = "Of sessions that began in this time.";

const RATES = {
  "step rate": { unit: "percentunit", as: "gauge", max: 1 },
  "overall rate": { unit: "percentunit", as: "gauge", max: 1 },
} as const;

const FUNNEL = "Per session, in event-time order: a page view, then an add_to_cart at the same time or later, then a " +
  `purchase at the same time or later. ${BY_START}`;

const funnel = bars(
  { title: "Funnel", description: `Sessions that reached each step. ${FUNNEL}`, unit: "short", empty: NO_SESSION },
  rows(`select name as step, sessions from clickstream.funnel(${RANGE})`),
  { x: "step" },
);

const funnelRates = table(
  {
    title: "Step and overall rates",
    description:
      `Step rate: sessions of a step ÷ those of the step before. Overall rate: ÷ those of the first. ${FUNNEL}`,
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`
select name as step, sessions, step_rate as "step rate", overall_rate as "overall rate"
from clickstream.funnel(${RANGE})`),
  RATES,
);

const abandonment = number(
  {
    title: "Cart abandonment",
    description: "Sessions with an add_to_cart that are over without a purchase ÷ those that are over or bought. A " +
      `session is over when the watermark has passed its last event by 30 minutes. ${BY_START}`,
    unit: "percentunit",
    empty: "No session put anything into the cart in this time",
    decimals: 1,
  },
  rows(`select abandonment_rate as "abandonment rate" from clickstream.carts(${RANGE})`),
);

const carts = bars(
  {
    title: "What became of carts",
    description:
      "Sessions with an add_to_cart: with a purchase, over without one (by the watermark, 30 minutes after " +
      `their last event), and still going on. ${BY_START}`,
    unit: "short",
    empty: "No session put anything into the cart in this time",
  },
  rows(`
select c.fate, c.sessions
from clickstream.carts(${RANGE}) r
cross join lateral (values ('bought', r.bought), ('abandoned', r.abandoned), ('open', r.open)) as c (fate, sessions)`),
  { x: "fate" },
);

const ownFunnel = table(
  {
    title: "A funnel of your own",
    description:
      "Sessions that reached each of the event types named above under Steps, each at the same time as the " +
      `one before or later. ${BY_START} It reads the raw events, so it takes its time over many days, needs ` +
      "STORE_EVENTS, and knows nothing of sessions whose events have expired.",
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`
select name as step, sessions, step_rate as "step rate", overall_rate as "overall rate"
from clickstream.funnel(${RANGE}, regexp_split_to_array(trim('$steps'), '\\s*,\\s*'))`),
  RATES,
);

const entryPaths = table(
  {
    title: "From the entry page to the purchase",
    description: "Sessions by the page of their earliest page view, and how many of them reached the steps of the " +
      `funnel: the cart, and then the purchase. The fifty with the most purchases. ${BY_START}`,
    unit: "short",
    empty: "No session viewed a page in this time",
  },
  rows(`
select entry_page as "entry page", sessions, carted as "to the cart", cart_rate as "cart rate",
  purchased as "to the purchase", purchase_rate as "purchase rate", revenue_cents / 100.0 as revenue
from clickstream.entry_paths(${RANGE})
limit 50`),
  {
    "cart rate": { unit: "percentunit", as: "gauge", max: 1 },
    "purchase rate": { unit: "percentunit", as: "gauge", max: 1 },
    revenue: { unit: "locale", decimals: 2 },
  },
);

/** Days in the retention triangle, counted from the first day. */
const RETAINED = Array.from({ length: 15 }, (_, day) => day);

const retention = heat(
  {
    title: "Retention by cohort",
    description: "Users by the UTC day of their first event ever stored; of these, the share with an event n days " +
      "later. Days that are not over yet are empty.",
    unit: "percentunit",
    empty: "No cohort's first day is over in this time",
    decimals: 0,
  },
  rows(`
select cohort_day::text as cohort, max(cohort_size) as users,
${
    RETAINED.map((n) =>
      `  case when cohort_day + ${n} < (now() at time zone 'UTC')::date then ` +
      `coalesce(max(rate) filter (where day_number = ${n}), 0) end as "day ${n}"`
    ).join(",\n")
  }
from clickstream.retention(${DAYS})
group by cohort_day
order by cohort_day`),
  { cohort: { width: 110 }, users: { unit: "short", width: 80 } },
);

const newUsers = bars(
  {
    title: "New and returning users",
    description: "Users with an event on each UTC day: those whose first event ever stored is of that day, and those " +
      "who had been there before. Today is not over.",
    unit: "short",
    empty: "Nobody came in this time",
  },
  rows(`
select to_char(day, 'Dy DD Mon') as day, new_users as "new", returning_users as "returning"
from clickstream.new_users(${DAYS})`),
  { x: "day", stacked: true },
);

const topUsers = table(
  {
    title: "Top users",
    description:
      `The fifty with the most revenue, then the most events. ${BY_START} Revenue is in the currency of the ` +
      "events.",
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`
select user_id as "user", events, sessions, purchases, revenue_cents / 100.0 as revenue, last_seen as "last seen"
from clickstream.top_users(${RANGE}, 50)`),
  { revenue: { unit: "locale", decimals: 2, as: "gauge" }, "last seen": { width: 190 } },
);

const lengths = bars(
  {
    title: "How long are sessions?",
    description: `Time from the first event to the last; a session of one event has none. ${BY_START}`,
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`select name as length, sessions from clickstream.session_lengths(${RANGE})`),
  { x: "length" },
);

const depths = bars(
  {
    title: "How deep are sessions?",
    description: `By their number of page views. ${BY_START}`,
    unit: "short",
    empty: NO_SESSION,
  },
  rows(`select name as "page views", sessions from clickstream.session_depths(${RANGE})`),
  { x: "page views" },
);

/** The dashboard *User Behavior Analytics*. */
export const BEHAVIOR: Dashboard = dashboard({
  uid: "clickstream-behavior",
  title: "User Behavior Analytics",
  description: "How shoppers go from the first page to the purchase, and whether they come back. All times are UTC.",
  from: "now-7d",
  refresh: "5m",
  sources: ["postgres"],
  variables: [typed("steps", "Steps", "page_view, search, add_to_cart, checkout, purchase")],
  sections: [
    {
      title: "Funnel and carts",
      lines: [
        { height: 9, panels: [[8, funnel], [10, funnelRates], [6, carts]] },
        { height: 10, panels: [[18, entryPaths], [6, abandonment]] },
      ],
    },
    {
      title: "Who comes, and who comes back",
      lines: [
        { height: 10, panels: [[24, retention]] },
        { height: 9, panels: [[10, newUsers], [14, topUsers]] },
      ],
    },
    { title: "Sessions", lines: [{ height: 9, panels: [[12, lengths], [12, depths]] }] },
    { title: "Other funnels", closed: true, lines: [{ height: 9, panels: [[24, ownFunnel]] }] },
  ],
});
