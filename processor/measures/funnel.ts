/**
 * How far a session got through three steps that must follow each other in event time, at the same time or later, from
 * no more than what a later event could still change.
 * @module
 */

/**
 * Times of the three steps, thinned out: `first` is the earliest time of step 1, `last` the latest of step 3, `middle`
 * those of step 2 that could yet complete a chain. Never changes once made.
 *
 * Why thinning loses nothing: the earliest step 1 only moves back and the latest step 3 only forward. Of the step 2
 * times that are not before `first`, the earliest is the easiest to follow with a step 3; of those that are not after
 * `last`, the latest is the easiest to precede with a step 1; only those strictly between `last` and `first` wait for
 * both, and all are kept.
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

  /** Of events of the three steps: the earliest first, all the second, the latest third; infinite where there is none. */
  static from(first: number, middle: readonly number[], last: number): Funnel {
    return new Funnel(first, middle, last, false);
  }

  /** The funnel back from its step and `bytes`. */
  static of(step: number, bytes: Uint8Array | null): Funnel {
    if (bytes === null) return step === 3 ? COMPLETE : EMPTY_FUNNEL;
    const times = new Float64Array(new Uint8Array(bytes).buffer);
    return new Funnel(times[0]!, Array.from(times.subarray(2)), times[1]!, false);
  }

  /** What a later event could still change, for `Funnel.of`; null where nothing could, or nothing has happened. */
  get bytes(): Uint8Array | null {
    if (this.step === 3 || (this.#first === Infinity && this.#last === -Infinity && this.#middle.length === 0)) {
      return null;
    }
    return new Uint8Array(new Float64Array([this.#first, this.#last, ...this.#middle]).buffer);
  }

  /** Both sets of events together. */
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

/** Times of step 2, sorted, without those that can't matter any more; no chain is complete yet. */
function thinned(first: number, middle: readonly number[], last: number): number[] {
  const times = [...new Set(middle)].sort((a, b) => a - b);
  const notAfterLast = times.filter((time) => time <= last);
  const notBeforeFirst = times.filter((time) => time > last && time >= first);
  const between = times.filter((time) => time > last && time < first);
  return [...notAfterLast.slice(-1), ...between, ...notBeforeFirst.slice(0, 1)];
}
