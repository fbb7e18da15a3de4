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
import type { Delta, View } from "../../views/view.ts";
import { arrayOf, copyCells, NUMBER, rowsOfArrays, type TypedColumn } from "../binary.ts";
import { type Database, DatabaseError } from "../database.ts";
import { keyMatch, mergedBy } from "../dialect.ts";
import { type Packed, queryPacked } from "../packed.ts";
import { portions } from "./portions.ts";

const UNIQUE_VIOLATION = "23505";

/** Those of these rows that a statement has returned by their `NUMBER`, in its order. */
export function rowsNumbered({ count, cells }: Packed, rows: Int32Array): Int32Array {
  const numbers = cells.get(NUMBER.name) as Float64Array;
  const found = new Int32Array(count);
  // A loop, because `Int32Array.from` looks for an iterator first.
  for (let i = 0; i < count; i++) found[i] = rows[numbers[i]!]!;
  return found;
}

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
  const isNew = await updateStored(tx, schema, delta, cells, sorted.filter((row) => !Number.isNaN(users.firstMs(row))));
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
    const found = await queryPacked(
      tx,
      [NUMBER],
      `update ${schema}.${table.name} t set ${set.join(", ")}
         from ${rowsOfArrays(columns)}
        where ${same.join(" and ")}
    returning v.${NUMBER.name}`,
      columns.map(({ name, type }) => arrayOf(cells.get(name)!, type, rows)),
    );
    for (const row of rowsNumbered(found, rows)) isNew[row] = 0;
  }
  return isNew;
}

/** The users of a delta by user and day, and the first day that is stored of each. */
class Users {
  readonly cells: Cells;
  readonly #days: Float64Array;
  readonly #codes: Int32Array;
  /** A row of each user, in their order. */
  readonly #rows: Int32Array;
  /** Epoch milliseconds, by code; NaN if none is stored. */
  readonly #firstMs: Float64Array;
  readonly #view: View;

  constructor({ view, start, keys }: Delta, sorted: Int32Array) {
    this.#view = view;
    this.#days = start;
    this.cells = keys[0]!;
    this.#codes = numbered(this.cells);
    this.#firstMs = new Float64Array(this.#codes.reduce((most, code) => Math.max(most, code + 1), 0)).fill(NaN);
    this.#rows = this.#firstOfEach(sorted, () => false);
  }

  /** The first stored day of a row's user; NaN if none is stored. */
  firstMs(row: number): number {
    return this.#firstMs[this.#codes[row]!]!;
  }

  /** Looks up the first stored day of every user. */
  async findFirsts(tx: Database, schema: string): Promise<void> {
    for (const rows of portions(this.#rows)) {
      const { count, cells } = await queryPacked(
        tx,
        [NUMBER, { name: "day", type: "date" }],
        `select v.${NUMBER.name}, f.day
           from ${rowsOfArrays([{ name: "user_id", type: "text" }])}
          cross join lateral (
            select t.day from ${schema}.${this.#view.name} t where t.user_id = v.user_id order by t.day limit 1
          ) f`,
        [arrayOf(this.cells, "text", rows)],
      );
      const numbers = cells.get(NUMBER.name) as Float64Array;
      const days = cells.get("day") as Float64Array;
      for (let i = 0; i < count; i++) this.#firstMs[this.#codes[rows[numbers[i]!]!]!] = days[i]!;
    }
  }

  /**
   * Marks with 1 the new rows that are the first of their users, by row of the delta. `former` lists those of them whose
   * users had another first row until now, because this one came late.
   */
  marked(added: Int32Array): { readonly isFirst: Float64Array; readonly former: Int32Array } {
    const isFirst = new Float64Array(this.#days.length);
    const former: number[] = [];
    for (const row of this.#firstOfEach(added, (row, known) => this.#days[row]! < this.#days[known]!)) {
      const firstMs = this.firstMs(row);
      if (firstMs < this.#days[row]!) continue;
      isFirst[row] = 1;
      if (!Number.isNaN(firstMs)) former.push(row);
    }
    return { isFirst, former: Int32Array.from(former) };
  }

  /** One of these rows for each user that has any: the first one, or a later one that goes before it. */
  #firstOfEach(rows: Int32Array, goesBefore: (row: number, known: number) => boolean): Int32Array {
    const place = new Int32Array(this.#firstMs.length).fill(-1);
    const chosen = new Int32Array(rows.length);
    let count = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const at = place[this.#codes[row]!]!;
      if (at < 0) chosen[place[this.#codes[row]!] = count++] = row;
      else if (goesBefore(row, chosen[at]!)) chosen[at] = row;
    }
    return chosen.subarray(0, count);
  }
}

/** Removes the mark of the first stored row of these rows' users. */
async function unmark(tx: Database, schema: string, view: View, users: Users, rows: Int32Array): Promise<void> {
  await tx.query(
    `update ${schema}.${view.name} t set ${view.firsts} = false
       from ${rowsOfArrays([{ name: "user_id", type: "text" }, { name: "day", type: "date" }])}
      where t.user_id = v.user_id and t.day = v.day`,
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

/** The columns of a view's table that its deltas have. */
export function columnsIn({ window, key, measured }: Table): readonly TypedColumn[] {
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
  columns: readonly TypedColumn[],
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
