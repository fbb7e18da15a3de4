/**
 * Maps strings to small numbers: each string is stored once, as bytes, and becomes a JavaScript string only on request.
 * @module
 */
import { Hasher, join53, lowBytes } from "./hash.ts";
import { grown } from "./grown.ts";
import type { KeyedHash } from "./keyed_hash.ts";

/** Code of an absent string. */
export const NONE = -1;

/** Words of an entry before its string: the two halves of its hash, its code, its length in bytes. */
const HEAD = 4;

/**
 * Slots that a new string may have to probe. Half of the slots are free, so ordinary strings probe a hundred at most;
 * an attacker who knows the hash can make strings that collide.
 */
const MOST_PASSED = 256;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Distinct UTF-8 strings; a string's code is its index. The data of a look-up is adjacent, because in a large
 * dictionary cache misses take most of the time.
 *
 * Strings are looked up by a fast, public hash. If so many collide that somebody must have crafted them, the dictionary
 * uses a keyed hash from then on.
 */
export class Dictionary {
  /** Number of strings; all codes are smaller. */
  count = 0;
  /** Number of calls of `clear`: a code is only valid within one generation. */
  generation = 0;
  /** Consecutive entries of whole words; the bytes after an entry's string are 0. */
  #heap = new Int32Array(256);
  #view = new DataView(this.#heap.buffer);
  #used = 0;
  /** Start of each code's entry. */
  #entries = new Int32Array(32);
  /** Entries by hash, with open addressing; -1 marks a free slot. */
  #slots = new Int32Array(64).fill(-1);
  readonly #texts: (string | undefined)[] = [];
  /** Keeps the compiler from dropping the reads of `touch`. */
  readonly #touched = new Int32Array(1);
  readonly #keyed: KeyedHash;
  #isFlooded = false;

  /** @param keyed replaces the fast hash once crafted strings collide */
  constructor(keyed: KeyedHash) {
    this.#keyed = keyed;
  }

  /** True once crafted strings collided: all are looked up by a keyed hash now. */
  get isFlooded(): boolean {
    return this.#isFlooded;
  }

  /** Removes all strings, and keeps their memory. */
  clear(): void {
    this.count = 0;
    this.generation++;
    this.#used = 0;
    this.#slots.fill(-1);
    this.#texts.length = 0;
  }

  /**
   * Prefetches the entries of strings, by the lower halves of their hashes: together they wait for two cache misses,
   * where each look-up alone would wait for two.
   */
  touch(lows: Int32Array, count: number): void {
    const slots = this.#slots;
    const heap = this.#heap;
    const mask = slots.length - 1;
    let all = 0;
    // Without branches, which would wait for their conditions.
    for (let i = 0; i < count; i++) all |= slots[lows[i]! & mask]!;
    for (let i = 0; i < count; i++) all |= heap[Math.max(0, slots[lows[i]! & mask]!)]!;
    this.#touched[0] = all;
  }

  /** The code of the string `[start, end)` of `view` with this hash; `NONE` if it has not been added. */
  find(view: DataView, start: number, end: number, high: number, low: number): number {
    const slots = this.#slots;
    const heap = this.#heap;
    const mask = slots.length - 1;
    if (this.#isFlooded) {
      this.#keyed.hash(view, start, end);
      high = this.#keyed.b;
      low = this.#keyed.a;
    }
    for (let slot = low & mask;; slot = (slot + 1) & mask) {
      const entry = slots[slot]!;
      if (entry < 0) return NONE;
      if (heap[entry] === high && heap[entry + 1] === low && this.#holds(entry, view, start, end)) {
        return heap[entry + 2]!;
      }
    }
  }

  /** Adds the string `[start, end)` of `view` with this hash, which must be new; returns its code. */
  add(view: DataView, start: number, end: number, high: number, low: number): number {
    if (this.#isFlooded) {
      this.#keyed.hash(view, start, end);
      high = this.#keyed.b;
      low = this.#keyed.a;
    }
    const code = this.count++;
    const entry = this.#used;
    const words = (end - start + 3) >> 2;
    // One more word, so that whole words can be read from the start of any string.
    if (entry + HEAD + words >= this.#heap.length) {
      this.#heap = grown(this.#heap, entry + HEAD + words + 1);
      this.#view = new DataView(this.#heap.buffer);
    }
    if (code === this.#entries.length) this.#entries = grown(this.#entries, code + 1);
    const heap = this.#heap;
    heap[entry] = high;
    heap[entry + 1] = low;
    heap[entry + 2] = code;
    heap[entry + 3] = end - start;
    let to = entry + HEAD;
    let at = start;
    for (; at + 4 <= end; at += 4) heap[to++] = view.getInt32(at, true);
    if (at < end) heap[to++] = lowBytes(view.getInt32(at, true), end - at);
    this.#used = to;
    this.#entries[code] = entry;
    if (this.count * 2 > this.#slots.length) this.#rehash(this.#slots.length * 4);
    else if (this.#place(entry) > MOST_PASSED && !this.#isFlooded) this.#defend();
    return code;
  }

  /** The code of the string `[start, end)` of `view` with this hash; adds the string if it is new. */
  intern(view: DataView, start: number, end: number, high: number, low: number): number {
    const code = this.find(view, start, end, high, low);
    return code === NONE ? this.add(view, start, end, high, low) : code;
  }

  /** The code of a well-formed string. */
  internText(text: string): number {
    const view = encoded(text);
    const length = view.byteLength - SLACK;
    hasher.hash(view, 0, length);
    return this.intern(view, 0, length, hasher.high, hasher.low);
  }

  /** The string of a code. */
  text(code: number): string {
    return this.#texts[code] ??= utf8.decode(new Uint8Array(this.#heap.buffer, this.start(code), this.length(code)));
  }

  /** Where the string of a code begins in `view`. */
  start(code: number): number {
    return (this.#entries[code]! + HEAD) << 2;
  }

  /** Length of the string of a code, in bytes. */
  length(code: number): number {
    return this.#heap[this.#entries[code]! + 3]!;
  }

  /** The bytes of the strings; `add` may replace it. */
  get view(): DataView {
    return this.#view;
  }

  /** A keyed hash of 63 bits, as a double: equal for equal strings in every dictionary with the same key. */
  hash(code: number): number {
    const start = this.start(code);
    return this.#keyed.double(this.#view, start, start + this.length(code));
  }

  /** A hash of 53 bits without a key, as in the sets of users that were stored before there was a key. */
  unkeyedHash(code: number): number {
    const start = this.start(code);
    hasher.hash(this.#view, start, start + this.length(code));
    return join53(hasher.high, hasher.low);
  }

  #holds(entry: number, view: DataView, start: number, end: number): boolean {
    const heap = this.#heap;
    if (heap[entry + 3] !== end - start) return false;
    let at = start;
    let own = entry + HEAD;
    for (; at + 4 <= end; at += 4) if (heap[own++] !== view.getInt32(at, true)) return false;
    return at === end || heap[own] === lowBytes(view.getInt32(at, true), end - at);
  }

  /** Stores an entry in a slot; returns how many slots it probed. */
  #place(entry: number): number {
    const mask = this.#slots.length - 1;
    const wanted = this.#heap[entry + 1]! & mask;
    let slot = wanted;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
    return (slot - wanted) & mask;
  }

  #rehash(slots: number): void {
    this.#slots = new Int32Array(slots).fill(-1);
    let mostPassed = 0;
    for (let code = 0; code < this.count; code++) mostPassed = Math.max(mostPassed, this.#place(this.#entries[code]!));
    if (mostPassed > MOST_PASSED && !this.#isFlooded) this.#defend();
  }

  /** Hashes all strings again, with the key. */
  #defend(): void {
    this.#isFlooded = true;
    for (let code = 0; code < this.count; code++) {
      const start = this.start(code);
      this.#keyed.hash(this.#view, start, start + this.length(code));
      this.#heap[this.#entries[code]!] = this.#keyed.b;
      this.#heap[this.#entries[code]! + 1] = this.#keyed.a;
    }
    this.#rehash(this.#slots.length);
  }
}

const hasher = new Hasher();
const encoder = new TextEncoder();

/** Bytes after a string that must be readable, because strings are read as whole words. */
export const SLACK = 4;

let scratch = new Uint8Array(1024);

/** A well-formed string in UTF-8, followed by `SLACK` bytes; valid until the next call. */
export function encoded(text: string): DataView<ArrayBuffer> {
  if (text.length * 3 + SLACK > scratch.length) scratch = new Uint8Array(text.length * 6 + SLACK);
  const { written } = encoder.encodeInto(text, scratch);
  return new DataView(scratch.buffer, 0, written + SLACK);
}
