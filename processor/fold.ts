/**
 * Adds events up: columns times a view gives a delta. Knows nothing of Kafka, PostgreSQL or the time of day.
 * @module
 */
import { type Batch, BATCH_EVENTS, type Coded, type Dictionaries, NONE } from "./batch.ts";
import { Groups } from "./groups.ts";
import { type Accumulator, matcher } from "./measure.ts";
import { type Delta, paneMs, type Row, type View } from "./view.ts";

/** Adds batches up into the delta of one view. */
export interface Fold {
  add(batch: Batch): void;
  /** What has been added up; nothing may be added after. */
  delta(): Delta;
}

/** A fold of `view` over batches that share the dictionaries `words`. */
export function fold(view: View, words: Dictionaries): Fold {
  return view.window.kind === "session" ? new SessionFold(view, words) : new PaneFold(view, words);
}

/** Folds into panes, and puts the windows together from them at the end. */
class PaneFold implements Fold {
  readonly #view: View;
  readonly #words: Dictionaries;
  readonly #groups: Groups;
  readonly #accumulators: readonly Accumulator<unknown>[];
  readonly #matches: (batch: Batch, i: number) => boolean;
  #rows = new Int32Array(0);

  constructor(view: View, words: Dictionaries) {
    this.#view = view;
    this.#words = words;
    this.#groups = new Groups(view.by.length);
    this.#accumulators = Object.values(view.measures).map((measure) => measure.accumulator(words));
    this.#matches = matcher(view.where ?? {}, words);
  }

  add(batch: Batch): void {
    const widthMs = paneMs(this.#view.window);
    const columns = this.#view.by.map((dimension) => batch.codes[dimension]);
    if (this.#rows.length < batch.count) this.#rows = new Int32Array(batch.capacity);
    const rows = this.#rows;
    for (let i = 0; i < batch.count; i++) {
      const pane = Math.floor(batch.time[i]! / widthMs);
      rows[i] = this.#matches(batch, i) ? this.#groups.row(pane, columns, i) : -1;
    }
    for (const accumulator of this.#accumulators) accumulator.add(batch, rows);
  }

  delta(): Delta {
    const { window } = this.#view;
    const widthMs = paneMs(window);
    const panes: Row[] = [];
    for (let row = 0; row < this.#groups.count; row++) {
      const start = this.#groups.window(row) * widthMs;
      panes.push({
        start,
        end: start + widthMs,
        key: this.#view.by.map((dimension, c) => string(this.#words, dimension, this.#groups.code(row, c))),
        values: this.#accumulators.map((accumulator) => accumulator.value(row)),
      });
    }
    return deltaOf(this.#view, window.kind === "hopping" ? windowsOf(this.#view, panes, window) : panes);
  }
}

/** The overlapping windows that panes belong to. */
function windowsOf(view: View, panes: readonly Row[], window: { widthMs: number; everyMs: number }): Row[] {
  const windows = new Map<string, Row>();
  for (const pane of panes) {
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
  return [...windows.values()];
}

/** Keeps the batches, and cuts each key's events into sessions once all are there. */
class SessionFold implements Fold {
  readonly #view: View;
  readonly #words: Dictionaries;
  readonly #batches: Batch[] = [];
  readonly #rows: Int32Array[] = [];
  readonly #groups: Groups;

  constructor(view: View, words: Dictionaries) {
    this.#view = view;
    this.#words = words;
    this.#groups = new Groups(view.by.length);
  }

  add(batch: Batch): void {
    const matches = matcher(this.#view.where ?? {}, this.#words);
    const columns = this.#view.by.map((dimension) => batch.codes[dimension]);
    const rows = new Int32Array(batch.count);
    for (let i = 0; i < batch.count; i++) rows[i] = matches(batch, i) ? this.#groups.row(0, columns, i) : -1;
    this.#batches.push(batch);
    this.#rows.push(rows);
  }

  delta(): Delta {
    const { starts, ends, groups } = this.#cut();
    const accumulators = Object.values(this.#view.measures).map((measure) => measure.accumulator(this.#words));
    this.#batches.forEach((batch, b) => {
      for (const accumulator of accumulators) accumulator.add(batch, this.#rows[b]!);
    });
    return {
      view: this.#view,
      count: starts.length,
      start: Float64Array.from(starts),
      end: Float64Array.from(ends),
      keys: this.#view.by.map((dimension, c) =>
        groups.map((group) => string(this.#words, dimension, this.#groups.code(group, c)))
      ),
      values: accumulators.map((accumulator) => starts.map((_, row) => accumulator.value(row))),
    };
  }

  /** Turns each event's group into the number of its session, and gives every session's interval and group. */
  #cut(): { starts: number[]; ends: number[]; groups: number[] } {
    const gapMs = this.#view.window.kind === "session" ? this.#view.window.gapMs : 0;
    const starts: number[] = [];
    const ends: number[] = [];
    const groups: number[] = [];
    let group = -1;
    for (const place of this.#byGroupAndTime()) {
      const b = Math.floor(place / BATCH_EVENTS);
      const i = place % BATCH_EVENTS;
      const rows = this.#rows[b]!;
      const time = this.#batches[b]!.time[i]!;
      const current = starts.length - 1;
      if (rows[i] !== group || time - ends[current]! > gapMs) {
        group = rows[i]!;
        groups.push(group);
        starts.push(time);
        ends.push(time);
      } else {
        ends[current] = time;
      }
      rows[i] = starts.length - 1;
    }
    return { starts, ends, groups };
  }

  /** Places of the events, group by group and in each by time; a place is `batch * BATCH_EVENTS + index`. */
  #byGroupAndTime(): Int32Array {
    const until = new Int32Array(this.#groups.count + 1);
    for (const rows of this.#rows) for (const group of rows) if (group >= 0) until[group + 1]!++;
    for (let group = 0; group < this.#groups.count; group++) until[group + 1]! += until[group]!;
    const places = new Int32Array(until[this.#groups.count]!);
    const at = until.slice();
    this.#rows.forEach((rows, b) => {
      for (let i = 0; i < rows.length; i++) {
        const group = rows[i]!;
        if (group >= 0) places[at[group]!++] = b * BATCH_EVENTS + i;
      }
    });
    const time = (place: number) => this.#batches[Math.floor(place / BATCH_EVENTS)]!.time[place % BATCH_EVENTS]!;
    for (let group = 0; group < this.#groups.count; group++) sortBy(places, until[group]!, until[group + 1]!, time);
    return places;
  }
}

/** Sorts `places[from, until)`; nearly always there is nothing to do, since a user's events come in order. */
function sortBy(places: Int32Array, from: number, until: number, time: (place: number) => number): void {
  for (let i = from + 1; i < until; i++) {
    if (time(places[i - 1]!) <= time(places[i]!)) continue;
    places.subarray(from, until).sort((a, b) => time(a) - time(b));
    return;
  }
}

function string(words: Dictionaries, column: Coded, code: number): string | null {
  return code === NONE ? null : words[column].strings[code]!;
}

/** Rows as the columns of a delta. */
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
    key: delta.keys.map((column) => column[r]!),
    values: delta.values.map((column) => column[r]),
  };
}

/** The values of two rows of the same view, merged measure by measure. */
export function mergeValues(view: View, a: readonly unknown[], b: readonly unknown[]): unknown[] {
  return Object.values(view.measures).map((measure, m) => measure.merge(a[m], b[m]));
}

/** Sessions of one key, with those merged that lie no more than a gap apart; sorted by time. */
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
