/**
 * Repeatable randomness: everything is a function of the seed. Tests use it too.
 * @module
 */

/** A bijection of 32-bit numbers that hides its argument (MurmurHash3's finalizer). */
export function scramble(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Hashes safe integers to 32 bits; their order and their number matter. */
export function hash(...numbers: readonly number[]): number {
  let h = 0x9e3779b9;
  for (const n of numbers) h = scramble((scramble(h ^ n) + Math.floor(n / 2 ** 32)) | 0);
  return h;
}

/** Maps a 32-bit number to [0, 1). */
export function unit(hash: number): number {
  return hash / 2 ** 32;
}

/** A random number generator (sfc32): equal seeds give equal streams. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seeds any safe integers */
  constructor(...seeds: readonly number[]) {
    this.#a = hash(...seeds, 1);
    this.#b = hash(...seeds, 2);
    this.#c = hash(...seeds, 3);
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A number in [0, 1), uniformly distributed. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** An integer in [0, `n`), uniformly distributed. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** One of the items, uniformly distributed. */
  pick<T>(things: readonly T[]): T {
    return things[this.below(things.length)]!;
  }

  /** The items in random order. */
  shuffled<T>(things: Iterable<T>): T[] {
    const all = [...things];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }

  /** Exponentially distributed waiting time with this mean. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  /**
   * Log-normal distribution: half below `median`, two thirds within a factor of e^`spread`. Fits how long people take.
   */
  logNormal(median: number, spread: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    return median * Math.exp(spread * normal);
  }

  /** Log-uniform distribution from `least` to `most`: each order of magnitude is equally likely. */
  logUniform(least: number, most: number): number {
    return least * (most / least) ** this.next();
  }
}

/** A weighted choice: the probability of an item is proportional to its weight. */
export class WeightedChoice<T> {
  readonly #things: readonly T[];
  /** Cumulative weights. */
  readonly #sums: Float64Array;

  /** @param entries items and their weights; at least one weight is above 0 */
  constructor(entries: Iterable<readonly [T, number]>) {
    const all = [...entries].filter(([, weight]) => weight > 0);
    this.#things = all.map(([thing]) => thing);
    let sum = 0;
    this.#sums = Float64Array.from(all, ([, weight]) => sum += weight);
  }

  /** The item at `unit`, a number in [0, 1). */
  at(unit: number): T {
    const sum = unit * this.#sums[this.#sums.length - 1]!;
    let low = 0;
    let high = this.#sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sum < this.#sums[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.#things[low]!;
  }

  /** A random item. */
  draw(random: Random): T {
    return this.at(random.next());
  }
}
