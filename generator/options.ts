/**
 * Options of the simulator.
 * @module
 */
import { TYPICAL_CLICKS } from "./journey.ts";

/** What to simulate. */
export interface SimulatorOptions {
  /** Seed of the shop, a safe integer. */
  readonly seed: number;
  /** Simulated time, epoch milliseconds, `[fromMs, toMs)`. All events happen and all records are sent within it. */
  readonly fromMs: number;
  /** Infinity: no end. */
  readonly toMs: number;
  /** Records/s, on average over the span. */
  readonly rate: number;
  /** Number of shoppers (default: derived from the rate and the span). */
  readonly users?: number | undefined;
  /** Share of records that are refused (default: 0). */
  readonly bad?: number | undefined;
  /** Share of records that are duplicates (default: 0). */
  readonly duplicates?: number | undefined;
  /** Share of events that are sent late (default: 0). */
  readonly late?: number | undefined;
  /** Factor by which shoppers are faster than people (default: derived from the span). */
  readonly pace?: number | undefined;
  /** Days that events are kept (`EVENTS_KEEP_DAYS`, default: 30). Expired records are generated older than this. */
  readonly keepDays?: number | undefined;
  /** Whether every event has an id, so that a span can be sent twice and counts once (default: a few have none). */
  readonly identified?: boolean | undefined;
}

/** Options with all defaults filled in. */
export type CompleteOptions = { readonly [K in keyof SimulatorOptions]-?: NonNullable<SimulatorOptions[K]> };

const DAY_MS = 86_400_000;

/** Length of a span in which the shop looks alive at human pace; in shorter spans, shoppers are faster. */
const NATURAL_SPAN_MS = 30 * 60_000;

/** Allowed years. They leave room for expired events and for events from the future. */
const EARLIEST_MS = Date.UTC(1990);
const LATEST_MS = Date.UTC(9990);

const MAX_USERS = 10_000_000;

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} naming the option that is out of bounds, its value and its bounds
 */
export function complete(options: SimulatorOptions): CompleteOptions {
  const { seed, fromMs, toMs, rate, bad = 0, duplicates = 0, late = 0, keepDays = 30, identified = false } = options;
  const spanMs = toMs - fromMs;
  check("seed", seed, Number.isSafeInteger(seed), "a whole number");
  const years = "whole milliseconds in the years 1990 to 9989";
  check("fromMs", fromMs, Number.isInteger(fromMs) && fromMs >= EARLIEST_MS && fromMs < LATEST_MS, years);
  check("toMs", toMs, toMs === Infinity || (Number.isInteger(toMs) && toMs <= LATEST_MS), years);
  check("toMs", toMs, spanMs > 0, `later than fromMs, which is ${fromMs}`);
  check("rate", rate, rate > 0 && rate <= 10_000_000, "records a second, above 0, at most 10,000,000");
  for (const [name, share] of Object.entries({ bad, duplicates, late })) {
    check(name, share, share >= 0 && share <= 0.5, "a share from 0 to 0.5");
  }
  // Every event has at most one duplicate.
  check("bad", bad, bad + 2 * duplicates <= 1, `at most 1 less twice the duplicates, which are ${duplicates}`);
  check("keepDays", keepDays, keepDays >= 1 && keepDays <= 3650, "days from 1 to 3650");
  const dailyVisits = rate / TYPICAL_CLICKS * Math.min(spanMs, DAY_MS) / 1000;
  const users = options.users ?? Math.min(1_000_000, 100 + Math.round(2 * dailyVisits));
  check("users", users, Number.isInteger(users) && users >= 1 && users <= MAX_USERS, `1 to ${MAX_USERS}`);
  const pace = options.pace ?? Math.max(1, NATURAL_SPAN_MS / spanMs);
  check("pace", pace, pace >= 0.01 && pace <= 1e7, "a factor from 0.01 to 10,000,000");
  return { seed, fromMs, toMs, rate, users, bad, duplicates, late, pace, keepDays, identified };
}

function check(name: string, value: number, holds: boolean, allowed: string): void {
  if (!holds) throw new RangeError(`${name} is ${value}; allowed: ${allowed}`);
}
