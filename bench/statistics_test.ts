import assert from "node:assert/strict";
import { split, spreadOf } from "./statistics.ts";

Deno.test("a spread has the median and the range", () => {
  const cases: readonly (readonly [numbers: readonly number[], median: number, min: number, max: number])[] = [
    [[5], 5, 5, 5],
    [[10, 9, 2], 9, 2, 10],
    [[4, 1, 3, 2], 2.5, 1, 4],
    [[100, 20, 3], 20, 3, 100],
  ];
  for (const [numbers, median, min, max] of cases) {
    assert.deepEqual(spreadOf(numbers), { median, min, max }, numbers.join());
  }
  assert.equal(spreadOf([]), null);
});

Deno.test("what both drains pay once is not in the marginal cost", () => {
  // 0.5 s once, and 2 µs for each event.
  const costOf = (events: number) => ({ events, seconds: 0.5 + events * 2e-6 });
  const { marginalUs, wholeUs, startSeconds } = split(costOf(100_000), costOf(1_000_000));
  assert.ok(Math.abs(marginalUs - 2) < 1e-9, String(marginalUs));
  assert.ok(Math.abs(wholeUs - 2.5) < 1e-9, String(wholeUs));
  assert.ok(Math.abs(startSeconds - 0.5) < 1e-9, String(startSeconds));
  assert.throws(() => split(costOf(10), costOf(10)), /not fewer/);
});
