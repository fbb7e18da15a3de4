import assert from "node:assert/strict";
import { runs } from "../../testing/effort.ts";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { dictionaries } from "../columns/batch.ts";
import { cellAt, type Cells, rowsBelow } from "../columns/cells.ts";
import { distinctUsers } from "./distinct_users.ts";
import { funnel } from "./funnel.ts";
import { max, min } from "./extremes.ts";
import { type Matcher, matches, type Measure, mergedCells } from "./measure.ts";
import { compareText, first, last } from "./picks.ts";
import { count, sum } from "./totals.ts";
import { assertLawsOf, batchOf, EVENT, folded, type Measures } from "../testing/contracts/laws.ts";
import type { Message } from "../testing/scenario.ts";
import { VIEWS } from "../views/mod.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

const EARLIEST = { at: "at", by: "by" };
const BUYING = { type: ["purchase", "checkout"], device: ["mobile"] };
const PAGE_A = { pagePath: [{ around: ["/a", ""] }] };

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
  ["smallest price", min("price")],
  ["largest revenue of some", max("revenue", { campaign: [{ around: ["", ""] }] })],
  ["sum of prices", sum("price", { pagePath: [{ around: ["/", "b"] }] })],
  ["last product", last("product", EARLIEST)],
  ["a funnel of two steps", funnel([{ type: ["search"] }, BUYING], "state")],
  ["a funnel of other steps", funnel([{ type: ["search"] }, { type: ["page_view"] }, { type: ["search"] }], "state")],
  [
    "a funnel of eight steps",
    funnel([{}, PAGE_A, { device: ["mobile"] }, {}, PAGE_A, BUYING, { campaign: ["c"] }, {}], "state"),
  ],
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

Deno.test("columns are merged like their values", () => {
  const parts = fc.array(fc.array(EVENT, { maxLength: 6 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(parts, parts, fc.infiniteStream(fc.nat()), (a, b, random) => {
      for (const [name, measure] of MEASURES) {
        const pairs = Array.from(
          { length: 12 },
          () => [random.next().value % a.length, random.next().value % b.length],
        );
        const rows = [0, 1].map((side) => Int32Array.from(pairs, (pair) => pair[side]!));
        const valuesA = a.map((events) => folded(measure, events));
        const valuesB = b.map((events) => folded(measure, events));
        const wanted = pairs.map(([i, j]) => measure.encode(measure.merge(valuesA[i!]!, valuesB[j!]!)));
        for (const columns of [flat, encoded]) {
          const added = { cells: columns(measure, b), at: (row: number) => valuesB[row]! };
          const merged = mergedCells(measure, columns(measure, a), rows[0]!, added, rows[1]!);
          pairs.forEach((_, p) => assert.deepEqual(merged.map((cells) => cellAt(cells, p)), wanted[p], name));
        }
      }
    }),
    { seed: 15, numRuns: runs(60) },
  );
});

/** The values of these rows' events, as an accumulator's columns of cells. */
function flat(measure: Measure, rows: readonly (readonly Message[])[]): readonly Cells[] {
  const words = dictionaries("topic", testKeyed());
  const accumulator = measure.accumulator(words);
  const batch = batchOf(words, rows.flat());
  accumulator.add(batch, Int32Array.from(rows.flatMap((events, row) => events.map(() => row))), rows.length);
  return accumulator.cells?.(rowsBelow(rows.length)) ?? encoded(measure, rows);
}

/** The values of these rows' events as columns of encoded cells. */
function encoded(measure: Measure, rows: readonly (readonly Message[])[]): readonly Cells[] {
  const cells = rows.map((events) => measure.encode(folded(measure, events)));
  return measure.columns("").map((_, c) => cells.map((row) => row[c]!));
}

Deno.test("a pattern matches where its parts follow each other in a text", () => {
  const matched = (matcher: Matcher, texts: readonly string[]) => texts.filter((text) => matches(matcher, text));
  assert.deepEqual(matched("/a", ["/a", "/A", "/ab", ""]), ["/a"]);
  assert.deepEqual(matched({ around: ["/a", ""] }, ["/a", "/ab", "/b/a", ""]), ["/a", "/ab"]);
  assert.deepEqual(matched({ around: ["", "a"] }, ["a", "ba", "ab"]), ["a", "ba"]);
  assert.deepEqual(matched({ around: ["ab", "ba"] }, ["abba", "aba", "ab-ba"]), ["abba", "ab-ba"]);
  assert.deepEqual(matched({ around: ["a", "b", "c"] }, ["abc", "ac", "a-b-b-c", "acb"]), ["abc", "a-b-b-c"]);
  assert.deepEqual(matched({ around: ["a", "bc", "c"] }, ["abc", "abcc"]), ["abcc"]);
  assert.deepEqual(matched({ around: ["", ""] }, ["", ".", "\n"]), ["", ".", "\n"]);
  const text = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 2, maxLength: 4 }), text, (around, of) => {
      assert.equal(
        matches({ around }, of),
        new RegExp(`^${around.join(".*")}$`).test(of),
        JSON.stringify([around, of]),
      );
    }),
    { seed: 16, numRuns: runs(3000) },
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
