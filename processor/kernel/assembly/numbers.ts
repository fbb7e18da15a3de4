/** Numbers and times, from their digits. */
import { same, upTo16 } from "./memory";

/** True for digits with optional decimals, as JSON allows them. */
export function isPlainNumber(at: usize, end: usize): bool {
  return (end - at === 1 || load<u8>(at) !== 0x30 || load<u8>(at, 1) === 0x2e) && isDecimal(at, end);
}

/** True for digits with optional decimals. */
export function isDecimal(at: usize, end: usize): bool {
  if (at >= end || load<u8>(at) === 0x2e || load<u8>(end - 1) === 0x2e) return false;
  let points = 0;
  for (; at < end; at++) {
    const c = <u32>load<u8>(at);
    if (c === 0x2e) points++;
    else if (c - 0x30 > 9) return false;
  }
  return points <= 1;
}

/**
 * A decimal of at most 15 digits in minor units of so many digits, rounded half up; NaN for anything else. A text may
 * begin with zeros.
 */
export function minorOf(at: usize, end: usize, isText: bool, digits: i32): f64 {
  // Up to this length, the number from `JSON.parse` prints with exactly these digits.
  if (end - at > 15 || !(isText ? isDecimal(at, end) : isPlainNumber(at, end))) return NaN;
  // With four more digits, it fits into 64 bits without a sign.
  let minor: u64 = 0;
  let decimals = -1;
  let up: u64 = 0;
  for (; at < end; at++) {
    const c = <u64>load<u8>(at);
    if (c === 0x2e) decimals = 0;
    else if (decimals < digits) {
      minor = minor * 10 + c - 0x30;
      if (decimals >= 0) decimals++;
    } else {
      if (decimals === digits && c >= 0x35) up = 1;
      decimals++;
    }
  }
  for (let n = max(decimals, 0); n < digits; n++) minor *= 10;
  return <f64>(minor + up);
}

/** A whole number of at most 15 digits; NaN for anything else. */
export function wholeOf(at: usize, end: usize): f64 {
  if (end - at > 15 || !isPlainNumber(at, end)) return NaN;
  let number: i64 = 0;
  for (; at < end; at++) {
    const c = <i64>load<u8>(at);
    if (c === 0x2e) return NaN;
    number = number * 10 + c - 0x30;
  }
  return <f64>number;
}

/** First instant after the years that an event may be in, epoch milliseconds. */
let endOfTimeMs: f64 = 0;

export function setEndOfTime(ms: f64): void {
  endOfTimeMs = ms;
}

/** Epoch milliseconds as sent; NaN out of range. */
export function inRange(ms: f64): f64 {
  return ms >= 0 && ms < endOfTimeMs ? ms : NaN;
}

/** The last day that was read, as `2026-11-24`, and its beginning. */
const DAY: usize = memory.data(16, 16);
let midnightMs: f64 = NaN;

/** Days of each month in a leap year. */
const DAYS_OF_MONTH: usize = memory.data<u8>([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);

/** `T12:34:56.789`, as what stands there, and the largest digit where digits do; what follows is the zone. */
const SHAPE = i8x16(0x30, 0x30, 0x54, 0x30, 0x30, 0x3a, 0x30, 0x30, 0x3a, 0x30, 0x30, 0x2e, 0x30, 0x30, 0x30, 0);
const RANGE = i8x16(9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9, 0, 9, 9, 9, -1);

/** The time of a text like `2026-11-24T12:34:56.789Z` or `…+02:00`; NaN for any other form, and out of range. */
export function timeOf(at: usize, end: usize): f64 {
  const length = end - at;
  if (length !== 24 && length !== 29) return NaN;
  const digits = i8x16.sub(v128.load(at, 8), SHAPE);
  if (v128.any_true(i8x16.gt_u(digits, RANGE))) return NaN;
  const hour = <i32>i8x16.extract_lane_u(digits, 3) * 10 + <i32>i8x16.extract_lane_u(digits, 4);
  const minute = <i32>i8x16.extract_lane_u(digits, 6) * 10 + <i32>i8x16.extract_lane_u(digits, 7);
  const second = <i32>i8x16.extract_lane_u(digits, 9) * 10 + <i32>i8x16.extract_lane_u(digits, 10);
  const thousandths = <i32>i8x16.extract_lane_u(digits, 12) * 100 + <i32>i8x16.extract_lane_u(digits, 13) * 10 +
    <i32>i8x16.extract_lane_u(digits, 14);
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  const zoneMs = length === 24 ? (load<u8>(at, 23) === 0x5a ? 0 : NaN) : zoneAt(at + 23);
  const day = upTo16(at, 10);
  if (!same(day, v128.load(DAY))) {
    midnightMs = midnightOf(at);
    v128.store(DAY, day);
  }
  return inRange(midnightMs + <f64>(((hour * 60 + minute) * 60 + second) * 1000 + thousandths) - zoneMs);
}

/** A number of two digits; more than 99 if they are none. */
function twoDigits(at: usize): i32 {
  const tens = <u32>load<u8>(at) - 0x30;
  const ones = <u32>load<u8>(at, 1) - 0x30;
  return tens > 9 || ones > 9 ? 100 : <i32>(tens * 10 + ones);
}

/** How far a zone like `+02:00` is ahead of UTC, in milliseconds; NaN if it is invalid. */
function zoneAt(at: usize): f64 {
  const sign = load<u8>(at);
  const hours = twoDigits(at + 1);
  const minutes = twoDigits(at + 4);
  if ((sign !== 0x2b && sign !== 0x2d) || load<u8>(at, 3) !== 0x3a || hours > 23 || minutes > 59) return NaN;
  return <f64>((hours * 60 + minutes) * (sign === 0x2d ? -60_000 : 60_000));
}

/** Beginning of a day like `2026-11-24`, epoch milliseconds; NaN if there is no such day. */
function midnightOf(at: usize): f64 {
  const year = twoDigits(at) * 100 + twoDigits(at + 2);
  const month = twoDigits(at + 5);
  const day = twoDigits(at + 8);
  if (twoDigits(at) > 99 || twoDigits(at + 2) > 99 || load<u8>(at, 4) !== 0x2d || load<u8>(at, 7) !== 0x2d) return NaN;
  if (month < 1 || month > 12 || day < 1 || day > <i32>load<u8>(DAYS_OF_MONTH + month)) return NaN;
  if (month === 2 && day === 29 && !(year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0))) return NaN;
  // Days since 1 March of the year 0, when the year begins with March.
  const y = month > 2 ? year : year - 1;
  const m = month > 2 ? month - 3 : month + 9;
  const days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
  return <f64>(days - 719_468) * 86_400_000;
}
