/**
 * Options of commands, checked where they are read.
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import { parseIso } from "../../decode/time.ts";

/** What is made where nobody says otherwise. */
export const GENERATE_DEFAULTS = { rate: 1000, seed: 1, bad: 0.01, duplicates: 0.01, late: 0.01 } as const;

/** A number from `least` to `most`. */
export function numberOption(
  flags: string,
  about: string,
  { least, most, whole = false, default: fallback }: {
    readonly least: number;
    readonly most: number;
    readonly whole?: boolean;
    readonly default?: number;
  },
): Option {
  const allowed = `${whole ? "a whole number" : "a number"} from ${least} to ${most}`;
  const option = new Option(flags, `${about} (${allowed})`).argParser((text) => {
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most && (!whole || Number.isSafeInteger(value))) return value;
    throw new InvalidArgumentError(`Allowed is ${allowed}.`);
  });
  return fallback === undefined ? option : option.default(fallback);
}

/** A share from 0 to 0.5, 0 if left out. */
export function shareOption(flags: string, about: string, fallback = 0): Option {
  return numberOption(flags, about, { least: 0, most: 0.5, default: fallback });
}

/** An instant, as epoch milliseconds. */
export function timeArgument(text: string): number {
  const time = parseIso(text);
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError("Allowed is ISO 8601 with zone, such as 2026-01-31T12:00:00Z.");
}
