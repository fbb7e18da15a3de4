/**
 * The one place where the world being down is retried.
 * @module
 */
import { PositionsMoved, Unavailable, Unstorable } from "./commit.ts";
import { Rebalanced } from "./source.ts";

/**
 * Shortest and longest cap of a pause, in milliseconds; it doubles with every failure. The longest is as long as
 * somebody who has mended what was broken should have to wait to see it.
 */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** After as long at work a failure counts as the first again, in milliseconds. */
const STEADY_MS = 10_000;

/** Longest time from being told to stop to giving up what is still on its way, in milliseconds. */
export const STOP_WITHIN_MS = 8_000;

/** What is kept going; a pipeline is one. */
export interface Task {
  /** Begins, or begins again because of `cause`. */
  start(cause: unknown): Promise<void>;
  step(): Promise<void>;
  /** Finishes what was begun. */
  flush(): Promise<void>;
}

/** A failure that another try may get past. */
export interface Failure {
  readonly error: Error;
  /** How many there have been in a row. */
  readonly count: number;
  /** Whether the one before said the same. */
  readonly again: boolean;
  /** When the next try follows, in milliseconds. */
  readonly pauseMs: number;
}

/** Is told how it goes. Must not throw. */
export interface Listener {
  /** Task has begun, after so many failures in a row. */
  ready(failures: number): void;
  failed(failure: Failure): void;
  /** What was still on its way when told to stop could not be finished; it will be done again. */
  unfinished(error: Error): void;
}

/** Time and chance. */
export interface Clock {
  /** Milliseconds on a clock that only goes forward. */
  now(): number;
  /** From 0 to 1, excluded. */
  random(): number;
  /** Resolves after `ms`, or as soon as the signal is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

/** Milliseconds until the try after so many failures in a row: anything up to a cap, so that instances don't meet. */
export function pauseMsAfter(failures: number, random: () => number): number {
  return random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

/** True for what another try may get past; anything else is a mistake of ours, or needs somebody to act. */
function isPassing(error: unknown): error is Error {
  return error instanceof Unavailable || error instanceof PositionsMoved || error instanceof Rebalanced ||
    error instanceof Unstorable;
}

/**
 * Keeps the work going until the signal is aborted, then finishes what was begun, within `STOP_WITHIN_MS`.
 *
 * @throws whatever is not passing; nothing uncommitted is lost by that, it will be read again
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
    // What is given up may still fail, with nobody left to care.
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
  let last: Error | null = null;
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
      if (!isPassing(error)) throw error;
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
    if (!isPassing(error)) throw error;
    listener.unfinished(error);
  }
}
