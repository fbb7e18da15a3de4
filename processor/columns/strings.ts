/**
 * Strings by number: what is asked of them, wherever their bytes are.
 * @module
 */

/** Number of an absent string. */
export const NONE = -1;

/** Strings by number, as UTF-8 that is readable up to three bytes past each string's end. */
export interface Strings {
  readonly view: DataView;
  /** Where the strings lie, for loops over many; valid until a string is added. */
  readonly spans: StringSpans;
  /** Where string `n` begins in `view`. */
  start(n: number): number;
  /** Its length in bytes. */
  length(n: number): number;
  text(n: number): string;
}

/** Strings one behind the other: string `n` is `[base + starts[n], base + starts[n + 1])` of `view`. */
export interface StringSpans {
  readonly view: DataView;
  readonly base: number;
  readonly starts: Int32Array;
}

/** Distinct strings of one commit; a string's code is its number. */
export interface Dictionary extends Strings {
  /** Number of strings; all codes are smaller. */
  readonly count: number;
  /** Number of calls of `clear`: a code is only valid within one generation. */
  readonly generation: number;
  /** The code of a well-formed string; adds the string if it is new. */
  internText(text: string): number;
  /** A keyed hash of 63 bits, as a double: equal for equal strings in every dictionary with the same key. */
  hash(code: number): number;
  /** A hash of 53 bits without a key, as in the sets of users that were stored before there was a key. */
  unkeyedHash(code: number): number;
  /** Removes all strings, and keeps their memory. */
  clear(): void;
}

/** Strings in the order in which they were written, with repetitions. */
export interface Sequence extends Strings {
  /** Number of strings. `set` may write one more, which does not count until `count` is raised. */
  count: number;
  /** Writes the bytes `[start, end)` of `view` as string `n`; `n` must be `count`. */
  set(n: number, view: DataView, start: number, end: number): void;
  /** Compares two strings byte by byte, which is by code point: negative, zero or positive. */
  compare(a: number, b: number): number;
  /** Removes all strings, and keeps their memory. */
  clear(): void;
}
