/**
 * Waiting for what somebody else holds, without keeping others waiting behind us.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { holdersOf, tryLockForSession } from "./advisory_locks.ts";
import type { Database } from "./database.ts";
import { DatabaseUnavailable } from "./database_errors.ts";

/** Session settings of a command that must not hold up the service: it gives up soon, and tries again. */
export const SHORT_LOCK_TIMEOUT = { lock_timeout: "300ms" };

const SAY_EVERY_MS = 2000;
const PAUSE_MS = 500;
const PATIENCE_MS = 5 * 60_000;

/**
 * Runs `body` again for as long as it ends because a lock was not to be had in time.
 *
 * @param what is being done, for whoever waits for it
 * @throws {Error} that says so, after five minutes
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
          `could not ${what} in ${PATIENCE_MS / 60_000} minutes: others hold the table all the time; ` +
            "end their long queries (pg_stat_activity shows them), and try again",
          { cause: error },
        );
      }
      if (tries === 0) say(`waits to ${what}, for others hold the table`);
      await setTimeout(PAUSE_MS);
    }
  }
}

/** Passes on what is told, but only once in two seconds: what is done sooner needs no report on the way. */
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
 * Holds the lock `operation` for as long as the connection lives.
 *
 * @throws {Error} naming who holds it, if it is not to be had; or where a pooler is between, which would leave it to others
 */
export async function holdOperationLock(db: Database): Promise<void> {
  if (db.pooled) {
    throw new Error(
      "refusals replay, forget and rebuild hold a lock from one transaction to the next, and DATABASE_URL leads to a " +
        "connection pooler (such as PgBouncer), which may run each in another session: nothing was changed. Let " +
        "DATABASE_URL name PostgreSQL itself for this command",
    );
  }
  if (await tryLockForSession(db, "operation")) return;
  const holders = await holdersOf(db, "operation");
  const who = holders.map(({ program, pid }) => `${program} (process ${pid} of the server)`).join(", ") ||
    "another command";
  throw new Error(
    `${who} is at work: one of refusals replay, forget and rebuild runs at a time; try again when it is done`,
  );
}
