/**
 * How many of three steps a session reached. The steps must follow each other in event time, at the same time or later.
 * It keeps only what a later event could still change.
 * @module
 */
import { Arena } from "../columns/arena.ts";
import { Bytes, type Cells } from "../columns/cells.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { NONE } from "../columns/strings.ts";
import { CodeTable, type Measure } from "./measure.ts";

/** Steps of a complete chain. */
const ALL_STEPS = 3;
/** Size of a time in bytes. */
const TIME_BYTES = 8;

/**
 * Times of the three steps, in memory that is used again. A state is its bytes: the earliest time of step 1, the latest
 * of step 3, and those of step 2; infinite if there is none.
 */
class Times {
  #times = new Float64Array(16);
  /** Number of times, step 2's and two more. */
  #count = 2;
  /** The state is its first `length` bytes; valid until a time is added. */
  view: DataView<ArrayBuffer> = new DataView(this.#times.buffer);

  /** Size of the state in bytes. */
  get length(): number {
    return this.#count * TIME_BYTES;
  }

  /** Starts with these times of steps 1 and 3. */
  start(first: number = Infinity, last: number = -Infinity): this {
    this.#times[0] = first;
    this.#times[1] = last;
    this.#count = 2;
    return this;
  }

  /** Adds a time of step 2. */
  add(time: number): void {
    if (this.#count === this.#times.length) {
      this.#times = grown(this.#times);
      this.view = new DataView(this.#times.buffer);
    }
    this.#times[this.#count++] = time;
  }

  /** Adds a state. */
  addState(view: DataView, start: number, length: number): void {
    const times = this.#times;
    times[0] = Math.min(times[0]!, view.getFloat64(start, true));
    times[1] = Math.max(times[1]!, view.getFloat64(start + TIME_BYTES, true));
    for (let at = 2 * TIME_BYTES; at < length; at += TIME_BYTES) this.add(view.getFloat64(start + at, true));
  }

  /** Adds the state in a row of a column, if there is one. */
  addCell(cells: Cells, row: number): void {
    if (cells instanceof Bytes) {
      const { strings, codes } = cells;
      const code = codes[row]!;
      if (code !== NONE) this.addState(strings.view, strings.start(code), strings.length(code));
    } else {
      const state = (cells as readonly (Uint8Array | null)[])[row]!;
      if (state !== null) this.addState(new DataView(state.buffer, state.byteOffset), 0, state.length);
    }
  }

  /**
   * Keeps only the times that a later event could still change, each once and sorted; returns the steps reached. Once all
   * are, none is kept. Thinning loses nothing, because the earliest step 1 only moves back and the latest step 3 only
   * forward:
   * - Of the step 2 times at or after `first`, the earliest is the easiest to follow with a step 3.
   * - Of those at or before `last`, the latest is the easiest to precede with a step 1.
   * - Those strictly between `last` and `first` wait for both, so all are kept.
   */
  thin(): number {
    this.#sort();
    const times = this.#times;
    const first = times[0]!;
    const last = times[1]!;
    const count = this.#count;
    this.#count = 2;
    for (let i = 2; i < count; i++) {
      const time = times[i]!;
      if (time <= last) {
        if (time >= first) {
          this.start();
          return ALL_STEPS;
        }
        times[2] = time;
        this.#count = 3;
      } else if (time >= first) {
        times[this.#count++] = time;
        return 2;
      } else if (this.#count === 2 || times[this.#count - 1] !== time) times[this.#count++] = time;
    }
    return first < Infinity ? 1 : 0;
  }

  /** True if no time matters. */
  get isEmpty(): boolean {
    return this.#count === 2 && this.#times[0] === Infinity && this.#times[1] === -Infinity;
  }

  /** The bytes of the state, valid until the next change; null if it is empty. */
  get state(): Uint8Array | null {
    return this.isEmpty ? null : new Uint8Array(this.#times.buffer, 0, this.length);
  }

  /** Sorts the times of step 2, which nearly always are sorted. */
  #sort(): void {
    for (let i = 3; i < this.#count; i++) {
      if (this.#times[i - 1]! > this.#times[i]!) return void this.#times.subarray(2, this.#count).sort();
    }
  }
}

/** For one funnel at a time. */
const TIMES = new Times();

/** How far a session got, and what a later event could still change of it; immutable. */
export class Funnel {
  /** Steps reached: 0 to 3. */
  readonly step: number;
  /** The times that a later event could still change; null if it is complete or empty. */
  readonly bytes: Uint8Array | null;

  private constructor(step: number, bytes: Uint8Array | null) {
    this.step = step;
    this.bytes = bytes;
  }

  /**
   * From the events of the three steps: the earliest first, all second, the latest third; infinite if there is none.
   */
  static from(first: number, middle: readonly number[], last: number): Funnel {
    TIMES.start(first, last);
    for (const time of middle) TIMES.add(time);
    return Funnel.of(TIMES.thin(), TIMES.state);
  }

  /** Reads a funnel from its step and `bytes`. */
  static of(step: number, bytes: Uint8Array | null): Funnel {
    return new Funnel(step, bytes === null ? null : new Uint8Array(bytes));
  }

  /** The funnel of both sets of events. */
  merge(other: Funnel): Funnel {
    if (this.step === ALL_STEPS) return this;
    if (other.step === ALL_STEPS) return other;
    TIMES.start();
    for (const funnel of [this, other]) TIMES.addCell([funnel.bytes], 0);
    return Funnel.of(TIMES.thin(), TIMES.state);
  }
}

/** No step at all. */
export const EMPTY_FUNNEL: Funnel = Funnel.of(0, null);

/** The cells of many funnels, without an object for each. */
class FunnelCells {
  readonly times: Times = new Times();
  readonly #steps: Float64Array;
  readonly #codes: Int32Array;
  readonly #states: Arena;

  /** @param states where to keep the states */
  constructor(count: number, states: Arena) {
    this.#steps = new Float64Array(count);
    this.#codes = new Int32Array(count).fill(NONE);
    this.#states = states;
  }

  /** Sets cell `i` to the funnel of `times`. */
  set(i: number): void {
    this.#steps[i] = this.times.thin();
    if (this.times.isEmpty) return;
    this.#states.set(this.#states.count, this.times.view, 0, this.times.length);
    this.#codes[i] = this.#states.count++;
  }

  /** Sets cell `i` to a complete funnel. */
  setComplete(i: number): void {
    this.#steps[i] = ALL_STEPS;
  }

  get columns(): readonly Cells[] {
    return [this.#steps, new Bytes(this.#states, this.#codes)];
  }
}

/** Memory of the first times, as their number. */
const FIRST_TIMES = 16;

/** The times of step 2 by row, in the order in which they were added. */
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

  /** Adds the times of a row to others. */
  addTo(times: Times, row: number): void {
    for (let n = this.#firsts[row] ?? -1; n >= 0; n = this.#next[n]!) times.add(this.#times[n]!);
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

/**
 * How many steps of a chain the events reach, in event time, at the same time or later. The column `state` keeps what a
 * later event could still change.
 */
export function funnel(steps: readonly [string, string, string], state: string): Measure<Funnel> {
  return {
    kind: "funnel",
    where: { type: steps },
    steps,
    zero: EMPTY_FUNNEL,
    merge: (a, b) => a.merge(b),
    columns: (name) => [
      { name, type: "smallint", nullable: false },
      { name: state, type: "bytea", nullable: true },
    ],
    encode: (value) => [value.step, value.bytes],
    decode: ([step, bytes]) => Funnel.of(step as number, bytes as Uint8Array | null),
    mergeCells(stored, storedRows, added, addedRows) {
      const [stepsBefore, statesBefore] = stored as readonly [ArrayLike<number>, Cells];
      const [stepsAdded, statesAdded] = added.cells as readonly [ArrayLike<number>, Cells];
      const merged = new FunnelCells(storedRows.length, new Arena());
      for (let i = 0; i < storedRows.length; i++) {
        const before = storedRows[i]!;
        const row = addedRows[i]!;
        if (stepsBefore[before] === ALL_STEPS || stepsAdded[row] === ALL_STEPS) merged.setComplete(i);
        else {
          merged.times.start();
          merged.times.addCell(statesBefore, before);
          merged.times.addCell(statesAdded, row);
          merged.set(i);
        }
      }
      return merged.columns;
    },
    accumulator(words) {
      let first = NO_DOUBLES;
      let last = NO_DOUBLES;
      // Thinned once, at the end: merging each event would take quadratic time in a robot's thousands of events.
      const middle = new TimesByRow();
      const states = new Arena();
      const stepOf = new CodeTable(words.type, (type) => steps.indexOf(type));
      return {
        add(batch, rows, rowCount) {
          const stepsOf = stepOf.values();
          if (rowCount > first.length) {
            first = grown(first, rowCount, Infinity);
            last = grown(last, rowCount, -Infinity);
          }
          middle.reserve(rowCount);
          const types = batch.codes.type;
          const times = batch.time;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0) continue;
            const step = stepsOf[types[i]!]!;
            const time = times[i]!;
            if (step === 0 && time < first[row]!) first[row] = time;
            else if (step === 2 && time > last[row]!) last[row] = time;
            else if (step === 1) middle.add(row, time);
          }
        },
        merge(into, from) {
          first[into] = Math.min(first[into]!, first[from]!);
          last[into] = Math.max(last[into]!, last[from]!);
          middle.move(into, from);
        },
        value(row) {
          TIMES.start(first[row], last[row]);
          middle.addTo(TIMES, row);
          return Funnel.of(TIMES.thin(), TIMES.state);
        },
        cells(rows) {
          states.clear();
          const cells = new FunnelCells(rows.length, states);
          for (let r = 0; r < rows.length; r++) {
            const row = rows[r]!;
            cells.times.start(first[row], last[row]);
            middle.addTo(cells.times, row);
            cells.set(r);
          }
          return cells.columns;
        },
        clear() {
          first.fill(Infinity);
          last.fill(-Infinity);
          middle.clear();
        },
      };
    },
  };
}
