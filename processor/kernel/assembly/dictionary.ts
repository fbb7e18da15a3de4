/**
 * Texts as small numbers, for one commit. A text of up to 16 bytes lies in its slot, and is compared as one vector.
 * Texts are found by a quick, public hash; where so many collide that somebody must have made them, by a keyed one.
 */
import { keyedHash, quickHash } from "./hash";
import { alloc, copy, free, same, sizeOf, SLACK, upTo16 } from "./memory";

/** A place in the table. */
@unmanaged
export class Slot {
  /** The first 16 bytes of the text, and zeros. */
  low: u64 = 0;
  high: u64 = 0;
  /** Length of the text plus one; 0 if the slot is free. */
  length: i32 = 0;
  code: i32 = 0;
  /** Where the text lies among the others. */
  text: u32 = 0;
  hash: u32 = 0;
}

const SLOT: usize = 32;
const FEWEST: u32 = 64;
/** Slots that a new text may pass: half are free, so ordinary texts pass a hundred at most. */
const MOST_PASSED: u32 = 256;
/** A table of more slots than this for each text is too large to be cleared each time. */
const ROOMY: u32 = 64;

/** The host reads `count`, `texts`, `bytes`, `flooded` and `used` by their places: see processor/kernel/words.ts. */
@unmanaged
export class Dictionary {
  count: i32 = 0;
  /** By code: where the text begins in `bytes`; it ends where the next begins. */
  texts: usize = 0;
  /** The texts, one behind the other. */
  bytes: usize = 0;
  flooded: i32 = 0;
  used: i32 = 0;
  slots: usize = 0;
  mask: u32 = 0;
}

export function newDictionary(): Dictionary {
  const words = changetype<Dictionary>(alloc(offsetof<Dictionary>()));
  allocTables(words);
  return words;
}

function allocTables(words: Dictionary): void {
  words.mask = FEWEST - 1;
  words.slots = alloc(<usize>FEWEST * SLOT);
  words.texts = alloc(256);
  words.bytes = alloc(1024);
}

function freeTables(words: Dictionary): void {
  free(words.slots);
  free(words.texts);
  free(words.bytes);
}

export function freeDictionary(words: Dictionary): void {
  freeTables(words);
  free(changetype<usize>(words));
}

/** Removes all texts. Keeps the memory, unless it is far too much. */
export function clearDictionary(words: Dictionary): void {
  const slots = words.mask + 1;
  if (slots > FEWEST && slots > <u32>words.count * ROOMY) {
    freeTables(words);
    allocTables(words);
  } else memory.fill(words.slots, 0, <usize>slots * SLOT);
  words.count = 0;
  words.used = 0;
}

@inline
export function slotAt(words: Dictionary, hash: u32): usize {
  return words.slots + <usize>(hash & words.mask) * SLOT;
}

@inline
function holds(words: Dictionary, slot: Slot, key: v128, at: usize, length: i32): bool {
  if (slot.length !== length + 1 || !same(key, v128.load(changetype<usize>(slot)))) return false;
  return length <= 16 || memory.compare(words.bytes + slot.text + 16, at + 16, length - 16) === 0;
}

/** The code of a text with this quick hash; it is added if it is new. */
@inline
export function intern(words: Dictionary, at: usize, length: i32, quick: u32): i32 {
  const hash = words.flooded !== 0 ? load<u32>(keyedHash(at, length)) : quick;
  const key = upTo16(at, min(length, 16));
  let place = hash & words.mask;
  let passed: u32 = 0;
  while (true) {
    const slot = changetype<Slot>(words.slots + <usize>place * SLOT);
    if (slot.length === 0) return add(words, slot, key, at, length, hash, passed);
    if (holds(words, slot, key, at, length)) return slot.code;
    place = (place + 1) & words.mask;
    passed++;
  }
}

export function internText(words: Dictionary, at: usize, length: i32): i32 {
  return intern(words, at, length, quickHash(at, length));
}

function add(words: Dictionary, slot: Slot, key: v128, at: usize, length: i32, hash: u32, passed: u32): i32 {
  const code = words.count++;
  words.bytes = withRoom(words.bytes, words.used, length + SLACK);
  words.texts = withRoom(words.texts, (code + 1) << 2, 4);
  v128.store(changetype<usize>(slot), key);
  slot.length = length + 1;
  slot.code = code;
  slot.text = words.used;
  slot.hash = hash;
  copy(words.bytes + words.used, at, length);
  words.used += length;
  store<i32>(words.texts + (code << 2), words.used, 4);
  if (<u32>words.count * 2 > words.mask) rehash(words, (words.mask + 1) * 2);
  else if (passed > MOST_PASSED && words.flooded === 0) defend(words);
  return code;
}

/** The block, or a larger one with the same content, with room for `more` bytes behind `used`. */
@inline
export function withRoom(block: usize, used: i32, more: i32): usize {
  return <usize>(used + more) <= sizeOf(block) ? block : larger(block, used, more);
}

function larger(block: usize, used: i32, more: i32): usize {
  const to = alloc(max<usize>(<usize>(used + more), sizeOf(block) * 2));
  memory.copy(to, block, used);
  free(block);
  return to;
}

function rehash(words: Dictionary, slots: u32): void {
  const before = words.slots;
  const end = before + <usize>(words.mask + 1) * SLOT;
  const mask = slots - 1;
  words.mask = mask;
  words.slots = alloc(<usize>slots * SLOT);
  let most: u32 = 0;
  for (let from = before; from < end; from += SLOT) {
    const slot = changetype<Slot>(from);
    if (slot.length === 0) continue;
    let place = slot.hash & mask;
    while (changetype<Slot>(words.slots + <usize>place * SLOT).length !== 0) place = (place + 1) & mask;
    most = max(most, (place - slot.hash) & mask);
    memory.copy(words.slots + <usize>place * SLOT, from, SLOT);
  }
  free(before);
  if (most > MOST_PASSED && words.flooded === 0) defend(words);
}

/** From now on finds all texts by a keyed hash. */
function defend(words: Dictionary): void {
  words.flooded = 1;
  const end = words.slots + <usize>(words.mask + 1) * SLOT;
  for (let at = words.slots; at < end; at += SLOT) {
    const slot = changetype<Slot>(at);
    if (slot.length !== 0) slot.hash = load<u32>(keyedHash(words.bytes + slot.text, slot.length - 1));
  }
  rehash(words, words.mask + 1);
}
