/**
 * Parses event times.
 * @module
 */
import { END_OF_TIME_MS } from "../event.ts";

const ZONE = "(?:[Zz]|([+-])(\\d{2})(?::?(\\d{2}))?)$";
/** The forms of ISO 8601; RFC 3339 also allows lower case and a space. */
const EXTENDED = new RegExp(
  `^(\\d{4})-(\\d{2})-(\\d{2})[Tt ](\\d{2}):(\\d{2})(?::(\\d{2})(?:[.,](\\d+))?)?${ZONE}`,
);
const BASIC = new RegExp(`^(\\d{4})(\\d{2})(\\d{2})[Tt ](\\d{2})(\\d{2})(?:(\\d{2})(?:[.,](\\d+))?)?${ZONE}`);

/** Days of each month in a leap year. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The instant of an ISO 8601 or RFC 3339 date and time with zone, in epoch milliseconds, finer fractions cut off; NaN
 * if the text is invalid or outside the years 1970 to 9999. Stricter than `Date.parse`: 30 February or a missing zone
 * is invalid. A leap second, `:60`, is the first second of the next minute, as in POSIX time.
 */
export function parseIso(text: string): number {
  // Most producers write the form of `Date.toISOString`, with the same day in many events.
  if (text.length !== 24) return inRange(instantOf(text));
  const time = timeOfDay(text);
  if (Number.isNaN(time)) return inRange(instantOf(text));
  const day = text.slice(0, 11);
  if (day !== lastDay) {
    lastMidnight = inRange(instantOf(`${day}00:00:00Z`));
    lastDay = day;
  }
  return lastMidnight + time;
}

let lastDay = "";
let lastMidnight = NaN;

/** Milliseconds since midnight of a text that ends like `T12:34:56.789Z`; NaN for any other end. */
function timeOfDay(text: string): number {
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58 || text.charCodeAt(19) !== 46) return NaN;
  if (text.charCodeAt(23) !== 90) return NaN;
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  return ((hour * 60 + minute) * 60 + second) * 1000 + digits(text, 20, 3);
}

/** A number of `n` digits; NaN if one is not a digit. */
function digits(text: string, from: number, n: number): number {
  let number = 0;
  for (let i = from; i < from + n; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

/** The instant of a date and time with zone, in any year; NaN if invalid. */
function instantOf(text: string): number {
  const match = EXTENDED.exec(text) ?? BASIC.exec(text);
  if (match === null) return NaN;
  const [, year, month, day, hour, minute, second = "0", fraction = "", sign, zoneHour = "0", zoneMinute = "0"] = match;
  const [y, mo, d, h, mi, s] = [+year!, +month!, +day!, +hour!, +minute!, +second];
  const ms = +fraction.slice(0, 3).padEnd(3, "0");
  if (mo < 1 || mo > 12 || d < 1 || d > DAYS[mo - 1]!) return NaN;
  if (mo === 2 && d === 29 && !(y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0))) return NaN;
  if (mi > 59 || s > 60 || +zoneHour > 23 || +zoneMinute > 59) return NaN;
  if (h > 24 || (h === 24 && (mi > 0 || s > 0 || +fraction > 0))) return NaN;
  const zoneMs = (sign === "-" ? -1 : 1) * (+zoneHour * 60 + +zoneMinute) * 60_000;
  const midnight = new Date(0).setUTCFullYear(y, mo - 1, d);
  return midnight + ((h * 60 + mi) * 60 + s) * 1000 + ms - zoneMs;
}

/** Epoch milliseconds as sent, finer fractions cut off; NaN outside the years 1970 to 9999. */
export function parseEpochMs(number: number): number {
  return number < 0 ? NaN : inRange(Math.floor(number) + 0);
}

function inRange(time: number): number {
  return time >= 0 && time < END_OF_TIME_MS ? time : NaN;
}

const WANTED = "send ISO 8601 with a zone, such as 2026-11-24T12:34:56.789Z, or epoch milliseconds";
const OUT_OF_RANGE = "it lies outside the years 1970 to 9999";

/** What is wrong with a timestamp that `parseIso` or `parseEpochMs` refuses, and what to send instead. */
export function faultOfTime(sent: string | number): string {
  const unit = /^-?\d+(\.\d+)?$/.test(String(sent)) ? unitOf(+sent) : null;
  if (unit !== null) return `it ${unit}`;
  if (typeof sent === "number") return OUT_OF_RANGE;
  if (/^-?\d+(\.\d+)?$/.test(sent)) return "it is a string; send epoch milliseconds as a number, without quotes";
  if (!Number.isNaN(instantOf(sent))) return OUT_OF_RANGE;
  if (!Number.isNaN(instantOf(`${sent}Z`))) return "it has no zone; add Z for UTC, or one such as +02:00";
  if (EXTENDED.test(sent) || BASIC.test(sent)) return "there is no such day or time";
  if (/^\d{4}-?(W\d{2}|\d{3}(?!\d))/.test(sent)) return `week and ordinal dates are not read; ${WANTED}`;
  return `it has another form; ${WANTED}`;
}

/** The likely unit of a number, and what to send instead; null for milliseconds or an unknown unit. */
export function unitOf(number: number): string | null {
  const unit = number >= 1e8 && number < 1e11
    ? "seconds"
    : number >= END_OF_TIME_MS && number < 1e17
    ? "microseconds"
    : number >= 1e17 && number < 1e20
    ? "nanoseconds"
    : null;
  return unit === null ? null : `looks like ${unit}; send milliseconds`;
}

const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1000], [
  "millisecond",
  1,
]] as const;

/** A length of time in the largest unit that fits at least once, in whole units: `3 days`. */
export function inWords(ms: number): string {
  const [unit, length] = UNITS.find(([, length]) => ms >= length) ?? ["millisecond", 1];
  const count = Math.floor(ms / length);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
