/**
 * A view as the table that holds it: which columns, of which types, and what makes a row one row.
 * @module
 */
import type { Dimension } from "../batch.ts";
import type { Cell, Column } from "../measure.ts";
import type { Delta, View } from "../view.ts";

/** The table of a view. */
export interface Table {
  readonly name: string;
  readonly window: readonly Column[];
  readonly key: readonly Column[];
  /** Columns of the measures, each once. */
  readonly measured: readonly Column[];
  /** The columns, or expressions, of the unique index that tells rows apart. */
  readonly identity: readonly string[];
}

/** Column that holds a dimension. */
export const COLUMN_OF: { readonly [dimension in Dimension]: string } = {
  type: "event_type",
  user: "user_id",
  session: "session_id",
  page: "page",
  device: "device",
  region: "region",
};

/** The table of a view. */
export function tableOf(view: View): Table {
  const window = windowColumns(view);
  const key = view.by.map((d): Column => ({ name: COLUMN_OF[d], type: "text", nullable: d === "session" }));
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
    identity: [...(view.window.kind === "session" ? [] : [window[0]!.name]), ...view.by.map(identityOf)]
      .concat(view.window.kind === "session" ? ["started_at"] : []),
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

/** A page may be longer than an entry of an index can be, and a session may be absent. */
function identityOf(dimension: Dimension): string {
  if (dimension === "page") return "page_key";
  return dimension === "session" ? "coalesce(session_id, '')" : COLUMN_OF[dimension];
}

/** The cells of a delta, column by column. Times are epoch milliseconds. */
export function columnsOf({ view, start, end, keys, values }: Delta): ReadonlyMap<string, readonly Cell[]> {
  const cells = new Map<string, readonly Cell[]>();
  Object.entries(view.measures).forEach(([name, measure], m) => {
    const columns = measure.columns(name);
    const encoded = columns.map((): Cell[] => []);
    for (const value of values[m]!) measure.encode(value).forEach((cell, c) => encoded[c]!.push(cell));
    columns.forEach((column, c) => cells.set(column.name, encoded[c]!));
  });
  const [first, second] = windowColumns(view);
  cells.set(first!.name, Array.from(start));
  if (second !== undefined) cells.set(second.name, Array.from(end));
  view.by.forEach((dimension, k) => cells.set(COLUMN_OF[dimension], keys[k]!));
  return cells;
}

/** The values of a view's measures, back from the cells of a row. */
export function valuesOf(view: View, cell: (column: string) => Cell): unknown[] {
  return Object.entries(view.measures).map(([name, measure]) =>
    measure.decode(measure.columns(name).map((column) => cell(column.name)))
  );
}
