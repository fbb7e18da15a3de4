/**
 * Distributions as counts between bounds: they add up, and can be sent from one thread to another.
 * @module
 */

/** How many values there were up to each bound, without those up to the bound before; the last are those beyond all. */
export interface Distribution {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum: number;
}

/** A distribution of nothing; bounds are ascending. */
export function distribution(bounds: readonly number[]): Distribution {
  return { bounds, counts: new Array<number>(bounds.length + 1).fill(0), sum: 0 };
}

/** Adds a value that came so many times. */
export function observe(into: Distribution, value: number, times = 1): void {
  const { bounds, counts } = into;
  let at = 0;
  while (at < bounds.length && value > bounds[at]!) at++;
  counts[at]! += times;
  into.sum += value * times;
}

/** Adds another distribution of the same bounds. */
export function addUp(into: Distribution, { counts, sum }: Distribution): void {
  counts.forEach((count, at) => into.counts[at]! += count);
  into.sum += sum;
}

/** How many values there were. */
export function countOf({ counts }: Distribution): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Most times that are held of a column; each stands for its neighbours, if there are more. */
const SAMPLES = 64;

/**
 * Times of events, in milliseconds, held until it is known when they were committed. Of many that come together only
 * some are looked at, evenly spread, so that being watched costs a busy shop nothing.
 */
export class Times {
  readonly #times: number[] = [];
  readonly #counts: number[] = [];

  /** Takes in the first `count` times of a column. */
  take(column: Float64Array, count: number): void {
    const stride = Math.ceil(count / SAMPLES);
    for (let i = 0; i < count; i += stride) {
      this.#times.push(column[i]!);
      this.#counts.push(Math.min(stride, count - i));
    }
  }

  /** How long before `now` they were, in seconds; what lies ahead of it counts as 0. */
  secondsBefore(now: number, bounds: readonly number[]): Distribution {
    const seconds = distribution(bounds);
    this.#times.forEach((time, i) => observe(seconds, Math.max(0, now - time) / 1000, this.#counts[i]));
    return seconds;
  }
}
