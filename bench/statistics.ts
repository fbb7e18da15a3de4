/**
 * Statistics of repeated runs: medians and spreads, and the cost of a drain apart from that of the start.
 * @module
 */

/** Median and range of a figure over the runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median and range; null without numbers. */
export function spreadOf(numbers: readonly number[]): Spread | null {
  if (numbers.length === 0) return null;
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** A number of events and the CPU seconds that they cost, the start included. */
export interface Cost {
  readonly events: number;
  readonly seconds: number;
}

/** A cost split into what each event costs, in CPU µs, and what is paid once, in CPU seconds. */
export interface SplitCost {
  readonly marginalUs: number;
  readonly wholeUs: number;
  readonly startSeconds: number;
}

/**
 * Splits the cost of a drain with the help of another drain of fewer events: what both pay cancels out.
 *
 * @throws {Error} if the small drain has no fewer events
 */
export function split(small: Cost, full: Cost): SplitCost {
  if (!(small.events < full.events)) throw new Error(`${small.events} events are not fewer than ${full.events}`);
  const marginal = (full.seconds - small.seconds) / (full.events - small.events);
  return {
    marginalUs: marginal * 1e6,
    wholeUs: full.seconds / full.events * 1e6,
    startSeconds: small.seconds - small.events * marginal,
  };
}
