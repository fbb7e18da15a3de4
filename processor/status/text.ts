/**
 * What is shown on a terminal: tables, numbers, and bytes that come from strangers.
 * @module
 */

/**
 * Rows under their heads, as lines; columns of nothing but figures to the right. Without heads (null), the rows alone.
 *
 * @param least least width of each column, where rows of one table are shown one at a time; 0 where left out
 */
export function table(
  heads: readonly string[] | null,
  rows: readonly (readonly string[])[],
  least: readonly number[] = [],
): string[] {
  const all = heads === null ? rows : [heads, ...rows];
  const columns = all[0]?.map((_, c) => ({
    width: Math.max(least[c] ?? 0, ...all.map((row) => row[c]!.length)),
    isFigures: rows.every((row) => /^[\d,.\- %]*$/.test(row[c]!)),
  })) ?? [];
  return all.map((row) =>
    columns.map(({ width, isFigures }, c) => isFigures ? row[c]!.padStart(width) : row[c]!.padEnd(width))
      .join("  ").trimEnd()
  );
}

/** The same for rows that come one at a time: what is to be shown for the next one; heads come with the first. */
export function tableByRow(heads: readonly string[], least: readonly number[]): (row: readonly string[]) => string {
  let from = 0;
  return (row) => {
    const lines = table(heads, [row], least).slice(from);
    from = 1;
    return lines.join("\n");
  };
}

/** A number as people read it, to the whole. */
export function withCommas(number: number): string {
  return Math.round(number).toLocaleString("en");
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
