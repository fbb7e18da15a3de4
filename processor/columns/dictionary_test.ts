import assert from "node:assert/strict";
import { Dictionary, encoded, SLACK } from "./dictionary.ts";
import { Hasher } from "./hash.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

const SLOT_BITS = 0xfff;

/** Texts with fast hashes that all begin at the same one of 4,096 slots. */
function crafted(count: number): string[] {
  const hasher = new Hasher();
  const texts: string[] = [];
  for (let n = 0; texts.length < count; n++) {
    const text = `user-${n}`;
    const view = encoded(text);
    hasher.hash(view, 0, view.byteLength - SLACK);
    if ((hasher.low & SLOT_BITS) === 7) texts.push(text);
  }
  return texts;
}

/** Adds texts, and checks that each has one code and is found by it. */
function fill(dictionary: Dictionary, texts: readonly string[]): void {
  const codes = texts.map((text) => dictionary.internText(text));
  assert.equal(dictionary.count, texts.length);
  assert.deepEqual(texts.map((text) => dictionary.internText(text)), codes);
  assert.deepEqual(codes.map((code) => dictionary.text(code)), texts);
}

Deno.test("crafted texts that collide are looked up by a keyed hash, and stay distinct", () => {
  const texts = crafted(700);
  const dictionary = new Dictionary(testKeyed());
  const hashes = (all: Dictionary) => texts.map((text) => all.hash(all.internText(text)));
  const unkeyed = (all: Dictionary) => texts.map((text) => all.unkeyedHash(all.internText(text)));
  const one = (text: string) => {
    const alone = new Dictionary(testKeyed());
    return alone.hash(alone.internText(text));
  };
  fill(dictionary, texts);
  assert.equal(dictionary.isFlooded, true);
  assert.deepEqual(hashes(dictionary), texts.map(one));
  assert.equal(new Set(unkeyed(dictionary)).size, texts.length);
  dictionary.clear();
  fill(dictionary, texts.toReversed());
});

Deno.test("ordinary texts, as many as a commit has, are looked up by the fast hash", () => {
  for (
    const shape of [(n: number) => `user-${n}`, (n: number) => `${n}`.padStart(12, "0"), (n: number) => `/p/${n * 64}`]
  ) {
    const dictionary = new Dictionary(testKeyed());
    fill(dictionary, Array.from({ length: 262_144 }, (_, n) => shape(n)));
    assert.equal(dictionary.isFlooded, false);
  }
});
