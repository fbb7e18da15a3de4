/**
 * Adds up what a commit changes in the rollups of its views, and writes it once, at the end of the commit.
 * @module
 */
import { type Cell, cellAt, type Cells, Texts } from "../../columns/cells.ts";
import { NONE } from "../../columns/strings.ts";
import { grown } from "../../columns/grown.ts";
import { Groups } from "../../columns/groups.ts";
import type { Dimension } from "../../columns/batch.ts";
import { COLUMN_OF, typeOf } from "../../translate/table.ts";
import { paneMs, type Rollup, type RollupPart, type View, zoneOf } from "../../views/view.ts";
import { arrayOf, rowsOfArrays } from "../binary.ts";
import type { Database } from "../database.ts";
import { KEY_OF } from "../dialect.ts";
import { flagOf } from "../encoding.ts";
import { SCHEMA } from "../schema.ts";
import { BotDays } from "./sql_bot_days.ts";
import { numbered } from "./sql_by_user.ts";

/** What to add to one row of a rollup. */
interface Change {
  /** As in `Delta.start`. */
  readonly start: number;
  readonly key: readonly Cell[];
  readonly sums: Map<string, number>;
}

/** A part of a view's rollup, with its rollup. */
export interface PartOf {
  readonly rollup: Rollup;
  readonly part: RollupPart;
}

/** The parts of all rollups of a view, in the order of their declaration. */
export function partsOf({ rollups = [] }: View): readonly PartOf[] {
  return rollups.flatMap((rollup) => rollup.parts.map((part) => ({ rollup, part })));
}

/** Changes of the rollups in one commit, and of the days of bots. */
export class RollupChanges {
  readonly botDays: BotDays;
  readonly #tables = new Map<string, { readonly part: PartOf; readonly rows: Map<string, Change> }>();

  /** @param days the view of users' days, if the commit has it */
  constructor(days: View | undefined) {
    this.botDays = new BotDays(days);
  }

  /**
   * Adds to one row. A mark may be a text, as in keys, a number or a boolean.
   *
   * @param start where the window of the rollup begins, as in `Delta.start`
   * @param sums one number per sum of the part, in its order
   */
  add(of: PartOf, start: number, cells: readonly (Cell | boolean)[], sums: readonly number[]): void {
    const { rollup, part } = of;
    const key = Object.keys(part.by).map((dimension, k): Cell => {
      const cell = cells[k]!;
      return typeOf(dimension as Dimension) === "text" ? cell as Cell : flagOf(cell);
    });
    let table = this.#tables.get(rollup.table);
    if (table === undefined) this.#tables.set(rollup.table, table = { part: of, rows: new Map() });
    // Neither a page nor a name contains a NUL.
    const name = `${start}\0${key.join("\0")}`;
    let change = table.rows.get(name);
    if (change === undefined) table.rows.set(name, change = { start, key, sums: new Map() });
    for (const [s, column] of Object.keys(part.sums).entries()) {
      change.sums.set(column, (change.sums.get(column) ?? 0) + sums[s]!);
    }
  }

  /** Adds these rows of a view, or takes them away. */
  addRows(view: View, cells: ReadonlyMap<string, Cells>, rows: Int32Array, sign: 1 | -1 = 1): void {
    this.botDays.addRows(view, cells, rows, sign);
    const start = cells.get(view.window.kind === "session" ? "started_at" : "window_start") as Float64Array;
    for (const of of partsOf(view)) {
      const { rollup, part } = of;
      const [widthMs, zone] = [paneMs(rollup.window), zoneOf(rollup.window)];
      const keys = Object.values(part.by).map((column) => cells.get(column)!);
      const codes = keys.map(numbered);
      const numbers = Object.values(part.sums).map((column) => numbersIn(view, cells, column, start.length));
      const groups = new Groups(codes.length);
      const firsts: number[] = [];
      // By group: all sums of the first one, then of the next.
      let sums = new Float64Array(256);
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        if (hasNull(keys, row)) continue;
        const time = zone === null ? start[row]! : zone.localMs(start[row]!);
        const group = groups.row(Math.floor(time / widthMs), codes, row);
        if (group === firsts.length) firsts.push(row);
        const at = group * numbers.length;
        if (at + numbers.length > sums.length) sums = grown(sums);
        for (let s = 0; s < numbers.length; s++) sums[at + s]! += sign * (numbers[s]?.[row] ?? 1);
      }
      for (let group = 0; group < firsts.length; group++) {
        const key = keys.map((column) => cellAt(column, firsts[group]!));
        const at = group * numbers.length;
        const window = rollup.window.kind === "day" ? groups.signedWindow(group) : groups.window(group);
        this.add(of, window * widthMs, key, [...sums.subarray(at, at + numbers.length)]);
      }
    }
  }

  /** Writes all changes to the days of bots and to the rollups. */
  async write(tx: Database, schema: string): Promise<void> {
    await this.botDays.write(tx, schema);
    for (const { part, rows } of this.#tables.values()) {
      const changes = [...rows.values()].filter(({ sums }) => sums.values().some((n) => n !== 0));
      if (changes.length > 0) await addTo(tx, schema, part, changes);
    }
  }
}

/** The columns of measures that a view's rollups read. */
export function readByRollups(view: View): ReadonlySet<string> {
  const read = partsOf(view).flatMap(({ part }) => [...Object.values(part.by), ...Object.values(part.sums)]);
  return new Set(
    read.flatMap((column) => column === null ? [] : Object.keys(view.derived?.[column] ?? { [column]: 1 })),
  );
}

/** True if a row has a null among these columns; makes no strings. */
function hasNull(columns: readonly Cells[], row: number): boolean {
  for (const cells of columns) {
    if (cells instanceof Texts ? cells.codes[row]! === NONE : cellAt(cells, row) === null) return true;
  }
  return false;
}

/** The numbers of a column by row, 1 and 0 for a derived one; null stands for 1 in every row. */
function numbersIn(
  view: View,
  cells: ReadonlyMap<string, Cells>,
  column: string | null,
  count: number,
): ArrayLike<number> | null {
  if (column === null) return null;
  const derived = view.derived?.[column];
  if (derived === undefined) return cells.get(column) as ArrayLike<number>;
  const flags = new Uint8Array(count).fill(1);
  for (const [of, value] of Object.entries(derived)) {
    const numbers = cells.get(of) as ArrayLike<number>;
    for (let row = 0; row < flags.length; row++) if (numbers[row] !== value) flags[row] = 0;
  }
  return flags;
}

/** Where a session is in its rollup `r`, before (`old`) or after (`new`). */
function startOf(row: "old" | "new", r: number): string {
  return `${row}_start${r}`;
}

/** What `returning` must name for `changesIn`: what rollups read, of the stored rows `o` and the new `t`. */
export function returned(view: View): string[] {
  const columns = new Set(
    partsOf(view).flatMap(({ part }) => [...Object.values(part.by), ...Object.values(part.sums)]),
  );
  columns.delete(null);
  return (["old", "new"] as const).flatMap((row) => {
    const from = row === "old" ? "o" : "t";
    return [
      ...view.rollups?.map((rollup, r) => `${startIn(rollup, `${from}.started_at`)} as ${startOf(row, r)}`) ?? [],
      ...[...columns].map((column) => `${from}.${column} as ${row}_${column}`),
    ];
  });
}

/**
 * SQL that adds up the changes of each rollup: `part` (its place among `partsOf`), `start` (as in `Delta.start`), and
 * `key` and `sums` as JSON arrays. Reads the rows that `returned` names from `u`.
 */
export function changesIn(view: View): string {
  return partsOf(view).map(({ rollup, part }, p) => {
    const r = view.rollups!.indexOf(rollup);
    const keys = Object.values(part.by);
    const sums = Object.values(part.sums);
    const number = (row: string, column: string | null) =>
      column === null ? "1" : `u.${row}_${column}${view.derived?.[column] === undefined ? "" : "::integer"}`;
    const all = (row: "old" | "new") => [
      `u.${startOf(row, r)}`,
      ...keys.map((k) => `u.${row}_${k}`),
      ...sums.map((s) => number(row, s)),
    ];
    const isChanged = `(${all("new").join(", ")}) is distinct from (${all("old").join(", ")})`;
    const side = (row: "old" | "new", sign: string) =>
      `select u.${startOf(row, r)} as start, ${keys.map((k, n) => `u.${row}_${k} as k${n}`).join(", ")},
              ${sums.map((s, n) => `${sign}${number(row, s)} as s${n}`).join(", ")} from u where ${isChanged}`;
    const key = keys.map((_, n) => `c.k${n}`);
    const sum = sums.map((_, n) => `sum(c.s${n})`);
    return `union all
     (select ${p}, (extract(epoch from c.start) * 1000)::bigint::text, json_build_array(${key.join(", ")})::text,
             json_build_array(${sum.join(", ")})::text
        from (${side("new", "")} union all ${side("old", "-")}) c
       where ${key.map((k) => `${k} is not null`).join(" and ")}
       group by c.start, ${key.join(", ")} having ${sum.map((s) => `${s} <> 0`).join(" or ")})`;
  }).join(" ");
}

/** SQL for the start of the rollup's window that has a time, as in `Delta.start`. */
function startIn({ window }: Rollup, time: string): string {
  if (window.kind === "day") return `${SCHEMA}.day_of(${time})`;
  return `date_bin('${window.widthMs} milliseconds', ${time}, '1970-01-01T00:00Z')`;
}

async function addTo(tx: Database, schema: string, { rollup, part }: PartOf, all: readonly Change[]): Promise<void> {
  const dimensions = Object.keys(part.by) as (keyof typeof part.by)[];
  const key = dimensions.map((dimension) => COLUMN_OF[dimension]);
  const sums = [...new Set(all.flatMap((change) => [...change.sums.keys()]))].sort();
  const columns = ["window_start", ...key, ...sums];
  const isByDay = rollup.window.kind === "day";
  const types = [
    isByDay ? "date" as const : "timestamptz" as const,
    ...dimensions.map(typeOf),
    ...sums.map(() => "bigint" as const),
  ];
  await tx.query(
    `insert into ${schema}.${rollup.table} as t (${columns.join(", ")})
     select ${isByDay ? `${SCHEMA}.day_start(v.window_start)` : "v.window_start"}, ${
      [...key, ...sums].map((name) => `v.${name}`).join(", ")
    }
       from ${rowsOfArrays(columns.map((name, c) => ({ name, type: types[c]! })))}
      order by ${["window_start", ...key].map((name) => `v.${name}`).join(", ")}
         on conflict (${["window_start", ...dimensions.map((d) => KEY_OF[d] ?? COLUMN_OF[d])].join(", ")})
         do update set ${sums.map((name) => `${name} = t.${name} + excluded.${name}`).join(", ")}`,
    [
      arrayOf(all.map(({ start }) => start), types[0]!),
      ...dimensions.map((dimension, k) => arrayOf(all.map((change) => change.key[k]!), typeOf(dimension))),
      ...sums.map((name) => arrayOf(all.map((change) => change.sums.get(name) ?? 0), "bigint")),
    ],
  );
}
