/**
 * Parses numbers from bytes without creating strings.
 * @module
 */
import { NINE, POINT, ZERO } from "./ascii.ts";

export function isDigit(c: number): boolean {
  return c >= ZERO && c <= NINE;
}

export function isNumeral(c: number): boolean {
  return isDigit(c) || c === POINT;
}

/** True for digits with optional decimals, in JSON's form. */
export function isPlainNumber(view: DataView, start: number, end: number): boolean {
  return (end - start === 1 || view.getUint8(start) !== ZERO || view.getUint8(start + 1) === POINT) &&
    isDecimal(view, start, end);
}

/** True for digits with optional decimals. */
export function isDecimal(view: DataView, start: number, end: number): boolean {
  let points = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) points++;
    else if (!isDigit(c)) return false;
  }
  return start < end && view.getUint8(start) !== POINT && view.getUint8(end - 1) !== POINT && points <= 1;
}

/** A decimal of at most 15 digits in cents, rounded half up; NaN for anything else. A text may begin with zeros. */
export function centsOf(view: DataView, start: number, end: number, isText: boolean): number {
  // Up to this length, the number from `JSON.parse` prints with exactly these digits.
  if (end - start > 15 || !(isText ? isDecimal(view, start, end) : isPlainNumber(view, start, end))) return NaN;
  let cents = 0;
  let decimals = -1;
  let up = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) {
      decimals = 0;
    } else if (decimals < 2) {
      cents = cents * 10 + c - ZERO;
      if (decimals >= 0) decimals++;
    } else {
      if (decimals === 2 && c >= 0x35) up = 1;
      decimals++;
    }
  }
  if (decimals < 1) return cents * 100;
  return (decimals === 1 ? cents * 10 : cents) + up;
}

/** A whole number of at most 15 digits; NaN for anything else. */
export function wholeOf(view: DataView, start: number, end: number): number {
  if (end - start > 15 || !isPlainNumber(view, start, end)) return NaN;
  let number = 0;
  for (let i = start; i < end; i++) {
    const c = view.getUint8(i);
    if (c === POINT) return NaN;
    number = number * 10 + c - ZERO;
  }
  return number;
}
