/**
 * Strings as small numbers: each is kept once, as the bytes it came in, and made into a string only where one is wanted.
 * @module
 */
import { Hasher, join53 } from "./hash.ts";

/** Code of an absent string. */
export const NONE = -1;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Strings in UTF-8, each once; its code is its place. */
export class Dictionary {
  /** Number of strings; codes are below it. */
  count = 0;
  readonly #hasher = new Hasher();
  /** The strings one after the other: code `c` is `bytes[starts[c], starts[c + 1])`. */
  #bytes = new Uint8Array(256);
  #starts = new Int32Array(32);
  #high = new Int32Array(31);
  #low = new Int32Array(31);
  /** Codes by hash, with open addressing; -1 where free. */
  #slots = new Int32Array(64).fill(-1);
  readonly #texts: (string | undefined)[] = [];

  /** The code of `bytes[start, end)`, or `NONE` if it has not been seen; a call of `add` may follow. */
  find(bytes: Uint8Array, start: number, end: number): number {
    this.#hasher.hash(bytes, start, end);
    const { high, low } = this.#hasher;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = low & mask;; slot = (slot + 1) & mask) {
      const code = slots[slot]!;
      if (code < 0) return NONE;
      if (this.#low[code] === low && this.#high[code] === high && this.#same(code, bytes, start, end)) return code;
    }
  }

  /** The code of `bytes[start, end)`, for which `find` has just returned `NONE`. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const code = this.count++;
    const from = this.#starts[code]!;
    const until = from + end - start;
    if (code === this.#high.length) this.#grow();
    if (until > this.#bytes.length) this.#bytes = enlarged(this.#bytes, until);
    for (let i = start, at = from; i < end; i++) this.#bytes[at++] = bytes[i]!;
    this.#starts[code + 1] = until;
    this.#high[code] = this.#hasher.high;
    this.#low[code] = this.#hasher.low;
    if (this.count * 2 > this.#slots.length) this.#rehash();
    else this.#place(code);
    return code;
  }

  /** The code of `bytes[start, end)`, the same for equal strings. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const code = this.find(bytes, start, end);
    return code === NONE ? this.add(bytes, start, end) : code;
  }

  /** The code of a well-formed string. */
  internText(text: string): number {
    const bytes = encoder.encode(text);
    return this.intern(bytes, 0, bytes.length);
  }

  /** The string of a code. */
  text(code: number): string {
    return this.#texts[code] ??= decoder.decode(this.#bytes.subarray(this.#starts[code], this.#starts[code + 1]));
  }

  /** A hash of 53 bits, the same for equal strings in every dictionary. */
  hash(code: number): number {
    return join53(this.#high[code]!, this.#low[code]!);
  }

  /** Copies the bytes of a code to `target[at…]`; returns where they end. */
  copy(code: number, target: Uint8Array, at: number): number {
    const until = this.#starts[code + 1]!;
    for (let i = this.#starts[code]!; i < until; i++) target[at++] = this.#bytes[i]!;
    return at;
  }

  /** Length of a code's string in bytes. */
  length(code: number): number {
    return this.#starts[code + 1]! - this.#starts[code]!;
  }

  #same(code: number, bytes: Uint8Array, start: number, end: number): boolean {
    let at = this.#starts[code]!;
    if (this.#starts[code + 1]! - at !== end - start) return false;
    for (let i = start; i < end; i++) if (bytes[i] !== this.#bytes[at++]) return false;
    return true;
  }

  #place(code: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#low[code]! & mask;
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = code;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 4).fill(-1);
    for (let code = 0; code < this.count; code++) this.#place(code);
  }

  #grow(): void {
    const capacity = this.#high.length * 2;
    this.#high = widened(this.#high, capacity);
    this.#low = widened(this.#low, capacity);
    this.#starts = widened(this.#starts, capacity + 1);
  }
}

function widened(values: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(values);
  return larger;
}

function enlarged(bytes: Uint8Array<ArrayBuffer>, atLeast: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(atLeast, bytes.length * 2));
  larger.set(bytes);
  return larger;
}
