/**
 * Keeps the tables within their bounds, beside a service that writes: partitions for the days to come, none of days that
 * are over, no windows past their age. What is old is told by the database's clock, so that a machine whose clock is
 * wrong removes nothing.
 * @module
 */
import { tableOf } from "../../translate/table.ts";
import { VIEWS } from "../../views/mod.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { nowAndThen, retryOnLockTimeout } from "../locks.ts";
import { makePartitions } from "./migrations.ts";

/** How much is kept. */
export interface Keep {
  /** Days of raw events. */
  readonly eventDays: number;
  /** Days of windows and sessions. */
  readonly rollupDays: number;
  /** Days ahead for which there are to be partitions. */
  readonly aheadDays: number;
}

/** What was done. */
export interface Maintained {
  /** Partitions that were made. */
  readonly made: number;
  /** Names of partitions that were dropped. */
  readonly dropped: readonly string[];
  /** Rows that were removed, by table; tables without any are left out. */
  readonly removed: Readonly<Record<string, number>>;
}

/** Rows in one statement: so few that nobody has to wait long for one of them. */
const ROWS = 10_000;

/** Rows that grow too old: of which table, after which of the lengths of time, and by which condition. */
type Aging = readonly [table: string, days: keyof Keep, old: string];

/** The tables whose rows grow too old. Refusals are not among them: they are never dropped. */
export function agingOf(views: readonly View[]): readonly Aging[] {
  return [
    ["events_default", "eventDays", "event_time < $1::timestamptz"],
    ...views.filter(({ keep }) => keep !== "forever").map((view): Aging => {
      const columns = tableOf(view).window.map(({ name }) => name);
      // Windows are told by where they begin; a session may go on for longer than any.
      const told = view.window.kind === "session" ? columns : columns.slice(0, 1);
      return [view.name, "rollupDays", told.map((column) => `${column} < $1::timestamptz`).join(" and ")];
    }),
  ];
}

/**
 * Makes partitions, drops expired ones, removes old rows; may be ended anywhere and run again, also by two at once.
 *
 * @param db a connection of its own, with a short `lock_timeout`: whoever writes waits no longer than that for us
 * @param say is told what is done, as it is done
 */
export async function maintain(
  db: Database,
  keep: Keep,
  say: (line: string) => void,
  views: readonly View[] = VIEWS,
): Promise<Maintained> {
  const { rows: [clock] } = await db.query<{ now: string }>(
    "select (extract(epoch from now()) * 1000)::bigint::text as now",
  );
  const nowMs = Number(clock!.now);
  const { eventDays: keepDays, aheadDays } = keep;
  const made = await makePartitions(db, {
    ...{ nowMs, keepDays, aheadDays },
    attempt: (portion) => retryOnLockTimeout("make partitions of events", say, portion),
    progress: nowAndThen((count) => say(`created ${count} partitions of events so far`)),
  });
  const dropped: string[] = [];
  for (const name of await expiredPartitions(db, dayText(nowMs, -keepDays))) {
    await retryOnLockTimeout(`drop ${name}`, say, () => dropPartition(db, name));
    say(`dropped ${name}`);
    dropped.push(name);
  }
  const removed: Record<string, number> = {};
  for (const [table, days, old] of agingOf(views)) {
    const rows = await removeOld(db, table, old, dayText(nowMs, -keep[days]), say);
    if (rows > 0) removed[table] = rows;
  }
  return { made, dropped, removed };
}

function dayText(nowMs: number, offset: number): string {
  return new Date(nowMs + offset * DAY_MS).toISOString().slice(0, 10);
}

/** Partitions of whole days before `day`, oldest first. */
async function expiredPartitions(db: Database, day: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'clickstream.events'::regclass and c.relname ~ '^events_[0-9]{8}$'
        and c.relname < 'events_' || to_char($1::date, 'YYYYMMDD')
      order by 1`,
    [day],
  );
  return rows.map(({ name }) => name);
}

/** The rows go with the table: nothing is read, and whoever writes waits for a change to the catalogue alone. */
async function dropPartition(db: Database, name: string): Promise<void> {
  await asOwner(db, (tx) => tx.exec(`drop table if exists clickstream.${name}`));
}

async function removeOld(
  db: Database,
  table: string,
  old: string,
  before: string,
  say: (line: string) => void,
): Promise<number> {
  for (let removed = 0;;) {
    // A row that somebody is writing is left for the next time.
    const { rowCount } = await retryOnLockTimeout(
      `delete expired rows of ${table}`,
      say,
      () =>
        asOwner(db, (tx) =>
          tx.query(
            `delete from clickstream.${table} where ctid = any (array(
             select ctid from clickstream.${table} where ${old} limit ${ROWS} for update skip locked))`,
            [`${before}T00:00:00Z`],
          )),
    );
    removed += rowCount;
    if (rowCount < ROWS) return removed;
    say(`${table}: ${removed} rows`);
  }
}

async function asOwner<T>(db: Database, body: (tx: Database) => Promise<T>): Promise<T> {
  return await db.transaction(async (tx) => {
    await tx.exec("set local role clickstream_owner");
    return await body(tx);
  });
}
