/**
 * Sessions: read those that new events may touch, merge the intervals, and remove what was taken up into another.
 * @module
 */
import { deltaOf, mergeSessions, rowOf } from "../fold.ts";
import type { Cell } from "../measure.ts";
import { COLUMN_OF, tableOf, valuesOf } from "../translate/table.ts";
import type { Delta, Row, View } from "../view.ts";
import type { Database } from "./database.ts";
import { arrayOf } from "./binary.ts";
import { cellFrom, selected } from "./sql_windows.ts";

/** The new sessions of one key, and the span that they cover. */
interface Group {
  readonly key: Row["key"];
  readonly rows: Row[];
  from: number;
  until: number;
}

/** The sessions of a delta, merged with the stored ones that they touch; those that are no more are deleted. */
export async function mergedSessions(tx: Database, delta: Delta): Promise<Delta> {
  const { view } = delta;
  const groups = groupsOf(delta);
  const stored = await touched(tx, view, groups);
  if (stored.size === 0) return delta;
  const merged: Row[] = [];
  const gone: Row[] = [];
  groups.forEach((group, g) => {
    const before = stored.get(g);
    const after = before === undefined ? group.rows : mergeSessions(view, [...group.rows, ...before]);
    merged.push(...after);
    if (before === undefined) return;
    const starts = new Set(after.map((row) => row.start));
    gone.push(...before.filter((row) => !starts.has(row.start)));
  });
  await remove(tx, view, gone);
  return deltaOf(view, merged);
}

function groupsOf(delta: Delta): Group[] {
  const groups = new Map<string, Group>();
  for (let r = 0; r < delta.count; r++) {
    const row = rowOf(delta, r);
    // No id holds a NUL, so it can stand between them.
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
 * Stored sessions that lie no more than a gap from a group's span, by the group's place. Sessions of one key lie apart,
 * so these are the ones that begin in the span, and the last one before it.
 */
async function touched(tx: Database, view: View, groups: readonly Group[]): Promise<Map<number, Row[]>> {
  const gapMs = view.window.kind === "session" ? view.window.gapMs : 0;
  const table = tableOf(view);
  const measured = table.measured.map(({ name }) => name);
  const columns = [...table.window, ...table.measured];
  const same = view.by.map((d, k) => keyMatch(COLUMN_OF[d], `v.k${k}`, d === "session")).join(" and ");
  const names = [...new Set(["started_at", "ended_at", ...measured])].map((name) => `t.${name}`).join(", ");
  const { rows } = await tx.query<Record<string, string | null>>(
    `select v.n::text as n, ${columns.map(selected).join(", ")}
       from unnest($1::timestamptz[], $2::timestamptz[], ${
      view.by.map((_, k) => `$${k + 3}::text[]`).join(", ")
    }) with ordinality as v(lo, hi, ${view.by.map((_, k) => `k${k}`).join(", ")}, n)
      cross join lateral (
        (select ${names} from clickstream.${table.name} t
          where ${same} and t.started_at >= v.lo and t.started_at <= v.hi)
        union all
        (select ${names} from clickstream.${table.name} t
          where ${same} and t.started_at < v.lo order by t.started_at desc limit 1)
      ) t
      where t.ended_at >= v.lo`,
    [
      arrayOf(groups.map(({ from }) => from - gapMs), "timestamptz"),
      arrayOf(groups.map(({ until }) => until + gapMs), "timestamptz"),
      ...view.by.map((d, k) => arrayOf(groups.map(({ key }) => key[k] ?? (d === "session" ? "" : null)), "text")),
    ],
  );
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const found = new Map<number, Row[]>();
  for (const row of rows) {
    const g = Number(row["n"]) - 1;
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

async function remove(tx: Database, view: View, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const same = view.by.map((d, k) => keyMatch(COLUMN_OF[d], `v.k${k}`, d === "session")).join(" and ");
  await tx.query(
    `delete from clickstream.${tableOf(view).name} t
      using unnest($1::timestamptz[], ${view.by.map((_, k) => `$${k + 2}::text[]`).join(", ")})
            as v(start, ${view.by.map((_, k) => `k${k}`).join(", ")})
      where ${same} and t.started_at = v.start`,
    [
      arrayOf(rows.map(({ start }) => start), "timestamptz"),
      ...view.by.map((_, k) => arrayOf(rows.map(({ key }) => key[k] ?? ""), "text")),
    ],
  );
}

/** An absent session is stored as null, and found by the empty text, which no session is called. */
function keyMatch(column: string, value: string, mayBeAbsent: boolean): string {
  return mayBeAbsent ? `coalesce(t.${column}, '') = ${value}` : `t.${column} = ${value}`;
}
