/**
 * Parses event times from bytes, in their most common form.
 * @module
 */
import { COLON, LETTER_Z, MINUS, PLUS, POINT, textOf, ZERO } from "./ascii.ts";
import { END_OF_TIME_MS } from "../event.ts";
import { lowBytes } from "../columns/hash.ts";
import { parseIso } from "./time.ts";

/** Parses times like `2026-11-24T12:34:56.789Z` and `2026-11-24T12:34:56.789+02:00`. */
export class TimestampParser {
  /** The last day read, `2026-11-24T`, as words, and its beginning in UTC. */
  #year = 0;
  #month = 0;
  #day = 0;
  #midnightMs = NaN;

  /** The time in the bytes `[at, end)`, in epoch milliseconds; NaN in any other form or out of range. */
  read(view: DataView, at: number, end: number): number {
    const length = end - at;
    if (length !== 24 && length !== 29) return NaN;
    if (view.getUint8(at + 13) !== COLON || view.getUint8(at + 16) !== COLON || view.getUint8(at + 19) !== POINT) {
      return NaN;
    }
    const hour = twoDigits(view, at + 11);
    const minute = twoDigits(view, at + 14);
    const second = twoDigits(view, at + 17);
    const hundredths = twoDigits(view, at + 20);
    const thousandth = view.getUint8(at + 22) - ZERO;
    if (hour > 23 || minute > 59 || second > 59 || hundredths > 99 || thousandth >>> 0 > 9) return NaN;
    const zoneMs = this.#zone(view, at + 23, length);
    const time = this.#midnight(view, at) + ((hour * 60 + minute) * 60 + second) * 1000 + hundredths * 10 + thousandth -
      zoneMs;
    return time >= 0 && time < END_OF_TIME_MS ? time : NaN;
  }

  /** Beginning of the day that is written at `at`. */
  #midnight(view: DataView, at: number): number {
    const year = view.getInt32(at, true);
    const month = view.getInt32(at + 4, true);
    const day = lowBytes(view.getInt32(at + 8, true), 3);
    if (year !== this.#year || month !== this.#month || day !== this.#day) {
      this.#midnightMs = parseIso(`${textOf(view, at, at + 11)}00:00:00Z`);
      this.#year = year;
      this.#month = month;
      this.#day = day;
    }
    return this.#midnightMs;
  }

  /** How far a zone is ahead of UTC, in milliseconds; NaN if invalid. */
  #zone(view: DataView, at: number, length: number): number {
    const sign = view.getUint8(at);
    if (length === 24) return sign === LETTER_Z ? 0 : NaN;
    const hours = twoDigits(view, at + 1);
    const minutes = twoDigits(view, at + 4);
    if ((sign !== PLUS && sign !== MINUS) || view.getUint8(at + 3) !== COLON || hours > 23 || minutes > 59) return NaN;
    return (sign === MINUS ? -1 : 1) * (hours * 60 + minutes) * 60_000;
  }
}

/** A number of two digits; more than 99 if one is not a digit. */
function twoDigits(view: DataView, at: number): number {
  const tens = view.getUint8(at) - ZERO;
  const ones = view.getUint8(at + 1) - ZERO;
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? Infinity : tens * 10 + ones;
}
