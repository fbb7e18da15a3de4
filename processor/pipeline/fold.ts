/**
 * Folds batches of events into a view's delta. It knows nothing of Kafka, PostgreSQL or the current time.
 * @module
 */
import { type Batch, BATCH_EVENTS, type Dictionaries } from "../columns/batch.ts";
import { codesOf, numbersOf, rowsBelow, Texts } from "../columns/cells.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { Groups } from "../columns/groups.ts";
import { type Accumulator, selector } from "../measures/measure.ts";
import { type Delta, paneMs, type Row, type Values, type View, zoneOf } from "../views/view.ts";

/** Folds batches into the delta of one view. */
export interface Fold {
  add(batch: Batch): void;
  /** The delta so far, valid until `clear`; add nothing in between. */
  delta(): Delta;
  /** Removes all rows, and keeps their memory. Call it after the last use of the delta; also clear the dictionaries. */
  clear(): void;
}

/** Memory of the first sessions, as their number. */
const FIRST_SESSIONS = 64;

/** Row 0 for each event, for selecting events when rows don't matter. */
const EVERY = new Int32Array(BATCH_EVENTS);

/** A fold of `view` over batches that share the dictionaries `words`. */
export function fold(view: View, words: Dictionaries): Fold {
  return view.window.kind === "session" ? new SessionFold(view, words) : new PaneFold(view, words);
}

/** Folds into panes, and combines them to windows at the end. */
class PaneFold implements Fold {
  readonly #view: View;
  readonly #words: Dictionaries;
  readonly #groups: Groups;
  readonly #accumulators: readonly Accumulator<unknown>[];
  readonly #select: (batch: Batch, rows: Int32Array) => Int32Array;
  #rows = NO_INTEGERS;

  constructor(view: View, words: Dictionaries) {
    this.#view = view;
    this.#words = words;
    this.#groups = new Groups(view.by.length);
    this.#accumulators = Object.values(view.measures).map((measure) => measure.accumulator(words));
    this.#select = selector(view.where ?? {}, words);
  }

  add(batch: Batch): void {
    const widthMs = paneMs(this.#view.window);
    const zone = zoneOf(this.#view.window);
    const columns = this.#view.by.map((dimension) => batch.codes[dimension]);
    if (this.#rows.length < batch.count) this.#rows = new Int32Array(batch.capacity);
    const rows = this.#rows;
    const wanted = this.#select(batch, EVERY);
    const times = batch.time;
    for (let i = 0; i < batch.count; i++) {
      if (wanted[i]! < 0) rows[i] = -1;
      else {
        const time = zone === null ? times[i]! : zone.localMs(times[i]!);
        rows[i] = this.#groups.row(Math.floor(time / widthMs), columns, i);
      }
    }
    for (const accumulator of this.#accumulators) accumulator.add(batch, rows, this.#groups.count);
  }

  delta(): Delta {
    const view = this.#view;
    const groups = this.#groups;
    const widthMs = paneMs(view.window);
    const rows = rowsBelow(groups.count);
    // Where the zone is behind UTC, the first day is one before 1970.
    const isDay = view.window.kind === "day";
    const pane = (row: number) => isDay ? groups.signedWindow(row) : groups.window(row);
    const panes: Delta = {
      view,
      count: rows.length,
      start: numbersOf(rows, (row) => pane(row) * widthMs),
      end: numbersOf(rows, (row) => (pane(row) + 1) * widthMs),
      keys: view.by.map((dimension, c) =>
        new Texts(this.#words[dimension], codesOf(rows, (row) => groups.code(row, c)))
      ),
      values: this.#accumulators.map((accumulator) => valuesOf(accumulator, rows)),
    };
    return view.window.kind === "hopping" ? windowsOf(panes, view.window) : panes;
  }

  clear(): void {
    this.#groups.clear();
    for (const accumulator of this.#accumulators) accumulator.clear();
  }
}

/** The values of these rows. */
function valuesOf(accumulator: Accumulator<unknown>, rows: Int32Array): Values {
  return {
    at: (r) => accumulator.value(rows[r]!),
    ...accumulator.cells !== undefined && { cells: () => accumulator.cells!(rows) },
  };
}

/** The overlapping windows that contain these panes. */
function windowsOf(panes: Delta, window: { widthMs: number; everyMs: number }): Delta {
  const { view } = panes;
  const windows = new Map<string, Row>();
  for (const pane of rowsOf(panes)) {
    for (let start = pane.start; start > pane.start - window.widthMs; start -= window.everyMs) {
      const place = JSON.stringify([start, ...pane.key]);
      const values = windows.get(place)?.values;
      windows.set(place, {
        ...pane,
        start,
        end: start + window.widthMs,
        values: values === undefined ? pane.values : mergeValues(view, values, pane.values),
      });
    }
  }
  return deltaOf(view, [...windows.values()]);
}

/**
 * Folds events into sessions as they arrive: an event extends the session of its key within the gap, or starts a new
 * one. An event that connects two sessions merges them; their values are merged at the end. This is rare, because
 * events nearly always arrive in order.
 */
class SessionFold implements Fold {
  readonly #view: View;
  readonly #words: Dictionaries;
  readonly #gapMs: number;
  /** Keys without time. */
  readonly #groups: Groups;
  readonly #accumulators: readonly Accumulator<unknown>[];
  readonly #select: (batch: Batch, rows: Int32Array) => Int32Array;
  #rows = NO_INTEGERS;
  #count = 0;
  #starts = NO_DOUBLES;
  #ends = NO_DOUBLES;
  #groupOf = NO_INTEGERS;
  /** The previous session of the same key, or -1. */
  #before = NO_INTEGERS;
  /** The latest session of each key. */
  #latest = NO_INTEGERS;
  /** Sessions that were merged into another, and into which. */
  readonly #mergedInto = new Map<number, number>();

  constructor(view: View, words: Dictionaries) {
    this.#view = view;
    this.#words = words;
    this.#gapMs = view.window.kind === "session" ? view.window.gapMs : 0;
    this.#groups = new Groups(view.by.length);
    this.#accumulators = Object.values(view.measures).map((measure) => measure.accumulator(words));
    this.#select = selector(view.where ?? {}, words);
  }

  add(batch: Batch): void {
    const columns = this.#view.by.map((dimension) => batch.codes[dimension]);
    if (this.#rows.length < batch.count) this.#rows = new Int32Array(batch.capacity);
    const rows = this.#rows;
    const wanted = this.#select(batch, EVERY);
    for (let i = 0; i < batch.count; i++) {
      if (wanted[i]! < 0) {
        rows[i] = -1;
        continue;
      }
      const known = this.#groups.count;
      const group = this.#groups.row(0, columns, i);
      rows[i] = this.#session(group, group === known, batch.time[i]!);
    }
    for (const accumulator of this.#accumulators) accumulator.add(batch, rows, this.#count);
  }

  delta(): Delta {
    // In the order of the merges, so that a session takes over its own merged sessions first.
    for (const [gone, into] of this.#mergedInto) {
      for (const accumulator of this.#accumulators) accumulator.merge(into, gone);
    }
    const merged = this.#mergedInto;
    const kept = rowsBelow(this.#count, merged.size === 0 ? undefined : (row) => !merged.has(row));
    const groups = this.#groups;
    return {
      view: this.#view,
      count: kept.length,
      start: numbersOf(kept, (row) => this.#starts[row]!),
      end: numbersOf(kept, (row) => this.#ends[row]!),
      keys: this.#view.by.map((dimension, c) =>
        new Texts(this.#words[dimension], codesOf(kept, (row) => groups.code(this.#groupOf[row]!, c)))
      ),
      values: this.#accumulators.map((accumulator) => valuesOf(accumulator, kept)),
    };
  }

  clear(): void {
    this.#groups.clear();
    this.#count = 0;
    this.#mergedInto.clear();
    for (const accumulator of this.#accumulators) accumulator.clear();
  }

  /** The session of a key for an event at `time`; starts one if there is none. */
  #session(group: number, isNew: boolean, time: number): number {
    const gapMs = this.#gapMs;
    let after = -1;
    let row = isNew ? -1 : this.#latest[group]!;
    for (; row >= 0 && time <= this.#ends[row]! + gapMs; after = row, row = this.#before[row]!) {
      if (time < this.#starts[row]! - gapMs) continue;
      if (time > this.#ends[row]!) this.#ends[row] = time;
      if (time < this.#starts[row]!) {
        this.#starts[row] = time;
        const before = this.#before[row]!;
        if (before >= 0 && time - this.#ends[before]! <= gapMs) this.#join(row, before);
      }
      return row;
    }
    return this.#begin(group, time, row, after);
  }

  /** Starts a session between two others of its key, which may be missing (-1). */
  #begin(group: number, time: number, before: number, after: number): number {
    const row = this.#count++;
    if (row === this.#starts.length) this.#grow();
    if (group >= this.#latest.length) this.#latest = grown(this.#latest, FIRST_SESSIONS);
    this.#starts[row] = time;
    this.#ends[row] = time;
    this.#groupOf[row] = group;
    this.#before[row] = before;
    if (after < 0) this.#latest[group] = row;
    else this.#before[after] = row;
    return row;
  }

  /** Merges the session before `row` into `row`. */
  #join(row: number, before: number): void {
    this.#starts[row] = this.#starts[before]!;
    this.#before[row] = this.#before[before]!;
    this.#mergedInto.set(before, row);
  }

  #grow(): void {
    this.#starts = grown(this.#starts, FIRST_SESSIONS);
    this.#ends = grown(this.#ends, FIRST_SESSIONS);
    this.#groupOf = grown(this.#groupOf, FIRST_SESSIONS);
    this.#before = grown(this.#before, FIRST_SESSIONS);
  }
}

/** Converts rows to the columns of a delta. */
export function deltaOf(view: View, rows: readonly Row[]): Delta {
  return {
    view,
    count: rows.length,
    start: Float64Array.from(rows, (row) => row.start),
    end: Float64Array.from(rows, (row) => row.end),
    keys: view.by.map((_, k) => rows.map((row) => row.key[k]!)),
    values: Object.keys(view.measures).map((_, m) => rows.map((row) => row.values[m])),
  };
}

/** Row `r` of a delta. */
export function rowOf(delta: Delta, r: number): Row {
  return {
    start: delta.start[r]!,
    end: delta.end[r]!,
    key: delta.keys.map((column) => column.at(r) as string | null),
    values: delta.values.map((column) => column.at(r)),
  };
}

/** The rows of a delta. */
export function rowsOf(delta: Delta): Row[] {
  return Array.from({ length: delta.count }, (_, r) => rowOf(delta, r));
}

/** The values of two rows of the same view, merged measure by measure. */
export function mergeValues(view: View, a: readonly unknown[], b: readonly unknown[]): unknown[] {
  return Object.values(view.measures).map((measure, m) => measure.merge(a[m], b[m]));
}

/** Sessions of one key, merged if they are at most a gap apart; sorted by time. */
export function mergeSessions(view: View, sessions: readonly Row[]): Row[] {
  const gapMs = view.window.kind === "session" ? view.window.gapMs : 0;
  const merged: Row[] = [];
  for (const next of [...sessions].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || next.start - last.end > gapMs) merged.push(next);
    else {
      const end = Math.max(last.end, next.end);
      merged[merged.length - 1] = { ...last, end, values: mergeValues(view, last.values, next.values) };
    }
  }
  return merged;
}
