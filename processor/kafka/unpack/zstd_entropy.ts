/**
 * Zstandard's finite state entropy: tables that turn bits into symbols.
 * @module
 */
import { bitsAt } from "./zstd_bits.ts";

/** For each state: its symbol, and how many bits to add to a base for the next state. */
export interface FiniteStates {
  /** The table has 2^log states. */
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
  /** Largest allowed symbol. */
  readonly largest: number;
}

/**
 * A table in which symbol `s` has `shares[s]` of 2^log states; -1 means one state for a less likely symbol.
 *
 * @throws {Error} if the shares don't add up to 2^log
 */
export function finiteState(shares: readonly number[], log: number): FiniteStates {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(shares.length);
  let top = size;
  shares.forEach((share, symbol) => {
    next[symbol] = Math.abs(share);
    if (share === -1) symbols[--top] = symbol;
  });
  const step = (size >>> 1) + (size >>> 3) + 3;
  let at = 0;
  shares.forEach((share, symbol) => {
    for (let n = 0; n < share; n++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1); while (at >= top);
    }
  });
  if (at !== 0) throw new Error("one of its tables is damaged");
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const number = next[symbols[state]!]!++;
    bits[state] = log - (31 - Math.clz32(number));
    bases[state] = (number << bits[state]!) - size;
  }
  return { log, symbols, bits, bases, largest: shares.length - 1 };
}

/** Reads a table from `at` that ends before `end`; returns it and where it ends. */
export function readFiniteStates(
  bytes: Uint8Array,
  at: number,
  end: number,
  maxLog: number,
): { readonly states: FiniteStates; readonly at: number } {
  if (at >= end) throw new Error("it is cut off");
  const log = (bytes[at]! & 15) + 5;
  if (log > maxLog) throw new Error("one of its tables is larger than allowed");
  const shares: number[] = [];
  let bit = 4;
  let left = 1 << log;
  while (left > 0) {
    if (shares.length > 255 || at + (bit >>> 3) >= end) throw new Error("one of its tables is damaged");
    // Enough bits for the states that are left; small numbers need one bit less.
    const least = 31 - Math.clz32(left + 1);
    const mask = (1 << least) - 1;
    const saved = (mask << 1) - left;
    let share = bitsAt(bytes, at, bit) & (mask << 1 | 1);
    if ((share & mask) < saved) {
      share &= mask;
      bit += least;
    } else {
      if (share > mask) share -= saved;
      bit += least + 1;
    }
    share--;
    shares.push(share);
    left -= Math.abs(share);
    if (share !== 0) continue;
    for (let more = 3; more === 3 && shares.length <= 256;) {
      more = bitsAt(bytes, at, bit) & 3;
      bit += 2;
      for (let n = 0; n < more; n++) shares.push(0);
    }
  }
  const after = at + (bit + 7 >>> 3);
  if (left < 0 || after > end || shares.length > 256) throw new Error("one of its tables is damaged");
  return { states: finiteState(shares, log), at: after };
}
