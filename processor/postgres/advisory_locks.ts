/**
 * Every advisory lock of the program and of its SQL, by name. No other file says a number, but for functions in SQL that
 * take one of these.
 * @module
 */
import type { Database } from "./database.ts";

/** The numbers of the locks, which are the same for every program that works on one database. */
export const ADVISORY_LOCKS = {
  /**
   * Held by one commit at a time while it writes what all instances share: windows, and with sessions the days of pages.
   * They would queue for the rows of the current minute anyway; with one lock they do so in any order of rows, and what
   * was read can't change before it is written. Triggers that keep rollups take it too.
   */
  sharedRows: 7_226_914_055,
  /** Held while partitions of `events` are made, by `make_partitions()`: two at once would make the same one. */
  partitions: 7_226_914_056,
  /** Held while a migration is applied, so that two who migrate at once don't race. */
  migration: 7_226_914_057,
  /** Held by whoever replays, forgets or rebuilds, so that none of them works on what another is about to change. */
  operation: 7_226_914_058,
} as const;

/** Name of an advisory lock. */
export type AdvisoryLock = keyof typeof ADVISORY_LOCKS;

/** Waits for a lock and holds it until the transaction ends. */
export async function lockToTheEnd(tx: Database, lock: AdvisoryLock): Promise<void> {
  await tx.query("select pg_advisory_xact_lock($1::text::bigint)", [String(ADVISORY_LOCKS[lock])]);
}

/** Takes a lock for as long as the connection lives, if nobody holds it; returns whether it did. */
export async function tryLockForSession(db: Database, lock: AdvisoryLock): Promise<boolean> {
  const { rows } = await db.query<{ got: boolean }>(
    "select pg_try_advisory_lock($1::text::bigint) as got",
    [String(ADVISORY_LOCKS[lock])],
  );
  return rows[0]!.got;
}

/** The sessions of this database that hold a lock, by name of the program and process of the server. */
export async function holdersOf(
  db: Database,
  lock: AdvisoryLock,
): Promise<readonly { readonly program: string; readonly pid: number }[]> {
  const { rows } = await db.query<{ program: string; pid: number }>(
    `select a.application_name as program, a.pid from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted
        and l.classid::bigint << 32 | l.objid::bigint = $1::text::bigint`,
    [String(ADVISORY_LOCKS[lock])],
  );
  return rows;
}
