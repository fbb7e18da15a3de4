/**
 * Writes windows with measures that SQL cannot merge: reads stored rows, merges them in memory, and writes them back.
 * @module
 */
import { cellAt, type Cells, rowsBelow } from "../../columns/cells.ts";
import { COLUMN_OF, columnsOf, tableOf, valuesOf } from "../../translate/table.ts";
import { Unavailable } from "../../pipeline/commit.ts";
import { deltaOf, mergeValues, rowOf } from "../../pipeline/fold.ts";
import type { Delta, Row } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { arrayOf, NUMBER, PLACE, rowsOfArrays } from "../binary.ts";
import { keyMatch } from "../dialect.ts";
import { queryPacked } from "../packed.ts";
import { PortionsBySize } from "./portions.ts";
import { columnsIn, insert, numbered, rowsNumbered } from "./sql_by_user.ts";

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
    if (merged.length > 0) await replace(tx, schema, deltaOf(view, merged), stored.places);
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
  /** Their `PLACE`s. */
  readonly places: Cells;
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
    [NUMBER, PLACE, ...table.measured],
    `select v.${NUMBER.name}, t.ctid as ${PLACE.name}, ${table.measured.map(({ name }) => `t.${name}`).join(", ")}
       from ${rowsOfArrays(place)}
       join ${schema}.${table.name} t on ${same.join(" and ")}`,
    place.map(({ name, type }) => arrayOf(cells.get(name)!, type, rows)),
  );
  return {
    rows: rowsNumbered(found, rows),
    bytes: found.bytes,
    places: found.cells.get(PLACE.name)!,
    valuesOf: (i) => valuesOf(view, (column) => cellAt(found.cells.get(column)!, i)),
  };
}

/**
 * Overwrites the measures of stored windows, which are at these places.
 *
 * @throws {Unavailable} if another writer has changed one of them
 */
async function replace(tx: Database, schema: string, delta: Delta, places: Cells): Promise<void> {
  const { window, measured, name } = tableOf(delta.view);
  const columns = [...window, ...measured];
  const cells = columnsOf(delta);
  // For `=`, PostgreSQL might look the window up in the index, and read all its rows.
  const unmoved = window.map(({ name }) => `t.${name} is not distinct from v.${name}`);
  const { rowCount } = await tx.query(
    `update ${schema}.${name} t set ${measured.map(({ name }) => `${name} = v.${name}`).join(", ")}
       from ${rowsOfArrays([PLACE, ...columns])}
      where t.ctid = v.${PLACE.name} and ${unmoved.join(" and ")}`,
    [arrayOf(places, PLACE.type), ...columns.map(({ name, type }) => arrayOf(cells.get(name)!, type))],
  );
  if (rowCount === delta.count) return;
  const reason = `could not change ${delta.count} rows of ${name}: another writer has just changed some of them`;
  throw new Unavailable(reason, { kind: "conflict" });
}
