import assert from "node:assert/strict";
import { EVERYTHING } from "../columns/batch.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { Memory } from "./memory.ts";
import { KernelDictionary, kernelWords } from "./words.ts";

const SLOT_BITS = 0xfff;

function memoryFor(keyed: { readonly key: Uint8Array }): Memory {
  const memory = new Memory(256);
  memory.functions.init(64, 1024);
  memory.functions.useKey(memory.copied(new DataView(keyed.key.buffer), 0, keyed.key.length));
  return memory;
}

/** Texts with quick hashes that all begin at the same one of 4,096 slots. */
function crafted(memory: Memory, count: number): string[] {
  const texts: string[] = [];
  for (let n = 0; texts.length < count; n++) {
    const text = `user-${n}`;
    const { at, length } = memory.place(text);
    if ((memory.functions.quickHash(at, length) & SLOT_BITS) === 7) texts.push(text);
  }
  return texts;
}

/** Adds texts, and checks that each has one code and is found by it. */
function fill(dictionary: KernelDictionary, texts: readonly string[]): void {
  const codes = texts.map((text) => dictionary.internText(text));
  assert.equal(dictionary.count, texts.length);
  assert.deepEqual(texts.map((text) => dictionary.internText(text)), codes);
  assert.deepEqual(codes.map((code) => dictionary.text(code)), texts);
}

Deno.test("kernel: crafted texts that collide are looked up by a keyed hash, and stay distinct", () => {
  const memory = memoryFor(testKeyed());
  const texts = crafted(memory, 700);
  const dictionary = new KernelDictionary(memory, testKeyed());
  const one = (text: string) => {
    const alone = new KernelDictionary(memory, testKeyed());
    return alone.hash(alone.internText(text));
  };
  fill(dictionary, texts);
  assert.equal(dictionary.isFlooded, true);
  assert.deepEqual(texts.map((text) => dictionary.hash(dictionary.internText(text))), texts.map(one));
  assert.equal(new Set(texts.map((text) => dictionary.unkeyedHash(dictionary.internText(text)))).size, texts.length);
  dictionary.clear();
  fill(dictionary, texts.toReversed());
  memory.functions.checkGuards();
});

Deno.test("kernel: ordinary texts, as many as a commit has, are looked up by the quick hash", () => {
  for (
    const shape of [(n: number) => `user-${n}`, (n: number) => `${n}`.padStart(12, "0"), (n: number) => `/p/${n * 64}`]
  ) {
    const memory = memoryFor(testKeyed());
    const dictionary = new KernelDictionary(memory, testKeyed());
    fill(dictionary, Array.from({ length: 262_144 }, (_, n) => shape(n)));
    assert.equal(dictionary.isFlooded, false);
    memory.functions.checkGuards();
  }
});

Deno.test("kernel: a dictionary keeps texts of every length apart, and its fixed codes after it was cleared", () => {
  const memory = memoryFor(testKeyed());
  const dictionary = new KernelDictionary(memory, testKeyed(), ["", "x"]);
  for (let round = 0; round < 3; round++) {
    const texts = Array.from({ length: 100 }, (_, n) => ["", "x", "a".repeat(n + 1), "a".repeat(n) + "b"]).flat();
    const codes = texts.map((text) => dictionary.internText(text));
    assert.deepEqual(codes.slice(0, 2), [0, 1]);
    assert.deepEqual(codes.map((code) => dictionary.text(code)), texts);
    assert.equal(dictionary.count, new Set(texts).size);
    dictionary.clear();
  }
});

Deno.test("kernel: the name of a topic has a limit, far above Kafka's", () => {
  const memory = memoryFor(testKeyed());
  kernelWords(memory, "t".repeat(249), testKeyed(), EVERYTHING);
  assert.throws(
    () => kernelWords(memory, "t".repeat(900), testKeyed(), EVERYTHING),
    /the name of the topic is too long/,
  );
});

Deno.test("kernel: a field that it does not know ends it", () => {
  const memory = memoryFor(testKeyed());
  const { at, length } = memory.place("shopId");
  assert.throws(() => memory.functions.setField(17, at, length, 0, 0, 0), /does not know a field of the event/);
});
