/**
 * The tables that peers write, and their comparison with ours.
 * @module
 */
import type { Database } from "../processor/postgres/database.ts";
import { using } from "../testing/servers/postgres.ts";

/** Key of a table and its counts, which must equal ours; `users` is estimated. */
interface Table {
  readonly key: readonly string[];
  readonly counts: readonly string[];
}

const TABLES: Readonly<Record<string, Table>> = {
  traffic: {
    key: ["window_start", "event_type", "device", "region"],
    counts: ["events", "revenue_cents"],
  },
  pages: { key: ["window_start", "page"], counts: ["views"] },
  active_users: { key: ["window_start"], counts: [] },
};

/** Limits for a valid comparison: missing share of a count, and mean relative error of users. */
const MOST_MISSING = 0.01;
const MOST_OFF = 0.1;

/** Differences from our tables, as shares. */
export interface Compared {
  /** Largest difference of any count, row by row. */
  readonly missing: number;
  /** Largest mean difference of distinct users of any table. */
  readonly usersOff: number;
}

/** Sums over the tables. */
export interface Written {
  readonly events: number;
  readonly views: number;
  /** Windows of active users, and the users in them. */
  readonly windows: number;
  readonly users: number;
}

/** Returns the SQL that creates the tables. */
export function tablesSql(): string {
  return `
    create table traffic (window_start timestamptz, event_type text, device text, region text,
      events bigint, users bigint, revenue_cents bigint, primary key (window_start, event_type, device, region));
    create table pages (window_start timestamptz, page text, views bigint, users bigint, primary key (window_start, page));
    create table active_users (window_start timestamptz primary key, users bigint)`;
}

/** Sums over the tables of a schema; reads the others only once `traffic` has at least this many events. */
export async function written(db: Database, schema: string, atLeast = 0): Promise<Written> {
  const sums = async <K extends string>(sql: string): Promise<Record<K, number>> =>
    (await db.query<Record<K, number>>(sql)).rows[0]!;
  const { events } = await sums<"events">(`select coalesce(sum(events), 0)::float8 as events from ${schema}.traffic`);
  if (events < atLeast) return { events, views: 0, windows: 0, users: 0 };
  const { views } = await sums<"views">(`select coalesce(sum(views), 0)::float8 as views from ${schema}.pages`);
  const active = await sums<"windows" | "users">(
    `select count(distinct window_start)::float8 as windows, coalesce(sum(users), 0)::float8 as users from ${schema}.active_users`,
  );
  return { events, views, ...active };
}

/**
 * Compares a peer's tables with ours, row by row.
 *
 * @throws {Error} with the difference, if it is above a limit
 */
export async function compareWindows(oursUrl: string, theirsUrl: string): Promise<Compared> {
  let [missing, usersOff] = [0, 0];
  for (const [name, table] of Object.entries(TABLES)) {
    const ours = await rowsOf(oursUrl, `clickstream.${name}`, table);
    const theirs = await rowsOf(theirsUrl, name, table);
    const unknown = [...theirs.keys()].find((key) => !ours.has(key));
    if (unknown !== undefined) throw new Error(`the peer's ${name} has a row that ours have not: ${unknown}`);
    table.counts.forEach((count, i) => {
      let [sum, off] = [0, 0];
      for (const [key, { counts }] of ours) {
        sum += counts[i]!;
        off += Math.abs(counts[i]! - (theirs.get(key)?.counts[i] ?? 0));
      }
      if (!(off <= sum * MOST_MISSING)) throw new Error(`the peer's ${count} in ${name} are off by ${off} of ${sum}`);
      missing = Math.max(missing, off / sum);
    });
    let off = 0;
    for (const [key, { users }] of ours) off += Math.abs(users - (theirs.get(key)?.users ?? 0)) / users;
    off /= ours.size;
    if (!(off <= MOST_OFF)) throw new Error(`the peer's users in ${name} are off by ${(off * 100).toFixed(1)} %`);
    usersOff = Math.max(usersOff, off);
  }
  return { missing, usersOff };
}

interface Numbers {
  readonly counts: readonly number[];
  readonly users: number;
}

async function rowsOf(url: string, name: string, { key, counts }: Table): Promise<Map<string, Numbers>> {
  // Ours have a row for people and one for bots; no user of the simulator is both.
  const sql = `select (${key.join(", ")}, '')::text as key, sum(users)::float8 as users,
    concat_ws(' ', ${[...counts.map((count) => `sum(${count})`), "null"].join(", ")}) as counts
    from ${name} group by ${key.join(", ")}`;
  type Row = { readonly key: string; readonly users: number; readonly counts: string };
  const { rows } = await using(url, (db) => db.query<Row>(sql));
  return new Map(rows.map(({ key, users, counts }) => [key, { users, counts: counts.split(" ").map(Number) }]));
}
