import assert from "node:assert/strict";
import fc from "fast-check";
import { rowsBelow } from "../../columns/cells.ts";
import { portions, PortionsBySize } from "./portions.ts";

Deno.test("portions: every row is in one, in order, whatever the sizes", () => {
  fc.assert(
    fc.property(fc.nat(30_000), fc.array(fc.nat(50_000_000), { minLength: 1 }), (count, sizes) => {
      const rows = rowsBelow(count);
      const bySize = new PortionsBySize(rows);
      const found: number[] = [];
      let n = 0;
      for (const portion of bySize) {
        assert.ok(portion.length > 0 && portion.length <= 8192);
        found.push(...portion);
        // One row per portion would take long.
        bySize.noteSize(Math.max(1, sizes[n++ % sizes.length]! % (portion.length * 5000)));
      }
      assert.deepEqual(found, [...rows]);
      assert.deepEqual([...portions(rows)].flatMap((portion) => [...portion]), [...rows]);
    }),
    { numRuns: 50 },
  );
});

Deno.test("portions: the larger the rows, the fewer are read at once", () => {
  const bySize = new PortionsBySize(rowsBelow(40_000));
  const lengths: number[] = [];
  for (const portion of bySize) {
    lengths.push(portion.length);
    bySize.noteSize(portion.length * (lengths.length < 3 ? 10 : 2048));
  }
  assert.deepEqual(lengths.slice(0, 5), [1024, 8192, 8192, 1024, 1024]);
});
