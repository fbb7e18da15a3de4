/**
 * Cells in PostgreSQL's binary format, column by column: a loop for each kind of column costs less than one over rows
 * that asks each cell for its kind.
 * @module
 */
import { type Cell, type Cells, Spans } from "../columns/cells.ts";
import type { StringSpans } from "../columns/strings.ts";
import type { Column } from "../measures/measure.ts";
import { DAY_MS } from "../views/view.ts";

/** Type of a column or a parameter: besides those of measures, two for parameters only. Flags are 0 or 1. */
export type Type = Column["type"] | "integer" | "tid";

/** PostgreSQL's epoch, 2000-01-01, in Unix epoch milliseconds. */
export const EPOCH_MS = 946_684_800_000;
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
  if (cells instanceof Float64Array) return numbers(rows === null ? cells : numbersAt(cells, rows), type);
  if (cells instanceof Spans) {
    const codes = rows === null ? cells.codes : codesAt(cells.codes, rows);
    // A mark's code is its value.
    return type === "boolean" ? numbers(Float64Array.from(codes), type) : strings(cells.strings.spans, codes);
  }
  const wanted = rows === null ? cells : Array.from(rows, (row) => cells[row]!);
  if (type === "text" || type === "bytea" || type === "tid") return objects(wanted);
  if (type === "boolean") return numbers(Float64Array.from(wanted, flagOf), type);
  return numbers(Float64Array.from(wanted, (cell) => cell === null ? NaN : cell as number), type);
}

/** A mark as 0 or 1. In keys it is a text, in JSON a boolean. */
export function flagOf(cell: Cell | boolean): number {
  return cell === "true" ? 1 : cell === "false" ? 0 : Number(cell);
}

/** The numbers of these rows. */
function numbersAt(values: Float64Array, rows: Int32Array): Float64Array {
  const own = new Float64Array(rows.length);
  for (let r = 0; r < rows.length; r++) own[r] = values[rows[r]!]!;
  return own;
}

/** The codes of these rows. */
function codesAt(codes: Int32Array, rows: Int32Array): Int32Array {
  const own = new Int32Array(rows.length);
  for (let r = 0; r < rows.length; r++) own[r] = codes[rows[r]!]!;
  return own;
}

/** Encodes strings and byte strings that are objects of their own. */
function objects(cells: readonly Cell[]): Encoder {
  // The length of a string of ASCII is that of its bytes.
  const values = cells.map((cell) =>
    typeof cell === "string" && !isAscii(cell) ? utf8.encode(cell) : cell as string | Uint8Array | null
  );
  return {
    measure(sizes) {
      values.forEach((value, row) => sizes[row]! += LENGTH + (value?.length ?? 0));
      return values.includes(null);
    },
    write(view, at, from, until) {
      const bytes = new Uint8Array(view.buffer);
      for (let row = from; row < until; row++) {
        const value = values[row]!;
        const to = at[row]!;
        if (value === null) {
          at[row] = setNull(view, to);
          continue;
        }
        view.setInt32(to, value.length);
        if (typeof value !== "string") bytes.set(value, to + LENGTH);
        else for (let i = 0; i < value.length; i++) bytes[to + LENGTH + i] = value.charCodeAt(i);
        at[row] = to + LENGTH + value.length;
      }
    },
  };
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

const utf8 = new TextEncoder();

function strings({ view: from, base, starts }: StringSpans, codes: Int32Array): Encoder {
  return {
    measure(sizes) {
      let hasNull = false;
      for (let row = 0; row < codes.length; row++) {
        const code = codes[row]!;
        if (code < 0) {
          hasNull = true;
          sizes[row]! += LENGTH;
        } else sizes[row]! += LENGTH + starts[code + 1]! - starts[code]!;
      }
      return hasNull;
    },
    write(view, at, first, until) {
      for (let row = first; row < until; row++) {
        const code = codes[row]!;
        let to = at[row]!;
        if (code < 0) {
          at[row] = setNull(view, to);
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

function numbers(values: Float64Array, type: Type): Encoder {
  switch (type) {
    case "bigint":
      return { measure: measured(values, 8), write: (...places) => writeBigints(values, ...places) };
    case "timestamptz":
      return { measure: measured(values, 8), write: (...places) => writeTimes(values, ...places) };
    default:
      return {
        measure: measured(values, type === "smallint" ? 2 : type === "boolean" ? 1 : 4),
        write: (...places) => writeSmall(values, type, ...places),
      };
  }
}

function measured(values: Float64Array, width: number): Encoder["measure"] {
  return (sizes) => {
    let hasNull = false;
    for (let row = 0; row < values.length; row++) {
      const isNull = Number.isNaN(values[row]!);
      if (isNull) hasNull = true;
      sizes[row]! += isNull ? LENGTH : LENGTH + width;
    }
    return hasNull;
  };
}

function writeBigints(values: Float64Array, view: DataView, at: Int32Array, from: number, until: number): void {
  for (let row = from; row < until; row++) {
    const n = values[row]!;
    const to = at[row]!;
    at[row] = Number.isNaN(n) ? setNull(view, to) : setInt64(view, to, n);
  }
}

function writeTimes(values: Float64Array, view: DataView, at: Int32Array, from: number, until: number): void {
  for (let row = from; row < until; row++) {
    const ms = values[row]! - EPOCH_MS;
    const to = at[row]!;
    if (Math.abs(ms) < EXACT_MS) at[row] = setInt64(view, to, ms * 1000);
    else at[row] = Number.isNaN(ms) ? setNull(view, to) : setBigInt64(view, to, BigInt(ms) * 1000n);
  }
}

/** Writes numbers of up to 32 bits. */
function writeSmall(
  values: Float64Array,
  type: Type,
  view: DataView,
  at: Int32Array,
  from: number,
  until: number,
): void {
  for (let row = from; row < until; row++) {
    const n = values[row]!;
    const to = at[row]!;
    if (Number.isNaN(n)) at[row] = setNull(view, to);
    else if (type === "smallint") {
      view.setInt32(to, 2);
      view.setInt16(to + LENGTH, n);
      at[row] = to + LENGTH + 2;
    } else if (type === "boolean") {
      view.setInt32(to, 1);
      view.setUint8(to + LENGTH, n === 0 ? 0 : 1);
      at[row] = to + LENGTH + 1;
    } else {
      view.setInt32(to, 4);
      view.setInt32(to + LENGTH, type === "date" ? Math.floor((n - EPOCH_MS) / DAY_MS) : n);
      at[row] = to + LENGTH + 4;
    }
  }
}

/** Writes a null; returns where it ends. */
function setNull(view: DataView, at: number): number {
  view.setInt32(at, -1);
  return at + LENGTH;
}

/** Writes a number of 8 bytes; returns where it ends. */
function setInt64(view: DataView, at: number, n: number): number {
  const high = Math.floor(n / TWO_32);
  view.setInt32(at, 8);
  view.setInt32(at + 4, high);
  view.setUint32(at + 8, n - high * TWO_32);
  return at + 12;
}

function setBigInt64(view: DataView, at: number, n: bigint): number {
  view.setInt32(at, 8);
  view.setBigInt64(at + 4, n);
  return at + 12;
}
