/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches. Modulo the polynomial, x^128 = y fulfils
 * y^209 = y^144 + y^54 + y^39 + y^14 + 1. So a block of 16 bytes may be taken away if it is added to the blocks that lie
 * 65, 155, 170, 195 and 209 blocks behind it. All blocks but the last 209 are taken away like this, with a few vector
 * operations each; the rest goes through tables.
 */
import { alloc } from "./memory";

/** The polynomial, lowest bit first. */
const POLYNOMIAL: u32 = 0x82f63b78;

const BLOCK: usize = 16;
/** Distances at which a block is added, in bytes. */
const NEAR: usize = 65 * BLOCK;
const SECOND: usize = 155 * BLOCK;
const THIRD: usize = 170 * BLOCK;
const FOURTH: usize = 195 * BLOCK;
const FAR: usize = 209 * BLOCK;

/** What a byte adds to the checksum when `n` bytes follow it, at `n * 256 + byte`. */
let tables: usize = 0;
/** The bytes to be checked; zeros lie before them. */
let room: usize = 0;

/** Room for so many bytes; the address to write them to. */
export function crcRoom(bytes: usize): usize {
  tables = alloc(16 * 1024);
  for (let n: usize = 0; n < 16 * 256; n++) {
    let crc = n < 256 ? <u32>n : entry(n - 256);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    store<u32>(tables + (n << 2), crc);
  }
  return room = alloc(FAR + bytes) + FAR;
}

@inline
function entry(n: usize): u32 {
  return load<u32>(tables + (n << 2));
}

/** What the eight bytes of a word add when `behind` bytes follow the last of them. */
@inline
function added(word: u64, behind: usize): u32 {
  return entry(((behind + 7) << 8) + <usize>(word & 0xff)) ^ entry(((behind + 6) << 8) + <usize>((word >>> 8) & 0xff)) ^
    entry(((behind + 5) << 8) + <usize>((word >>> 16) & 0xff)) ^
    entry(((behind + 4) << 8) + <usize>((word >>> 24) & 0xff)) ^
    entry(((behind + 3) << 8) + <usize>((word >>> 32) & 0xff)) ^
    entry(((behind + 2) << 8) + <usize>((word >>> 40) & 0xff)) ^
    entry(((behind + 1) << 8) + <usize>((word >>> 48) & 0xff)) ^ entry((behind << 8) + <usize>(word >>> 56));
}

/** The state after the bytes in `[at, end)`, by tables. */
function byTables(state: u32, at: usize, end: usize): u32 {
  for (; at + BLOCK <= end; at += BLOCK) state = added(load<u64>(at) ^ <u64>state, 8) ^ added(load<u64>(at, 8), 0);
  for (; at < end; at++) state = entry(<usize>((state ^ load<u8>(at)) & 0xff)) ^ (state >>> 8);
  return state;
}

/** Adds the block at `at - distance` to the one at `at`. */
@inline
function fold(at: usize, distance: usize): void {
  v128.store(at, v128.xor(v128.load(at), v128.load(at - distance)));
}

/** The state of the checksum after the first `length` bytes of the room, which are changed. It begins with all ones. */
export function crc32c(state: u32, length: i32): u32 {
  const end = room + <usize>length;
  if (<usize>length < 3 * FAR) return byTables(state, room, end);
  const last = room + (<usize>length & ~(BLOCK - 1)) - FAR;
  store<u32>(room, load<u32>(room) ^ state);
  for (let at = room; at < last; at += BLOCK) {
    const near = v128.xor(v128.load(at - NEAR), v128.load(at - SECOND));
    const far = v128.xor(v128.xor(v128.load(at - THIRD), v128.load(at - FOURTH)), v128.load(at - FAR));
    v128.store(at, v128.xor(v128.load(at), v128.xor(near, far)));
  }
  // What is added to the last blocks comes from those that were taken away alone.
  for (let at = last; at < last + NEAR; at += BLOCK) fold(at, NEAR);
  for (let at = last; at < last + SECOND; at += BLOCK) fold(at, SECOND);
  for (let at = last; at < last + THIRD; at += BLOCK) fold(at, THIRD);
  for (let at = last; at < last + FOURTH; at += BLOCK) fold(at, FOURTH);
  for (let at = last; at < last + FAR; at += BLOCK) fold(at, FAR);
  return byTables(0, last, end);
}
