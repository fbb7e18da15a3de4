/** Texts of JSON: where they end, their escapes, and UTF-8. */
import { alloc } from "./memory";

/** What `endOfText` found before the end: bytes that are not ASCII. */
export let hasHighBytes: bool = false;

/** Where the text at `at` has its quote, or a byte that ends plain text; `end` or beyond if there is none. */
@inline
export function endOfText(at: usize, end: usize): usize {
  let high: i32 = 0;
  for (; at < end; at += 16) {
    const bytes = v128.load(at);
    const ends = i8x16.bitmask(v128.or(
      v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))),
      i8x16.lt_u(bytes, i8x16.splat(0x20)),
    ));
    const above = i8x16.bitmask(bytes);
    if (ends !== 0) {
      const n = ctz(ends);
      hasHighBytes = (high | (above & ((1 << n) - 1))) !== 0;
      return at + n;
    }
    high |= above;
  }
  return at;
}

/** Texts of a round that differ from what was sent. Where there is no room for another, the host judges its record. */
const SCRATCH_BYTES: usize = 128 * 1024;
let scratch: usize = 0;
let used: usize = 0;

export function initScratch(): void {
  scratch = alloc(SCRATCH_BYTES);
}

export function clearScratch(): void {
  used = 0;
}

/** Room for so many bytes until the end of the round; 0 if there is none. */
export function scratchFor(bytes: usize): usize {
  if (used + bytes > SCRATCH_BYTES) return 0;
  const at = scratch + used;
  used += bytes;
  return at;
}

/** Where the last text of `unescape` ends, behind its quote; and its own begin and end. */
export let afterText: usize = 0;
export let textStart: usize = 0;
export let textEnd: usize = 0;

/** Copies a text that has escapes, up to its quote; false if it is not valid, or has no end. */
export function unescape(from: usize, end: usize): bool {
  // No longer than what is left of the record.
  let to = scratchFor(end - from);
  if (to === 0) return false;
  textStart = to;
  let at = from;
  while (at < end) {
    const c = <u32>load<u8>(at++);
    if (c === 0x22) {
      textEnd = to;
      afterText = at;
      return isUtf8(textStart, to);
    }
    if (c < 0x20) return false;
    if (c !== 0x5c) {
      store<u8>(to++, c);
      continue;
    }
    if (at >= end) return false;
    const kind = <u32>load<u8>(at++);
    let unit: u32 = 0;
    if (kind === 0x75) {
      const first = hexadecimal(at, end);
      if (first <= 0) return false; // also a NUL, which can't be stored
      at += 4;
      unit = <u32>first;
      if (unit >= 0xd800 && unit < 0xe000) {
        if (unit >= 0xdc00 || at + 6 > end || load<u16>(at) !== 0x755c) return false;
        const second = hexadecimal(at + 2, end);
        if (second < 0xdc00 || second > 0xdfff) return false;
        at += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (<u32>second - 0xdc00);
      }
    } else if (kind === 0x22 || kind === 0x5c || kind === 0x2f) unit = kind;
    else if (kind === 0x62) unit = 0x08;
    else if (kind === 0x66) unit = 0x0c;
    else if (kind === 0x6e) unit = 0x0a;
    else if (kind === 0x72) unit = 0x0d;
    else if (kind === 0x74) unit = 0x09;
    else return false;
    to = encoded(unit, to);
  }
  return false;
}

/** The number of four hexadecimal digits; -1 if they are none. */
function hexadecimal(at: usize, end: usize): i32 {
  if (at + 4 > end) return -1;
  let number = 0;
  for (let n: usize = 0; n < 4; n++) {
    const c = <u32>load<u8>(at + n);
    const letter = (c | 0x20) - 0x61;
    const digit = c - 0x30 <= 9 ? c - 0x30 : letter < 6 ? letter + 10 : 16;
    if (digit > 15) return -1;
    number = (number << 4) | digit;
  }
  return number;
}

/** Writes a code point in UTF-8; returns where it ends. */
function encoded(point: u32, to: usize): usize {
  if (point < 0x80) {
    store<u8>(to, point);
    return to + 1;
  }
  if (point < 0x800) {
    store<u8>(to, 0xc0 | (point >>> 6));
    store<u8>(to, 0x80 | (point & 0x3f), 1);
    return to + 2;
  }
  if (point < 0x10000) {
    store<u8>(to, 0xe0 | (point >>> 12));
    store<u8>(to, 0x80 | ((point >>> 6) & 0x3f), 1);
    store<u8>(to, 0x80 | (point & 0x3f), 2);
    return to + 3;
  }
  store<u8>(to, 0xf0 | (point >>> 18));
  store<u8>(to, 0x80 | ((point >>> 12) & 0x3f), 1);
  store<u8>(to, 0x80 | ((point >>> 6) & 0x3f), 2);
  store<u8>(to, 0x80 | (point & 0x3f), 3);
  return to + 4;
}

@inline
function follows(at: usize, end: usize, least: u32, most: u32): bool {
  return at < end && <u32>load<u8>(at) - least <= most - least;
}

/** Whether the bytes are well-formed UTF-8. */
export function isUtf8(at: usize, end: usize): bool {
  while (at < end) {
    const c = <u32>load<u8>(at++);
    if (c < 0x80) continue;
    if (c < 0xc2 || c > 0xf4) return false;
    const least: u32 = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
    const most: u32 = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
    if (!follows(at++, end, least, most)) return false;
    if (c >= 0xe0 && !follows(at++, end, 0x80, 0xbf)) return false;
    if (c >= 0xf0 && !follows(at++, end, 0x80, 0xbf)) return false;
  }
  return true;
}
