import { campaignsBy } from "./acquisition.ts";
import {
  botSharesOf,
  bouncesOf,
  carts,
  type Chosen,
  conversionOf,
  conversionsOf,
  devicesOf,
  entryPaths,
  eventRatesOf,
  funnelOf,
  funnelsOf,
  goalsOf,
  heatmapOf,
  newUsers,
  pathsOf,
  regionsOf,
  sessionDepths,
  sessionLengths,
  topUsersOf,
} from "./behavior.ts";
import {
  activityHeatmap,
  conversion,
  devices,
  funnel,
  pageViews,
  type Range,
  retention,
  topPages,
  topUsers,
} from "./reports.ts";
import type { Expected } from "./rows.ts";
import { orders, products, retentionMonths, retentionWeeks, searches } from "./shop.ts";
import { isoTime, localDay, startOfDay } from "./values.ts";
import type { Columns, Row } from "./table_shapes.ts";

/** A report function: how it is called, what it returns, and what that must be. */
export interface Report {
  /** The function if its name is not the report's, and its arguments after the range, as SQL. */
  readonly call?: { readonly name: string; readonly more: string };
  readonly key: readonly string[];
  readonly columns: Columns;
  readonly isByDay?: true;
  /** Whether it is about people and bots alike, and has no parameter for them. */
  readonly isOfAll?: true;
  readonly rowsOf: (expected: Expected, range: Range, nowMs: number) => Row[];
}

/** The selection for reports with filters: some of the logs' devices and regions. */
const CHOSEN: Chosen = { devices: ["mobile", "unknown"], regions: ["eu", "unknown"] };
const CHOSEN_SQL = "array['mobile', 'unknown'], array['eu', 'unknown']";
const ALL: Chosen = { devices: null, regions: null };

const STEPS = {
  "search and purchase": ["search", "purchase"],
  "the default": ["page_view", "add_to_cart", "purchase"],
  "backwards": ["purchase", "checkout", "add_to_cart", "page_view", "z_9"],
};

const CONVERSION_COLUMNS: Columns = {
  ...{ sessions: "count", conversions: "count", conversion_rate: "rate", users: "count", buyers: "count" },
  revenue_cents: "cents",
};
const DEVICES_COLUMNS: Columns = { device: "text", events: "count", sessions: "count" };
const REGIONS_COLUMNS: Columns = { region: "text", events: "count", sessions: "count" };
const HEATMAP_COLUMNS: Columns = { day_of_week: "count", hour: "count", events: "count" };
const FUNNEL_COLUMNS: Columns = {
  ...{ step: "count", name: "text", sessions: "count", step_rate: "rate", overall_rate: "rate" },
};
const FUNNELS: Report = {
  key: ["funnel", "step"],
  columns: { funnel: "text", ...FUNNEL_COLUMNS },
  rowsOf: funnelsOf(ALL),
};
const GOALS: Report = {
  key: ["goal"],
  columns: { goal: "text", sessions: "count", conversions: "count", conversion_rate: "rate", times: "count" },
  rowsOf: goalsOf(ALL),
};
const DISTRIBUTION_COLUMNS: Columns = { bucket: "count", name: "text", sessions: "count", share: "rate" };

/** A report of a function with the selected devices and regions. */
function chosenOf(name: string, { key, columns }: Report, rowsOf: Report["rowsOf"]): Report {
  return { call: { name, more: CHOSEN_SQL }, key, columns, rowsOf };
}

const CONVERSION: Report = { key: [], columns: CONVERSION_COLUMNS, rowsOf: conversion };
const DEVICES: Report = { key: ["device"], columns: DEVICES_COLUMNS, rowsOf: devices };
const REGIONS: Report = { key: ["region"], columns: REGIONS_COLUMNS, rowsOf: regionsOf(ALL) };
const HEATMAP: Report = { key: ["day_of_week", "hour"], columns: HEATMAP_COLUMNS, rowsOf: activityHeatmap };

const USERS_COLUMNS: Columns = {
  ...{ user_id: "text", events: "count", sessions: "count", purchases: "count", revenue_cents: "cents" },
  last_seen: "time",
};
const CONVERSIONS_COLUMNS: Columns = {
  ...{ time: "time", sessions: "count", conversions: "count", conversion_rate: "rate", revenue_cents: "cents" },
};
const RATES_COLUMNS: Columns = { time: "time", event_type: "text", events: "count", per_second: "rate" };

const CAMPAIGNS_COLUMNS: Columns = {
  ...{ channel: "text", source: "text", medium: "text", campaign: "text", sessions: "count", conversions: "count" },
  ...{ revenue_cents: "cents", average_order_cents: "rate" },
};
const CAMPAIGNS_KEY = ["channel", "source", "medium", "campaign"];

/** Event rates by a step, for all or for the selected devices and regions. */
function ratesOf(minutes: number, chosen: Chosen): Report {
  return {
    call: { name: "event_rates", more: `interval '${minutes} minutes', ${chosen === ALL ? "null, null" : CHOSEN_SQL}` },
    key: ["time", "event_type"],
    columns: RATES_COLUMNS,
    rowsOf: eventRatesOf(minutes * 60_000, chosen),
  };
}

/** The report functions by name, without those that compare two times. */
const PLAIN: Readonly<Record<string, Report>> = {
  conversion: CONVERSION,
  top_pages: {
    key: ["page"],
    columns: {
      ...{ page: "text", views: "count", entries: "count", bounces: "count", bounce_rate: "rate" },
      ...{ exits: "count", exit_rate: "rate" },
    },
    rowsOf: topPages,
  },
  page_views: { key: ["page"], columns: { page: "text", views: "count" }, rowsOf: pageViews },
  devices: DEVICES,
  regions: REGIONS,
  activity_heatmap: HEATMAP,
  "conversion of some": chosenOf("conversion", CONVERSION, conversionOf(CHOSEN)),
  "devices of some": chosenOf("devices", DEVICES, devicesOf(CHOSEN)),
  "regions of some": chosenOf("regions", REGIONS, regionsOf(CHOSEN)),
  "heatmap of some": chosenOf("activity_heatmap", HEATMAP, heatmapOf(CHOSEN)),
  "bounces of some": {
    call: { name: "bounces", more: CHOSEN_SQL },
    key: [],
    columns: { sessions: "count", bounces: "count", bounce_rate: "rate" },
    rowsOf: bouncesOf(CHOSEN),
  },
  "conversions of some": {
    call: { name: "conversions", more: `interval '47 minutes', ${CHOSEN_SQL}` },
    key: ["time"],
    columns: CONVERSIONS_COLUMNS,
    rowsOf: conversionsOf(47 * 60_000, CHOSEN),
  },
  "rates of minutes": ratesOf(7, ALL),
  "rates of hours": ratesOf(180, CHOSEN),
  funnel: { key: ["step"], columns: FUNNEL_COLUMNS, rowsOf: funnel },
  ...Object.fromEntries(
    Object.entries(STEPS).map(([name, steps]) => [`funnel of ${name}`, {
      call: { name: "funnel", more: `array['${steps.join("', '")}']` },
      key: ["step"],
      columns: FUNNEL_COLUMNS,
      rowsOf: funnelOf(steps),
    }]),
  ),
  goals: GOALS,
  funnels: FUNNELS,
  "goals of some": chosenOf("goals", GOALS, goalsOf(CHOSEN)),
  "funnels of some": chosenOf("funnels", FUNNELS, funnelsOf(CHOSEN)),
  session_lengths: { key: ["bucket"], columns: DISTRIBUTION_COLUMNS, rowsOf: sessionLengths },
  session_depths: { key: ["bucket"], columns: DISTRIBUTION_COLUMNS, rowsOf: sessionDepths },
  carts: {
    key: [],
    columns: { carts: "count", bought: "count", abandoned: "count", open: "count", abandonment_rate: "rate" },
    rowsOf: carts,
  },
  entry_paths: {
    key: ["entry_page"],
    columns: {
      ...{ entry_page: "text", sessions: "count", carted: "count", purchased: "count", cart_rate: "rate" },
      ...{ purchase_rate: "rate", revenue_cents: "cents" },
    },
    rowsOf: entryPaths,
  },
  new_users: {
    key: ["day"],
    columns: { day: "day", users: "count", new_users: "count", returning_users: "count" },
    isByDay: true,
    rowsOf: newUsers,
  },
  top_users: { key: ["user_id"], columns: USERS_COLUMNS, rowsOf: topUsers },
  ...Object.fromEntries(
    [1, 2, 4].map((most) => [`top_users, ${most} of them`, {
      call: { name: "top_users", more: String(most) },
      key: ["user_id"],
      columns: USERS_COLUMNS,
      rowsOf: topUsersOf(most),
    }]),
  ),
  retention: {
    key: ["cohort_day", "day_number"],
    columns: { cohort_day: "day", cohort_size: "count", day_number: "count", users: "count", rate: "rate" },
    isByDay: true,
    rowsOf: retention,
  },
  retention_weeks: {
    key: ["cohort_week", "week_number"],
    columns: { cohort_week: "day", cohort_size: "count", week_number: "count", users: "count", rate: "rate" },
    isByDay: true,
    rowsOf: retentionWeeks,
  },
  retention_months: {
    key: ["cohort_month", "month_number"],
    columns: { cohort_month: "day", cohort_size: "count", month_number: "count", users: "count", rate: "rate" },
    isByDay: true,
    rowsOf: retentionMonths,
  },
  products: {
    key: ["product_id"],
    columns: { product_id: "text", views: "count", carts: "count", purchases: "count", revenue_cents: "cents" },
    rowsOf: products,
  },
  orders: {
    key: [],
    columns: {
      ...{ orders: "count", revenue_cents: "cents", average_order_cents: "rate", buyers: "count" },
      returning_buyers: "count",
    },
    rowsOf: orders,
  },
  ...Object.fromEntries(
    ([[1, "start"], [1, "end"], [3, "start"], [2, "end"], [20, "start"]] as const).map(([steps, direction]) => [
      `paths, ${steps} from the ${direction}`,
      {
        call: { name: "paths", more: `${steps}, '${direction}'` },
        key: ["path"],
        columns: {
          ...{ path: "text", sessions: "count", share: "rate", conversions: "count", conversion_rate: "rate" },
          revenue_cents: "cents",
        },
        rowsOf: pathsOf(steps, direction),
      } satisfies Report,
    ]),
  ),
  ...Object.fromEntries(
    [47, 180].map((minutes) => [`bot_shares, ${minutes} minutes`, {
      call: { name: "bot_shares", more: `interval '${minutes} minutes'` },
      key: ["time"],
      columns: {
        ...{ time: "time", events: "count", bot_events: "count", event_share: "rate" },
        ...{ sessions: "count", bot_sessions: "count", session_share: "rate" },
      },
      isOfAll: true,
      rowsOf: botSharesOf(minutes * 60_000),
    }]),
  ),
  searches: { key: ["term"], columns: { term: "text", searches: "count", users: "count" }, rowsOf: searches },
  campaigns: { key: CAMPAIGNS_KEY, columns: CAMPAIGNS_COLUMNS, rowsOf: campaignsBy("last") },
  ...Object.fromEntries(
    (["last", "last_non_direct", "first"] as const).map((touch) => [`campaigns by ${touch} touch`, {
      call: { name: "campaigns", more: `'${touch}'` },
      key: CAMPAIGNS_KEY,
      columns: CAMPAIGNS_COLUMNS,
      rowsOf: campaignsBy(touch),
    }]),
  ),
};

/** Reports that have `x_compared` beside them. */
const COMPARED = [
  ...["conversion", "carts", "orders", "top_pages", "page_views", "entry_paths", "devices", "regions", "products"],
  ...[
    "searches",
    "campaigns",
    "top_users",
    "funnel",
    "goals",
    "funnels",
    "session_lengths",
    "session_depths",
    "activity_heatmap",
    "new_users",
  ],
];

/** The report functions by name, of people and bots alike. */
const OF_ALL: Readonly<Record<string, Report>> = {
  ...PLAIN,
  ...Object.fromEntries(COMPARED.map((name) => [`${name}_compared`, comparedOf(PLAIN[name]!)])),
};

/** The report functions by name, with their definitions: of people, and, unless that is the same, of all. */
export const REPORTS: Readonly<Record<string, Report>> = {
  ...Object.fromEntries(
    Object.entries(OF_ALL).map(([name, report]) => [name, report.isOfAll ? report : ofPeople(report)]),
  ),
  ...Object.fromEntries(
    Object.entries(OF_ALL).filter(([, { isOfAll }]) => !isOfAll).map(([name, { call, ...report }]) => {
      const more = `${call === undefined ? "" : `${call.more}, `}bots => true`;
      return [`${name}, with bots`, { ...report, call: { name: call?.name ?? name, more } }];
    }),
  ),
};

/** A report without bots. */
function ofPeople(report: Report): Report {
  const isPerson = ({ is_bot }: { readonly is_bot: boolean }) => !is_bot;
  return {
    ...report,
    rowsOf: (expected, range, nowMs) => {
      const [traffic, pages] = [expected.traffic.filter(isPerson), expected.pages.filter(isPerson)];
      const sessions = expected.sessions.filter(isPerson);
      return report.rowsOf({ ...expected, traffic, pages, sessions, peopleOnly: true }, range, nowMs);
    },
  };
}

/** Where the time before begins: as many days before, if the range is of whole days; else the same length. */
function startBefore({ timeZone }: Expected, { from, to }: Range): number {
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  const [first, end] = [fromMs, toMs].map((ms) => localDay(ms, timeZone)) as [string, string];
  if (startOfDay(first, timeZone) !== fromMs || startOfDay(end, timeZone) !== toMs) return 2 * fromMs - toMs;
  const before = 2 * Date.parse(first) - Date.parse(end);
  return startOfDay(isoTime(before).slice(0, 10), timeZone);
}

/** A report beside the time before. */
function comparedOf({ key, columns, isByDay, rowsOf }: Report): Report {
  const isKey = (column: string) => key.includes(column) || column === "name";
  const measures = Object.keys(columns).filter((column) => !isKey(column));
  const empty = Object.fromEntries(
    measures.map((column) => [column, columns[column] === "count" ? 0 : columns[column] === "cents" ? "0" : null]),
  );
  const written = (ms: number) => isByDay ? new Date(ms).toISOString().slice(0, 10) : isoTime(ms);
  return {
    key,
    ...isByDay ? { isByDay } : {},
    columns: { ...columns, ...Object.fromEntries(measures.map((column) => [`previous_${column}`, columns[column]!])) },
    rowsOf(expected, range, nowMs) {
      const [fromMs, toMs] = [Date.parse(range.from), Date.parse(range.to)];
      const earlier = { from: written(isByDay ? 2 * fromMs - toMs : startBefore(expected, range)), to: range.from };
      const shifted = (row: Row): Row =>
        "day" in row ? { ...row, day: written(Date.parse(String(row["day"])) + toMs - fromMs) } : row;
      const keyOf = (row: Row) => JSON.stringify(key.map((column) => row[column]!));
      const now = new Map(rowsOf(expected, range, nowMs).map((row) => [keyOf(row), row]));
      const before = new Map(rowsOf(expected, earlier, nowMs).map(shifted).map((row) => [keyOf(row), row]));
      return [...new Set([...now.keys(), ...before.keys()])].map((at) => {
        const [row, old] = [now.get(at), before.get(at)];
        const previous = measures.map((column) => [`previous_${column}`, (old ?? empty)[column]!] as const);
        return { ...empty, ...old, ...empty, ...row, ...Object.fromEntries(previous) };
      });
    },
  };
}
