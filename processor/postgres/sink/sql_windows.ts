/**
 * Writes windows with measures that SQL cannot merge: reads stored rows, merges them in memory, and writes them back.
 * @module
 */
import { type Cell, rowsBelow } from "../../columns/cells.ts";
import type { Column } from "../../measures/measure.ts";
import { COLUMN_OF, columnsOf, tableOf, valuesOf } from "../../translate/table.ts";
import { deltaOf, mergeValues, rowOf } from "../../pipeline/fold.ts";
import type { Delta, Row } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { arrayOf, arrayParameter } from "../binary.ts";
import { keyMatch } from "../dialect.ts";
import { columnsIn, insert, numbered } from "./sql_by_user.ts";
import { upsert } from "./sql_upsert.ts";

/** SQL that selects a column as text, so that the result does not depend on the client's parsers. */
export function selected({ name, type }: Column): string {
  switch (type) {
    case "timestamptz":
      return `(extract(epoch from t.${name}) * 1000)::bigint::text as ${name}`;
    case "bytea":
      return `encode(t.${name}, 'hex') as ${name}`;
    default:
      return `t.${name}::text as ${name}`;
  }
}

/** The cell from the text that `selected` returns. */
export function cellFrom(text: string | null, type: Column["type"]): Cell {
  if (text === null || type === "text") return text;
  return type === "bytea" ? Uint8Array.fromHex(text) : Number(text);
}

/**
 * Merges the windows of a delta into their table in a schema. Most are new, since a commit covers minutes that no other
 * has: they are inserted by `copy`, which costs a fraction of an upsert. No other sink writes windows meanwhile.
 */
export async function writeWindows(tx: Database, schema: string, delta: Delta): Promise<void> {
  const { view } = delta;
  const merged: Row[] = [];
  const isNew = new Uint8Array(delta.count).fill(1);
  for (const { row, values } of await storedWindows(tx, schema, delta)) {
    isNew[row] = 0;
    const added = rowOf(delta, row);
    merged.push({ ...added, values: mergeValues(view, values, added.values) });
  }
  if (merged.length > 0) await upsert(tx, schema, deltaOf(view, merged), "replace");
  const added = inKeyOrder(delta, rowsBelow(delta.count, (row) => isNew[row] === 1));
  await insert(tx, schema, view.name, columnsIn(tableOf(view)), columnsOf(delta), added);
}

/**
 * Rows by key, and then by window: of a page of the table, only the rows of the last window are then updated again, and
 * the page has room for that. Any order is fine for the index, since the last windows are at its end.
 */
function inKeyOrder({ keys, start }: Delta, rows: Int32Array): Int32Array {
  const codes = keys.map(numbered);
  return rows.sort((a, b) => {
    for (const code of codes) if (code[a] !== code[b]) return code[a]! - code[b]!;
    return start[a]! - start[b]!;
  });
}

/** The stored values of the delta's windows, each with the row of the delta; omits windows that are not stored. */
async function storedWindows(
  tx: Database,
  schema: string,
  delta: Delta,
): Promise<{ readonly row: number; readonly values: readonly unknown[] }[]> {
  const { view } = delta;
  const table = tableOf(view);
  const place = [...table.window, ...table.key];
  const cells = columnsOf(delta, new Set());
  const same = [
    ...table.window.map(({ name }) => `t.${name} = v.${name}`),
    ...view.by.map((dimension) => keyMatch(dimension, `v.${COLUMN_OF[dimension]}`)),
  ];
  const { rows } = await tx.query<Record<string, string | null>>(
    `select v.n::text as n, ${table.measured.map(selected).join(", ")}
       from unnest(${place.map(({ type }, n) => arrayParameter(n + 1, type)).join(", ")})
            with ordinality as v(${place.map(({ name }) => name).join(", ")}, n)
       join ${schema}.${table.name} t on ${same.join(" and ")}`,
    place.map(({ name, type }) => arrayOf(cells.get(name)!, type)),
  );
  const types = new Map(table.measured.map(({ name, type }) => [name, type]));
  return rows.map((found) => ({
    row: Number(found["n"]) - 1,
    values: valuesOf(view, (column) => cellFrom(found[column]!, types.get(column)!)),
  }));
}
