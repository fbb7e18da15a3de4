/**
 * How many of three steps a session reached. The steps must follow each other in event time, at the same time or later.
 * It keeps only what a later event could still change.
 * @module
 */
import { Arena } from "../columns/arena.ts";
import { Bytes, codesOf, numbersOf } from "../columns/cells.ts";
import { grown } from "../columns/grown.ts";
import { NONE } from "../columns/strings.ts";
import { CodeTable, type Measure } from "./measure.ts";

/**
 * The thinned times of three steps, immutable: `first` is the earliest time of step 1, `last` the latest of step 3, and
 * `middle` holds the times of step 2 that could still complete a chain.
 *
 * Thinning loses nothing, because the earliest step 1 only moves back and the latest step 3 only forward:
 * - Of the step 2 times at or after `first`, the earliest is the easiest to follow with a step 3.
 * - Of those at or before `last`, the latest is the easiest to precede with a step 1.
 * - Those strictly between `last` and `first` wait for both, so all are kept.
 */
export class Funnel {
  /** Steps reached: 0 to 3. */
  readonly step: number;
  readonly #first: number;
  readonly #middle: readonly number[];
  readonly #last: number;

  private constructor(first: number, middle: readonly number[], last: number, done: boolean) {
    const complete = done || middle.some((time) => time >= first && time <= last);
    const follows = complete || middle.some((time) => time >= first);
    this.step = complete ? 3 : follows ? 2 : first < Infinity ? 1 : 0;
    this.#first = complete ? Infinity : first;
    this.#middle = complete ? [] : thinned(first, middle, last);
    this.#last = complete ? -Infinity : last;
  }

  /** No step at all. */
  static empty(): Funnel {
    return new Funnel(Infinity, [], -Infinity, false);
  }

  /**
   * From the events of the three steps: the earliest first, all second, the latest third; infinite if there is none.
   */
  static from(first: number, middle: readonly number[], last: number): Funnel {
    return new Funnel(first, middle, last, false);
  }

  /** Reads a funnel from its step and `bytes`. */
  static of(step: number, bytes: Uint8Array | null): Funnel {
    if (bytes === null) return step === 3 ? COMPLETE : EMPTY_FUNNEL;
    const times = new Float64Array(new Uint8Array(bytes).buffer);
    return new Funnel(times[0]!, Array.from(times.subarray(2)), times[1]!, false);
  }

  /** The times that a later event could still change; null if it is complete or empty. */
  get state(): readonly [first: number, middle: readonly number[], last: number] | null {
    const isEmpty = this.#first === Infinity && this.#last === -Infinity && this.#middle.length === 0;
    return this.step === 3 || isEmpty ? null : [this.#first, this.#middle, this.#last];
  }

  /** `state` as bytes, for `Funnel.of`. */
  get bytes(): Uint8Array | null {
    if (this.state === null) return null;
    const [first, middle, last] = this.state;
    return new Uint8Array(new Float64Array([first, last, ...middle]).buffer);
  }

  /** The funnel of both sets of events. */
  merge(other: Funnel): Funnel {
    if (this === EMPTY_FUNNEL) return other;
    if (other === EMPTY_FUNNEL) return this;
    if (this.step === 3 || other.step === 3) return COMPLETE;
    return new Funnel(
      Math.min(this.#first, other.#first),
      [...this.#middle, ...other.#middle],
      Math.max(this.#last, other.#last),
      false,
    );
  }

  /** All three steps. */
  static complete(): Funnel {
    return new Funnel(Infinity, [], -Infinity, true);
  }
}

/** The states of many funnels, as bytes, without an object for each. */
class States {
  readonly strings = new Arena();
  #times = new Float64Array(64);

  /** Adds a state; returns its number. */
  add(first: number, middle: readonly number[], last: number): number {
    if (middle.length + 2 > this.#times.length) this.#times = new Float64Array(middle.length * 2);
    const times = this.#times;
    times[0] = first;
    times[1] = last;
    for (let i = 0; i < middle.length; i++) times[2 + i] = middle[i]!;
    const { strings } = this;
    strings.set(strings.count, new DataView(times.buffer), 0, 8 * (2 + middle.length));
    return strings.count++;
  }
}

/** No step at all. */
export const EMPTY_FUNNEL: Funnel = Funnel.empty();

const COMPLETE: Funnel = Funnel.complete();

/** Times of step 2, sorted, without those that no longer matter; no chain is complete yet. */
function thinned(first: number, middle: readonly number[], last: number): number[] {
  const times = [...new Set(middle)].sort((a, b) => a - b);
  const notAfterLast = times.filter((time) => time <= last);
  const notBeforeFirst = times.filter((time) => time > last && time >= first);
  const between = times.filter((time) => time > last && time < first);
  return [...notAfterLast.slice(-1), ...between, ...notBeforeFirst.slice(0, 1)];
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
    accumulator(words) {
      let first = new Float64Array(0);
      let last = new Float64Array(0);
      // Thinned once, at the end: merging each event would take quadratic time in a robot's thousands of events.
      const middle = new Map<number, number[]>();
      const states = new States();
      const stepOf = new CodeTable(words.type, (type) => steps.indexOf(type));
      return {
        add(batch, rows, rowCount) {
          const stepsOf = stepOf.values();
          if (rowCount > first.length) {
            first = grown(first, rowCount, Infinity);
            last = grown(last, rowCount, -Infinity);
          }
          const types = batch.codes.type;
          const times = batch.time;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0) continue;
            const step = stepsOf[types[i]!]!;
            const time = times[i]!;
            if (step === 0 && time < first[row]!) first[row] = time;
            else if (step === 2 && time > last[row]!) last[row] = time;
            else if (step === 1) {
              const before = middle.get(row);
              if (before === undefined) middle.set(row, [time]);
              else before.push(time);
            }
          }
        },
        merge(into, from) {
          first[into] = Math.min(first[into]!, first[from]!);
          last[into] = Math.max(last[into]!, last[from]!);
          const times = middle.get(from);
          if (times !== undefined) middle.set(into, [...middle.get(into) ?? [], ...times]);
        },
        value: (row) => Funnel.from(first[row] ?? Infinity, middle.get(row) ?? [], last[row] ?? -Infinity),
        cells(rows) {
          states.strings.clear();
          const reached = numbersOf(rows, (row) => first[row]! < Infinity ? 1 : 0);
          const codes = codesOf(rows, () => NONE);
          for (let r = 0; r < rows.length; r++) {
            const row = rows[r]!;
            const times = middle.get(row);
            if (times === undefined) {
              if (first[row]! < Infinity || last[row]! > -Infinity) codes[r] = states.add(first[row]!, [], last[row]!);
            } else {
              const { step, state } = Funnel.from(first[row]!, times, last[row]!);
              reached[r] = step;
              if (state !== null) codes[r] = states.add(...state);
            }
          }
          return [reached, new Bytes(states.strings, codes)];
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
