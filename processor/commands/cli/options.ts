/**
 * Options of commands, checked where they are read.
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import { parseIso } from "../../decode/time.ts";

/** Defaults of `generate`. */
export const GENERATE_DEFAULTS = { rate: 1000, seed: 1, bad: 0.01, duplicates: 0.01, late: 0.01 } as const;

/** An option for a number from `least` to `most`. */
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
    throw new InvalidArgumentError(`Allowed: ${allowed}.`);
  });
  return fallback === undefined ? option : option.default(fallback);
}

/** An option for a share from 0 to 0.5 (default: 0). */
export function shareOption(flags: string, about: string, fallback = 0): Option {
  return numberOption(flags, about, { least: 0, most: 0.5, default: fallback });
}

/** Parses a time; returns epoch milliseconds. */
export function timeArgument(text: string): number {
  const time = parseIso(text);
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError("Allowed: ISO 8601 with a time zone, such as 2026-01-31T12:00:00Z.");
}
