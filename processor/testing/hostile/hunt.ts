/**
 * Feeds a target with many cases; a case that breaks its promise is shrunk.
 * @module
 */
import { Random } from "../../../generator/random.ts";
import { concat, type Opened, type Target } from "./target.ts";

/** How many cases, and which. */
export interface HuntOptions {
  readonly cases: number;
  readonly seed: number;
  /** Called now and then with the number of cases so far. */
  readonly progress?: (done: number) => void;
}

/** A case that breaks a promise. */
export interface Found {
  /** The seed and the number of the case: `draw` with them gives it again. */
  readonly seed: number;
  readonly at: number;
  /** The shrunk case. */
  readonly input: Uint8Array;
  readonly error: Error;
}

/** Outcome of a hunt. */
export interface Hunted {
  readonly cases: number;
  /** Number of cases by outcome: a hunt in which one never occurs proves little. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly found: Found | null;
}

/** Cases after which a target is opened anew, so that a case depends on few others. */
const ANEW = 2_000;
const PROGRESS_EVERY = 256;
/** Most tries of shrinking a case. */
const MOST_TRIES = 2_000;

/** Feeds the target until a case fails or all are done. */
export async function hunt(target: Target, { cases, seed, progress }: HuntOptions): Promise<Hunted> {
  const outcomes = new Map<string, number>();
  let done = 0;
  while (done < cases) {
    const opened = await target.open();
    const until = Math.min(cases, done + ANEW);
    try {
      for (; done < until; done++) {
        if (done % PROGRESS_EVERY === 0) progress?.(done);
        const input = opened.draw(new Random(seed, done));
        const outcome = await outcomeOf(opened, input);
        if (outcome instanceof Error) {
          const found = { seed, at: done, error: outcome, input: await shrunk(target, input, () => progress?.(done)) };
          return { cases: done + 1, outcomes, found };
        }
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    } finally {
      await opened.close?.();
    }
  }
  return { cases: done, outcomes, found: null };
}

/** Feeds a new target with one case; returns its outcome, or the error if it breaks the promise. */
export async function tried(target: Target, input: Uint8Array): Promise<string | Error> {
  const opened = await target.open();
  try {
    return await outcomeOf(opened, input);
  } finally {
    await opened.close?.();
  }
}

async function outcomeOf(opened: Opened, input: Uint8Array): Promise<string | Error> {
  try {
    const outcome = opened.check(input);
    return typeof outcome === "string" ? outcome : await outcome;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * A smaller case that fails too: leaves out ever smaller parts, then makes bytes 0. The case itself, if it does not
 * fail alone: then it depends on the cases before it.
 */
async function shrunk(target: Target, input: Uint8Array, trying: () => void): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const fails = async (smaller: Uint8Array) => {
    trying();
    if (tries++ >= MOST_TRIES || await tried(target, smaller) instanceof Error === false) return false;
    best = smaller;
    return true;
  };
  if (!await fails(input)) return input;
  for (let size = best.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < best.length && tries < MOST_TRIES;) {
      if (!await fails(concat([best.subarray(0, at), best.subarray(at + size)]))) at += size;
    }
  }
  for (let at = 0; at < best.length && tries < MOST_TRIES; at++) {
    if (best[at] !== 0) await fails(best.with(at, 0));
  }
  return best;
}
