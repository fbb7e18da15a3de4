/**
 * Scales the work of heavy tests: all of it, unless `TEST_SHARE` asks for less.
 * @module
 */

const SHARE = Number(Deno.env.get("TEST_SHARE") ?? 1);
if (!(SHARE > 0 && SHARE <= 1)) throw new RangeError("TEST_SHARE must be more than 0 and at most 1");

/** Returns how often to try a property that the whole run tries `all` times; at least once. */
export function runs(all: number): number {
  return Math.ceil(all * SHARE);
}

/** Options of a slow test that cannot be scaled: it is ignored if `TEST_SHARE` is below 1. */
export const onlyInWholeRun = { ignore: SHARE < 1 };
