import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EMPTY_FUNNEL, Funnel } from "./funnel.ts";
import { Random } from "../../generator/random.ts";

/** An event of step 0, 1 or 2 at a time. */
type Step = readonly [step: number, time: number];

function folded(events: readonly Step[]): Funnel {
  const times = (of: number) => events.filter(([step]) => step === of).map(([, time]) => time);
  return Funnel.from(Math.min(...times(0)), times(1), Math.max(...times(2)));
}

/** The contract, literally: step k is reached if a chain of k such events exists. */
function stepLiterally(events: readonly Step[]): number {
  const chains = (step: number, after: number): number =>
    Math.max(
      step,
      ...events.filter(([of, time]) => of === step && time >= after).map(([, time]) => chains(step + 1, time)),
    );
  return chains(0, -Infinity);
}

function stored(funnel: Funnel): string {
  return `${funnel.step} ${funnel.bytes === null ? "-" : Buffer.from(funnel.bytes).toString("hex")}`;
}

const TABLE: readonly (readonly [string, readonly Step[], number])[] = [
  ["nothing", [], 0],
  ["a view", [[0, 5]], 1],
  ["a cart without a view", [[1, 5]], 0],
  ["a purchase alone", [[2, 5]], 0],
  ["a cart before the view", [[1, 4], [0, 5]], 1],
  ["a view and a cart at once", [[1, 5], [0, 5]], 2],
  ["all at once", [[2, 5], [1, 5], [0, 5]], 3],
  ["a purchase before the cart", [[0, 1], [2, 2], [1, 3]], 2],
  ["a purchase without a cart", [[0, 1], [2, 2]], 1],
  ["carts on both sides, none between", [[1, 1], [0, 2], [2, 3], [1, 4]], 2],
  ["the second try", [[0, 1], [2, 2], [1, 3], [2, 4]], 3],
  ["times before the epoch's first second", [[0, 0], [1, 0], [2, 1]], 3],
];

for (const [name, events, step] of TABLE) {
  Deno.test(`funnel: ${name}`, () => {
    assert.equal(folded(events).step, step);
    assert.equal(stepLiterally(events), step);
  });
}

Deno.test("a funnel reaches as far as the longest chain, in whatever parts and order its events were merged", () => {
  const reached = [0, 0, 0, 0];
  for (let seed = 0; seed < 6000; seed++) {
    const random = new Random(seed);
    const steps = random.pick([[0, 1, 2], [0, 1, 2], [1, 2], [0, 1, 1, 1], [1, 1, 1, 2]]);
    const span = random.pick([3, 8, 40]);
    const events = Array.from({ length: random.below(12) }, (): Step => [random.pick(steps), random.below(span)]);
    const parts = random.shuffled(events).reduce<Step[][]>((all, event) => {
      if (all.length === 0 || random.chance(0.4)) all.push([event]);
      else random.pick(all).push(event);
      return all;
    }, []);
    const merged = parts.map(folded).reduce((a, b) => {
      const stored = random.chance(0.5) ? Funnel.of(a.step, a.bytes) : a;
      return random.chance(0.5) ? stored.merge(b) : b.merge(stored);
    }, EMPTY_FUNNEL);
    assert.equal(merged.step, stepLiterally(events), `seed ${seed}`);
    assert.equal(stored(merged), stored(folded(events)), `seed ${seed}: the same to the byte`);
    assert.equal(stored(Funnel.of(merged.step, merged.bytes)), stored(merged), `seed ${seed}: stored and read`);
    reached[merged.step]!++;
  }
  assert.ok(reached.every((seeds) => seeds > 300), `seeds by step: ${reached}`);
});

Deno.test("a funnel is read from bytes at any position", () => {
  const funnel = folded([[1, 7], [1, 9]]);
  const pooled = Buffer.concat([Buffer.alloc(5), funnel.bytes!]).subarray(5);
  const again = Funnel.of(funnel.step, pooled);
  pooled.fill(0);
  assert.equal(stored(again), stored(funnel));
});

Deno.test("a robot's thousands of carts are thinned once, not once each", () => {
  const carts = Array.from({ length: 200_000 }, (_, n): Step => [1, n]);
  const waiting = folded(carts);
  assert.equal(waiting.step, 0);
  assert.equal(waiting.merge(folded([[0, 0]])).bytes!.length, 8 * (2 + 1), "one cart is enough to wait for a purchase");
  assert.equal(waiting.merge(folded([[0, 150_000], [2, 160_000]])).step, 3);
});
