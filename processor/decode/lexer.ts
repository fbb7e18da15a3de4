/**
 * Finds the fields of a record in one pass over its bytes, four at a time.
 *
 * A producer writes its fields in one order and with one spacing. So the bytes between two values are nearly always one
 * of a few separators seen before, and are compared as a whole before they are parsed.
 * @module
 */
import { BACKSLASH, CLOSE, COLON, COMMA, FOURFOLD, HIGH_BITS, OPEN, QUOTE, textOf } from "./ascii.ts";
import { MOST_AHEAD } from "./decoder.ts";
import { BEGINNING, FIELD_BITS, FIELD_BY_NAME, HASHED, NUMERIC, OTHER } from "./fields.ts";
import { isDigit, isNumeral, isPlainNumber } from "./numbers.ts";
import { Separators } from "./separators.ts";
import { endHigh, endLow, Hasher, HIGH_SEED, LOW_SEED, lowBytes, stepHigh, stepLow } from "../columns/hash.ts";

// Local copies: the compiler knows a module's own constants, but loads imported ones each time.
const BITS = FIELD_BITS;
const IGNORED = OTHER;
const START = BEGINNING;
const LOOKED_UP = HASHED;
const MAYBE_NUMBER = NUMERIC;
const ONES = FOURFOLD;
const QUOTES = QUOTE * FOURFOLD;
const BACKSLASHES = BACKSLASH * FOURFOLD;
const BLANKS = 0x20 * FOURFOLD;
const TOPS = HIGH_BITS;

/** Finds the fields of up to `MOST_AHEAD` records and notes where their values are. */
export class Lexer {
  readonly #separators = new Separators(BEGINNING + 1);
  readonly #hasher = new Hasher();
  /** By record and field: where the value begins and ends; a string without its quotes. */
  readonly starts = new Int32Array(MOST_AHEAD << BITS);
  readonly ends = new Int32Array(MOST_AHEAD << BITS);
  /** By record and field: the hash of a string that is looked up. */
  readonly highs = new Int32Array(MOST_AHEAD << BITS);
  readonly lows = new Int32Array(MOST_AHEAD << BITS);
  /** By record: the fields with a number, as bits. */
  readonly numbers = new Int32Array(MOST_AHEAD);

  /**
   * Finds the fields of record `n`, which is `[start, end)` of `view`; `MARGIN` bytes after it must be readable.
   * Returns the fields with a value as bits, or 0 if anything is unusual.
   */
  scan(n: number, view: DataView, start: number, end: number): number {
    const expected = this.#separators;
    const first = n << BITS;
    let at = start;
    let field = START;
    let seen = 0;
    let present = 0;
    let numbers = 0;
    for (;;) {
      let isText = true;
      const way = expected.find(field, view, at);
      if (way >= 0) {
        at += expected.length(way);
        isText = expected.isText(way);
        field = expected.next(way);
        // The separator before a number also fits before a text, which then begins with a quote.
        if (!isText && view.getUint8(at) === QUOTE) {
          isText = true;
          at++;
        }
      } else {
        const before = field;
        const between = at;
        at = blanks(view, at, end);
        if (view.getUint8(at) !== (before === START ? OPEN : COMMA)) return 0;
        at = blanks(view, at + 1, end);
        if (at >= end || view.getUint8(at) !== QUOTE) return 0;
        const name = at + 1;
        at = name;
        while (at < end && isPlain(view.getUint8(at))) at++;
        if (at >= end || view.getUint8(at) !== QUOTE) return 0;
        field = FIELD_BY_NAME.get(textOf(view, name, at)) ?? IGNORED;
        at = blanks(view, at + 1, end);
        if (at >= end || view.getUint8(at) !== COLON) return 0;
        at = blanks(view, at + 1, end);
        isText = at < end && view.getUint8(at) === QUOTE;
        if (isText) at++;
        expected.learn(before, field, isText, view, between, at);
      }
      const bit = 1 << field;
      if (field !== IGNORED) {
        if ((seen & bit) !== 0) return 0;
        seen |= bit;
      }
      const from = at;
      if (isText && (LOOKED_UP & bit) === 0) {
        at = plainEnd(view, at, end);
        if (at >= end) return 0;
        if (view.getUint8(at) !== QUOTE) at = endOfText(view, at, end);
        if (at < 0) return 0;
        this.starts[first | field] = from;
        this.ends[first | field] = at;
        present |= bit;
        at++;
      } else if (isText) {
        let high = HIGH_SEED;
        let low = LOW_SEED;
        for (;;) {
          // The text goes beyond the record: it has no end.
          if (at >= end) return 0;
          const word = view.getInt32(at, true);
          const special = specialIn(word);
          if (special === 0) {
            high = stepHigh(high, word);
            low = stepLow(low, word);
            at += 4;
          } else {
            const plain = (31 - Math.clz32(special & -special)) >>> 3;
            const rest = lowBytes(word, plain);
            high = stepHigh(high, rest);
            low = stepLow(low, rest);
            at += plain;
            break;
          }
        }
        if (at >= end) return 0;
        if (view.getUint8(at) === QUOTE) {
          high = endHigh(high, at - from);
          this.highs[first | field] = high;
          this.lows[first | field] = endLow(low, high);
        } else {
          at = endOfText(view, at, end);
          if (at < 0) return 0;
          this.#hasher.hash(view, from, at);
          this.highs[first | field] = this.#hasher.high;
          this.lows[first | field] = this.#hasher.low;
        }
        this.starts[first | field] = from;
        this.ends[first | field] = at;
        present |= bit;
        at++;
      } else if (isDigit(view.getUint8(at))) {
        while (at < end && isNumeral(view.getUint8(at))) at++;
        // Numbers are parsed later, for fields that take numbers; in an ignored field, any valid number is allowed.
        if (field === IGNORED ? !isPlainNumber(view, from, at) : (MAYBE_NUMBER & bit) === 0) return 0;
        this.starts[first | field] = from;
        this.ends[first | field] = at;
        numbers |= bit;
        present |= bit;
      } else if (matches(view, at, end, "null")) {
        at += 4;
      } else if (field === IGNORED && matches(view, at, end, "true")) {
        at += 4;
      } else if (field === IGNORED && matches(view, at, end, "false")) {
        at += 5;
      } else {
        return 0;
      }
      if (at >= end) return 0;
      let next = view.getUint8(at);
      if (next === CLOSE) break;
      if (next !== COMMA) {
        const blank = blanks(view, at, end);
        if (blank >= end) return 0;
        next = view.getUint8(blank);
        if (next === CLOSE) {
          at = blank;
          break;
        }
      }
    }
    this.numbers[n] = numbers;
    return at + 1 === end || blanks(view, at + 1, end) === end ? present : 0;
  }
}

/**
 * Marks with its highest bit each byte of a word that is a quote, a backslash, a control character or not ASCII. Bytes
 * above the first marked one may be marked wrongly.
 */
function specialIn(word: number): number {
  return (((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES) | (word - BLANKS) | word) & TOPS;
}

/** Position of the first marked byte from `at`; or a position after `end`. */
function plainEnd(view: DataView, at: number, end: number): number {
  for (; at < end; at += 4) {
    const special = specialIn(view.getInt32(at, true));
    if (special !== 0) return at + ((31 - Math.clz32(special & -special)) >>> 3);
  }
  return at;
}

/** Position of the quote that ends a text, from `at`; -1 if an escape or invalid UTF-8 comes before it. */
function endOfText(view: DataView, at: number, end: number): number {
  while (at < end) {
    const c = view.getUint8(at);
    if (c === QUOTE) return at;
    if (c < 0x20 || c === BACKSLASH) return -1;
    const length = c < 0x80 ? 1 : sequenceLength(view, at, c);
    if (length === 0) return -1;
    at += length;
  }
  return -1;
}

/** Length of the UTF-8 sequence that begins with byte `c` at `at`; 0 if it is invalid, as for surrogates. */
function sequenceLength(view: DataView, at: number, c: number): number {
  const follows = (n: number, least = 0x80, most = 0xbf) => {
    const next = view.getUint8(at + n);
    return next >= least && next <= most;
  };
  if (c < 0xc2 || c > 0xf4) return 0;
  if (c < 0xe0) return follows(1) ? 2 : 0;
  if (c < 0xf0) return follows(1, c === 0xe0 ? 0xa0 : 0x80, c === 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  return follows(1, c === 0xf0 ? 0x90 : 0x80, c === 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
}

function isPlain(c: number): boolean {
  return c >= 0x20 && c < 0x80 && c !== QUOTE && c !== BACKSLASH;
}

/** Position of the next byte that is not white space. */
function blanks(view: DataView, at: number, end: number): number {
  for (; at < end; at++) {
    const c = view.getUint8(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}

function matches(view: DataView, at: number, end: number, word: string): boolean {
  if (end - at < word.length) return false;
  for (let i = 0; i < word.length; i++) if (view.getUint8(at + i) !== word.charCodeAt(i)) return false;
  return true;
}
