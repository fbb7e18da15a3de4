/**
 * Waits for locks that other sessions hold, without making further sessions wait behind us.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { holdersOf, tryLockForSession } from "./advisory_locks.ts";
import type { Database } from "./database.ts";
import { DatabaseUnavailable } from "./database_errors.ts";

/** Session settings of a command that must not block the service: it gives up on a lock soon, and retries. */
export const SHORT_LOCK_TIMEOUT = { lock_timeout: "300ms" };

const SAY_EVERY_MS = 2000;
const PAUSE_MS = 500;
const PATIENCE_MS = 5 * 60_000;

/**
 * Runs `body`, and retries it after each lock timeout.
 *
 * @param what what `body` does, for messages
 * @throws {Error} that says what to do, after five minutes
 */
export async function retryOnLockTimeout<T>(
  what: string,
  say: (line: string) => void,
  body: () => Promise<T>,
): Promise<T> {
  const startMs = performance.now();
  for (let tries = 0;; tries++) {
    try {
      return await body();
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      if (performance.now() - startMs > PATIENCE_MS) {
        throw new Error(
          `could not ${what} in ${PATIENCE_MS / 60_000} minutes: other sessions hold locks on the table. ` +
            "End their long queries (pg_stat_activity shows them) and try again",
          { cause: error },
        );
      }
      if (tries === 0) say(`waiting to ${what}: other sessions hold locks on the table`);
      await setTimeout(PAUSE_MS);
    }
  }
}

/** Limits progress messages to one every two seconds; work that ends sooner reports none. */
export function nowAndThen(say: (count: number) => void): (count: number) => void {
  let saidMs = performance.now();
  return (count) => {
    if (performance.now() - saidMs < SAY_EVERY_MS) return;
    saidMs = performance.now();
    say(count);
  };
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseUnavailable && (error.cause as { code?: unknown }).code === "55P03";
}

/**
 * Takes the lock `operation` until the connection closes.
 *
 * @throws {Error} that names the holder, if another session holds it; or behind a pooler, where others would get it
 */
export async function holdOperationLock(db: Database): Promise<void> {
  if (db.pooled) {
    throw new Error(
      "refusals replay, forget and rebuild hold a lock across transactions, but DATABASE_URL leads to a connection " +
        "pooler (such as PgBouncer), which may run each transaction in another session. Nothing was changed. " +
        "For this command, set DATABASE_URL to PostgreSQL itself",
    );
  }
  if (await tryLockForSession(db, "operation")) return;
  const holders = await holdersOf(db, "operation");
  const who = holders.map(({ program, pid }) => `${program} (process ${pid} of the server)`).join(", ") ||
    "another command";
  throw new Error(
    `${who} is running: only one of refusals replay, forget and rebuild can run at a time. Try again when it has ended`,
  );
}
