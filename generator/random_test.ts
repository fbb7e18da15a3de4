import assert from "node:assert/strict";
import fc from "fast-check";
import { Random, scramble, WeightedChoice } from "./random.ts";

Deno.test("scrambling maps different 32-bit numbers to different numbers", () => {
  // Each step can be inverted, so the whole can.
  const undone = (x: number) => {
    x = Math.imul(x ^ (x >>> 16), 0x7ed1b41d);
    x = Math.imul(x ^ (x >>> 13) ^ (x >>> 26), 0xa5cb9243);
    return (x ^ (x >>> 16)) >>> 0;
  };
  fc.assert(fc.property(fc.nat({ max: 2 ** 32 - 1 }), (x) => assert.equal(undone(scramble(x)), x)));
});

Deno.test("equal seeds give equal streams, and other seeds give others", () => {
  const start = (...seeds: number[]) => {
    const random = new Random(...seeds);
    return Array.from({ length: 4 }, () => random.next()).join();
  };
  assert.equal(start(1, 2), start(1, 2));
  const seeds = [[1, 2], [2, 1], [1], [1, 2, 0], [1 + 2 ** 32, 2], [-1, 2], [2 ** 53 - 1]];
  assert.equal(new Set(seeds.map((each) => start(...each))).size, seeds.length);
});

Deno.test("draws follow their distributions", () => {
  const random = new Random(3);
  const draws = <T>(draw: () => T) => Array.from({ length: 40_000 }, draw);
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const near = (value: number, wanted: number) =>
    assert.ok(Math.abs(value / wanted - 1) < 0.05, `${value}, not ${wanted}`);
  near(mean(draws(() => random.next())), 0.5);
  near(mean(draws(() => random.exponential(7))), 7);
  near(draws(() => random.logNormal(20, 0.9)).sort((a, b) => a - b)[20_000]!, 20);
  near(mean(draws(() => Math.log10(random.logUniform(10, 1000)))), 2);
  near(mean(draws(() => random.chance(0.2) ? 1 : 0)), 0.2);
  const counts = new Map<number, number>();
  for (const n of draws(() => random.below(8))) counts.set(n, (counts.get(n) ?? 0) + 1);
  assert.deepEqual([...counts.keys()].sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("a weighted choice draws by weight, and never an item of weight 0", () => {
  const choice = new WeightedChoice([["never", 0], ["a", 1], ["b", 3], ["neither", 0]]);
  assert.deepEqual([0, 0.2499, 0.25, 0.5, 0.999999].map((unit) => choice.at(unit)), ["a", "a", "b", "b", "b"]);
});
