/**
 * Applies retention while the service writes: creates partitions for the coming days, drops expired ones, and deletes
 * old windows and sessions. Then adds up the campaigns of days that are over. The database's clock decides what is old,
 * so a wrong clock on this machine deletes nothing.
 * @module
 */
import { tableOf } from "../../translate/table.ts";
import { VIEWS } from "../../views/mod.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { nowAndThen, retryOnLockTimeout } from "../locks.ts";
import { countCampaigns } from "./campaign_days.ts";
import { makePartitions } from "./migrations.ts";

/** Retention, and how far ahead to create partitions. */
export interface Keep {
  /** Days of raw events. */
  readonly eventDays: number;
  /** Days of windows and sessions. */
  readonly rollupDays: number;
  /** Number of coming days that need a partition. */
  readonly aheadDays: number;
}

/** What `maintain` did. */
export interface Maintained {
  /** Number of created partitions. */
  readonly made: number;
  /** Names of dropped partitions. */
  readonly dropped: readonly string[];
  /** Number of deleted rows by table; omits tables without any. */
  readonly removed: Readonly<Record<string, number>>;
  /** Number of days whose campaigns were added up. */
  readonly counted: number;
}

/** Rows per statement: few enough that no writer waits long for one of them. */
const ROWS = 10_000;

/** Rows that expire: their table, the retention that applies, and the condition that finds them. */
type Aging = readonly [table: string, days: keyof Keep, old: string];

/** The tables with rows that expire. Refusals are not among them: they are never deleted. */
export function agingOf(views: readonly View[]): readonly Aging[] {
  return [
    ["events_default", "eventDays", "event_time < $1::timestamptz"],
    ...views.filter(({ keep }) => keep !== "forever").map((view): Aging => {
      const columns = tableOf(view).window.map(({ name }) => name);
      // A window expires by its start. A session may last longer than any window, so its end counts too.
      const told = view.window.kind === "session" ? columns : columns.slice(0, 1);
      return [view.name, "rollupDays", told.map((column) => `${column} < $1::timestamptz`).join(" and ")];
    }),
  ];
}

/**
 * Creates partitions, drops expired ones, deletes old rows, adds up campaigns by day. It can be killed and run again, and two can run at once.
 *
 * @param db its own connection with a short `lock_timeout`, which limits how long writers wait for it
 * @param say takes progress messages
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
  const what = "add up the campaigns of days";
  const counted = await countCampaigns(
    (body) => retryOnLockTimeout(what, say, () => asOwner(db, body)),
    nowMs,
    nowAndThen((count) => say(`added up the campaigns of ${count} days so far`)),
  );
  return { made, dropped, removed, counted };
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

/** Drops a partition with its rows. It reads none of them, so writers wait only for a change of the catalogue. */
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
    // Skips rows that another transaction is writing; the next run deletes them.
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
