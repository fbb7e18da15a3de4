/**
 * ASCII characters by their bytes.
 * @module
 */

/** `!` */
export const EXCLAMATION = 0x21;
/** `"` */
export const QUOTE = 0x22;
/** `#` */
export const HASH = 0x23;
/** `+` */
export const PLUS = 0x2b;
/** `,` */
export const COMMA = 0x2c;
/** `-` */
export const MINUS = 0x2d;
/** `.` */
export const POINT = 0x2e;
/** `/` */
export const SLASH = 0x2f;
/** `0` */
export const ZERO = 0x30;
/** `9` */
export const NINE = 0x39;
/** `:` */
export const COLON = 0x3a;
/** `Z` */
export const LETTER_Z = 0x5a;
/** `\\` */
export const BACKSLASH = 0x5c;
/** `{` */
export const OPEN = 0x7b;
/** `}` */
export const CLOSE = 0x7d;

/** Copies a byte into all four bytes of a word, by multiplication. */
export const FOURFOLD = 0x01010101;
/** The highest bit of each of a word's four bytes. */
export const HIGH_BITS = 0x80808080 | 0;

/** A short ASCII text; other characters come out wrong. */
export function textOf(view: DataView, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(view.getUint8(i));
  return text;
}
