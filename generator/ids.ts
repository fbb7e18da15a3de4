/**
 * Identities that look random, are never given twice, and are the same for the same run.
 * @module
 */
import { hash, scramble } from "./random.ts";

/** The four hexadecimal digits of each 16-bit number. */
const HEX = Array.from({ length: 0x10000 }, (_, i) => i.toString(16).padStart(4, "0"));

/** Gives out the identities of a run. */
export class Ids {
  readonly #keys: readonly [number, number, number, number, number];
  #events = 0;
  #sessions = 0;

  /** @param run numbers that tell the run from others: others give other identities */
  constructor(...run: readonly number[]) {
    this.#keys = [hash(...run, 1), hash(...run, 2), hash(...run, 3), hash(...run, 4), hash(...run, 5)];
  }

  /** The next event's, in the form of a random UUID. */
  event(): string {
    const [keyA, keyB, keyC, keyD] = this.#keys;
    const n = this.#events++;
    // `a` and `b` together are a bijection of `n`, which keeps them apart; the rest is for looks, and other runs.
    const a = scramble(n ^ keyA);
    const b = scramble(Math.floor(n / 2 ** 32) ^ a ^ keyB);
    const c = scramble(a ^ keyC);
    const d = scramble(b ^ c ^ keyD);
    const version = HEX[((c >>> 16) & 0x0fff) | 0x4000]!;
    const variant = HEX[(c & 0x3fff) | 0x8000]!;
    return `${hex(a)}-${HEX[b >>> 16]!}-${version}-${variant}-${HEX[b & 0xffff]!}${hex(d)}`;
  }

  /** The next session's. */
  session(): string {
    return `s-${hex(scramble(this.#sessions++ ^ this.#keys[4]))}`;
  }
}

function hex(x: number): string {
  return HEX[x >>> 16]! + HEX[x & 0xffff]!;
}
