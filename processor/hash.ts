/**
 * Hashes of byte strings: two lanes of 32 bits, for tables in memory and for counting what is different.
 * @module
 */

/** Hashes one string of bytes after another; a result stands until the next. */
export class Hasher {
  /** Upper 32 bits of the last hash, signed. */
  high = 0;
  /** Lower 32 bits of the last hash, signed. */
  low = 0;

  /** Hashes `bytes[start, end)`, four bytes at a time. */
  hash(bytes: Uint8Array, start: number, end: number): void {
    let a = 0x243f6a88 ^ (end - start);
    let b = 0x13198a2e;
    let i = start;
    for (; i + 4 <= end; i += 4) {
      const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b ^ word, 0x85ebca77);
      b = (b << 11) | (b >>> 21);
    }
    let rest = 0;
    for (; i < end; i++) rest = (rest << 8) | bytes[i]!;
    a = Math.imul(a ^ rest, 0x9e3779b1);
    b = Math.imul(b ^ rest, 0x85ebca77);
    this.high = avalanche(a ^ (a >>> 15));
    this.low = avalanche(b ^ this.high);
  }
}

/** Two lanes as one number of 53 bits. */
export function join53(high: number, low: number): number {
  return (high & 0x1fffff) * 4294967296 + (low >>> 0);
}

/** Lets every bit of a 32-bit number change about half of the others. */
export function avalanche(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
