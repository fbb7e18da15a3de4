/**
 * How many of three steps a session reached. The steps must follow each other in event time, at the same time or later.
 * It keeps only what a later event could still change.
 * @module
 */
import { grown } from "../columns/grown.ts";
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

  /** What a later event could still change, for `Funnel.of`; null if it is complete or empty. */
  get bytes(): Uint8Array | null {
    if (this.step === 3 || (this.#first === Infinity && this.#last === -Infinity && this.#middle.length === 0)) {
      return null;
    }
    return new Uint8Array(new Float64Array([this.#first, this.#last, ...this.#middle]).buffer);
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
        clear() {
          first.fill(Infinity);
          last.fill(-Infinity);
          middle.clear();
        },
      };
    },
  };
}
