/**
 * How many steps of a chain a session reached. The steps must follow each other in event time, at the same time or later.
 * It keeps only what a later event could still change.
 * @module
 */
import { Arena } from "../columns/arena.ts";
import { type Batch, type Dictionaries, DIMENSIONS } from "../columns/batch.ts";
import { Bytes, type Cells } from "../columns/cells.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { NONE } from "../columns/strings.ts";
import { Times } from "./funnel_times.ts";
import { CodeTable, type Filter, matches, type Measure } from "./measure.ts";

/** Fewest and most steps of a funnel: a byte has a bit for each. */
export const FUNNEL_STEPS = { least: 2, most: 8 } as const;

/** How far a session got, and what a later event could still change of it; immutable. */
export interface Funnel {
  /** Steps reached. */
  readonly step: number;
  /** The times that a later event could still change; null if it is complete or empty. */
  readonly bytes: Uint8Array | null;
}

/** No step at all. */
export const EMPTY_FUNNEL: Funnel = { step: 0, bytes: null };

/** A funnel with bytes of its own. */
function funnelOf(step: number, bytes: Uint8Array | null): Funnel {
  return { step, bytes: bytes === null ? null : new Uint8Array(bytes) };
}

/** The cells of many funnels, without an object for each. */
class FunnelCells {
  readonly times: Times;
  readonly #steps: Float64Array;
  readonly #codes: Int32Array;
  readonly #states: Arena;

  /** @param states where to keep the states */
  constructor(times: Times, count: number, states: Arena) {
    this.times = times;
    this.#steps = new Float64Array(count);
    this.#codes = new Int32Array(count).fill(NONE);
    this.#states = states;
  }

  /** Sets cell `i` to the funnel of `times`. */
  set(i: number): void {
    this.#steps[i] = this.times.thin();
    if (this.times.length === 0) return;
    this.#states.set(this.#states.count, this.times.view, 0, this.times.length);
    this.#codes[i] = this.#states.count++;
  }

  /** Sets cell `i` to a complete funnel. */
  setComplete(i: number): void {
    this.#steps[i] = this.times.steps;
  }

  get columns(): readonly Cells[] {
    return [this.#steps, new Bytes(this.#states, this.#codes)];
  }
}

/** Memory of the first times, as their number. */
const FIRST_TIMES = 16;

/** The times of one step by row, in the order in which they were added. */
class TimesByRow {
  #count = 0;
  #times = NO_DOUBLES;
  /** Index of the next time of the same row, or -1. */
  #next = NO_INTEGERS;
  /** Index of the first and of the last time of each row; -1 if there is none. */
  #firsts = NO_INTEGERS;
  #lasts = NO_INTEGERS;

  /** Makes room for rows below `count`. */
  reserve(count: number): void {
    if (count <= this.#firsts.length) return;
    this.#firsts = grown(this.#firsts, count, -1);
    this.#lasts = grown(this.#lasts, count, -1);
  }

  add(row: number, time: number): void {
    const n = this.#count++;
    if (n === this.#times.length) {
      this.#times = grown(this.#times, FIRST_TIMES);
      this.#next = grown(this.#next, FIRST_TIMES);
    }
    this.#times[n] = time;
    this.#next[n] = -1;
    this.#append(row, n, n);
  }

  /** Moves the times of row `from` to the end of row `into`; `from` must not be used afterwards. */
  move(into: number, from: number): void {
    const first = this.#firsts[from]!;
    if (first >= 0) this.#append(into, first, this.#lasts[from]!);
  }

  /** Adds the times of a row to those of the step `between` after the first one. */
  addTo(times: Times, between: number, row: number): void {
    for (let n = this.#firsts[row] ?? -1; n >= 0; n = this.#next[n]!) times.add(between, this.#times[n]!);
  }

  /** Removes all times, and keeps their memory. */
  clear(): void {
    this.#count = 0;
    this.#firsts.fill(-1);
  }

  #append(row: number, first: number, last: number): void {
    if (this.#firsts[row]! < 0) this.#firsts[row] = first;
    else this.#next[this.#lasts[row]!] = first;
    this.#lasts[row] = last;
  }
}

/** Tells which steps the events of a batch are: bit `s` for step `s`. The result is valid until the next call. */
function stepsOf(steps: readonly Filter[], words: Dictionaries): (batch: Batch) => Int32Array {
  const bits = (is: (step: Filter) => boolean) => steps.reduce((sum, step, s) => is(step) ? sum | 1 << s : sum, 0);
  const all = bits(() => true);
  const tests = DIMENSIONS.filter((dimension) => steps.some((step) => step[dimension] !== undefined)).map((
    dimension,
  ) => ({
    dimension,
    // Of an event without the dimension, and of one with this text.
    absent: bits((step) => step[dimension] === undefined),
    passing: new CodeTable(
      words[dimension],
      (text) => bits((step) => step[dimension]?.some((matcher) => matches(matcher, text)) ?? true),
    ),
  }));
  let found = NO_INTEGERS;
  return (batch) => {
    if (found.length < batch.count) found = new Int32Array(batch.capacity);
    found.fill(all, 0, batch.count);
    for (const { dimension, absent, passing } of tests) {
      const values = passing.values();
      const codes = batch.codes[dimension];
      for (let i = 0; i < batch.count; i++) found[i]! &= codes[i]! < 0 ? absent : values[codes[i]!]!;
    }
    return found;
  };
}

/**
 * How many steps of a chain the events reach, in event time, at the same time or later. An event that passes the filters
 * of several steps counts for each of them. The column `state` keeps what a later event could still change.
 *
 * @param steps from `FUNNEL_STEPS.least` to `FUNNEL_STEPS.most`
 */
export function funnel(steps: readonly Filter[], state: string): Measure<Funnel> {
  // For one funnel at a time.
  const times = new Times(steps.length);
  const lastStep = 1 << steps.length - 1;
  return {
    kind: "funnel",
    where: {},
    steps,
    zero: EMPTY_FUNNEL,
    merge(a, b) {
      if (a.step === steps.length) return a;
      if (b.step === steps.length) return b;
      times.start();
      for (const funnel of [a, b]) times.addCell([funnel.bytes], 0);
      return funnelOf(times.thin(), times.state);
    },
    columns: (name) => [
      { name, type: "smallint", nullable: false },
      { name: state, type: "bytea", nullable: true },
    ],
    encode: (value) => [value.step, value.bytes],
    decode: ([step, bytes]) => funnelOf(step as number, bytes as Uint8Array | null),
    mergeCells(stored, storedRows, added, addedRows) {
      const [stepsBefore, statesBefore] = stored as readonly [ArrayLike<number>, Cells];
      const [stepsAdded, statesAdded] = added.cells as readonly [ArrayLike<number>, Cells];
      const merged = new FunnelCells(times, storedRows.length, new Arena());
      for (let i = 0; i < storedRows.length; i++) {
        const before = storedRows[i]!;
        const row = addedRows[i]!;
        if (stepsBefore[before] === steps.length || stepsAdded[row] === steps.length) merged.setComplete(i);
        else {
          times.start();
          times.addCell(statesBefore, before);
          times.addCell(statesAdded, row);
          merged.set(i);
        }
      }
      return merged.columns;
    },
    accumulator(words) {
      let first = NO_DOUBLES;
      let last = NO_DOUBLES;
      // Thinned once, at the end: merging each event would take quadratic time in a robot's thousands of events.
      const between = steps.slice(2).map(() => new TimesByRow());
      const states = new Arena();
      const stepsIn = stepsOf(steps, words);
      const gather = (row: number) => {
        times.start(first[row], last[row]);
        for (let n = 0; n < between.length; n++) between[n]!.addTo(times, n, row);
      };
      return {
        add(batch, rows, rowCount) {
          if (rowCount > first.length) {
            first = grown(first, rowCount, Infinity);
            last = grown(last, rowCount, -Infinity);
          }
          for (const list of between) list.reserve(rowCount);
          const found = stepsIn(batch);
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            const bits = found[i]!;
            if (row < 0 || bits === 0) continue;
            const time = batch.time[i]!;
            if ((bits & 1) !== 0 && time < first[row]!) first[row] = time;
            if ((bits & lastStep) !== 0 && time > last[row]!) last[row] = time;
            for (let n = 0; n < between.length; n++) if ((bits & 2 << n) !== 0) between[n]!.add(row, time);
          }
        },
        merge(into, from) {
          first[into] = Math.min(first[into]!, first[from]!);
          last[into] = Math.max(last[into]!, last[from]!);
          for (const list of between) list.move(into, from);
        },
        value(row) {
          gather(row);
          return funnelOf(times.thin(), times.state);
        },
        cells(rows) {
          states.clear();
          const cells = new FunnelCells(times, rows.length, states);
          for (let r = 0; r < rows.length; r++) {
            gather(rows[r]!);
            cells.set(r);
          }
          return cells.columns;
        },
        clear() {
          first.fill(Infinity);
          last.fill(-Infinity);
          for (const list of between) list.clear();
        },
      };
    },
  };
}
