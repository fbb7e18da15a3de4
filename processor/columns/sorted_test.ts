import assert from "node:assert/strict";
import fc from "fast-check";
import { Texts } from "./cells.ts";
import { TextDictionary } from "./dictionary.ts";
import { KeyedHash, NO_KEY } from "./keyed_hash.ts";
import { sortedRows } from "./sorted.ts";

function textsOf(all: readonly string[]): Texts {
  const keyed = new KeyedHash();
  keyed.use(NO_KEY);
  const strings = new TextDictionary(keyed);
  return new Texts(strings, Int32Array.from(all, (text) => strings.internText(text)));
}

/** The order by UTF-8 bytes, then by row. */
function naive(all: readonly string[]): number[] {
  const bytes = all.map((text) => new TextEncoder().encode(text));
  const compare = (a: Uint8Array, b: Uint8Array) => {
    const n = a.findIndex((byte, i) => byte !== b[i]);
    return n < 0 ? a.length - b.length : n >= b.length ? 1 : a[n]! - b[n]!;
  };
  return all.map((_, row) => row).sort((a, b) => compare(bytes[a]!, bytes[b]!) || a - b);
}

const TEXT = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => !text.includes("\0")),
  // Many share their beginnings, and some are the beginnings of others.
  fc.array(fc.constantFrom("a", "ab", "user-", "é", "\u{1f600}", "\u{ffff}"), { minLength: 1, maxLength: 8 })
    .map((parts) => parts.join("")),
  fc.nat(2000).map((n) => `user-${n}`),
);

Deno.test("rows are sorted by the bytes of their strings, and equal ones by row", () => {
  fc.assert(
    fc.property(fc.array(TEXT, { maxLength: 200 }), (all) => {
      assert.deepEqual([...sortedRows(textsOf(all))], naive(all));
    }),
    { numRuns: 300, seed: 7 },
  );
});

Deno.test("strings are told apart behind any length of a common beginning", () => {
  for (let length = 0; length < 24; length++) {
    const all = ["zz", "b", "a", "", "ab", "b"].map((end) => `${"x".repeat(length)}${end}y`);
    assert.deepEqual([...sortedRows(textsOf(all))], naive(all), `${length}`);
  }
});
