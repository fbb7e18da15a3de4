/**
 * All planted faults, and how many seeds it takes to find one.
 * @module
 */
import { type Fault, FAULTS } from "./faults.ts";
import { VIEW_FAULTS } from "./faulty_views.ts";
import { WORLD_FAULTS } from "./faulty_worlds.ts";
import { simulate } from "./simulation.ts";
import { variantOf } from "./variant.ts";

/** Each of them must be found. */
export const PLANTED: readonly Fault[] = [...FAULTS, ...WORLD_FAULTS, ...VIEW_FAULTS];

/** What it takes to find a fault. */
export interface Found {
  /** The first seed that fails as the fault does; null if none of them did. */
  readonly seed: number | null;
  /** What earlier seeds failed with that does not look like it, at most three. */
  readonly others: readonly string[];
}

/** Simulates seeds with a fault until one shows it. */
export async function seedThatFinds({ breaks, parts, from = 0 }: Fault, most: number): Promise<Found> {
  const others: string[] = [];
  for (let seed = from; seed < from + most; seed++) {
    const { failure } = await simulate(variantOf(seed), parts());
    if (failure === null) continue;
    if (breaks.test(failure)) return { seed, others };
    if (others.length < 3) others.push(`seed ${seed}: ${failure}`);
  }
  return { seed: null, others };
}
