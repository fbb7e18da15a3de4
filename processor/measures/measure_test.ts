import assert from "node:assert/strict";
import { runs } from "../../testing/effort.ts";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { dictionaries } from "../columns/batch.ts";
import { cellAt } from "../columns/cells.ts";
import { distinctUsers } from "./distinct_users.ts";
import { funnel } from "./funnel.ts";
import { compareText, first, last } from "./picks.ts";
import { count, sum } from "./totals.ts";
import { assertLawsOf, batchOf, EVENT, folded, type Measures } from "../testing/contracts/laws.ts";
import { VIEWS } from "../views/mod.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

const EARLIEST = { at: "at", by: "by" };
const BUYING = { type: ["purchase", "checkout"], device: ["mobile"] };

/** Every measure of every view, and those that no view uses yet. */
const MEASURES: Measures = [
  ...VIEWS.flatMap(({ name, measures }) =>
    Object.entries(measures).map(([column, measure]) => [`${name}.${column}`, measure] as const)
  ),
  ["count of some", count(BUYING)],
  ["sum of some", sum("revenue", { region: ["eu"] })],
  ["distinct users of some", distinctUsers({ pagePath: ["/a"] })],
  ["first session", first("session", EARLIEST)],
  ["last session of some", last("session", EARLIEST, BUYING)],
  ["a funnel of other steps", funnel(["search", "page_view", "search"], "state")],
];

Deno.test("every measure of every view is a commutative monoid, and folds events into it", () => {
  assertLawsOf(MEASURES, 11, runs(150));
});

Deno.test("rows are computed independently, and events without a row are skipped", () => {
  const rowed = fc.array(fc.tuple(EVENT, fc.constantFrom(-1, 0, 1, 70, 3000)), { maxLength: 30 });
  fc.assert(
    fc.property(rowed, (events) => {
      for (const [name, measure] of MEASURES) {
        const words = dictionaries("topic", testKeyed());
        const accumulator = measure.accumulator(words);
        accumulator.add(
          batchOf(words, events.map(([event]) => event)),
          Int32Array.from(events, ([, row]) => row),
          3001,
        );
        for (const row of [0, 1, 2, 70, 3000, 5000]) {
          const alone = folded(measure, events.filter(([, of]) => of === row).map(([event]) => event));
          assert.deepEqual(measure.encode(accumulator.value(row)), measure.encode(alone), `${name}, row ${row}`);
        }
      }
    }),
    { seed: 12, numRuns: runs(100) },
  );
});

Deno.test("merged rows equal merged values, and cells equal encoded values", () => {
  const rowed = fc.array(fc.tuple(EVENT, fc.integer({ min: 0, max: 2 })), { maxLength: 30 });
  fc.assert(
    fc.property(rowed, (events) => {
      for (const [name, measure] of MEASURES) {
        const words = dictionaries("topic", testKeyed());
        const accumulator = measure.accumulator(words);
        const batch = batchOf(words, events.map(([event]) => event));
        accumulator.add(batch, Int32Array.from(events, ([, row]) => row), 3);
        const apart = measure.encode(measure.merge(accumulator.value(0), accumulator.value(2)));
        accumulator.merge(0, 2);
        assert.deepEqual(measure.encode(accumulator.value(0)), apart, name);
        const cells = accumulator.cells?.(Int32Array.of(1, 0)) ?? [];
        [1, 0].forEach((row, r) => {
          const encoded = measure.encode(accumulator.value(row));
          cells.forEach((column, c) => assert.deepEqual(cellAt(column, r), encoded[c], `${name}, column ${c}`));
        });
      }
    }),
    { seed: 14, numRuns: runs(200) },
  );
});

Deno.test("text is sorted as PostgreSQL sorts UTF-8 bytes", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", "b", "\x7f", "é", "\ud7ff", "\ue000", "\uffff", "😀", "\u{10ffff}"),
  });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareText(a, b)), bytes, JSON.stringify([a, b]));
    }),
    { seed: 13, numRuns: runs(3000) },
  );
});
