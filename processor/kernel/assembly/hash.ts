/**
 * Hashes of texts. `quickHash` is for tables. `keyedHash` is Chaskey-12, whose collisions nobody can find without the
 * key; processor/columns/keyed_hash.ts has the same and tells why.
 */
import { MASKS, upTo16 } from "./memory";
import { note } from "./notes";
import { ID } from "./fields";

@inline
function mix(hash: u64, word: u64): u64 {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >>> 32);
}

/** 32 bits of the `length` bytes at `at`. */
@inline
export function quickHash(at: usize, length: i32): u32 {
  let hash: u64 = <u64>length * 0xd6e8feb86659fd93;
  let rest = length;
  for (; rest > 16; rest -= 16, at += 16) hash = mix(mix(hash, load<u64>(at)), load<u64>(at, 8));
  const mask = MASKS + (rest << 4);
  hash = mix(hash, load<u64>(at) & load<u64>(mask));
  hash = mix(hash, load<u64>(at, 8) & load<u64>(mask, 8));
  hash = (hash ^ (hash >>> 29)) * 0xbf58476d1ce4e5b9;
  return <u32>(hash ^ (hash >>> 32));
}

/** The key, and the masks of a last block that is full or padded. */
const KEY: usize = memory.data(3 * 16, 16);
const FULL: usize = KEY + 16;
const PADDED: usize = KEY + 32;

/** Sets the key of 16 bytes. */
export function useKey(at: usize): void {
  v128.store(KEY, v128.load(at));
  double(KEY, FULL);
  double(FULL, PADDED);
}

/** Doubles a number in GF(2^128). */
function double(from: usize, to: usize): void {
  const low = load<u64>(from);
  const high = load<u64>(from, 8);
  store<u64>(to, (low << 1) ^ (high >>> 63) * 0x87);
  store<u64>(to, (high << 1) | (low >>> 63), 8);
}

@inline
function rotated(v: v128, bits: i32): v128 {
  return v128.or(i32x4.shl(v, bits), i32x4.shr_u(v, 32 - bits));
}

@inline
function rotated8(v: v128): v128 {
  return i8x16.shuffle(v, v, 3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
}

@inline
function rotated16(v: v128): v128 {
  return i8x16.shuffle(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

/** Four texts: where the rest of each lies, and how long it is; negative if the text is done. */
const AT: usize = memory.data(16, 16);
const LEFT: usize = memory.data(16, 16);
/** The next block of each, and what it is masked with if it is the last. */
const BLOCKS: usize = memory.data(64, 16);
const ENDS: usize = memory.data(64, 16);
/** The hashes: word 0 of all four, word 1, word 2. */
const HASHES: usize = memory.data(48, 16);

/** The next block of text `n`, and its mask. */
@inline
function block(n: i32): void {
  const at = <usize>load<u32>(AT + (n << 2));
  const left = load<i32>(LEFT + (n << 2));
  const to = BLOCKS + (n << 4);
  const end = ENDS + (n << 4);
  if (left > 16) {
    v128.store(to, v128.load(at));
    v128.store(end, i32x4.splat(0));
    store<u32>(AT + (n << 2), <u32>(at + 16));
    store<i32>(LEFT + (n << 2), left - 16);
    return;
  }
  let bytes = i32x4.splat(0);
  let mask = bytes;
  if (left >= 0) {
    bytes = upTo16(at, left);
    mask = v128.load(left === 16 ? FULL : PADDED);
  }
  v128.store(to, bytes);
  if (left >= 0 && left < 16) store<u8>(to + left, 1);
  v128.store(to, v128.xor(v128.load(to), mask));
  v128.store(end, mask);
  store<i32>(LEFT + (n << 2), -1);
}

/** Word `n` of the four blocks at `at`, one in each lane. */
@inline
function words01(at: usize): v128 {
  return i8x16.shuffle(v128.load(at), v128.load(at, 16), 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
}

@inline
function words23(at: usize): v128 {
  return i8x16.shuffle(v128.load(at), v128.load(at, 16), 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
}

@inline
function lows(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

@inline
function highs(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}

/** Hashes the four texts of `AT` and `LEFT` into `HASHES`. */
function hashFour(): void {
  let v0 = i32x4.splat(load<i32>(KEY));
  let v1 = i32x4.splat(load<i32>(KEY, 4));
  let v2 = i32x4.splat(load<i32>(KEY, 8));
  let v3 = i32x4.splat(load<i32>(KEY, 12));
  while (true) {
    const active = i32x4.ge_s(v128.load(LEFT), i32x4.splat(0));
    if (!v128.any_true(active)) break;
    const isLast = v128.any_true(v128.and(active, i32x4.le_s(v128.load(LEFT), i32x4.splat(16))));
    block(0);
    block(1);
    block(2);
    block(3);
    const a = words01(BLOCKS);
    const b = words01(BLOCKS + 32);
    const c = words23(BLOCKS);
    const d = words23(BLOCKS + 32);
    let w0 = v128.xor(v0, lows(a, b));
    let w1 = v128.xor(v1, highs(a, b));
    let w2 = v128.xor(v2, lows(c, d));
    let w3 = v128.xor(v3, highs(c, d));
    for (let round = 0; round < 12; round++) {
      w0 = i32x4.add(w0, w1);
      w1 = v128.xor(rotated(w1, 5), w0);
      w0 = rotated16(w0);
      w2 = i32x4.add(w2, w3);
      w3 = v128.xor(rotated8(w3), w2);
      w0 = i32x4.add(w0, w3);
      w3 = v128.xor(rotated(w3, 13), w0);
      w2 = i32x4.add(w2, w1);
      w1 = v128.xor(rotated(w1, 7), w2);
      w2 = rotated16(w2);
    }
    if (isLast) {
      const e = words01(ENDS);
      const f = words01(ENDS + 32);
      const g = words23(ENDS);
      const h = words23(ENDS + 32);
      w0 = v128.xor(w0, lows(e, f));
      w1 = v128.xor(w1, highs(e, f));
      w2 = v128.xor(w2, lows(g, h));
      w3 = v128.xor(w3, highs(g, h));
    }
    // Texts that were done before keep their state.
    v0 = v128.bitselect(w0, v0, active);
    v1 = v128.bitselect(w1, v1, active);
    v2 = v128.bitselect(w2, v2, active);
    v3 = v128.bitselect(w3, v3, active);
  }
  v128.store(HASHES, v0);
  v128.store(HASHES, v1, 16);
  v128.store(HASHES, v2, 32);
}

@inline
function setText(n: i32, at: usize, length: i32): void {
  store<u32>(AT + (n << 2), <u32>at);
  store<i32>(LEFT + (n << 2), length);
}

/** The keyed hash of a text: 96 bits, at the address that it returns. */
export function keyedHash(at: usize, length: i32): usize {
  v128.store(LEFT, i32x4.splat(-1));
  setText(0, at, length);
  hashFour();
  const to = HASHES;
  store<u32>(to, load<u32>(HASHES));
  store<u32>(to, load<u32>(HASHES, 16), 4);
  store<u32>(to, load<u32>(HASHES, 32), 8);
  return to;
}

/** Which notes the four texts belong to. */
const WHOSE: usize = memory.data(16, 16);

/** Sets the hashes of the ids of the first `count` notes: four together take as long as one. */
export function hashIds(count: i32): void {
  let waiting = 0;
  v128.store(LEFT, i32x4.splat(-1));
  for (let n = 0; n < count; n++) {
    const own = note(n);
    own.idA = own.idB = own.idC = 0;
    if (!own.has(ID)) continue;
    setText(waiting, own.start(ID), own.length(ID));
    store<i32>(WHOSE + (waiting << 2), n);
    if (++waiting === 4) {
      giveHashes(4);
      waiting = 0;
      v128.store(LEFT, i32x4.splat(-1));
    }
  }
  if (waiting > 0) giveHashes(waiting);
}

function giveHashes(count: i32): void {
  hashFour();
  for (let n = 0; n < count; n++) {
    const own = note(load<i32>(WHOSE + (n << 2)));
    own.idA = load<u32>(HASHES + (n << 2));
    own.idB = load<u32>(HASHES + (n << 2), 16);
    own.idC = load<u32>(HASHES + (n << 2), 32);
  }
}
