/**
 * Text of others made safe for terminals, logs and pages: what a reader can't see, or what a terminal obeys, is escaped.
 * @module
 */

/** Controls, direction marks and other invisible characters, and separators of lines and paragraphs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text on one line, without control characters and changes of the writing direction. */
export function visible(text: string): string {
  return text.replaceAll(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** The same for a text of several lines: line ends stay. */
export function visibleLines(text: string): string {
  return text.replaceAll(UNSEEN, (character) => character === "\n" ? character : visible(character));
}

/** The same for a text of JSON, which stays JSON with the same values; line ends stay. */
export function visibleJson(json: string): string {
  return json.replaceAll(UNSEEN, (character) => character === "\n" ? character : escaped(character));
}

/** A value as one line of JSON that is safe on a terminal. */
export function jsonLine(value: unknown): string {
  return visibleJson(JSON.stringify(value));
}

/** A character as JSON escapes it: each UTF-16 code unit by four hexadecimal digits. */
function escaped(character: string): string {
  let json = "";
  for (let n = 0; n < character.length; n++) json += `\\u${character.charCodeAt(n).toString(16).padStart(4, "0")}`;
  return json;
}
