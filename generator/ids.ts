/**
 * Identities that look random, are never given twice, and are the same for the same run.
 * @module
 */
import { hash, scramble } from "./random.ts";

/** Length of an event's identity, in bytes. */
export const EVENT_ID_BYTES = 36;

const DIGITS = new TextEncoder().encode("0123456789abcdef");

const DASH = 45;

/** Gives out the identities of a run. */
export class Ids {
  readonly #keys: readonly [number, number, number, number, number];
  #events = 0;
  #sessions = 0;

  /** @param run numbers that tell the run from others: others give other identities */
  constructor(...run: readonly number[]) {
    this.#keys = [hash(...run, 1), hash(...run, 2), hash(...run, 3), hash(...run, 4), hash(...run, 5)];
  }

  /** Writes the next event's, in the form of a random UUID, as ASCII; straight into bytes, for there are many. */
  event(bytes: Uint8Array, at: number): void {
    const n = this.#events++;
    // `a` and `b` together are a bijection of `n`, which keeps them apart; the rest is for looks, and other runs.
    const a = scramble(n ^ this.#keys[0]);
    const b = scramble(Math.floor(n / 2 ** 32) ^ a ^ this.#keys[1]);
    const c = scramble(a ^ this.#keys[2]);
    const d = scramble(b ^ c ^ this.#keys[3]);
    hex(a, 8, bytes, at);
    bytes[at + 8] = DASH;
    hex(b >>> 16, 4, bytes, at + 9);
    bytes[at + 13] = DASH;
    hex(((c >>> 16) & 0x0fff) | 0x4000, 4, bytes, at + 14);
    bytes[at + 18] = DASH;
    hex((c & 0x3fff) | 0x8000, 4, bytes, at + 19);
    bytes[at + 23] = DASH;
    hex(b, 4, bytes, at + 24);
    hex(d, 8, bytes, at + 28);
  }

  /** The next session's. */
  session(): string {
    return `s-${scramble(this.#sessions++ ^ this.#keys[4]).toString(16).padStart(8, "0")}`;
  }
}

/** Writes the last `digits` hexadecimal digits of a number. */
function hex(x: number, digits: number, bytes: Uint8Array, at: number): void {
  for (let i = at + digits - 1; i >= at; i--) {
    bytes[i] = DIGITS[x & 15]!;
    x >>>= 4;
  }
}
