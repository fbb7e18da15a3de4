/**
 * Hashes byte strings without a key, four bytes at a time, in two lanes of 32 bits: for the sets of users that were
 * stored before there was a key.
 * @module
 */

/** Start of the upper lane. */
const HIGH_SEED = 0x243f6a88;

/** Start of the lower lane. */
const LOW_SEED = 0x13198a2e;

/** The upper lane after four more bytes, lowest first; missing bytes of the last four are 0. */
function stepHigh(lane: number, word: number): number {
  lane = Math.imul(lane ^ word, 0x9e3779b1);
  return lane ^ (lane >>> 15);
}

/** The lower lane after four more bytes. */
function stepLow(lane: number, word: number): number {
  lane = Math.imul(lane ^ word, 0x85ebca77);
  return (lane << 11) | (lane >>> 21);
}

/** The upper half of the hash of a string with `length` bytes. */
function endHigh(lane: number, length: number): number {
  return avalanche(lane ^ length);
}

/** The lower half of the hash, from its lane and the upper half. */
function endLow(lane: number, high: number): number {
  return avalanche(lane ^ high);
}

/** Hashes byte strings; a result is valid until the next call. */
export class Hasher {
  /** Upper 32 bits of the last hash, signed. */
  high = 0;
  /** Lower 32 bits of the last hash, signed. */
  low = 0;

  /** Hashes the bytes `[start, end)` of `view`, which must be readable up to three bytes past `end`. */
  hash(view: DataView, start: number, end: number): void {
    let high = HIGH_SEED;
    let low = LOW_SEED;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const word = view.getInt32(at, true);
      high = stepHigh(high, word);
      low = stepLow(low, word);
    }
    const rest = at < end ? lowBytes(view.getInt32(at, true), end - at) : 0;
    this.high = endHigh(stepHigh(high, rest), end - start);
    this.low = endLow(stepLow(low, rest), this.high);
  }
}

/** The lowest `n` bytes of a word; `n` is 0 to 3. */
export function lowBytes(word: number, n: number): number {
  return word & ((1 << (n << 3)) - 1);
}

const hasher = new Hasher();

/** The hash of the bytes `[start, end)` of `view` as one number of 53 bits. */
export function hash53(view: DataView, start: number, end: number): number {
  hasher.hash(view, start, end);
  return join53(hasher.high, hasher.low);
}

/** Two halves as one number of 53 bits. */
export function join53(high: number, low: number): number {
  return (high & 0x1fffff) * 4294967296 + (low >>> 0);
}

/** Mixes a 32-bit number so that every input bit changes about half of the output bits. */
function avalanche(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
