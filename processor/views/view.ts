/**
 * A view is a question that the shop keeps asking, as data: what it counts, by which key, over which window.
 * @module
 */
import { type Dimension, OPTIONAL } from "../columns/batch.ts";
import type { Cells } from "../columns/cells.ts";
import type { Filter, Measure } from "../measures/measure.ts";
import { type TimeZone, UTC } from "./time_zone.ts";

/**
 * How a view divides event time. All windows are half open. Days are those of the shop's time zone; other windows are in
 * UTC, and aligned to the epoch.
 */
export type Window =
  | { readonly kind: "tumbling"; readonly widthMs: number }
  | { readonly kind: "hopping"; readonly widthMs: number; readonly everyMs: number }
  | { readonly kind: "session"; readonly gapMs: number }
  | DayWindow;

/** Days of a time zone. Where clocks change, they have 23 or 25 hours. */
export interface DayWindow {
  readonly kind: "day";
  readonly zone: TimeZone;
}

/** A question that the shop keeps asking, as data. */
export interface View {
  /** Name of the view and of its table. */
  readonly name: string;
  readonly about: string;
  /** Which events it counts (default: all). */
  readonly where?: Filter;
  readonly window: Window;
  readonly by: readonly Dimension[];
  readonly measures: Readonly<Record<string, Measure>>;
  /** Columns that PostgreSQL generates: true if each of these columns of the row has the given value. */
  readonly derived?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** How long rows are kept (default: `ROLLUPS_KEEP_DAYS`). */
  readonly keep?: "forever";
  /**
   * Column that is true in the first row of each user, for views of one row per user and day. The sink keeps it; a
   * trigger of the view's migration keeps it after any other write.
   */
  readonly firsts?: string;
  /**
   * For views of one row per user and day: the column that is true if a session of a bot has an event on the day, and the
   * one with the number of such sessions. The sink keeps them from the view of sessions.
   */
  readonly ofBots?: { readonly mark: string; readonly sessions: string };
  /**
   * Coarser tables that follow its rows. The sink keeps them; triggers of the view's migration keep them after any other
   * write.
   */
  readonly rollups?: readonly Rollup[];
}

/** A table that a view's rows are added up in, by longer windows and fewer dimensions. */
export interface Rollup {
  readonly table: string;
  /** Its windows. A row counts in the one that it begins in. */
  readonly window: Extract<Window, { kind: "tumbling" | "day" }>;
  /** What a row of the view adds: one row of the rollup for each part, unless a column of its key is null. */
  readonly parts: readonly RollupPart[];
}

/** What a row of a view adds to one row of a rollup. */
export interface RollupPart {
  /** The rollup's dimensions, and the view's columns that they are taken from. */
  readonly by: { readonly [dimension in Dimension]?: string };
  /** The rollup's sums: each adds a column of the view (1 for a derived one that is true), or 1 for null. */
  readonly sums: Readonly<Record<string, string | null>>;
}

/** Partial results of a view since the last commit, by column; index `r` of each column is row `r`. */
export interface Delta {
  readonly view: View;
  readonly count: number;
  /**
   * Where each row's window begins, epoch milliseconds; for a session, its earliest event; for a day, where its date begins
   * in UTC, whatever the time zone.
   */
  readonly start: Float64Array;
  /** Where each row's window ends, epoch milliseconds, exclusive; for a session, its latest event, inclusive. */
  readonly end: Float64Array;
  /** One column per dimension of `view.by`; null only for an absent session. */
  readonly keys: readonly Cells[];
  /** One column per measure, in the order of `view.measures`. */
  readonly values: readonly Values[];
}

/** One column of a measure's values. */
export interface Values {
  /** The value of a row. */
  at(row: number): unknown;
  /** The values as cells, one column per measure column; without this method, they are encoded one by one. */
  cells?(): readonly Cells[];
}

/** One row of a view: its window, its key and the values of its measures. */
export interface Row {
  readonly start: number;
  readonly end: number;
  readonly key: readonly (string | null)[];
  readonly values: readonly unknown[];
}

/** The given number of minutes, in milliseconds. */
export function minutes(n: number): number {
  return n * 60_000;
}

/** Length of a day without a change of clocks, in milliseconds. */
export const DAY_MS = minutes(24 * 60);

/** Windows of one width, each starting at the end of the previous one. */
export function tumbling(widthMs: number): Extract<Window, { kind: "tumbling" }> {
  return { kind: "tumbling", widthMs };
}

/** Overlapping windows: `widthMs` wide, one starting every `everyMs`. */
export function hopping(widthMs: number, everyMs: number): Window {
  return { kind: "hopping", widthMs, everyMs };
}

/** Sessions: events of one key, each at most `gapMs` after the previous one. */
export function session(gapMs: number): Window {
  return { kind: "session", gapMs };
}

/** Days of a time zone. */
export function day(zone: TimeZone = UTC): DayWindow {
  return { kind: "day", zone };
}

/** The zone whose clock divides these windows; null for UTC, which needs no look. */
export function zoneOf(window: Window): TimeZone | null {
  return window.kind === "day" && !window.zone.isUtc ? window.zone : null;
}

/** The column that marks the sessions of bots in a view; null if it has none. */
export function markOf({ window, measures }: View): string | null {
  if (window.kind !== "session") return null;
  return Object.keys(measures).find((name) => measures[name]!.kind === "bot") ?? null;
}

/** Width of a window's panes, in milliseconds. Throws for session windows, which have no panes. */
export function paneMs(window: Window): number {
  switch (window.kind) {
    case "tumbling":
      return window.widthMs;
    case "hopping":
      return window.everyMs;
    case "day":
      return DAY_MS;
    case "session":
      throw new TypeError("a session window has no panes");
  }
}

/**
 * Checks a view's definition.
 *
 * @throws {RangeError} naming the view and what is wrong with it
 */
export function view(definition: View): View {
  const { name, window, by, measures, where } = definition;
  const refuse = (what: string): never => {
    throw new RangeError(`view ${JSON.stringify(name)}: ${what}`);
  };
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) refuse("a name is lower case letters, digits and _, as a table's is");
  if (new Set(by).size !== by.length) refuse(`groups twice by the same dimension: ${by.join(", ")}`);
  if (Object.keys(measures).length === 0) refuse("measures nothing");
  const widths = Object.values(window).filter((part) => typeof part === "number");
  if (!widths.every((ms) => Number.isInteger(ms) && ms > 0)) {
    refuse("a window's lengths are whole milliseconds above 0");
  }
  if (window.kind === "hopping" && window.widthMs % window.everyMs !== 0) {
    refuse(`a window of ${window.widthMs} ms can't be put together from panes of ${window.everyMs} ms`);
  }
  if (window.kind === "session" && !by.includes("user")) refuse("a session belongs to a user");
  const absent = by.find((key) => key !== "session" && OPTIONAL.includes(key) && where?.[key] === undefined);
  if (absent !== undefined) refuse(`groups by ${absent}, which an event may lack, without a filter on it`);
  const columns = Object.entries(measures).flatMap(([name, measure]) => measure.columns(name).map((c) => c.name));
  for (const [name, values] of Object.entries(definition.derived ?? {})) {
    const unknown = Object.keys(values).find((column) => !columns.includes(column));
    if (unknown !== undefined) refuse(`${name} is made of ${unknown}, which no measure has`);
  }
  if (window.kind === "day" && by.join() === "user") return definition;
  if (definition.firsts !== undefined) {
    refuse(`${definition.firsts} marks the first of a user's days, and its rows are not by user and day`);
  }
  if (definition.ofBots !== undefined) {
    refuse(`${definition.ofBots.mark} marks a user's days, and its rows are not by user and day`);
  }
  return definition;
}
