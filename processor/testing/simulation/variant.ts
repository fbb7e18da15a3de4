/**
 * A simulation as a few values, so that it can be repeated, printed as a command and made smaller.
 * @module
 */

/** What to simulate. The same variant gives the same run. */
export interface Variant {
  readonly seed: number;
  /** Most records that are sent. */
  readonly events: number;
  /** Most instances at a time. */
  readonly instances: number;
  /** Number of the turn after which nothing happens to the processors any more. */
  readonly calmAfter: number;
  /** The mishaps that may happen, as `kind#number of the draw`; null for all. */
  readonly only: readonly string[] | null;
}

/** The whole simulation of a seed. */
export function variantOf(seed: number): Variant {
  return { seed, events: Infinity, instances: Infinity, calmAfter: Infinity, only: null };
}

/** The arguments of `deno task sim` that repeat exactly this variant. */
export function argumentsOf({ seed, events, instances, calmAfter, only }: Variant): string {
  const limits = Object.entries({ events, instances, "calm-after": calmAfter }).filter(([, most]) => most < Infinity);
  const limited = limits.map(([name, most]) => ` --${name} ${most}`).join("");
  return `--seed ${seed}${limited}${only === null ? "" : ` --only '${only.join(",")}'`}`;
}
