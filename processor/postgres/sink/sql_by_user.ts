/**
 * Writes rows by user, which are nearly as many as events: updates existing rows, and inserts new ones by `copy`, which
 * costs a fraction of an upsert. No other writer changes rows of the same user at the same time, because all events of
 * a user are in one partition.
 * @module
 */
import { type Cell, type Cells, rowsBelow, Texts } from "../../columns/cells.ts";
import { sortedRows } from "../../columns/sorted.ts";
import { Unavailable } from "../../pipeline/commit.ts";
import { COLUMN_OF, columnsOf, type Table, tableOf } from "../../translate/table.ts";
import { DAY_MS, type Delta } from "../../views/view.ts";
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
  const columns = columnsIn(table);
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
  const added = sorted.filter((row) => isNew[row] === 1);
  const { firsts } = delta.view;
  if (firsts === undefined) return await insert(tx, schema, table.name, columns, cells, added);
  const marked = new Map(cells).set(firsts, await firstsAmong(tx, schema, delta, firsts, added));
  await insert(tx, schema, table.name, [...columns, { name: firsts, type: "boolean" }], marked, added);
}

/**
 * Whether each new row is its user's first: 1 or 0 by row of the delta. A stored row that was its user's first until now,
 * because an earlier event came late, is unmarked.
 */
async function firstsAmong(
  tx: Database,
  schema: string,
  { view, count, start, keys }: Delta,
  column: string,
  added: Int32Array,
): Promise<Float64Array> {
  const users = keys[0]!;
  const codes = numbered(users);
  const earliest = new Map<number, number>();
  for (const row of added) {
    const known = earliest.get(codes[row]!);
    if (known === undefined || start[row]! < start[known]!) earliest.set(codes[row]!, row);
  }
  const isFirst = new Float64Array(count);
  const later: { readonly row: number; readonly dayMs: number }[] = [];
  for (const rows of portions(Int32Array.from(earliest.values()))) {
    const { rows: found } = await tx.query<{ n: number; day: number }>(
      `select v.n::integer - 1 as n, f.day - date '1970-01-01' as day
         from unnest($1::text[]) with ordinality as v(user_id, n)
        cross join lateral (
          select t.day from ${schema}.${view.name} t where t.user_id = v.user_id order by t.day limit 1
        ) f`,
      [arrayOf(users, "text", rows)],
    );
    for (const row of rows) isFirst[row] = 1;
    for (const { n, day } of found) {
      const row = rows[n]!;
      if (day * DAY_MS < start[row]!) isFirst[row] = 0;
      else later.push({ row, dayMs: day * DAY_MS });
    }
  }
  if (later.length > 0) {
    await tx.query(
      `update ${schema}.${view.name} t set ${column} = false
         from unnest($1::text[], $2::date[]) as v(user_id, day) where t.user_id = v.user_id and t.day = v.day`,
      [arrayOf(users, "text", Int32Array.from(later, ({ row }) => row)), arrayOf(later.map((l) => l.dayMs), "date")],
    );
  }
  return isFirst;
}

/**
 * The rows of a delta in the order of their users, which is that of the index: PostgreSQL finds and adds neighbours
 * together, in pages that it has just used. Rows whose users are not strings by number are few, and keep their order.
 */
export function inKeyOrder({ view, count, keys }: Delta): Int32Array {
  const users = keys[view.by.indexOf("user")];
  return users instanceof Texts ? sortedRows(users) : rowsBelow(count);
}

/** Codes of cells: equal cells have equal codes. */
export function numbered(cells: Cells): Int32Array {
  if (cells instanceof Texts) return cells.codes;
  const known = new Map<Cell, number>();
  return Int32Array.from(cells as readonly Cell[], (cell) => {
    const code = known.get(cell) ?? known.size;
    known.set(cell, code);
    return code;
  });
}

/** A column to write. */
export interface Written {
  readonly name: string;
  readonly type: Type;
}

/** The columns of a view's table that its deltas have. */
export function columnsIn({ window, key, measured }: Table): readonly Written[] {
  return [...window, ...key, ...measured];
}

/**
 * Inserts new rows.
 *
 * @throws {Unavailable} if one of them exists
 */
export async function insert(
  tx: Database,
  schema: string,
  table: string,
  columns: readonly Written[],
  cells: ReadonlyMap<string, Cells>,
  rows: Int32Array,
): Promise<void> {
  if (rows.length === 0) return;
  try {
    await tx.copyIn(
      `copy ${schema}.${table} (${columns.map(({ name }) => name).join(", ")}) from stdin (format binary)`,
      copyCells(columns.map(({ name, type }) => ({ cells: cells.get(name)!, type })), rows),
    );
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
    const why = `another writer has just created the same rows of ${table}`;
    const hint = columns.some(({ name }) => name === COLUMN_OF.user) ? "; is the topic keyed by userId?" : "";
    throw new Unavailable(`could not insert rows: ${why}${hint}`, { kind: "conflict", cause: error });
  }
}

/** Splits rows into portions, one per statement. */
export function* portions(rows: Int32Array): Generator<Int32Array> {
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) yield rows.subarray(from, from + STATEMENT_ROWS);
}
