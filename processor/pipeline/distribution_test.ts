import assert from "node:assert/strict";
import fc from "fast-check";
import { addUp, countOf, distribution, observe, Times } from "./distribution.ts";

const BOUNDS = [0, 0.25, 1, 60];

Deno.test("a bucket includes values equal to its bound", () => {
  const into = distribution(BOUNDS);
  for (const value of [0, 0.25, 0.26, 1, 1, 61]) observe(into, value);
  assert.deepEqual(into.counts, [1, 1, 3, 0, 1]);
  assert.equal(countOf(into), 6);
});

Deno.test("times counted in columns give the same distribution as times counted one by one", () => {
  const time = fc.integer({ min: 0, max: 3 }).map((n) => n * 30_000);
  fc.assert(
    fc.property(fc.array(fc.array(time, { maxLength: 20 })), fc.integer({ min: 0, max: 90_000 }), (columns, now) => {
      const held = new Times();
      // The array of a column may be longer than its events.
      for (const column of columns) held.take(Float64Array.from([...column, 30_000]), column.length);
      const alone = distribution(BOUNDS);
      for (const time of columns.flat()) observe(alone, Math.max(0, now - time) / 1000);
      const together = held.secondsBefore(now, BOUNDS);
      assert.deepEqual(together.counts, alone.counts);
      assert.ok(Math.abs(together.sum - alone.sum) < 1e-6);
    }),
  );
});

Deno.test("large columns are sampled, but every time is counted", () => {
  const held = new Times();
  held.take(Float64Array.from({ length: 8191 }, (_, i) => i < 4096 ? 0 : 60_000), 8191);
  const seconds = held.secondsBefore(60_000, BOUNDS);
  assert.deepEqual(seconds.counts, [4095, 0, 0, 4096, 0]);
});

Deno.test("distributions add up", () => {
  const [one, other] = [distribution(BOUNDS), distribution(BOUNDS)];
  observe(one, 0.5, 2);
  observe(other, 0.5);
  observe(other, 100);
  addUp(one, structuredClone(other));
  assert.deepEqual([one.counts, one.sum], [[0, 0, 3, 0, 1], 101.5]);
});
