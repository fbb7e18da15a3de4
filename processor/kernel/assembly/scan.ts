/**
 * Finds the fields of a record: one flat object, with each field once. A producer writes its fields in one order and
 * with one spacing, so the bytes between two values are nearly always one of a few separators that were seen before, and
 * are compared as one vector. Other separators are parsed. What is not a flat object, or may have to be refused, is left
 * to the host.
 */
import { BEGINNING, fieldNamed, numeric } from "./fields";
import { same, upTo16, MASKS } from "./memory";
import { Note } from "./notes";
import { isPlainNumber } from "./numbers";
import { afterText, endOfText, hasHighBytes, isUtf8, textEnd, textStart, unescape } from "./text";

/** What stands between a value and the next: 16 bytes at most. */
@unmanaged
class Separator {
  /** Its bytes, and ones where they are. */
  low: u64 = 0;
  high: u64 = 0;
  maskLow: u64 = 0;
  maskHigh: u64 = 0;
  /** In bytes; 0 if there is none. */
  length: i32 = 0;
  /** The field that it names. */
  next: i32 = 0;
  /** Whether it ends with the quote of a text. */
  isText: i32 = 0;
}

const KNOWN: i32 = 4;
const SIZE: usize = 64;
/** By previous field: the separators that are known, and behind them one that may replace the oldest. */
const SEPARATORS: usize = memory.data(18 * 5 * 64, 64);
const OF_FIELD: usize = 5 * SIZE;
/** By previous field: which is the oldest, and how often the candidate came more often than others. */
const OLDEST: usize = memory.data(18 * 4, 4);
const SIGHTINGS: usize = memory.data(18 * 4, 4);

/** Sightings in excess of others that a separator needs to replace a known one: odd records can't push out the usual. */
const OFTEN: i32 = 32;

const NULL: u32 = 0x6c6c756e;
const TRUE: u32 = 0x65757274;
const FALS: u32 = 0x736c6166;

/** Notes that these bytes stood between two values. */
function learn(before: i32, next: i32, isText: bool, at: usize, length: i32): void {
  if (length > 16) return;
  const own = SEPARATORS + <usize>before * OF_FIELD;
  for (let n = 0; n < KNOWN; n++) {
    const free = changetype<Separator>(own + <usize>n * SIZE);
    if (free.length === 0) return write(free, next, isText, at, length);
  }
  const candidate = changetype<Separator>(own + <usize>KNOWN * SIZE);
  const sightings = SIGHTINGS + (before << 2);
  const count = load<i32>(sightings);
  const isSame = candidate.length === length && same(upTo16(at, length), v128.load(changetype<usize>(candidate)));
  if (isSame && count + 1 >= OFTEN) {
    const oldest = load<i32>(OLDEST + (before << 2));
    store<i32>(OLDEST + (before << 2), (oldest + 1) % KNOWN);
    store<i32>(sightings, 0);
    write(changetype<Separator>(own + <usize>oldest * SIZE), next, isText, at, length);
  } else if (isSame) store<i32>(sightings, count + 1);
  else if (count > 0) store<i32>(sightings, count - 1);
  else {
    store<i32>(sightings, 1);
    write(candidate, next, isText, at, length);
  }
}

function write(separator: Separator, next: i32, isText: bool, at: usize, length: i32): void {
  v128.store(changetype<usize>(separator), upTo16(at, length));
  v128.store(changetype<usize>(separator), v128.load(MASKS + (length << 4)), 16);
  separator.length = length;
  separator.next = next;
  separator.isText = isText ? 1 : 0;
}

@inline
function matches(here: v128, separator: usize): bool {
  return same(v128.and(here, v128.load(separator, 16)), v128.load(separator));
}

/** Where the next byte is that is not white space. */
function blanks(at: usize, end: usize): usize {
  for (; at < end; at++) {
    const c = <u32>load<u8>(at);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}

/** The field and the kind of value that `parseSeparator` found. */
let nextField: i32 = 0;
let nextIsText: bool = false;

/** Parses what stands between the values of two fields; returns where the value begins, or 0 if it is not as it should be. */
function parseSeparator(before: i32, from: usize, end: usize): usize {
  let at = blanks(from, end);
  if (at >= end || load<u8>(at) !== (before === BEGINNING ? 0x7b : 0x2c)) return 0;
  at = blanks(at + 1, end);
  if (at >= end || load<u8>(at) !== 0x22) return 0;
  const name = at + 1;
  at = endOfText(name, end);
  // Names that are escaped or not ASCII are left to the host.
  if (at >= end || load<u8>(at) !== 0x22 || hasHighBytes) return 0;
  nextField = fieldNamed(name, <i32>(at - name));
  at = blanks(at + 1, end);
  if (at >= end || load<u8>(at) !== 0x3a) return 0;
  at = blanks(at + 1, end);
  if (at >= end) return 0;
  nextIsText = load<u8>(at) === 0x22;
  if (nextIsText) at++;
  learn(before, nextField, nextIsText, from, <i32>(at - from));
  return at;
}

/** Notes where the fields of the record are; returns those with a value as bits, or 0 if the host must judge it. */
export function scan(note: Note, start: usize, end: usize): i32 {
  let at = start;
  let field = BEGINNING;
  let seen = 0;
  let present = 0;
  let numbers = 0;
  while (true) {
    const here = v128.load(at);
    let separator = SEPARATORS + <usize>field * OF_FIELD;
    let isText = false;
    let isKnown = true;
    if (!matches(here, separator)) {
      separator += SIZE;
      if (!matches(here, separator)) {
        separator += SIZE;
        if (!matches(here, separator)) {
          separator += SIZE;
          isKnown = matches(here, separator);
        }
      }
    }
    const known = changetype<Separator>(separator);
    if (isKnown && known.length !== 0) {
      at += known.length;
      field = known.next;
      isText = known.isText !== 0;
      if (at >= end) return 0;
      // The separator before a number also fits before a text, which then begins with a quote.
      if (!isText && load<u8>(at) === 0x22) {
        isText = true;
        at++;
      }
    } else {
      at = parseSeparator(field, at, end);
      if (at === 0) return 0;
      field = nextField;
      isText = nextIsText;
    }
    const bit = 1 << field;
    if (field !== 0) {
      // Of a field sent twice the last counts, which the host finds out.
      if ((seen & bit) !== 0) return 0;
      seen |= bit;
    }
    if (isText) {
      const close = endOfText(at, end);
      if (close >= end) return 0;
      const c = load<u8>(close);
      if (c === 0x22) {
        if (hasHighBytes && !isUtf8(at, close)) return 0;
        note.setSpan(field, at, close);
        at = close + 1;
      } else {
        if (c !== 0x5c || !unescape(at, end)) return 0;
        note.setSpan(field, textStart, textEnd);
        at = afterText;
      }
      present |= bit;
    } else {
      const from = at;
      while (at < end && isNumeral(load<u8>(at))) at++;
      if (at > from) {
        if (field === 0 ? !isPlainNumber(from, at) : (numeric & bit) === 0) return 0;
        note.setSpan(field, from, at);
        numbers |= bit;
        present |= bit;
      } else if (load<u32>(at) === NULL) at += 4;
      else if (field === 0 && load<u32>(at) === TRUE) at += 4;
      else if (field === 0 && load<u32>(at) === FALS && load<u8>(at, 4) === 0x65) at += 5;
      else return 0;
    }
    if (at >= end) return 0;
    const c = <u32>load<u8>(at);
    if (c === 0x7d) break;
    if (c !== 0x2c) {
      const blank = blanks(at, end);
      if (blank >= end) return 0;
      if (load<u8>(blank) === 0x7d) {
        at = blank;
        break;
      }
    }
  }
  note.numbers = numbers;
  return at + 1 === end || blanks(at + 1, end) === end ? present : 0;
}

@inline
function isNumeral(c: u32): bool {
  return c - 0x30 <= 9 || c === 0x2e;
}
