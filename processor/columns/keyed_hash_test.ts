import assert from "node:assert/strict";
import { encoded, SLACK } from "./dictionary.ts";
import { KEY_BYTES, KeyedHash } from "./keyed_hash.ts";

/** The authors' reference key, and their tags for messages of the bytes 0, 1, 2, … by length. */
const REFERENCE_KEY = keyOf(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39);
const REFERENCE: readonly (readonly [length: number, a: number, b: number, c: number])[] = [
  [0, 0x43cb1f41, 0x51eba0c2, 0xff0a8ac3],
  [1, 0xf9ac2067, 0x9c35a846, 0x441aad3d],
  [3, 0x8c5e6ab9, 0x5035adfb, 0xbff69f98],
  [4, 0x0b2b62db, 0x1e9e3f50, 0xa1b8dcad],
  [15, 0x03cfb44b, 0x283c8163, 0xfca71448],
  [16, 0x5dd0e2a9, 0xfb5eac8c, 0x633a392e],
  [17, 0x8b5f6d5a, 0x202314f6, 0x22092368],
  [31, 0x1d3d30b1, 0x01d74fca, 0x3b2eb54c],
  [32, 0x77962784, 0x07c647fa, 0xdd752c0f],
  [36, 0xa98ecb80, 0x5ef583cf, 0x4e20e76e],
  [47, 0x8494b5bc, 0x5317b7b3, 0xcfe08756],
  [63, 0x2dd072e1, 0x42b89efe, 0xfb26b615],
];

function keyOf(...words: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** A hash of a text, as one string. */
function hashOf(hash: KeyedHash, text: string): string {
  const view = encoded(text);
  hash.hash(view, 0, view.byteLength - SLACK);
  return [hash.a, hash.b, hash.c].join();
}

Deno.test("hashes match the reference implementation of Chaskey-12", () => {
  const hash = new KeyedHash(REFERENCE_KEY);
  // Bytes after a message must not matter.
  for (const filler of [0, 0xff]) {
    for (const [length, a, b, c] of REFERENCE) {
      const bytes = new Uint8Array(80).fill(filler);
      for (let i = 0; i < length; i++) bytes[3 + i] = i;
      hash.hash(new DataView(bytes.buffer, 3), 0, length);
      assert.deepEqual([hash.a >>> 0, hash.b >>> 0, hash.c >>> 0], [a, b, c], `length ${length}`);
    }
  }
});

Deno.test("ids that collide without a key don't collide under any key", () => {
  for (const key of [keyOf(0, 0, 0, 0), keyOf(1, 2, 3, 4), REFERENCE_KEY]) {
    const hash = new KeyedHash(key);
    assert.notEqual(hashOf(hash, "H'6kloM|"), hashOf(hash, "uXg`CSLH"));
  }
});

Deno.test("another key gives other hashes", () => {
  const hash = new KeyedHash(REFERENCE_KEY);
  const before = hashOf(hash, "user-1");
  hash.use(keyOf(1, 2, 3, 4));
  assert.notEqual(hashOf(hash, "user-1"), before);
});

Deno.test("a million doubles are finite and distinct, and each bit but one is set in half of them", () => {
  const hash = new KeyedHash(REFERENCE_KEY);
  const view = new DataView(new ArrayBuffer(16));
  const bits = new Float64Array(64);
  const seen = new Set<number>();
  const double = new DataView(new ArrayBuffer(8));
  for (let n = 0; n < 1_000_000; n++) {
    view.setUint32(0, n);
    const value = hash.double(view, 0, 8);
    assert.ok(Number.isFinite(value));
    seen.add(value);
    if (n >= 10_000) continue;
    double.setFloat64(0, value);
    for (let bit = 0; bit < 64; bit++) bits[bit]! += double.getUint8(7 - (bit >> 3)) >> (bit & 7) & 1;
  }
  assert.equal(seen.size, 1_000_000);
  const fixed = [...bits.keys()].filter((bit) => Math.abs(bits[bit]! - 5000) > 300);
  assert.deepEqual(fixed, [62]);
});

Deno.test("hashing without a key or with a short key fails", () => {
  const view = new DataView(new ArrayBuffer(8));
  assert.throws(() => new KeyedHash().hash(view, 0, 4), /before the key is known/);
  assert.throws(() => new KeyedHash(new Uint8Array(KEY_BYTES - 1)), RangeError);
});
