/**
 * The one place that retries when Kafka or PostgreSQL is down.
 * @module
 */
import { RetryableError } from "./causes.ts";

/**
 * Shortest and longest cap of a pause, in milliseconds; the cap doubles with every failure. The longest is short enough
 * that a repair shows at once.
 */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** After this long without a failure, the next one counts as the first again, in milliseconds. */
const STEADY_MS = 10_000;

/** Longest time for the last commit after a stop signal, in milliseconds. */
export const STOP_WITHIN_MS = 8_000;

/** A task to keep running, such as a pipeline. */
export interface Task {
  /** Starts, or restarts because of `cause`. */
  start(cause: RetryableError | null): Promise<void>;
  step(): Promise<void>;
  /** Finishes pending work. */
  flush(): Promise<void>;
}

/** A failure that is worth a retry. */
export interface Failure {
  readonly error: RetryableError;
  /** Number of failures in a row. */
  readonly count: number;
  /** Whether the previous failure had the same message. */
  readonly again: boolean;
  /** Time until the next try, in milliseconds. */
  readonly pauseMs: number;
}

/** Receives what happens to the task. Must not throw. */
export interface Listener {
  /** The task runs, after so many failures in a row. */
  ready(failures: number): void;
  failed(failure: Failure): void;
  /** Pending work could not be finished before the stop; it will be done again. */
  unfinished(error: Error): void;
}

/** Time and chance. */
export interface Clock {
  /** Monotonic time, in milliseconds. */
  now(): number;
  /** A random number in [0, 1). */
  random(): number;
  /** Resolves after `ms`, or as soon as the signal is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** Milliseconds until the next try: random up to a cap, so that instances do not retry at the same time. */
export function pauseMsAfter(failures: number, random: () => number): number {
  return random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

/**
 * Keeps a task running until the signal is aborted, then finishes pending work within `STOP_WITHIN_MS`.
 *
 * @throws any error that is not worth a retry; nothing is lost, uncommitted records will be read again
 */
export async function supervise(
  work: Task,
  signal: AbortSignal,
  listener: Listener,
  clock: Clock,
): Promise<void> {
  const over = new AbortController();
  const finished = untilAborted(work, signal, listener, clock);
  const overdue = deadline(signal, over.signal, clock);
  try {
    if (await Promise.race([finished, overdue]) !== "overdue") return;
    listener.unfinished(new Error(`not finished within ${STOP_WITHIN_MS} ms`));
  } finally {
    over.abort();
    // It may still fail later, which does not matter any more.
    finished.catch(() => {});
  }
}

async function deadline(signal: AbortSignal, over: AbortSignal, clock: Clock): Promise<"overdue"> {
  await new Promise<unknown>((resolve) => {
    if (signal.aborted) return resolve(null);
    signal.addEventListener("abort", resolve, { once: true, signal: over });
  });
  await clock.pause(STOP_WITHIN_MS, over);
  return "overdue";
}

async function untilAborted(
  work: Task,
  signal: AbortSignal,
  listener: Listener,
  clock: Clock,
): Promise<void> {
  let last: RetryableError | null = null;
  let failures = 0;
  let readyMs: number | null = null;
  while (!signal.aborted) {
    try {
      if (readyMs === null) {
        await work.start(last);
        readyMs = clock.now();
        listener.ready(failures);
      }
      await work.step();
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      if (readyMs !== null && clock.now() - readyMs >= STEADY_MS) failures = 0;
      const pauseMs = pauseMsAfter(++failures, () => clock.random());
      listener.failed({ error, count: failures, again: failures > 1 && last?.message === error.message, pauseMs });
      last = error;
      readyMs = null;
      await clock.pause(pauseMs, signal);
    }
  }
  await finish(work, listener);
}

async function finish(work: Task, listener: Listener): Promise<void> {
  try {
    await work.flush();
  } catch (error) {
    if (!(error instanceof RetryableError)) throw error;
    listener.unfinished(error);
  }
}
