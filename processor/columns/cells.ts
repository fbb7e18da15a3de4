/**
 * Columns of values to be written to a table: numbers as numbers, strings as bytes. A row costs no object, and a string
 * is created only when one is read.
 * @module
 */
import { NONE, type Strings } from "./strings.ts";

/** A value as PostgreSQL takes it. Times are epoch milliseconds in a column of type `timestamptz`. */
export type Cell = number | string | Uint8Array | null;

/** One column, with a cell for each row. NaN stands for null among numbers. */
export type Cells = Float64Array | Texts | Bytes | readonly Cell[];

/** A column whose cells lie in a sequence of bytes, by their numbers; `NONE` stands for null. */
export class Spans {
  readonly strings: Strings;
  readonly codes: Int32Array;

  constructor(strings: Strings, codes: Int32Array) {
    this.strings = strings;
    this.codes = codes;
  }
}

/** A column of strings. */
export class Texts extends Spans {
  /** The string of a row, or null. */
  at(row: number): string | null {
    const code = this.codes[row]!;
    return code === NONE ? null : this.strings.text(code);
  }
}

/** A column of byte strings. */
export class Bytes extends Spans {
  /** A copy of the bytes of a row, or null. */
  at(row: number): Uint8Array | null {
    const code = this.codes[row]!;
    if (code === NONE) return null;
    const { buffer, byteOffset } = this.strings.view;
    const start = byteOffset + this.strings.start(code);
    return new Uint8Array(buffer.slice(start, start + this.strings.length(code)));
  }
}

/** The cell of a row. */
export function cellAt(cells: Cells, row: number): Cell {
  const cell = cells.at(row)!;
  return Number.isNaN(cell) ? null : cell;
}

/** `of` for each row, as numbers. A loop, because `Float64Array.from` looks for an iterator first. */
export function numbersOf(rows: Int32Array, of: (row: number) => number): Float64Array {
  const numbers = new Float64Array(rows.length);
  for (let r = 0; r < rows.length; r++) numbers[r] = of(rows[r]!);
  return numbers;
}

/** `of` for each row, as codes. */
export function codesOf(rows: Int32Array, of: (row: number) => number): Int32Array {
  const codes = new Int32Array(rows.length);
  for (let r = 0; r < rows.length; r++) codes[r] = of(rows[r]!);
  return codes;
}

/** The numbers below `count` that `keep` accepts; without `keep`, all. */
export function rowsBelow(count: number, keep?: (row: number) => boolean): Int32Array {
  const rows = new Int32Array(count);
  let n = 0;
  for (let row = 0; row < count; row++) if (keep === undefined || keep(row)) rows[n++] = row;
  return rows.subarray(0, n);
}
