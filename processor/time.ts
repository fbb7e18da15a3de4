/**
 * Event times as shops write them.
 * @module
 */
import { END_OF_TIME_MS } from "./event.ts";

const ISO = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:Z|([+-])(\d{2})(?::?(\d{2}))?)$/;

/** Days of each month in a leap year. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The instant of an ISO 8601 date and time with zone, in epoch milliseconds, finer fractions cut off; NaN if it is none
 * or lies outside the years 1970 to 9999. Strict where `Date.parse` is not: a 30 February and a missing zone are none.
 */
export function parseIso(text: string): number {
  // Most shops write what `Date.toISOString` does, day after day the same.
  if (text.length !== 24) return parse(text);
  const time = timeOfDay(text);
  if (Number.isNaN(time)) return parse(text);
  const day = text.slice(0, 11);
  if (day !== lastDay) {
    lastMidnight = parse(`${day}00:00:00Z`);
    lastDay = day;
  }
  return lastMidnight + time;
}

let lastDay = "";
let lastMidnight = NaN;

/** Milliseconds since midnight of a text that ends like `T12:34:56.789Z`; NaN if it doesn't. */
function timeOfDay(text: string): number {
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58 || text.charCodeAt(19) !== 46) return NaN;
  if (text.charCodeAt(23) !== 90) return NaN;
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  return ((hour * 60 + minute) * 60 + second) * 1000 + digits(text, 20, 3);
}

/** A number of `n` digits; NaN if one of them is none. */
function digits(text: string, from: number, n: number): number {
  let number = 0;
  for (let i = from; i < from + n; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

function parse(text: string): number {
  const match = ISO.exec(text);
  if (match === null) return NaN;
  const [, year, month, day, hour, minute, second = "0", fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = match;
  const [y, mo, d, h, mi, s] = [+year!, +month!, +day!, +hour!, +minute!, +second];
  const ms = +fraction.slice(0, 3).padEnd(3, "0");
  if (mo < 1 || mo > 12 || d < 1 || d > DAYS[mo - 1]!) return NaN;
  if (mo === 2 && d === 29 && !(y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0))) return NaN;
  if (mi > 59 || s > 59 || +zoneHour > 23 || +zoneMinute > 59) return NaN;
  if (h > 24 || (h === 24 && (mi > 0 || s > 0 || +fraction > 0))) return NaN;
  const zoneMs = (sign === "-" ? -1 : 1) * (+zoneHour * 60 + +zoneMinute) * 60_000;
  const midnight = new Date(0).setUTCFullYear(y, mo - 1, d);
  return inRange(midnight + ((h * 60 + mi) * 60 + s) * 1000 + ms - zoneMs);
}

/** Epoch milliseconds as sent, finer fractions cut off; NaN outside the years 1970 to 9999. */
export function parseEpochMs(number: number): number {
  return number < 0 ? NaN : inRange(Math.floor(number) + 0);
}

function inRange(time: number): number {
  return time >= 0 && time < END_OF_TIME_MS ? time : NaN;
}
