/**
 * The laws of measures, as one property for all of them.
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Batch, clear, type Dictionaries, dictionaries } from "../../columns/batch.ts";
import type { Measure } from "../../measures/measure.ts";
import { recordsOf } from "../fakes/memory.ts";
import { at, type Message, record, reference } from "../scenario.ts";
import { testKeyed } from "../fakes/keyed.ts";

/** Measures by name. */
export type Measures = readonly (readonly [string, Measure])[];

const NOON = at("12:00:00");

/** Few different values, so that events tie, repeat and contradict each other. */
export const EVENT = fc.record({
  eventId: fc.constantFrom("a", "b", "c", "\ue000", "😀"),
  userId: fc.constantFrom("ann", "bob", "cyd", "dan"),
  sessionId: fc.constantFrom("s1", "s2", null),
  eventType: fc.constantFrom("page_view", "add_to_cart", "purchase", "checkout", "search"),
  timestamp: fc.integer({ min: 0, max: 8 }).map((n) => NOON + n),
  page: fc.constantFrom("/a", "/b?x", "/c", "/a?utm_source=s", "/a?utm_campaign=c"),
  referrer: fc.constantFrom("https://a.example/", "https://www.google.com/", null),
  campaign: fc.constantFrom("c", null),
  device: fc.constantFrom("mobile", "desktop", null),
  region: fc.constantFrom("eu", "us", null),
  price: fc.constantFrom(0.01, 19.99, 1e9, null),
});
const EVENTS = fc.array(EVENT, { maxLength: 14 });

/** Puts records into a batch. */
export function batchOf(words: Dictionaries, events: readonly Message[]): Batch {
  const batch = new Batch(words, Math.max(1, events.length));
  const records = recordsOf(0, 0, events.map((event) => record(event, NOON)));
  for (let i = 0; i < events.length; i++) {
    assert.equal(reference().decode(records, i, batch), null);
    // Some are on the list of bots.
    batch.codes.bot[i] = events[i]!["eventId"] === "b" ? 1 : 0;
    batch.keep();
  }
  return batch;
}

/** Folds records with a reused accumulator. */
function foldedAfter(measure: Measure, before: readonly Message[], events: readonly Message[]): unknown {
  const words = dictionaries("topic", testKeyed());
  const accumulator = measure.accumulator(words);
  for (const part of [before, events]) {
    clear(words);
    accumulator.clear();
    const batch = batchOf(words, part);
    accumulator.add(batch, new Int32Array(batch.count), 1);
  }
  return accumulator.value(0);
}

/** Folds records batch by batch. */
export function folded(measure: Measure, ...parts: readonly (readonly Message[])[]): unknown {
  const words = dictionaries("topic", testKeyed());
  const accumulator = measure.accumulator(words);
  for (const events of parts) {
    const batch = batchOf(words, events);
    accumulator.add(batch, new Int32Array(batch.count), 1);
  }
  return accumulator.value(0);
}

/** The laws of a commutative monoid, compared by what would be stored. */
function assertLaws(name: string, measure: Measure, [a, b, c]: readonly [unknown, unknown, unknown]): void {
  const { zero, merge, encode, decode } = measure;
  const same = (x: unknown, y: unknown, law: string) => assert.deepEqual(encode(x), encode(y), `${name}: ${law}`);
  const before = [a, b, c].map((value) => structuredClone(encode(value)));
  same(merge(a, zero), a, "zero on the right changes nothing");
  same(merge(zero, a), a, "zero on the left changes nothing");
  same(merge(a, b), merge(b, a), "the order does not matter");
  same(merge(merge(a, b), c), merge(a, merge(b, c)), "nor does the grouping");
  same(decode(encode(a)), a, "what is stored can be read back");
  same(merge(decode(encode(a)), decode(encode(b))), merge(a, b), "and merged as if it had stayed in memory");
  same(decode(encode(zero)), zero, "zero can be stored");
  assert.deepEqual([a, b, c].map(encode), before, `${name}: merging changes neither side`);
  assert.equal(encode(a).length, measure.columns("name").length, `${name}: a cell for each column`);
}

/** Asserts all laws for all measures, on random events by seed. */
export function assertLawsOf(measures: Measures, seed: number, numRuns: number): void {
  const law = fc.property(EVENTS, EVENTS, EVENTS, (a, b, c) => {
    for (const [name, measure] of measures) {
      const [x, y, z] = [folded(measure, a), folded(measure, b), folded(measure, c)] as const;
      assertLaws(name, measure, [x, y, z]);
      const whole = measure.encode(folded(measure, [...a, ...b]));
      assert.deepEqual(measure.encode(measure.merge(x, y)), whole, `${name}: merged is folded together`);
      assert.deepEqual(measure.encode(folded(measure, b, a)), whole, `${name}: batch by batch, in any order`);
      assert.deepEqual(measure.encode(foldedAfter(measure, a, b)), measure.encode(y), `${name}: cleared is as new`);
    }
  });
  fc.assert(law, { seed, numRuns });
}
