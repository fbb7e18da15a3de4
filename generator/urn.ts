/**
 * Things that are drawn by weight.
 * @module
 */

/** Things with weights; what is heavier is drawn more often. */
export class Urn<T> {
  readonly #things: readonly T[];
  /** For each thing, the sum of its weight and of all before. */
  readonly #sums: Float64Array;

  /** @param entries things and their weights, of which at least one is above 0 */
  constructor(entries: Iterable<readonly [T, number]>) {
    const all = [...entries].filter(([, weight]) => weight > 0);
    this.#things = all.map(([thing]) => thing);
    let sum = 0;
    this.#sums = Float64Array.from(all, ([, weight]) => sum += weight);
  }

  /** The thing at `unit`, a number from 0 to 1, 1 excluded. */
  draw(unit: number): T {
    const at = unit * this.#sums[this.#sums.length - 1]!;
    let low = 0;
    let high = this.#sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at < this.#sums[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.#things[low]!;
  }
}
