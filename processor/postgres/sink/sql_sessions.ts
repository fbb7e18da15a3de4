/**
 * Writes sessions. Nearly every one is new, or extends one stored session. New ones are inserted by `copy`; SQL merges
 * extended ones in place. Other cases, such as an event that joins two sessions, are read, merged in memory, and
 * written back.
 * @module
 */
import { type Cell, type Cells, codesOf, numbersOf, rowsBelow } from "../../columns/cells.ts";
import { deltaOf, mergeSessions, rowOf } from "../../pipeline/fold.ts";
import { Groups } from "../../columns/groups.ts";
import { type Column, mergedCells } from "../../measures/measure.ts";
import { Unavailable } from "../../pipeline/commit.ts";
import { COLUMN_OF, columnsOf, tableOf, valuesOf } from "../../translate/table.ts";
import type { Delta, Row, View } from "../../views/view.ts";
import { arrayOf, NUMBER, PLACE, rowsOfArrays, type TypedColumn } from "../binary.ts";
import type { Database } from "../database.ts";
import { keyMatch, mergedBy, mergesInSql } from "../dialect.ts";
import { queryPacked } from "../packed.ts";
import { columnsIn, inKeyOrder, insert, numbered, rowsNumbered } from "./sql_by_user.ts";
import { PortionsBySize } from "./portions.ts";
import { daysIn, returnedDays } from "./sql_bot_days.ts";
import { changesIn, partsOf, returned, type RollupChanges } from "./sql_rollups.ts";
import { upsert } from "./sql_upsert.ts";

/** Rows of the first portion: nearly every session takes some hundred bytes. */
const FIRST_ROWS = 1024;

/** Stored sessions that sessions of the delta extend. */
interface Continued {
  /** Rows of the delta. */
  readonly rows: Int32Array;
  /** Size of what was read, in bytes. */
  readonly bytes: number;
  /** Their `ctid`s and the columns that SQL cannot merge, by column. */
  readonly stored: ReadonlyMap<string, Cells>;
}

/** A changed row of a rollup; as part -1, the number of sessions in `start`; as part -2, a changed day of a bot. */
interface Found {
  readonly part: number;
  readonly start: string;
  readonly key: string | null;
  readonly sums: string | null;
}

/** Merges the sessions of a delta into their table in a schema, and notes what that changes in their rollups. */
export async function writeSessions(
  tx: Database,
  schema: string,
  delta: Delta,
  changes: RollupChanges,
): Promise<void> {
  const ambiguous = new Set<number>();
  const cells = columnsOf(delta);
  const isNew = new Uint8Array(delta.count).fill(1);
  const alone = rowsAlone(delta);
  for (let row = 0; row < delta.count; row++) if (alone[row] === 0) ambiguous.add(row);
  const sorted = inKeyOrder(delta);
  const portions = new PortionsBySize(sorted.filter((row) => alone[row] === 1), FIRST_ROWS);
  for (const rows of portions) {
    const continued = await continuedBy(tx, schema, delta.view, cells, rows);
    portions.noteSize(continued.rows.length, continued.bytes);
    for (const row of continued.rows) {
      if (isNew[row] === 0) ambiguous.add(row);
      isNew[row] = 0;
    }
    await extendStored(tx, schema, delta, cells, continued, ambiguous, changes);
  }
  const added = sorted.filter((row) => isNew[row] === 1 && !ambiguous.has(row));
  await insert(tx, schema, delta.view.name, columnsIn(tableOf(delta.view)), cells, added);
  changes.addRows(delta.view, cells, added);
  if (ambiguous.size === 0) return;
  const unclear = deltaOf(delta.view, [...ambiguous].map((row) => rowOf(delta, row)));
  const merged = await mergedSessions(tx, schema, unclear, changes);
  await upsert(tx, schema, merged, "replace");
  changes.addRows(delta.view, columnsOf(merged), rowsBelow(merged.count));
}

/** Marks with 1 the rows that are the only one of their key in the delta. */
function rowsAlone({ count, keys }: Delta): Int32Array {
  const groups = new Groups(keys.length);
  const codes = keys.map(numbered);
  const groupOf = new Int32Array(count);
  const sizes = new Int32Array(count);
  for (let row = 0; row < count; row++) sizes[groupOf[row] = groups.row(0, codes, row)]!++;
  return groupOf.map((group) => sizes[group]! === 1 ? 1 : 0);
}

/** The key of a session, in SQL: its columns, and what is true where those of `v` are those of a stored session `t`. */
function keysOf(view: View): { readonly keys: readonly TypedColumn[]; readonly same: string } {
  return {
    keys: view.by.map((_, k) => ({ name: `k${k}`, type: "text" })),
    same: view.by.map((dimension, k) => keyMatch(dimension, `v.k${k}`)).join(" and "),
  };
}

/** As `keysOf`, with the rows to look for: a span of time, from `lo` to `hi`, and a key. */
function searchedBy(view: View): { readonly searched: string; readonly same: string } {
  const { keys, same } = keysOf(view);
  const span = ["lo", "hi"].map((name): TypedColumn => ({ name, type: "timestamptz" }));
  return { searched: rowsOfArrays([...span, ...keys]), same };
}

/**
 * Finds stored sessions that these rows touch, which means at most a gap apart. Stored sessions of one key never touch.
 * So a row that touches any touches one of the last two that begin before its end, or both if it touches more.
 */
async function continuedBy(
  tx: Database,
  schema: string,
  view: View,
  cells: ReadonlyMap<string, Cells>,
  rows: Int32Array,
): Promise<Continued> {
  const gapMs = view.window.kind === "session" ? view.window.gapMs : 0;
  const table = tableOf(view);
  const merged = mergedBy(view, "t", "v");
  const unmerged = table.measured.filter(({ name }) => !merged.has(name));
  const { searched, same } = searchedBy(view);
  const names = unmerged.map(({ name }) => `, t.${name}`).join("");
  const found = await queryPacked(
    tx,
    [NUMBER, PLACE, ...unmerged],
    `select v.${NUMBER.name}, t.ctid as ${PLACE.name}${names}
       from ${searched}
      cross join lateral (
        select t.ctid, t.ended_at${names} from ${schema}.${table.name} t
         where ${same} and t.started_at <= v.hi order by t.started_at desc limit 2
      ) t
      where t.ended_at >= v.lo`,
    [
      arrayOf(numbersOf(rows, (row) => (cells.get("started_at") as Float64Array)[row]! - gapMs), "timestamptz"),
      arrayOf(numbersOf(rows, (row) => (cells.get("ended_at") as Float64Array)[row]! + gapMs), "timestamptz"),
      ...view.by.map((d) => arrayOf(cells.get(COLUMN_OF[d])!, "text", rows)),
    ],
  );
  return { rows: rowsNumbered(found, rows), bytes: found.bytes, stored: found.cells };
}

/**
 * Merges rows into the stored sessions that they extend.
 *
 * @throws {Unavailable} if another writer has changed one of these
 */
async function extendStored(
  tx: Database,
  schema: string,
  delta: Delta,
  cells: ReadonlyMap<string, Cells>,
  continued: Continued,
  ambiguous: ReadonlySet<number>,
  changes: RollupChanges,
): Promise<void> {
  /** Those of `continued` to merge, by their index. */
  const found = rowsBelow(continued.rows.length, (i) => !ambiguous.has(continued.rows[i]!));
  if (found.length === 0) return;
  const { view } = delta;
  const table = tableOf(view);
  const merged = mergedBy(view, "t", "v");
  const rows = codesOf(found, (i) => continued.rows[i]!);
  const read = mergedHere(delta, continued.stored, found, cells, rows);
  const columns = [...table.window, ...table.key.filter(({ name }) => name === COLUMN_OF.user), ...table.measured];
  const set = [...table.window, ...table.measured].map(({ name }) => `${name} = ${merged.get(name) ?? `v.${name}`}`);
  const parts = partsOf(view);
  // Of a view without rollups or marks, only the number of rows is asked.
  const noted = [...returned(view), ...returnedDays(view)].join(", ") || "true";
  const { rows: changed } = await tx.query<Found>(
    `with u as (
       update ${schema}.${table.name} t set ${set.join(", ")}
         from ${rowsOfArrays([PLACE, ...columns])}
         join ${schema}.${table.name} o on o.ctid = v.${PLACE.name}
        where t.ctid = v.${PLACE.name} and t.${COLUMN_OF.user} = v.${COLUMN_OF.user}
       returning ${noted}
     )
     select -1 as part, count(*)::text as start, null::text as key, null::text as sums from u
     ${changesIn(view)} ${daysIn(view)}`,
    [
      arrayOf(continued.stored.get(PLACE.name)!, PLACE.type, found),
      ...columns.map(({ name, type }) =>
        read.has(name) ? arrayOf(read.get(name)!, type) : arrayOf(cells.get(name)!, type, rows)
      ),
    ],
  );
  for (const { part, start, key, sums } of changed) {
    if (part >= 0) {
      changes.add(parts[part]!, Number(start), JSON.parse(key!) as (Cell | boolean)[], JSON.parse(sums!) as number[]);
    } else if (part === -2) {
      changes.botDays.add((JSON.parse(key!) as [string])[0], Number(start), (JSON.parse(sums!) as [number])[0]);
    } else if (Number(start) !== found.length) {
      const reason = `could not extend ${found.length} sessions: another writer has just changed some of them`;
      throw new Unavailable(reason, { kind: "conflict" });
    }
  }
}

/** Merges the measures that SQL cannot merge, by their columns: stored rows `found` with `rows` of the delta. */
function mergedHere(
  { view, values }: Delta,
  stored: ReadonlyMap<string, Cells>,
  found: Int32Array,
  cells: ReadonlyMap<string, Cells>,
  rows: Int32Array,
): Map<string, Cells> {
  const merged = new Map<string, Cells>();
  for (const [m, [name, measure]] of Object.entries(view.measures).entries()) {
    if (mergesInSql(measure)) continue;
    const names = measure.columns(name).map((column) => column.name);
    const added = { cells: names.map((name) => cells.get(name)!), at: (row: number) => values[m]!.at(row) };
    const columns = mergedCells(measure, names.map((name) => stored.get(name)!), found, added, rows);
    columns.forEach((column, c) => merged.set(names[c]!, column));
  }
  return merged;
}

/** The sessions of one key in the delta, and the time span that they cover. */
interface Group {
  readonly key: Row["key"];
  readonly rows: Row[];
  from: number;
  until: number;
}

/**
 * Merges the sessions of a delta with the stored ones that they touch. Deletes stored ones that are absorbed, and takes
 * the others out of the rollups; the deletion does that by its trigger.
 */
async function mergedSessions(
  tx: Database,
  schema: string,
  delta: Delta,
  changes: RollupChanges,
): Promise<Delta> {
  const { view } = delta;
  const groups = groupsOf(delta);
  const stored = await touched(tx, schema, view, groups);
  if (stored.size === 0) return delta;
  const merged: Row[] = [];
  const absorbed: Row[] = [];
  const replaced: Row[] = [];
  groups.forEach((group, g) => {
    const before = stored.get(g);
    const after = before === undefined ? group.rows : mergeSessions(view, [...group.rows, ...before]);
    merged.push(...after);
    if (before === undefined) return;
    const starts = new Set(after.map((row) => row.start));
    for (const row of before) (starts.has(row.start) ? replaced : absorbed).push(row);
  });
  changes.addRows(view, columnsOf(deltaOf(view, replaced)), rowsBelow(replaced.length), -1);
  changes.botDays.addRows(view, columnsOf(deltaOf(view, absorbed)), rowsBelow(absorbed.length), -1);
  await remove(tx, schema, view, absorbed);
  return deltaOf(view, merged);
}

function groupsOf(delta: Delta): Group[] {
  const groups = new Map<string, Group>();
  for (let r = 0; r < delta.count; r++) {
    const row = rowOf(delta, r);
    // Ids contain no NUL, so it can separate them.
    const name = row.key.join("\0");
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { key: row.key, rows: [row], from: row.start, until: row.end });
    else {
      group.rows.push(row);
      group.from = Math.min(group.from, row.start);
      group.until = Math.max(group.until, row.end);
    }
  }
  return [...groups.values()];
}

/**
 * Finds stored sessions at most a gap from a group's span, by index of the group. Stored sessions of one key are more
 * than a gap apart, so these are the ones that begin in the span, and perhaps the last one before it.
 */
async function touched(
  tx: Database,
  schema: string,
  view: View,
  groups: readonly Group[],
): Promise<Map<number, Row[]>> {
  const gapMs = view.window.kind === "session" ? view.window.gapMs : 0;
  const table = tableOf(view);
  const measured = table.measured.map(({ name }) => name);
  const columns = [...table.window, ...table.measured];
  const { searched, same } = searchedBy(view);
  const names = [...new Set(["started_at", "ended_at", ...measured])].map((name) => `t.${name}`).join(", ");
  const { rows } = await tx.query<Record<string, string | null>>(
    `select v.${NUMBER.name}::text, ${columns.map(selected).join(", ")}
       from ${searched}
      cross join lateral (
        (select ${names} from ${schema}.${table.name} t
          where ${same} and t.started_at >= v.lo and t.started_at <= v.hi)
        union all
        (select ${names} from ${schema}.${table.name} t
          where ${same} and t.started_at < v.lo order by t.started_at desc limit 1)
      ) t
      where t.ended_at >= v.lo`,
    [
      arrayOf(groups.map(({ from }) => from - gapMs), "timestamptz"),
      arrayOf(groups.map(({ until }) => until + gapMs), "timestamptz"),
      ...view.by.map((_, k) => arrayOf(groups.map(({ key }) => key[k]!), "text")),
    ],
  );
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const found = new Map<number, Row[]>();
  for (const row of rows) {
    const g = Number(row[NUMBER.name]);
    const cell = (column: string): Cell => cellFrom(row[column]!, types.get(column)!);
    const values = valuesOf(view, cell);
    const session = {
      start: cell("started_at") as number,
      end: cell("ended_at") as number,
      key: groups[g]!.key,
      values,
    };
    found.set(g, [...found.get(g) ?? [], session]);
  }
  return found;
}

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
  if (type === "boolean") return text === "true" ? 1 : 0;
  return type === "bytea" ? Uint8Array.fromHex(text) : Number(text);
}

async function remove(tx: Database, schema: string, view: View, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const { keys, same } = keysOf(view);
  await tx.query(
    `delete from ${schema}.${tableOf(view).name} t
      using ${rowsOfArrays([{ name: "start", type: "timestamptz" }, ...keys])}
      where ${same} and t.started_at = v.start`,
    [
      arrayOf(rows.map(({ start }) => start), "timestamptz"),
      ...view.by.map((_, k) => arrayOf(rows.map(({ key }) => key[k]!), "text")),
    ],
  );
}
