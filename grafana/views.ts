/**
 * The dashboard on the views, goals and funnels that a shop has declared. It knows none of them: the database says which
 * there are.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { dashboard, found, foundOne, timeZoneOfDays } from "./dashboard.ts";
import { lines, perValue, table } from "./panel.ts";
import { rows, series } from "./query.ts";
import { RANGE, RATES, STEP, STEPS } from "./scope.ts";

/** The value of variable `measure` for the first number of each view; no measure can be called so. */
const FIRST = "first of each view";

/** Condition on a measure: it is a number, and can be drawn. */
const IS_NUMBER = "m.computes !~ '^(first|last) '";

const BY_START =
  "Of people, by the start of the session. Before: in the time before, as many whole days, or the same length.";

const ADD_IT = "add it to the file of declared views, and run clickstream views apply FILE (docs/views.md)";

const NONE = "No view is declared: write a file, and run clickstream views apply FILE (docs/views.md)";

const declared = table(
  {
    title: "Declared views",
    description:
      "What the file of declared views says of each: which events it counts, in which windows, by which keys, and what " +
      "its measures are. Measures that are first or last values are texts, and have no graph.",
    empty: NONE,
  },
  rows(`
select m."view", m.description, coalesce(m.filter::text, 'all events') as filter, m."window",
  array_to_string(m.keys, ', ') as keys,
  string_agg(m.measure || ': ' || m.computes || coalesce(' of ' || m.measure_filter::text, ''), ', ' order by m.place)
    as measures
from clickstream.declared_measures() m
group by m."view", m.description, m.filter, m."window", m.keys
order by m."view"`),
  { view: { width: 140 }, window: { width: 200 }, keys: { width: 140 } },
);

const goals = table(
  {
    title: "Goals",
    description:
      "For each declared goal: the sessions that reached it, their share of all sessions, and how often it was " +
      `reached. ${BY_START}`,
    empty: `No goal is declared: ${ADD_IT}`,
  },
  rows(`
select goal, conversions as sessions, conversion_rate as "share", previous_conversion_rate as "share before", times,
  previous_times as "times before"
from clickstream.goals_compared(${RANGE})`),
  {
    goal: { width: 150 },
    sessions: { unit: "locale", width: 90 },
    share: { unit: "percentunit", decimals: 1, as: "gauge", max: 1 },
    "share before": { unit: "percentunit", decimals: 1, width: 110 },
    times: { unit: "locale", width: 80 },
    "times before": { unit: "locale", width: 110 },
  },
);

const funnels = table(
  {
    title: "Funnels",
    description:
      "For each step of each declared funnel: the sessions that reached it, their share of those that reached " +
      `the previous step, 100 % for the first, and the first step. ${BY_START}`,
    empty: `No funnel is declared: ${ADD_IT}`,
  },
  rows(`
select funnel, ${STEPS}, previous_overall_rate as "overall before"
from clickstream.funnels_compared(${RANGE})`),
  {
    funnel: { width: 130 },
    ...RATES,
    sessions: { unit: "locale", width: 90 },
    "overall before": { unit: "percentunit", decimals: 1, width: 120 },
  },
);

const values = lines(
  {
    title: "$view",
    description:
      "The measure chosen above, for the ten largest keys and all (others). Counts and sums of windows are added. Users, " +
      "and windows that overlap, cannot be: longer steps show the largest window, and others have no users. Amounts are " +
      "in major units. The last step is incomplete. Of people.",
    unit: "short",
    empty: "No events in this time range, or no such view or measure",
  },
  series(`
select s."time", s.series as metric,
  case when split_part(m.computes, ' ', 2) in ('revenue', 'price') then s.value / clickstream.minor_units() else s.value end as value
from (
  select distinct on (m."view") m."view", m.measure, m.computes
  from clickstream.declared_measures() m
  where m."view" = any (array[$view]::text[]) and ${IS_NUMBER} and '$measure' in (m.measure, '${FIRST}')
  order by m."view", m.place
) m
cross join lateral clickstream.declared_series(m."view", ${RANGE}, ${STEP}, m.measure) s
order by 1, 2`),
);

/** The dashboard *Clickstream Views*. */
export const VIEWS: Dashboard = dashboard({
  uid: "clickstream-views",
  title: "Clickstream Views",
  description:
    "A panel for each view that is declared in VIEWS_FILE, and its goals and funnels. Times are UTC; days are those of the shop's time " +
    "zone.",
  from: "now-24h",
  refresh: "1m",
  sources: ["postgres"],
  variables: [
    found("view", "View", `select distinct "view" from clickstream.declared_measures()`),
    foundOne(
      "measure",
      "Measure",
      `select '${FIRST}' union all
(select distinct m.measure from clickstream.declared_measures() m where ${IS_NUMBER} order by 1)`,
      FIRST,
    ),
    timeZoneOfDays(),
  ],
  sections: [
    { title: "Views", lines: [{ height: 8, panels: [[24, declared]] }] },
    {
      title: "Goals and funnels",
      lines: [{ height: 6, panels: [[24, goals]] }, { height: 8, panels: [[24, funnels]] }],
    },
    { title: "Measures", lines: [{ height: 9, panels: [[24, perValue(values, "view", 2)]] }] },
  ],
});
