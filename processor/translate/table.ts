/**
 * The table of a view: its columns, their types and its primary key.
 * @module
 */
import type { Dimension } from "../columns/batch.ts";
import type { Cell, Cells } from "../columns/cells.ts";
import type { Column, Measure } from "../measures/measure.ts";
import type { Delta, Values, View } from "../views/view.ts";

/** The table of a view. */
export interface Table {
  readonly name: string;
  readonly window: readonly Column[];
  readonly key: readonly Column[];
  /** Columns of the measures, each once. */
  readonly measured: readonly Column[];
}

/** Schema of the tables. */
export const SCHEMA = "clickstream";

/** Column of each dimension. */
export const COLUMN_OF: { readonly [dimension in Dimension]: string } = {
  type: "event_type",
  user: "user_id",
  session: "session_id",
  pagePath: "page",
  device: "device",
  region: "region",
  product: "product_id",
  campaign: "campaign",
  currency: "currency",
  bot: "is_bot",
};

/** Dimensions with texts that may be too long for an index entry. */
export const LONG: readonly Dimension[] = ["pagePath", "product", "campaign"];

/** A string of SQL. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Type of the column of a dimension. */
export function typeOf(dimension: Dimension): "text" | "boolean" {
  return dimension === "bot" ? "boolean" : "text";
}

/** The table of a view. */
export function tableOf(view: View): Table {
  const window = windowColumns(view);
  const key = view.by.map((d): Column => ({
    ...{ name: COLUMN_OF[d], type: typeOf(d), nullable: d === "session" },
    ...d === "bot" && { default: "false" },
  }));
  const measured = new Map<string, Column>();
  for (const [name, measure] of Object.entries(view.measures)) {
    for (const column of measure.columns(name)) measured.set(column.name, column);
  }
  for (const column of window) measured.delete(column.name);
  return {
    name: view.name,
    window,
    key,
    measured: [...measured.values()],
  };
}

function windowColumns({ window }: View): Column[] {
  const at = (name: string): Column => ({ name, type: "timestamptz", nullable: false });
  switch (window.kind) {
    case "tumbling":
      return [at("window_start")];
    case "hopping":
      return [at("window_start"), at("window_end")];
    case "session":
      return [at("started_at"), at("ended_at")];
    case "day":
      return [{ name: "day", type: "date", nullable: false }];
  }
}

/**
 * The cells of a delta, by column. Times are epoch milliseconds.
 *
 * @param wanted columns of measures to encode (default: all); sets of users cost most
 */
export function columnsOf(
  { view, count, start, end, keys, values }: Delta,
  wanted?: ReadonlySet<string>,
): ReadonlyMap<string, Cells> {
  const cells = new Map<string, Cells>();
  Object.entries(view.measures).forEach(([name, measure], m) => {
    if (wanted !== undefined && !measure.columns(name).some((column) => wanted.has(column.name))) return;
    const encoded = values[m]!.cells?.() ?? encodedOf(measure, values[m]!, count);
    measure.columns(name).forEach((column, c) => cells.set(column.name, encoded[c]!));
  });
  const [first, second] = windowColumns(view);
  cells.set(first!.name, start);
  if (second !== undefined) cells.set(second.name, end);
  view.by.forEach((dimension, k) => cells.set(COLUMN_OF[dimension], keys[k]!));
  return cells;
}

function encodedOf(measure: Measure, values: Values, count: number): Cells[] {
  const columns = measure.columns("").map((): Cell[] => []);
  for (let r = 0; r < count; r++) measure.encode(values.at(r)).forEach((cell, c) => columns[c]!.push(cell));
  return columns;
}

/** Reads the values of a view's measures from the cells of a row. */
export function valuesOf(view: View, cell: (column: string) => Cell): unknown[] {
  return Object.entries(view.measures).map(([name, measure]) =>
    measure.decode(measure.columns(name).map((column) => cell(column.name)))
  );
}
