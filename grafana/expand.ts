/**
 * A panel's query as Grafana sends it to PostgreSQL: variables put in by the page, macros by the back end. What the
 * tests and the benchmark run.
 * @module
 */
import type { Dashboard, Panel, RowPanel, VariableModel } from "@grafana/grafana-foundation-sdk/dashboard";

/** What a dashboard is looked at with. */
export interface Look {
  readonly from: Date;
  readonly to: Date;
  /** Width of a step of a graph. */
  readonly intervalMs: number;
  /** Values chosen of variables; of the others what the dashboard begins with. */
  readonly chosen?: Readonly<Record<string, string | readonly string[]>>;
}

/** A target of a panel that is asked of PostgreSQL. */
export interface SqlTarget {
  readonly refId: string;
  readonly rawSql: string;
  readonly format: "table" | "time_series";
}

/** Every panel of a dashboard that shows something, those under closed headings too. */
export function panelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.flatMap((panel) => isRow(panel) ? panel.panels : [panel]);
}

/** The panel's questions to PostgreSQL. */
export function sqlTargetsOf({ targets = [] }: Panel): SqlTarget[] {
  return targets.filter((target) => "rawSql" in target) as unknown as SqlTarget[];
}

/** The query with what the dashboard's variables stand for, and the macros of the time, written out. */
export function expand(sql: string, { templating }: Dashboard, look: Look): string {
  const variables = templating?.list ?? [];
  const values = new Map(variables.map((variable) => [variable.name, interpolated(variable, look)]));
  const said = sql.replaceAll(/\$([a-z]\w*)/g, (whole, name: string) => values.get(name) ?? whole);
  return macros(said, look);
}

/** Values are quoted where there may be several, and otherwise only kept from ending the quotes that they stand in. */
function interpolated(variable: VariableModel, { chosen = {} }: Look): string {
  const value = chosen[variable.name] ?? variable.current?.value ?? "";
  if (!variable.multi && !variable.includeAll) return String(value).replaceAll("'", "''");
  const values = typeof value === "string" ? [value] : value;
  if (values.includes("$__all") && variable.allValue !== undefined) return variable.allValue;
  return values.map((each) => `'${each.replaceAll("'", "''")}'`).join(",");
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
