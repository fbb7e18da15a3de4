/**
 * What is shown on a terminal: tables, and bytes that come from strangers.
 * @module
 */

/** Rows under their heads, as lines; columns of nothing but figures to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, c) => Math.max(head.length, ...rows.map((row) => row[c]!.length)));
  const right = heads.map((_, c) => rows.every((row) => /^[\d,.\- %]*$/.test(row[c]!)));
  return [heads, ...rows].map((row) =>
    row.map((cell, c) => right[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)).join("  ").trimEnd()
  );
}

/** Bytes as text in one line that does nothing to a terminal: what does not print is escaped. */
export function printable(bytes: Uint8Array): string {
  return visible(new TextDecoder().decode(bytes));
}

/** A text in which nothing moves the cursor, changes colours or turns the direction of writing. */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}
