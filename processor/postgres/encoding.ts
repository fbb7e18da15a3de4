/**
 * Cells in PostgreSQL's binary format, column by column: a loop for each kind of column costs a third of a loop over
 * the cells of a row.
 * @module
 */
import { Arena } from "../columns/arena.ts";
import { type Cell, type Cells, Spans } from "../columns/cells.ts";
import { encoded, SLACK } from "../columns/dictionary.ts";
import { NONE, type StringSpans } from "../columns/strings.ts";
import type { Column } from "../measures/measure.ts";

/** Type of a column or a parameter: besides those of measures, flags (0 or 1), and two for parameters only. */
export type Type = Column["type"] | "boolean" | "integer" | "tid";

/** PostgreSQL's epoch, 2000-01-01, in Unix epoch milliseconds. */
const EPOCH_MS = 946_684_800_000;
const DAY_MS = 86_400_000;
/** Times of up to this many milliseconds stay exact in a double as microseconds. */
const EXACT_MS = 2 ** 53 / 1000;
const TWO_32 = 4294967296;

/** Bytes of a cell's length, which comes before the cell; -1 stands for null. */
const LENGTH = 4;

/** Cells to encode, one for each row. */
export interface Encoder {
  /** Adds the size of each cell to `sizes`; returns whether one is null. */
  measure(sizes: Int32Array): boolean;
  /** Writes the cells of rows `[from, until)`, each to where `at` says, and moves that past it. */
  write(view: DataView, at: Int32Array, from: number, until: number): void;
}

/** Encodes these rows of a column, or all. Times and dates are given in epoch milliseconds. */
export function encoderOf(cells: Cells, type: Type, rows: Int32Array | null): Encoder {
  if (cells instanceof Float64Array) return numbers(rows === null ? cells : picked(cells, rows), type);
  if (cells instanceof Spans) {
    return strings(cells.strings.spans, rows === null ? cells.codes : picked(cells.codes, rows));
  }
  const wanted = rows === null ? cells : Array.from(rows, (row) => cells[row]!);
  if (type === "text" || type === "bytea" || type === "tid") return stringsOf(wanted);
  return numbers(Float64Array.from(wanted, (cell) => cell === null ? NaN : cell as number), type);
}

/** The values of these rows. */
function picked<T extends Float64Array | Int32Array>(values: T, rows: Int32Array): T {
  const own = new (values.constructor as new (length: number) => T)(rows.length);
  for (let r = 0; r < rows.length; r++) own[r] = values[rows[r]!]!;
  return own;
}

/** Encodes strings and byte strings that have objects of their own. */
function stringsOf(cells: readonly Cell[]): Encoder {
  const arena = new Arena();
  const codes = new Int32Array(cells.length);
  cells.forEach((cell, row) => {
    codes[row] = cell === null ? NONE : arena.count;
    if (cell === null) return;
    const view = encoded(cell as string | Uint8Array);
    arena.set(arena.count, view, 0, view.byteLength - SLACK);
    arena.count++;
  });
  return strings(arena.spans, codes);
}

function strings({ view: from, base, starts }: StringSpans, codes: Int32Array): Encoder {
  return {
    measure(sizes) {
      let hasNull = false;
      for (let row = 0; row < codes.length; row++) {
        const code = codes[row]!;
        if (code < 0) hasNull = true;
        sizes[row]! += LENGTH + (code < 0 ? 0 : starts[code + 1]! - starts[code]!);
      }
      return hasNull;
    },
    write(view, at, first, until) {
      for (let row = first; row < until; row++) {
        const code = codes[row]!;
        let to = at[row]!;
        if (code < 0) {
          view.setInt32(to, -1);
          at[row] = to + LENGTH;
          continue;
        }
        let start = base + starts[code]!;
        const end = base + starts[code + 1]!;
        view.setInt32(to, end - start);
        to += LENGTH;
        for (; start + 4 <= end; start += 4, to += 4) view.setInt32(to, from.getInt32(start, true), true);
        for (; start < end; start++, to++) view.setUint8(to, from.getUint8(start));
        at[row] = to;
      }
    },
  };
}

/** Bytes of a number of a type. */
function widthOf(type: Type): number {
  switch (type) {
    case "bigint":
    case "timestamptz":
      return 8;
    case "smallint":
      return 2;
    case "boolean":
      return 1;
    default:
      return 4;
  }
}

function numbers(values: Float64Array, type: Type): Encoder {
  const width = widthOf(type);
  const writeOne = writerOf(type);
  return {
    measure(sizes) {
      let hasNull = false;
      for (let row = 0; row < values.length; row++) {
        const isNull = Number.isNaN(values[row]!);
        if (isNull) hasNull = true;
        sizes[row]! += isNull ? LENGTH : LENGTH + width;
      }
      return hasNull;
    },
    write(view, at, from, until) {
      for (let row = from; row < until; row++) {
        const n = values[row]!;
        const to = at[row]!;
        if (Number.isNaN(n)) {
          view.setInt32(to, -1);
          at[row] = to + LENGTH;
          continue;
        }
        view.setInt32(to, width);
        writeOne(view, to + LENGTH, n);
        at[row] = to + LENGTH + width;
      }
    },
  };
}

/** Writes a number of a type. */
function writerOf(type: Type): (view: DataView, at: number, n: number) => void {
  switch (type) {
    case "timestamptz":
      return setTimestamp;
    case "bigint":
      return setInt64;
    case "smallint":
      return (view, at, n) => view.setInt16(at, n);
    case "boolean":
      return (view, at, n) => view.setUint8(at, n === 0 ? 0 : 1);
    case "date":
      return (view, at, ms) => view.setInt32(at, Math.floor((ms - EPOCH_MS) / DAY_MS));
    default:
      return (view, at, n) => view.setInt32(at, n);
  }
}

function setInt64(view: DataView, at: number, n: number): void {
  const high = Math.floor(n / TWO_32);
  view.setInt32(at, high);
  view.setUint32(at + 4, n - high * TWO_32);
}

function setTimestamp(view: DataView, at: number, epochMs: number): void {
  const ms = epochMs - EPOCH_MS;
  if (Math.abs(ms) < EXACT_MS) setInt64(view, at, ms * 1000);
  else view.setBigInt64(at, BigInt(ms) * 1000n);
}
