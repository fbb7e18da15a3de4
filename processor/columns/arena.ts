/**
 * Strings as consecutive bytes, without an object for each.
 * @module
 */
import { grown } from "./grown.ts";
import type { Sequence, StringSpans } from "./strings.ts";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Memory of the first strings: their number, and their bytes. */
const FIRST_STRINGS = 32;
const FIRST_BYTES = 256;

/** Begin of the first string. */
const NO_STARTS: Int32Array<ArrayBuffer> = new Int32Array(1);
const NO_BYTES = new DataView(new ArrayBuffer(0));

/** Strings in UTF-8 by index; takes no memory before the first. Views that strings are copied from must be readable up to three bytes past a string. */
export class Arena implements Sequence {
  /** Number of strings. `set` may write one more, which does not count until `count` is raised. */
  count = 0;
  /** Starts of the strings: string `n` is `[starts[n], starts[n + 1])`. */
  #starts = NO_STARTS;
  #view = NO_BYTES;

  /** Removes all strings, and keeps their memory. */
  clear(): void {
    this.count = 0;
  }

  /** The bytes of the strings. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  get spans(): StringSpans {
    return { view: this.#view, base: 0, starts: this.#starts };
  }

  /** Where string `n` begins. */
  start(n: number): number {
    return this.#starts[n]!;
  }

  /** Length of string `n`, in bytes. */
  length(n: number): number {
    return this.#starts[n + 1]! - this.#starts[n]!;
  }

  /** Writes `[start, end)` of `view` as string `n`; `n` must be `count`. */
  set(n: number, view: DataView, start: number, end: number): void {
    let to = this.#starts[n]!;
    const until = to + end - start;
    if (until + 4 > this.#view.byteLength) this.#enlarge(until + 4);
    if (n + 1 === this.#starts.length) this.#starts = grown(this.#starts, FIRST_STRINGS);
    const own = this.#view;
    // Writes whole words: bytes past the end belong to the next string, which is not written yet.
    for (let from = start; from < end; from += 4, to += 4) own.setInt32(to, view.getInt32(from, true), true);
    this.#starts[n + 1] = until;
  }

  /** Compares two strings byte by byte, which is by code point: negative, zero or positive. */
  compare(a: number, b: number): number {
    const startA = this.start(a);
    const startB = this.start(b);
    const lengthA = this.length(a);
    const lengthB = this.length(b);
    for (let i = 0; i < lengthA && i < lengthB; i++) {
      const difference = this.#view.getUint8(startA + i) - this.#view.getUint8(startB + i);
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  /** String `n`. */
  text(n: number): string {
    return decoder.decode(this.bytes(n));
  }

  /** The bytes of string `n`, not copied. */
  bytes(n: number): Uint8Array<ArrayBuffer> {
    const start = this.start(n);
    return new Uint8Array(this.#view.buffer, start, this.length(n));
  }

  #enlarge(atLeast: number): void {
    const larger = new Uint8Array(Math.max(atLeast, this.#view.byteLength * 2, FIRST_BYTES));
    larger.set(new Uint8Array(this.#view.buffer));
    this.#view = new DataView(larger.buffer);
  }
}
