/**
 * Text for terminals: tables, numbers, and bytes from untrusted input.
 * @module
 */
import { visible } from "../config/visible.ts";

/**
 * A table as lines; columns of numbers are aligned to the right. Without heads (null), only the rows.
 *
 * @param least least width of each column (default: 0), for rows that are printed one at a time
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

/** The same for rows that come one at a time: the text of the next row, with the heads before the first. */
export function tableByRow(heads: readonly string[], least: readonly number[]): (row: readonly string[]) => string {
  let from = 0;
  return (row) => {
    const lines = table(heads, [row], least).slice(from);
    from = 1;
    return lines.join("\n");
  };
}

/** A rounded number with thousands separators. */
export function withCommas(number: number): string {
  return Math.round(number).toLocaleString("en");
}

/** Bytes as one line of text that is safe on a terminal: unprintable bytes are escaped. */
export function printable(bytes: Uint8Array): string {
  return visible(new TextDecoder().decode(bytes));
}
