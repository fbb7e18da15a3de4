/**
 * The time zone of the days: as the database remembers it, and PostgreSQL's rules for it. The rules are read from
 * PostgreSQL and from nowhere else, so that the processor and SQL never differ on the day of an event.
 * @module
 */
import { type Offset, OffsetZone, RULES_UNTIL_MS, type TimeZone, UTC } from "../views/time_zone.ts";
import { DAY_MS } from "../views/view.ts";
import type { Database } from "./database.ts";
import { SCHEMA } from "./schema.ts";

/** The setting `TIME_ZONE` cannot be used with this database; the message says why, and what to do. */
export class WrongTimeZone extends Error {
  override readonly name = "WrongTimeZone";
}

function otherTimeZone(asked: string, found: string): WrongTimeZone {
  return new WrongTimeZone(
    `TIME_ZONE is ${
      JSON.stringify(asked)
    }, but the tables have days of ${found}. Set TIME_ZONE=${found}, or leave it ` +
      `out. Or change the tables: TIME_ZONE=${asked} clickstream rebuild --from …`,
  );
}

/** SQL for the name of the time zone whose days the tables of a schema have. */
export function timeZoneIn(schema: string): string {
  return `(select z.value from ${schema}.settings z where z.name = 'TIME_ZONE')`;
}

/** The name of the time zone whose days the tables have. */
export async function timeZoneName(db: Database): Promise<string> {
  const { rows } = await db.query<{ name: string }>(`select ${timeZoneIn(SCHEMA)} as name`);
  return rows[0]!.name;
}

/**
 * Reads the time zone whose days the tables have.
 *
 * @param asked the setting `TIME_ZONE`; null for whatever the tables have
 * @throws {WrongTimeZone} if another one is set
 */
export async function timeZoneOf(db: Database, asked: string | null): Promise<TimeZone> {
  const name = await timeZoneName(db);
  if (asked !== null && !isSame(asked, name)) throw otherTimeZone(asked, name);
  return await timeZoneNamed(db, name);
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** A time zone by its name, with PostgreSQL's rules. */
export async function timeZoneNamed(db: Database, name: string): Promise<TimeZone> {
  if (name === UTC.name) return UTC;
  // Looks at every fourth day, and then for the second of each change between two of them.
  const { rows } = await db.query<{ at: string; ahead: string }>(
    `with recursive sampled as (
       select s.at, ${aheadAt("s.at")} as ahead from generate_series(0, $2::bigint, ${STEP_S}) as s (at)
     ), changes (low, high, before, ahead) as (
       select c.at - ${STEP_S}, c.at, c.before, c.ahead
         from (select s.at, s.ahead, lag(s.ahead) over (order by s.at) as before from sampled s) c
        where c.before <> c.ahead
        union all
       select case when m.ahead = c.before then m.at else c.low end, case when m.ahead = c.before then c.high else m.at end,
              c.before, c.ahead
         from changes c
        cross join lateral (select h.at, ${aheadAt("h.at")} as ahead from (select (c.low + c.high) / 2 as at) h) m
        where c.high - c.low > 1
     )
     select 0::text as at, s.ahead::text as ahead from sampled s where s.at = 0
      union all
     (select c.high::text, c.ahead::text from changes c where c.high - c.low = 1 order by c.high)`,
    [name, String(RULES_UNTIL_MS / 1000)],
  );
  return new OffsetZone(
    name,
    rows.map(({ at, ahead }): Offset => ({ fromMs: Number(at) * 1000, aheadMs: Number(ahead) * 1000 })),
  );
}

/** Time between two looks, in seconds: since 1970, no zone's clock has been changed twice within six days. */
const STEP_S = 4 * DAY_MS / 1000;

/** SQL for how many seconds the clock of zone `$1` is ahead of UTC, at seconds since 1970. */
function aheadAt(seconds: string): string {
  return `extract(epoch from to_timestamp(${seconds}) at time zone $1::text)::bigint - ${seconds}`;
}

/**
 * Sets the time zone of a database without any event; returns its name as PostgreSQL writes it. Later, only `rebuild` can
 * change it.
 *
 * @throws {WrongTimeZone} if the tables have events by days of another zone, or PostgreSQL does not know it
 */
export async function setTimeZone(db: Database, asked: string): Promise<string> {
  const name = await nameInPostgres(db, asked);
  return await db.transaction(async (tx) => {
    // No commit is in flight: it would count by days of the former zone.
    await tx.exec(`set local role clickstream_owner; lock table ${SCHEMA}.progress in exclusive mode`);
    const found = await timeZoneName(tx);
    if (found === name) return name;
    // Flink writes rows without positions.
    const { rowCount } = await tx.query(
      `(select from ${SCHEMA}.progress limit 1) union all (select from ${SCHEMA}.user_days limit 1)
        union all (select from ${SCHEMA}.page_days limit 1)`,
    );
    if (rowCount > 0) throw otherTimeZone(asked, found);
    await changeTimeZone(tx, name, null);
    return name;
  });
}

/** Changes the time zone, as the owner. Rows from `sinceMs` on (epoch milliseconds) have its days; for null, all do. */
export async function changeTimeZone(tx: Database, name: string, sinceMs: number | null): Promise<void> {
  await tx.query(
    `update ${SCHEMA}.settings set value = $1::text, since = $2::timestamptz, set_at = now() where name = 'TIME_ZONE'`,
    [name, sinceMs === null ? null : new Date(sinceMs).toISOString()],
  );
}

/** The days in use. */
export interface DaysInUse {
  /** Name of their time zone. */
  readonly zone: string;
  /** From which time on they are of this zone, epoch milliseconds; null if all are. */
  readonly sinceMs: number | null;
  /** The first day that is stored, as `YYYY-MM-DD`; null if there is none. */
  readonly first: string | null;
}

/** Reads what days are in use. */
export async function daysInUse(db: Database): Promise<DaysInUse> {
  const { rows: [row] } = await db.query<{ zone: string; since: string | null; first: string | null }>(
    `select z.value as zone, (extract(epoch from z.since) * 1000)::bigint::text as since,
            (select min(d.day)::text from ${SCHEMA}.user_days d) as first
       from ${SCHEMA}.settings z where z.name = 'TIME_ZONE'`,
  );
  const { zone, since, first } = row!;
  return { zone, sinceMs: since === null ? null : Number(since), first };
}

/** Where the shop's day that contains a time begins; both in epoch milliseconds. */
export async function dayStart(db: Database, timeMs: number): Promise<number> {
  return await millisecondsOf(db, `${SCHEMA}.day_start(${SCHEMA}.day_of($1::timestamptz))`, timeMs);
}

/** Where the first of the shop's days begins that begins at a time or later; both in epoch milliseconds. */
export async function nextDayStart(db: Database, timeMs: number): Promise<number> {
  return await millisecondsOf(db, `${SCHEMA}.next_day_start($1::timestamptz)`, timeMs);
}

/** The shop's day that contains a time, given in epoch milliseconds, as `YYYY-MM-DD`. */
export async function dayOf(db: Database, timeMs: number): Promise<string> {
  const { rows } = await db.query<{ day: string }>(`select ${SCHEMA}.day_of($1::timestamptz)::text as day`, [
    new Date(timeMs).toISOString(),
  ]);
  return rows[0]!.day;
}

async function millisecondsOf(db: Database, sql: string, timeMs: number): Promise<number> {
  const { rows } = await db.query<{ ms: string }>(`select (extract(epoch from ${sql}) * 1000)::bigint::text as ms`, [
    new Date(timeMs).toISOString(),
  ]);
  return Number(rows[0]!.ms);
}

/**
 * The name of a time zone as PostgreSQL writes it.
 *
 * @throws {WrongTimeZone} if PostgreSQL does not know it
 */
export async function nameInPostgres(db: Database, asked: string): Promise<string> {
  const { rows: [row] } = await db.query<{ name: string }>(
    "select name from pg_timezone_names where lower(name) = lower($1::text) limit 1",
    [asked],
  );
  if (row !== undefined) return row.name;
  throw new WrongTimeZone(
    `TIME_ZONE is ${
      JSON.stringify(asked)
    }, which PostgreSQL does not know. Its names are in the view pg_timezone_names`,
  );
}
