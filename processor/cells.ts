/**
 * Columns of values on their way into a table: numbers as numbers, and strings as the bytes that they lie in, so that a
 * row costs no object and a string is made only where one is looked at.
 * @module
 */
import { NONE } from "./dictionary.ts";

/** A value as PostgreSQL takes it. Times are epoch milliseconds in a column of type `timestamptz`. */
export type Cell = number | string | Uint8Array | null;

/** One column, a cell for each row. NaN stands for null among numbers. */
export type Cells = Float64Array | Texts | readonly Cell[];

/** Strings by number, each a stretch of UTF-8 that may be read up to three bytes past its end. */
export interface Strings {
  readonly view: DataView;
  /** Where string `n` begins in `view`. */
  start(n: number): number;
  /** Its length in bytes. */
  length(n: number): number;
  text(n: number): string;
}

/** A column of strings by their numbers; `NONE` stands for null. */
export class Texts {
  readonly strings: Strings;
  readonly codes: Int32Array;

  constructor(strings: Strings, codes: Int32Array) {
    this.strings = strings;
    this.codes = codes;
  }

  /** The string of a row, or null. */
  at(row: number): string | null {
    const code = this.codes[row]!;
    return code === NONE ? null : this.strings.text(code);
  }
}

/** The cell of a row. */
export function cellAt(cells: Cells, row: number): Cell {
  const cell = cells.at(row)!;
  return Number.isNaN(cell) ? null : cell;
}
