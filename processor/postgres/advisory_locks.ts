/**
 * All advisory locks of the program and of its SQL, by name. Their numbers appear nowhere else, except in SQL functions
 * that take one of them.
 * @module
 */
import type { Database } from "./database.ts";

/** The numbers of the locks; they must be the same in every program that uses one database. */
export const ADVISORY_LOCKS = {
  /**
   * Held by a commit while it writes rows that all instances share: windows, and the days of pages that sessions
   * change. Commits would queue for the rows of the current minute anyway. With one lock they can write rows in any
   * order, and rows that were read cannot change before they are written. Rollup triggers take it too.
   */
  sharedRows: 7_226_914_055,
  /** Held by `make_partitions()` while it creates partitions of `events`: two calls could create the same one. */
  partitions: 7_226_914_056,
  /** Held while a migration is applied, so that two runs of `migrate` do not race. */
  migration: 7_226_914_057,
  /** Held by replay, forget and rebuild, so that none of them works on rows that another is about to change. */
  operation: 7_226_914_058,
} as const;

/** Name of an advisory lock. */
export type AdvisoryLock = keyof typeof ADVISORY_LOCKS;

/** Waits for a lock and holds it until the transaction ends. */
export async function lockToTheEnd(tx: Database, lock: AdvisoryLock): Promise<void> {
  await tx.query("select pg_advisory_xact_lock($1::text::bigint)", [String(ADVISORY_LOCKS[lock])]);
}

/** Takes a lock until the connection closes; returns false, without waiting, if another session holds it. */
export async function tryLockForSession(db: Database, lock: AdvisoryLock): Promise<boolean> {
  const { rows } = await db.query<{ got: boolean }>(
    "select pg_try_advisory_lock($1::text::bigint) as got",
    [String(ADVISORY_LOCKS[lock])],
  );
  return rows[0]!.got;
}

/** The sessions that hold a lock: the name of the program, and its process id on the server. */
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
