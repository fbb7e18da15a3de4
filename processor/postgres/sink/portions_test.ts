import assert from "node:assert/strict";
import fc from "fast-check";
import { rowsBelow } from "../../columns/cells.ts";
import { portions, PortionsBySize } from "./portions.ts";

Deno.test("portions: every row is in one, in order, whatever the sizes", () => {
  fc.assert(
    fc.property(fc.nat(30_000), fc.array(fc.nat(50_000_000), { minLength: 1 }), (count, sizes) => {
      const rows = rowsBelow(count);
      const bySize = new PortionsBySize(rows, 64);
      const found: number[] = [];
      let n = 0;
      for (const portion of bySize) {
        assert.ok(portion.length > 0 && portion.length <= 8192);
        found.push(...portion);
        // One row per portion would take long.
        bySize.noteSize(portion.length, Math.max(1, sizes[n++ % sizes.length]! % (portion.length * 5000)));
      }
      assert.deepEqual(found, [...rows]);
      assert.deepEqual([...portions(rows)].flatMap((portion) => [...portion]), [...rows]);
    }),
    { numRuns: 50 },
  );
});

Deno.test("portions: the larger the rows, the fewer are read at once", () => {
  const lengthsFor = (first: number, size: (portion: number) => readonly [found: number, bytes: number]) => {
    const bySize = new PortionsBySize(rowsBelow(40_000), first);
    const lengths: number[] = [];
    for (const portion of bySize) {
      lengths.push(portion.length);
      bySize.noteSize(...size(lengths.length));
    }
    return lengths;
  };
  assert.deepEqual(
    lengthsFor(1024, (n) => n < 3 ? [100, 1000] : [100, 204_800]).slice(0, 5),
    [1024, 8192, 8192, 1024, 1024],
  );
  // Where nothing is found, it is not known how large the next rows are.
  assert.deepEqual(
    lengthsFor(64, (n) => n < 4 ? [0, 60] : [8, 262_144]).slice(0, 6),
    [64, 128, 256, 512, 64, 64],
  );
});
