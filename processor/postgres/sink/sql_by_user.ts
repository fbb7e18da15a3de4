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
import { DAY_MS, type Delta, type View } from "../../views/view.ts";
import { arrayOf, arrayParameter, copyCells, type Type } from "../binary.ts";
import { type Database, DatabaseError } from "../database.ts";
import { keyMatch, mergedBy } from "../dialect.ts";

/** Rows per statement: enough to make the round trip negligible, and few enough to hold them in memory twice. */
const STATEMENT_ROWS = 8192;

const UNIQUE_VIOLATION = "23505";

/** Merges the rows of a delta into existing rows of its table in a schema, and inserts the others. */
export async function writeByUser(tx: Database, schema: string, delta: Delta): Promise<void> {
  const { view } = delta;
  const cells = columnsOf(delta);
  const columns = columnsIn(tableOf(view));
  const sorted = inKeyOrder(delta);
  if (view.firsts === undefined) {
    const isNew = await updateStored(tx, schema, delta, cells, sorted);
    return await insert(tx, schema, view.name, columns, cells, sorted.filter((row) => isNew[row] === 1));
  }
  const users = new Users(delta, sorted);
  await users.findFirsts(tx, schema);
  // Users without a row have none to update.
  const isNew = await updateStored(tx, schema, delta, cells, sorted.filter((row) => users.firstMs(row) !== null));
  const added = sorted.filter((row) => isNew[row] === 1);
  const { isFirst, former } = users.marked(added);
  if (former.length > 0) await unmark(tx, schema, view, users, former);
  const marked = new Map(cells).set(view.firsts, isFirst);
  await insert(tx, schema, view.name, [...columns, { name: view.firsts, type: "boolean" }], marked, added);
}

/** Merges these rows into stored ones; marks with 1 the rows of the delta that are not stored. */
async function updateStored(
  tx: Database,
  schema: string,
  { view, count }: Delta,
  cells: ReadonlyMap<string, Cells>,
  all: Int32Array,
): Promise<Uint8Array> {
  const table = tableOf(view);
  const merged = mergedBy(view, "t", "v");
  const columns = columnsIn(table);
  const set = table.measured.map(({ name }) => `${name} = ${merged.get(name)}`);
  const same = [
    ...table.window.map(({ name }) => `t.${name} = v.${name}`),
    ...view.by.map((dimension) => keyMatch(dimension, `v.${COLUMN_OF[dimension]}`)),
  ];
  const isNew = new Uint8Array(count).fill(1);
  for (const rows of portions(all)) {
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
  return isNew;
}

/** The users of a delta by user and day, and the first day that is stored of each. */
class Users {
  readonly cells: Cells;
  readonly #days: Float64Array;
  readonly #codes: Int32Array;
  /** A row of each user, by code. */
  readonly #rowOf = new Map<number, number>();
  /** Epoch milliseconds, by code. */
  readonly #firstMs = new Map<number, number>();
  readonly #view: View;

  constructor({ view, start, keys }: Delta, sorted: Int32Array) {
    this.#view = view;
    this.#days = start;
    this.cells = keys[0]!;
    this.#codes = numbered(this.cells);
    for (const row of sorted) this.#rowOf.set(this.#codes[row]!, row);
  }

  /** The first stored day of a row's user; null if none is stored. */
  firstMs(row: number): number | null {
    return this.#firstMs.get(this.#codes[row]!) ?? null;
  }

  /** Looks up the first stored day of every user. */
  async findFirsts(tx: Database, schema: string): Promise<void> {
    for (const rows of portions(Int32Array.from(this.#rowOf.values()))) {
      const { rows: found } = await tx.query<{ n: number; day: number }>(
        `select v.n::integer - 1 as n, f.day - date '1970-01-01' as day
           from unnest($1::text[]) with ordinality as v(user_id, n)
          cross join lateral (
            select t.day from ${schema}.${this.#view.name} t where t.user_id = v.user_id order by t.day limit 1
          ) f`,
        [arrayOf(this.cells, "text", rows)],
      );
      for (const { n, day } of found) this.#firstMs.set(this.#codes[rows[n]!]!, day * DAY_MS);
    }
  }

  /**
   * Marks with 1 the new rows that are the first of their users, by row of the delta. `former` lists those of them whose
   * users had another first row until now, because this one came late.
   */
  marked(added: Int32Array): { readonly isFirst: Float64Array; readonly former: Int32Array } {
    const earliest = new Map<number, number>();
    for (const row of added) {
      const known = earliest.get(this.#codes[row]!);
      if (known === undefined || this.#days[row]! < this.#days[known]!) earliest.set(this.#codes[row]!, row);
    }
    const isFirst = new Float64Array(this.#days.length);
    const former: number[] = [];
    for (const row of earliest.values()) {
      const firstMs = this.firstMs(row);
      if (firstMs !== null && firstMs < this.#days[row]!) continue;
      isFirst[row] = 1;
      if (firstMs !== null) former.push(row);
    }
    return { isFirst, former: Int32Array.from(former) };
  }
}

/** Removes the mark of the first stored row of these rows' users. */
async function unmark(tx: Database, schema: string, view: View, users: Users, rows: Int32Array): Promise<void> {
  await tx.query(
    `update ${schema}.${view.name} t set ${view.firsts} = false
       from unnest($1::text[], $2::date[]) as v(user_id, day) where t.user_id = v.user_id and t.day = v.day`,
    [arrayOf(users.cells, "text", rows), arrayOf(Array.from(rows, (row) => users.firstMs(row)), "date")],
  );
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
