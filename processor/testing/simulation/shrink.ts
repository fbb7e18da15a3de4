/**
 * Makes a failing simulation smaller, until what is left is needed for the failure.
 * @module
 */
import type { Outcome } from "./simulation.ts";
import type { Variant } from "./variant.ts";

/** A failing variant and what came of it. */
export interface Failing {
  readonly variant: Variant;
  readonly outcome: Outcome;
}

/** A failure without its numbers and rows: two of a kind have most likely one cause. */
export function kindOfFailure(failure: string): string {
  return failure.split(/[:;]/)[0]!.replaceAll(/-?\d+|null/g, "N");
}

/**
 * The smallest failing variant that is found in time: with fewer mishaps, records and instances, and with calm as early
 * as possible.
 *
 * @param run runs a variant
 * @param isOver whether the time is up
 */
export async function shrink(
  failing: Failing,
  run: (variant: Variant) => Promise<Outcome>,
  isOver: () => boolean,
): Promise<Failing> {
  const kind = kindOfFailure(failing.outcome.failure ?? "");
  let best: Failing = { ...failing, variant: { ...failing.variant, only: failing.outcome.happened } };
  /** Whether a change of the best variant fails as well; it is then the best. */
  const fails = async (change: Partial<Variant>): Promise<boolean> => {
    if (isOver()) return false;
    const variant = { ...best.variant, ...change };
    const outcome = await run(variant);
    if (outcome.failure === null || kindOfFailure(outcome.failure) !== kind) return false;
    const left = new Set(outcome.happened);
    best = { variant: { ...variant, only: variant.only?.filter((id) => left.has(id)) ?? null }, outcome };
    return true;
  };
  for (let before = ""; before !== sizeOf(best) && !isOver();) {
    before = sizeOf(best);
    for (let instances = 1; instances < Math.min(3, best.variant.instances); instances++) {
      if (await fails({ instances })) break;
    }
    await halve(Math.min(best.variant.calmAfter, best.outcome.turns), (calmAfter) => fails({ calmAfter }));
    await withFewer(() => best.variant.only ?? [], (only) => fails({ only }));
    await halve(Math.min(best.variant.events, 100), (events) => fails({ events }));
  }
  return best;
}

/** Looks for the smallest number that still works, by halves; what works for a number need not work for a larger one. */
async function halve(most: number, works: (number: number) => Promise<boolean>): Promise<void> {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await works(middle)) high = middle;
    else low = middle + 1;
  }
}

/** Leaves out more and more of a list: first halves, at last single items. */
async function withFewer(
  items: () => readonly string[],
  works: (fewer: readonly string[]) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.ceil(items().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items().length;) {
      const all = items();
      if (!await works([...all.slice(0, at), ...all.slice(at + size)])) at += size;
    }
  }
}

function sizeOf({ variant: { events, instances, calmAfter, only } }: Failing): string {
  return [events, instances, calmAfter, only?.length].join(" ");
}
