/**
 * Expands a panel's query as Grafana does before it sends it to PostgreSQL or Prometheus: variables as in the browser,
 * macros as in the back end. Used by the tests and the benchmark.
 * @module
 */
import type { Dashboard, Panel, RowPanel, VariableModel } from "@grafana/grafana-foundation-sdk/dashboard";

/** Time range, step and variables with which a dashboard is viewed. */
export interface Look {
  readonly from: Date;
  readonly to: Date;
  /** Width of one step of a graph. */
  readonly intervalMs: number;
  /** Selected values by variable; other variables have their initial values. */
  readonly chosen?: Readonly<Record<string, string | readonly string[]>>;
}

/** A panel's query to PostgreSQL. */
export interface SqlTarget {
  readonly refId: string;
  readonly rawSql: string;
  readonly format: "table" | "time_series";
}

/** An expression for Prometheus, and the panel or annotation that uses it. */
export interface Asked {
  readonly by: string;
  readonly expr: string;
}

/** All panels of a dashboard, including those under closed headings. */
export function panelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.flatMap((panel) => isRow(panel) ? panel.panels : [panel]);
}

/** The panels of a dashboard that are seen at once: not those under closed headings. */
export function openPanelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.filter((panel): panel is Panel => !isRow(panel));
}

/**
 * The dashboard with the copies of its repeated panels, as Grafana lays them out: each has one value of the variable.
 * Without any value there is one copy, of none.
 *
 * @param values by variable
 */
export function withRepeats(dashboard: Dashboard, values: Readonly<Record<string, readonly string[]>>): Dashboard {
  let moved = 0;
  const panels = (dashboard.panels ?? []).flatMap((panel) => {
    const { x, y, w, h } = panel.gridPos!;
    if (isRow(panel) || panel.repeat === undefined) return [{ ...panel, gridPos: { x, y: y + moved, w, h } }];
    const { repeat, repeatDirection: _, maxPerRow = 4, ...of } = panel;
    const found = values[repeat] ?? [];
    const all = found.length === 0 ? [""] : found;
    const beside = Math.min(all.length, maxPerRow);
    const copies = all.map((value, n): Panel => ({
      ...of,
      id: panel.id! * 100 + n,
      title: panel.title!.replaceAll(`$${repeat}`, () => value),
      targets: sqlTargetsOf(panel).map((target) => ({
        ...target,
        rawSql: target.rawSql.replaceAll(`$${repeat}`, () => quoted(value)),
      })) as unknown as NonNullable<Panel["targets"]>,
      gridPos: {
        x: n % beside * w / beside,
        y: y + moved + Math.floor(n / beside) * h,
        w: w / beside,
        h,
      },
    }));
    moved += (Math.ceil(all.length / beside) - 1) * h;
    return copies;
  });
  return { ...dashboard, panels };
}

/** The panel's queries to PostgreSQL. */
export function sqlTargetsOf({ targets = [] }: Panel): SqlTarget[] {
  return targets.filter((target) => "rawSql" in target) as unknown as SqlTarget[];
}

/** Functions that only find days or units, and count nothing. */
const OF_FORMS = ["day_of()", "day_start()", "minor_units()"];

/** Returns what feeds a panel: functions and tables of the schema, or metrics. */
export function feedsOf(panel: Panel): string[] {
  const asked = sqlTargetsOf(panel).flatMap(({ rawSql }) =>
    [...rawSql.matchAll(/(?:clickstream\.|\b(?=pg_stat_))(\w+)(\()?/g)].map(([, name, call]) =>
      call ? `${name}()` : name!
    )
  );
  const metrics = (panel.targets as unknown as { expr?: string }[] ?? []).flatMap(({ expr = "" }) =>
    [...expr.matchAll(/\b(?:(?:clickstream|process|kafka|node|pg)_\w+|ALERTS\b)/g)].map(([name]) =>
      name.replace(/_bucket$/, "")
    )
  );
  // How an amount or a day is shown says nothing about where it comes from.
  return [...new Set([...asked, ...metrics])].filter((name) => !OF_FORMS.includes(name));
}

/** All Prometheus expressions of a dashboard: those of its panels and of its annotations. */
export function expressionsOf(dashboard: Dashboard): Asked[] {
  const ofPanels = panelsOf(dashboard).flatMap(({ title, targets = [] }) =>
    (targets as unknown as { expr?: string }[]).map(({ expr }) => ({ by: title, expr }))
  );
  const marks = (dashboard.annotations?.list ?? []).map(({ name, expr }) => ({ by: name, expr }));
  return [...ofPanels, ...marks].flatMap(({ by = "", expr }) => expr === undefined ? [] : [{ by, expr }]);
}

/** Replaces the rate interval in an expression. */
export function expandExpression(expr: string, rateIntervalMs: number): string {
  return expr.replaceAll("$__rate_interval", `${rateIntervalMs}ms`);
}

const MINUTE_MS = 60_000;

/** Grafana's steps in minutes, each with the limit below which an interval is rounded down to it. */
const STEPS_MINUTES: readonly (readonly [step: number, upTo: number])[] = [
  [1, 1.5],
  [2, 3.5],
  [5, 7.5],
  [10, 12.5],
  [15, 17.5],
  [20, 25],
  [30, 45],
  [60, 90],
  [120, 150],
  [180, 270],
  [360, 540],
  [720, 1440],
];

/**
 * The step of a panel over a time range, at least the panel's own, assuming 1,500 points if the panel sets no number of
 * points.
 */
export function stepMs({ maxDataPoints = 1500, interval = "1m" }: Panel, rangeMs: number): number {
  const minutes = rangeMs / maxDataPoints / MINUTE_MS;
  const step = (STEPS_MINUTES.find(([, upTo]) => minutes < upTo)?.[0] ?? 1440) * MINUTE_MS;
  return Math.max(step, durationMs(interval));
}

/** The time range in which a panel is viewed: its own up to the end of the dashboard's, or the dashboard's. */
export function rangeOf({ timeFrom }: Panel, from: Date, to: Date): { readonly from: Date; readonly to: Date } {
  return { from: timeFrom === undefined ? from : new Date(to.getTime() - durationMs(timeFrom)), to };
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: MINUTE_MS, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration such as `1h`. */
function durationMs(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (unit === undefined) throw new RangeError(`${text} is no duration such as 1h`);
  return Number(count) * UNITS_MS[unit]!;
}

/** Replaces the dashboard's variables and the time macros in a query. */
export function expand(sql: string, { templating }: Dashboard, look: Look): string {
  const variables = templating?.list ?? [];
  const values = new Map(variables.map((variable) => [variable.name, interpolated(variable, look)]));
  const said = sql.replaceAll(/\$([a-z]\w*)/g, (whole, name: string) => values.get(name) ?? whole);
  return macros(said, look);
}

/** Quotes values where several may be selected. Otherwise only escapes quotes, because the query quotes the value. */
function interpolated(variable: VariableModel, { chosen = {} }: Look): string {
  const value = chosen[variable.name] ?? variable.current?.value ?? "";
  if (!variable.multi && !variable.includeAll) return String(value).replaceAll("'", "''");
  const values = typeof value === "string" ? [value] : value;
  if (values.includes("$__all") && variable.allValue !== undefined) return variable.allValue;
  return values.map(quoted).join(",");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function macros(sql: string, { from, to, intervalMs }: Look): string {
  const interval = `${intervalMs / 1000}s`;
  return sql
    .replaceAll("$__interval_ms", String(intervalMs))
    .replaceAll("$__interval", interval)
    .replaceAll(/\$(__\w+)\(([^)]*)\)/g, (_, name: string, list: string) => {
      const args = list.split(",").map((arg) => arg.trim());
      return macro(name, args, from.toISOString(), to.toISOString());
    });
}

function macro(name: string, args: readonly string[], from: string, to: string): string {
  const seconds = Number(/^'?([\d.]+)s'?$/.exec(args[1] ?? "")?.[1]);
  switch (name) {
    case "__timeFrom":
      return `'${from}'`;
    case "__timeTo":
      return `'${to}'`;
    case "__timeFilter":
      return `${args[0]} BETWEEN '${from}' AND '${to}'`;
    case "__timeGroup":
      return `floor(extract(epoch from ${args[0]})/${seconds})*${seconds}`;
    case "__timeGroupAlias":
      return `${macro("__timeGroup", args, from, to)} AS "time"`;
    default:
      throw new RangeError(`$${name}() is no macro that is known here`);
  }
}

function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === "row";
}
