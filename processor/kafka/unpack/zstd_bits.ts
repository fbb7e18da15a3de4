/**
 * Bit streams of Zstandard.
 * @module
 */

/** Bits that are read from end to beginning; the highest 1 in the last byte marks the end. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Number of bits left. */
  #left: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? bytes[end - 1]! : 0;
    if (last === 0) throw new Error("one of its bit streams has no end");
    this.#bytes = bytes;
    this.#start = start;
    this.#left = (end - start) * 8 - 1 - Math.clz32(last << 24);
  }

  /** Number of bits left. */
  get left(): number {
    return this.#left;
  }

  /** True once all bits have been read. */
  get isAtStart(): boolean {
    return this.#left === 0;
  }

  /** The next bits as a number; `count` is at most 30. */
  read(count: number): number {
    const left = this.#left -= count;
    if (left < 0) throw new Error("one of its bit streams is cut off");
    const number = bitsAt(this.#bytes, this.#start, left);
    if (count <= 25) return number & (1 << count) - 1;
    return number & 0xffff | (bitsAt(this.#bytes, this.#start, left + 16) & (1 << count - 16) - 1) << 16;
  }
}

/** At least 25 bits from bit `at`, counted from the byte at `start`. */
export function bitsAt(bytes: Uint8Array, start: number, at: number): number {
  const byte = start + (at >>> 3);
  return (bytes[byte]! | bytes[byte + 1]! << 8 | bytes[byte + 2]! << 16 | bytes[byte + 3]! << 24) >>> (at & 7);
}
