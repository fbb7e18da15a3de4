/**
 * Writes rows by user, which are nearly as many as events: updates existing rows, and inserts new ones by `copy`, which
 * costs a fraction of an upsert. No other writer changes rows of the same user at the same time, because all events of
 * a user are in one partition.
 * @module
 */
import { type Cells, rowsBelow, Texts } from "../../columns/cells.ts";
import { sortedRows } from "../../columns/sorted.ts";
import { Unavailable } from "../../pipeline/commit.ts";
import { COLUMN_OF, columnsOf, type Table, tableOf } from "../../translate/table.ts";
import type { Delta } from "../../views/view.ts";
import { arrayOf, arrayParameter, copyCells, type Type } from "../binary.ts";
import { type Database, DatabaseError } from "../database.ts";
import { keyMatch, mergedBy } from "../dialect.ts";

/** Rows per statement: enough to make the round trip negligible, and few enough to hold them in memory twice. */
const STATEMENT_ROWS = 8192;

const UNIQUE_VIOLATION = "23505";

/** Merges the rows of a delta into existing rows of its table in a schema, and inserts the others. */
export async function writeByUser(tx: Database, schema: string, delta: Delta): Promise<void> {
  const table = tableOf(delta.view);
  const cells = columnsOf(delta);
  const merged = mergedBy(delta.view, "t", "v");
  const columns = [...table.window, ...table.key, ...table.measured];
  const set = table.measured.map(({ name }) => `${name} = ${merged.get(name)}`);
  const same = [
    ...table.window.map(({ name }) => `t.${name} = v.${name}`),
    ...delta.view.by.map((dimension) => keyMatch(dimension, `v.${COLUMN_OF[dimension]}`)),
  ];
  const isNew = new Uint8Array(delta.count).fill(1);
  const sorted = inKeyOrder(delta);
  for (const rows of portions(sorted)) {
    const { rows: found } = await tx.query<{ n: number }>(
      `update ${schema}.${table.name} t set ${set.join(", ")}
         from unnest(${columns.map(({ type }, c) => arrayParameter(c + 1, type)).join(", ")})
              with ordinality as v(${columns.map(({ name }) => name).join(", ")}, n)
        where ${same.join(" and ")}
    returning v.n::integer - 1 as n`,
      columns.map(({ name, type }) => arrayOf(cells.get(name)!, type, rows)),
    );
    for (const { n } of found) isNew[rows[n]!] = 0;
  }
  await insert(tx, schema, table, cells, sorted.filter((row) => isNew[row] === 1));
}

/**
 * The rows of a delta in the order of their users, which is that of the index: PostgreSQL finds and adds neighbours
 * together, in pages that it has just used. Rows that are not strings by number are few, and keep their order.
 */
export function inKeyOrder({ view, count, keys }: Delta): Int32Array {
  const users = keys[view.by.indexOf("user")];
  return users instanceof Texts ? sortedRows(users) : rowsBelow(count);
}

/**
 * Inserts new rows.
 *
 * @throws {Unavailable} if one of them exists
 */
export async function insert(
  tx: Database,
  schema: string,
  table: Table,
  cells: ReadonlyMap<string, Cells>,
  rows: Int32Array,
): Promise<void> {
  if (rows.length === 0) return;
  const columns = [...table.window, ...table.key, ...table.measured];
  try {
    await tx.copyIn(
      `copy ${schema}.${table.name} (${columns.map(({ name }) => name).join(", ")}) from stdin (format binary)`,
      copyCells(
        columns.map(({ name, type }): { cells: Cells; type: Type } => ({ cells: cells.get(name)!, type })),
        rows,
      ),
    );
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
    const why = `another writer has just created the same rows of ${table.name}; is the topic keyed by userId?`;
    throw new Unavailable(`could not store rows by user: ${why}`, { kind: "conflict", cause: error });
  }
}

/** Splits rows into portions, one per statement. */
export function* portions(rows: Int32Array): Generator<Int32Array> {
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) yield rows.subarray(from, from + STATEMENT_ROWS);
}
