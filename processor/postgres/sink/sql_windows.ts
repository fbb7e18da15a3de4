/**
 * Writes windows with measures that SQL cannot merge: reads stored rows, merges them in memory, and writes them back.
 * @module
 */
import { cellAt, rowsBelow } from "../../columns/cells.ts";
import { COLUMN_OF, columnsOf, tableOf, valuesOf } from "../../translate/table.ts";
import { deltaOf, mergeValues, rowOf } from "../../pipeline/fold.ts";
import type { Delta, Row } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { arrayOf, NUMBER, rowsOfArrays } from "../binary.ts";
import { keyMatch } from "../dialect.ts";
import { queryPacked } from "../packed.ts";
import { PortionsBySize } from "./portions.ts";
import { columnsIn, insert, numbered, rowsNumbered } from "./sql_by_user.ts";
import { upsert } from "./sql_upsert.ts";

/** Rows of the first portion: a set of users has at most 32 KiB. */
const FIRST_ROWS = 64;

/**
 * Merges the windows of a delta into their table in a schema. Most are new, since a commit covers minutes that no other
 * has: they are inserted by `copy`, which costs a fraction of an upsert. Stored ones are merged in portions, because
 * their sets of users may take more memory than the commit. No other sink writes windows meanwhile.
 */
export async function writeWindows(tx: Database, schema: string, delta: Delta): Promise<void> {
  const { view } = delta;
  const isNew = new Uint8Array(delta.count).fill(1);
  const portions = new PortionsBySize(rowsBelow(delta.count), FIRST_ROWS);
  for (const rows of portions) {
    const stored = await storedWindows(tx, schema, delta, rows);
    portions.noteSize(stored.rows.length, stored.bytes);
    const merged = Array.from(stored.rows, (row, i): Row => {
      isNew[row] = 0;
      const added = rowOf(delta, row);
      return { ...added, values: mergeValues(view, stored.valuesOf(i), added.values) };
    });
    if (merged.length > 0) await upsert(tx, schema, deltaOf(view, merged), "replace");
  }
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

/** Stored windows. */
interface Stored {
  /** Their rows in the delta. */
  readonly rows: Int32Array;
  /** Size of what was read, in bytes. */
  readonly bytes: number;
  /** The values of the window at index `i` of `rows`. */
  valuesOf(i: number): readonly unknown[];
}

/** Reads the windows of these rows of a delta; omits those that are not stored. */
async function storedWindows(tx: Database, schema: string, delta: Delta, rows: Int32Array): Promise<Stored> {
  const { view } = delta;
  const table = tableOf(view);
  const place = [...table.window, ...table.key];
  const cells = columnsOf(delta, new Set());
  const same = [
    ...table.window.map(({ name }) => `t.${name} = v.${name}`),
    ...view.by.map((dimension) => keyMatch(dimension, `v.${COLUMN_OF[dimension]}`)),
  ];
  const found = await queryPacked(
    tx,
    [NUMBER, ...table.measured],
    `select v.${NUMBER.name}, ${table.measured.map(({ name }) => `t.${name}`).join(", ")}
       from ${rowsOfArrays(place)}
       join ${schema}.${table.name} t on ${same.join(" and ")}`,
    place.map(({ name, type }) => arrayOf(cells.get(name)!, type, rows)),
  );
  return {
    rows: rowsNumbered(found, rows),
    bytes: found.bytes,
    valuesOf: (i) => valuesOf(view, (column) => cellAt(found.cells.get(column)!, i)),
  };
}
