/**
 * The days of bots: a user's day is a bot's if a session of a bot has an event on it. A session without an event on a day
 * between its first and its last would have a pause of a day, which no session has.
 * @module
 */
import { cellAt, type Cells } from "../../columns/cells.ts";
import { DAY_MS, markOf, type View, zoneOf } from "../../views/view.ts";
import { COLUMN_OF } from "../../translate/table.ts";
import { arrayOf, rowsOfArrays, type TypedColumn } from "../binary.ts";
import type { Database } from "../database.ts";
import { SCHEMA } from "../schema.ts";

/** The columns of a `Change` in SQL. */
const CHANGED: readonly TypedColumn[] = [
  { name: "user_id", type: "text" },
  { name: "day", type: "date" },
  { name: "sessions", type: "integer" },
];

/** What to add to the number of a user's sessions of bots on a day. */
interface Change {
  readonly user: string;
  /** As in `Delta.start`. */
  readonly dayMs: number;
  sessions: number;
}

/** What a commit changes in the days of bots. */
export class BotDays {
  readonly #days: View | undefined;
  readonly #changes = new Map<string, Change>();

  /** @param days the view of users' days; without it, nothing is marked */
  constructor(days: View | undefined) {
    this.#days = days;
  }

  /** Adds sessions of bots to a user's day, which begins as in `Delta.start`, or takes some away. */
  add(user: string, dayMs: number, sessions: number): void {
    const name = `${dayMs}\0${user}`;
    const change = this.#changes.get(name);
    if (change === undefined) this.#changes.set(name, { user, dayMs, sessions });
    else change.sessions += sessions;
  }

  /** Adds those of these rows that are sessions of bots, or takes them away. */
  addRows(view: View, cells: ReadonlyMap<string, Cells>, rows: Int32Array, sign: 1 | -1 = 1): void {
    const mark = markOf(view);
    if (mark === null || this.#days === undefined) return;
    const zone = zoneOf(this.#days.window);
    const dayOf = (timeMs: number) => Math.floor((zone === null ? timeMs : zone.localMs(timeMs)) / DAY_MS);
    const [marks, users] = [cells.get(mark)!, cells.get(COLUMN_OF.user)!];
    const [starts, ends] = [cells.get("started_at") as Float64Array, cells.get("ended_at") as Float64Array];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (marks.at(row) !== 1) continue;
      const user = cellAt(users, row) as string;
      const last = dayOf(ends[row]!);
      for (let day = dayOf(starts[row]!); day <= last; day++) this.add(user, day * DAY_MS, sign);
    }
  }

  /** Writes all changes to the days; all of these exist, because each has an event. */
  async write(tx: Database, schema: string): Promise<void> {
    const all = [...this.#changes.values()].filter(({ sessions }) => sessions !== 0);
    if (all.length === 0 || this.#days?.ofBots === undefined) return;
    const { name, ofBots: { mark, sessions } } = this.#days;
    await tx.query(
      `update ${schema}.${name} t set ${sessions} = t.${sessions} + v.sessions, ${mark} = t.${sessions} + v.sessions > 0
         from ${rowsOfArrays(CHANGED)}
        where t.user_id = v.user_id and t.day = v.day`,
      [
        arrayOf(all.map(({ user }) => user), "text"),
        arrayOf(all.map(({ dayMs }) => dayMs), "date"),
        arrayOf(all.map((change) => change.sessions), "integer"),
      ],
    );
  }
}

/**
 * What `returning` must name for `daysIn`, of the stored rows `o` and the new `t`, besides what rollups read; empty if the
 * view marks no bots.
 */
export function returnedDays(view: View): string[] {
  const mark = markOf(view);
  if (mark === null) return [];
  const user = `t.${COLUMN_OF.user} as ${COLUMN_OF.user}`;
  return [
    user,
    ...[["o", "old"], ["t", "new"]].flatMap(([from, row]) =>
      [[mark, "bot"], ["started_at", "from"], ["ended_at", "to"]].map(([column, name]) =>
        `${from}.${column} as ${row}_${name}`
      )
    ),
  ];
}

/** SQL that adds up by how much the extended sessions in `u` change the days of bots, like `changesIn`; as part -2. */
export function daysIn(view: View): string {
  if (markOf(view) === null) return "";
  const dayOf = (time: string) => `${SCHEMA}.day_of(${time})`;
  return `union all
     (select -2, (extract(epoch from c.day) * 1000)::bigint::text, json_build_array(c.id)::text,
             json_build_array(sum(c.n))::text
        from (select u.${COLUMN_OF.user} as id, ${dayOf("s.first")} + d.n as day, s.n
                from u cross join lateral (values (1, u.new_bot, u.new_from, u.new_to), (-1, u.old_bot, u.old_from, u.old_to))
                         as s(n, bot, first, last)
                 cross join lateral generate_series(0, ${dayOf("s.last")} - ${dayOf("s.first")}) as d(n)
               where (u.new_bot or u.old_bot) and s.bot) c
       group by c.id, c.day having sum(c.n) <> 0)`;
}
