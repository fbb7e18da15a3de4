/**
 * Hashes that an attacker can't collide: Chaskey-12, the message authentication code of ISO/IEC 29192-6, with a secret
 * key of 128 bits. Without the key nobody can find two strings that collide, however many they try.
 *
 * There are two lengths. An `eventId` has 96 bits: among 10^9 ids, each compared with the at most 27 million ids that a
 * partition remembers, the chance of a collision is 3 in 10^13. A member of a set of users has 63 bits, as the bits of
 * a double: in a set of 4,096, the largest that is counted exactly, the chance of a collision is 9 in 10^13.
 *
 * Chaskey uses additions, rotations and exclusive ors of 32 bits, which are fast in JavaScript.
 * @module
 */
import { lowBytes } from "./hash.ts";

/** Length of a key, in bytes. */
export const KEY_BYTES = 16;

/** Not secret: for hashes that are not compared. */
export const NO_KEY: Uint8Array = new Uint8Array(KEY_BYTES);

const ROUNDS = 12;
const BLOCK_BYTES = 16;

/** Clears the highest bit of a double's exponent, so that no hash is infinite or NaN. */
const FINITE = ~(1 << 30);

/** Hashes byte strings; a result is valid until the next call. */
export class KeyedHash {
  /** The first 96 bits of the last hash, as words. */
  a = 0;
  b = 0;
  c = 0;
  /** The key, and the masks for a last block that is full or padded. */
  readonly #key = new Int32Array(4);
  readonly #full = new Int32Array(4);
  readonly #padded = new Int32Array(4);
  #isReady = false;
  /** Number of calls of `use`. */
  uses = 0;
  readonly #words = new Int32Array(2);
  readonly #double = new Float64Array(this.#words.buffer);

  /** @param key `KEY_BYTES` bytes; without it, call `use` before hashing anything */
  constructor(key?: Uint8Array) {
    if (key !== undefined) this.use(key);
  }

  /**
   * Sets another key: hashes with different keys can't be compared.
   *
   * @throws {RangeError} if the key is not `KEY_BYTES` long
   */
  use(key: Uint8Array): void {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key of ${key.length} bytes; ${KEY_BYTES} are needed`);
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    for (let i = 0; i < 4; i++) this.#key[i] = view.getInt32(4 * i, true);
    double(this.#key, this.#full);
    double(this.#full, this.#padded);
    this.#isReady = true;
    this.uses++;
  }

  /** The key. */
  get key(): Uint8Array {
    return new Uint8Array(this.#key.slice().buffer);
  }

  /** Hashes the bytes `[start, end)` of `view`, which must be readable up to three bytes past `end`. */
  hash(view: DataView, start: number, end: number): void {
    if (!this.#isReady) throw new Error("nothing can be hashed before the key is known");
    const key = this.#key;
    let [v0, v1, v2, v3] = [key[0]!, key[1]!, key[2]!, key[3]!];
    let at = start;
    for (let isLast = false; !isLast; at += BLOCK_BYTES) {
      const left = end - at;
      isLast = left <= BLOCK_BYTES;
      let mask = key;
      if (left >= BLOCK_BYTES) {
        v0 ^= view.getInt32(at, true);
        v1 ^= view.getInt32(at + 4, true);
        v2 ^= view.getInt32(at + 8, true);
        v3 ^= view.getInt32(at + 12, true);
        mask = this.#full;
      } else {
        v0 ^= padded(view, at, left);
        v1 ^= padded(view, at + 4, left - 4);
        v2 ^= padded(view, at + 8, left - 8);
        v3 ^= padded(view, at + 12, left - 12);
        mask = this.#padded;
      }
      if (isLast) {
        v0 ^= mask[0]!;
        v1 ^= mask[1]!;
        v2 ^= mask[2]!;
        v3 ^= mask[3]!;
      }
      for (let round = 0; round < ROUNDS; round++) {
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
      if (isLast) {
        v0 ^= mask[0]!;
        v1 ^= mask[1]!;
        v2 ^= mask[2]!;
      }
    }
    this.a = v0;
    this.b = v1;
    this.c = v2;
  }

  /** Hashes like `hash`, and returns 63 bits as a double: finite, and equal only if the bits are. */
  double(view: DataView, start: number, end: number): number {
    this.hash(view, start, end);
    this.#words[0] = this.a;
    this.#words[1] = this.b & FINITE;
    return this.#double[0]!;
  }
}

/** Up to four of a string's last bytes, lowest first, with a 1 after the last byte. */
function padded(view: DataView, at: number, left: number): number {
  if (left >= 4) return view.getInt32(at, true);
  if (left < 0) return 0;
  return left === 0 ? 1 : lowBytes(view.getInt32(at, true), left) | (1 << (left << 3));
}

/** Doubles a number in GF(2^128), as Chaskey derives its two masks from the key. */
function double(from: Int32Array, into: Int32Array): void {
  const [a, b, c, d] = [from[0]!, from[1]!, from[2]!, from[3]!];
  into[0] = (a << 1) ^ (d < 0 ? 0x87 : 0);
  into[1] = (b << 1) | (a >>> 31);
  into[2] = (c << 1) | (b >>> 31);
  into[3] = (d << 1) | (c >>> 31);
}
