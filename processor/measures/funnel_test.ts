import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EMPTY_FUNNEL, type Funnel, funnel } from "./funnel.ts";
import { Times } from "./funnel_times.ts";
import { Random } from "../../generator/random.ts";

/** An event of a step, from 0, at a time. */
type Step = readonly [step: number, time: number];

/** The measure of so many steps; which events they are does not matter here. */
function measureOf(steps: number) {
  return funnel(Array.from({ length: steps }, () => ({})), "state");
}

function folded(events: readonly Step[], steps = 3): Funnel {
  const times = new Times(steps);
  const of = (step: number) => events.filter(([is]) => is === step).map(([, time]) => time);
  times.start(Math.min(...of(0)), Math.max(...of(steps - 1)));
  for (const [step, time] of events) if (step > 0 && step < steps - 1) times.add(step - 1, time);
  const step = times.thin();
  return measureOf(steps).decode([step, times.state]);
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

Deno.test("a funnel keeps the times that a later event could change, as earlier versions stored them", () => {
  const numbers = (events: readonly Step[], steps: number) => {
    const { bytes } = folded(events, steps);
    return bytes === null ? null : [...new Float64Array(bytes.buffer)];
  };
  assert.deepEqual(numbers([[1, 4], [1, 2], [1, 4]], 3), [Infinity, -Infinity, 2, 4]);
  assert.deepEqual(numbers([[0, 3], [1, 4], [1, 2], [1, 5]], 3), [3, -Infinity, 2, 4]);
  assert.deepEqual(numbers([[0, 3], [1, 3], [2, 3]], 3), null);
  assert.deepEqual(numbers([[0, 3], [0, 2], [1, 1]], 2), [2, 1]);
  // How many times each step has but for the last of them, and the times.
  assert.deepEqual(numbers([[1, 5], [3, 9], [1, 6], [4, 7], [3, 8]], 5), [Infinity, 7, 2, 0, 5, 6, 8, 9]);
  assert.deepEqual(numbers([[0, 1], [1, 5], [3, 9], [1, 6], [4, 7], [3, 6]], 5), [1, 7, 1, 0, 5, 6, 9]);
});

Deno.test("a funnel reaches as far as the longest chain, in whatever parts and order its events were merged", () => {
  for (const steps of [2, 3, 4, 5, 8]) {
    const reached = Array.from({ length: steps + 1 }, () => 0);
    const { merge, decode, encode } = measureOf(steps);
    const again = (funnel: Funnel) => decode(encode(funnel));
    for (let seed = 0; seed < 3000; seed++) {
      const random = new Random(seed);
      const all = Array.from({ length: steps }, (_, step) => step);
      const some = random.pick([all, all, all.slice(1), all.slice(0, -1), [...all, 1, 1, 1], all.toReversed()]);
      const span = random.pick([3, 8, 40]);
      const isForward = random.chance(0.3);
      const events = Array.from({ length: random.below(4 * steps) }, (_, n): Step => {
        const step = random.pick(some);
        return [step, isForward ? n : random.below(span)];
      });
      if (isForward && random.chance(0.5)) { for (const step of all) events.push([step, 100 + step]); }
      const parts = random.shuffled(events).reduce<Step[][]>((all, event) => {
        if (all.length === 0 || random.chance(0.4)) all.push([event]);
        else random.pick(all).push(event);
        return all;
      }, []);
      const merged = parts.map((part) => folded(part, steps)).reduce((a, b) => {
        const first = random.chance(0.5) ? again(a) : a;
        return random.chance(0.5) ? merge(first, b) : merge(b, first);
      }, EMPTY_FUNNEL);
      assert.equal(merged.step, stepLiterally(events), `${steps} steps, seed ${seed}`);
      assert.equal(stored(merged), stored(folded(events, steps)), `${steps} steps, seed ${seed}: the same to the byte`);
      assert.equal(stored(again(merged)), stored(merged), `${steps} steps, seed ${seed}: stored and read`);
      reached[merged.step]!++;
    }
    assert.ok(reached.every((seeds) => seeds > 20), `${steps} steps, seeds by step: ${reached}`);
  }
});

Deno.test("a funnel is read from bytes at any position", () => {
  const funnel = folded([[1, 7], [1, 9]]);
  const pooled = Buffer.concat([Buffer.alloc(5), funnel.bytes!]).subarray(5);
  const again = measureOf(3).decode([funnel.step, pooled]);
  pooled.fill(0);
  assert.equal(stored(again), stored(funnel));
});

Deno.test("a robot's thousands of carts are thinned once, not once each", () => {
  const { merge } = measureOf(3);
  const carts = Array.from({ length: 200_000 }, (_, n): Step => [1, n]);
  const waiting = folded(carts);
  assert.equal(waiting.step, 0);
  assert.equal(
    merge(waiting, folded([[0, 0]])).bytes!.length,
    8 * (2 + 1),
    "one cart is enough to wait for a purchase",
  );
  assert.equal(merge(waiting, folded([[0, 150_000], [2, 160_000]])).step, 3);
});
