/**
 * The panels on what happens now.
 * @module
 */
import { EVENT_COLORS } from "./colors.ts";
import type { Section } from "./dashboard.ts";
import { lines, number, RECENT, table, trend } from "./panel.ts";
import { rows, series } from "./query.ts";
import { DEVICES, IS_CHOSEN, NOTHING, OF_ALL, OF_CHOSEN, rates, REGIONS } from "./scope.ts";

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
left join clickstream.active_users a on a.window_start = m.minute - interval '4 minutes' and not a.is_bot
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
    decimals: 0,
  },
  overWeek("conversion", "r.revenue_cents / clickstream.minor_units()", "revenue"),
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
  },
  overWeek("bounces", "r.bounce_rate", "bounce rate"),
  "less",
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
  case when event_type = 'purchase' then revenue_cents / clickstream.minor_units() end as revenue
from clickstream.events
where event_time >= ${LATEST_SINCE} and event_time >= $__timeFrom() and event_time < $__timeTo() and ${IS_CHOSEN}
order by event_time desc
limit 50`),
  {
    time: RECENT,
    type: { width: 145, colors: EVENT_COLORS },
    user: { width: 110 },
    device: { width: 75 },
    region: { width: 65 },
    product: { width: 75 },
    revenue: { unit: "none", decimals: 2, width: 75 },
  },
);

/** The section *Live*. */
export const LIVE: Section = {
  title: "Live",
  lines: [
    {
      height: 5,
      panels: [[4, rate], [4, activeNow], [4, sessions], [4, conversionRate], [4, revenue], [4, bounceRate]],
    },
    { height: 11, panels: [[16, latest], [8, lastHour]] },
  ],
};
