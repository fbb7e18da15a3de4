/**
 * Reads what a statement returns by column instead of by row: PostgreSQL sends each column as one value, an array in its
 * binary format, which is the counterpart of `arrayOf`. A row then costs no object, and a cell no string.
 * @module
 */
import { Bytes, type Cells, Texts } from "../columns/cells.ts";
import { NONE, type Strings, type StringSpans } from "../columns/strings.ts";
import { DAY_MS } from "../views/view.ts";
import type { Database } from "./database.ts";
import type { TypedColumn } from "./binary.ts";
import { EPOCH_MS, type Type } from "./encoding.ts";

/** What a statement returned: its number of rows, and a cell for each row of each column. */
export interface Packed {
  readonly count: number;
  /** Size of all cells, in bytes. */
  readonly bytes: number;
  readonly cells: ReadonlyMap<string, Cells>;
}

/**
 * Runs a statement with `select` or `returning`, and returns these columns of its rows. Times and dates are epoch
 * milliseconds, flags 1 and 0; a `tid` is returned as the bytes that `arrayOf` takes. All of it is in memory at once, in
 * hexadecimal digits first, of which a string holds 2^29: limit the rows of a statement.
 *
 * @throws {TypeError} if a column has another type than the one given
 */
export async function queryPacked(
  tx: Database,
  columns: readonly TypedColumn[],
  sql: string,
  params: readonly unknown[],
): Promise<Packed> {
  // All the aggregates of one `select` see the rows in the same order.
  const arrays = columns.map(({ name }) => `encode(array_send(array_agg(r.${name})), 'hex') as ${name}`);
  const { rows: [row] } = await tx.query<Record<string, string | null>>(
    `with r as (${sql}) select ${arrays.join(", ")} from r`,
    params,
  );
  let count = 0;
  let bytes = 0;
  const cells = columns.map(({ name, type }) => {
    // Without rows, the aggregate is null.
    const elements = new Elements(row![name] ?? NO_ELEMENTS);
    count = elements.count;
    bytes += elements.view.byteLength;
    return [name, elements.cells(type)] as const;
  });
  return { count, bytes, cells: new Map(cells) };
}

/** Bytes before the elements: number of dimensions, flags, type, and the size and the lower bound of one dimension. */
const HEADER_BYTES = 20;
/** Bytes before the elements of an array in which the size of its dimension lies. */
const COUNT_AT = 12;
const NO_ELEMENTS = "00".repeat(HEADER_BYTES);

/** How to read a number: its size in bytes, and its value at an offset. */
interface Numeric {
  readonly bytes: number;
  readonly at: (view: DataView, at: number) => number;
}

/** The types whose cells are numbers. */
const NUMERIC: { readonly [type in Type]?: Numeric } = {
  boolean: { bytes: 1, at: (view, at) => view.getUint8(at) },
  smallint: { bytes: 2, at: (view, at) => view.getInt16(at) },
  integer: { bytes: 4, at: (view, at) => view.getInt32(at) },
  bigint: { bytes: 8, at: int64 },
  date: { bytes: 4, at: (view, at) => EPOCH_MS + view.getInt32(at) * DAY_MS },
  // Stored times are whole milliseconds; as microseconds, distant ones are not exact in a double.
  timestamptz: { bytes: 8, at: (view, at) => EPOCH_MS + Math.round(int64(view, at) / 1000) },
};

function int64(view: DataView, at: number): number {
  return view.getInt32(at) * 4294967296 + view.getUint32(at + 4);
}

/** The elements of an array in PostgreSQL's binary format; each has its length before it, or -1 for null. */
class Elements implements Strings {
  readonly view: DataView;
  readonly count: number;
  /** Where each string begins, once `#codes` has put one behind the other; then where the last one ends. */
  #starts = new Int32Array(1);

  /** @param hex the array, in hexadecimal digits */
  constructor(hex: string) {
    // Strings must be readable up to three bytes past their end.
    const bytes = new Uint8Array(hex.length / 2 + 3);
    bytes.setFromHex(hex);
    this.view = new DataView(bytes.buffer);
    this.count = this.view.getInt32(COUNT_AT);
  }

  cells(type: Type): Cells {
    const numeric = NUMERIC[type];
    if (numeric !== undefined) return this.#numbers(numeric, type);
    const codes = this.#codes();
    return type === "text" ? new Texts(this, codes) : new Bytes(this, codes);
  }

  get spans(): StringSpans {
    return { view: this.view, base: 0, starts: this.#starts };
  }

  start(n: number): number {
    return this.#starts[n]!;
  }

  length(n: number): number {
    return this.#starts[n + 1]! - this.#starts[n]!;
  }

  text(n: number): string {
    return utf8.decode(new Uint8Array(this.view.buffer, this.start(n), this.length(n)));
  }

  #numbers(numeric: Numeric, type: Type): Float64Array {
    const { view, count } = this;
    const numbers = new Float64Array(count);
    for (let n = 0, at = HEADER_BYTES; n < count; n++) {
      const length = view.getInt32(at);
      at += 4;
      if (length < 0) {
        numbers[n] = NaN;
        continue;
      }
      if (length !== numeric.bytes) throw new TypeError(`PostgreSQL returned ${length} bytes for a ${type}`);
      numbers[n] = numeric.at(view, at);
      at += length;
    }
    return numbers;
  }

  #codes(): Int32Array {
    const { view, count } = this;
    const bytes = new Uint8Array(view.buffer);
    const codes = new Int32Array(count);
    const starts = new Int32Array(count + 1);
    for (let n = 0, at = HEADER_BYTES; n < count; n++) {
      const length = view.getInt32(at);
      at += 4;
      codes[n] = length < 0 ? NONE : n;
      const end = at + Math.max(0, length);
      bytes.copyWithin(starts[n]!, at, end);
      starts[n + 1] = starts[n]! + end - at;
      at = end;
    }
    this.#starts = starts;
    return codes;
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
