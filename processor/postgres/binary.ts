/**
 * Columns of values in PostgreSQL's binary format: arrays for `unnest`, and rows for `copy`. Neither side formats or
 * parses digits, and the strings of events are copied as bytes, without becoming strings in between.
 * @module
 */
import type { Batch, EventColumn } from "../columns/batch.ts";
import { Bytes, type Cells, codesOf, rowsBelow, Spans, Texts } from "../columns/cells.ts";
import { NONE } from "../columns/strings.ts";
import { type Encoder, encoderOf, type Type } from "./encoding.ts";

export type { Type };

/** PostgreSQL's OIDs of the types. */
const OIDS: { readonly [type in Type]: number } = {
  boolean: 16,
  bytea: 17,
  bigint: 20,
  smallint: 21,
  integer: 23,
  text: 25,
  tid: 27,
  date: 1082,
  timestamptz: 1184,
};

/** PostgreSQL's OIDs of the array types, one for each type. */
export const ARRAY_OIDS: readonly number[] = [1000, 1001, 1016, 1005, 1007, 1009, 1010, 1182, 1185];

/** A column in SQL. */
export interface TypedColumn {
  readonly name: string;
  readonly type: Type;
}

/** Number of a row of `rowsOfArrays`, from 0 on. No column of a view has a `$` in its name, and so with `PLACE`. */
export const NUMBER = { name: "number$", type: "integer" } as const;

/** Where a stored row is in its table: its `ctid`. */
export const PLACE = { name: "place$", type: "tid" } as const;

/**
 * SQL for the parameters from `$first` on, an array each, as the rows `v` of these columns and of their `NUMBER`. The
 * arrays must be equally long. They are unnested where they are selected: `unnest` of several in `from` copies each one to
 * a table first, which costs more than twice as much.
 */
export function rowsOfArrays(columns: readonly TypedColumn[], first = 1): string {
  const selected = columns.map(({ name, type }, c) => `unnest($${first + c}::${type}[]) as ${name}`);
  const number = `generate_subscripts($${first}::${columns[0]!.type}[], 1) - 1 as ${NUMBER.name}`;
  return `(select ${selected.join(", ")}, ${number}) v`;
}

/** A column, or only these rows of it, as an array parameter. Times and dates are given in epoch milliseconds. */
export function arrayOf(cells: Cells, type: Type, rows: Int32Array | null = null): BinaryParameter {
  return new BinaryParameter(cells, type, rows);
}

/**
 * An array in PostgreSQL's binary format, as a parameter: the statement gives its type. It is encoded when it is sent, so
 * its cells must stay as they are until then.
 */
export class BinaryParameter {
  readonly #cells: Cells;
  readonly #type: Type;
  readonly #rows: Int32Array | null;
  readonly #count: number;
  #size: { readonly bytes: number; readonly hasNull: boolean } | null = null;

  constructor(cells: Cells, type: Type, rows: Int32Array | null) {
    this.#cells = cells;
    this.#type = type;
    this.#rows = rows;
    this.#count = rows === null ? lengthOf(cells) : rows.length;
  }

  /** The number of bytes of all chunks. */
  get byteLength(): number {
    return this.#measured().bytes;
  }

  /** All of the array, for whoever cannot send it in chunks. */
  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.byteLength);
    let at = 0;
    for (const chunk of this.chunks(newChunk())) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  /** The array in chunks, each of them valid until the next. They are encoded in `memory`, if they fit in it. */
  *chunks(memory: DataView<ArrayBuffer>): Generator<Uint8Array> {
    const count = this.#count;
    const head = new DataView(new ArrayBuffer(count === 0 ? EMPTY_HEAD : ARRAY_HEAD));
    head.setInt32(0, count === 0 ? 0 : 1);
    head.setInt32(4, this.#measured().hasNull ? 1 : 0);
    head.setInt32(8, OIDS[this.#type]);
    if (count > 0) {
      head.setInt32(12, count);
      head.setInt32(16, 1);
    }
    yield new Uint8Array(head.buffer);
    for (const { encoder, length } of this.#portions()) yield* chunksOf([encoder], length, null, memory);
  }

  #measured(): { readonly bytes: number; readonly hasNull: boolean } {
    if (this.#size === null) {
      let bytes = this.#count === 0 ? EMPTY_HEAD : ARRAY_HEAD;
      let hasNull = false;
      const sizes = new Int32Array(Math.min(this.#count, PORTION_ROWS));
      for (const { encoder, length } of this.#portions()) {
        sizes.fill(0);
        hasNull = encoder.measure(sizes) || hasNull;
        for (let row = 0; row < length; row++) bytes += sizes[row]!;
      }
      this.#size = { bytes, hasNull };
    }
    return this.#size;
  }

  *#portions(): Generator<{ readonly encoder: Encoder; readonly length: number }> {
    for (let from = 0; from < this.#count; from += PORTION_ROWS) {
      const until = Math.min(this.#count, from + PORTION_ROWS);
      const encoder = this.#rows === null
        ? encoderOf(rowsOfCells(this.#cells, from, until), this.#type, null)
        : encoderOf(this.#cells, this.#type, this.#rows.subarray(from, until));
      yield { encoder, length: until - from };
    }
  }
}

/** Rows `[from, until)` of a column, which are not copied. */
function rowsOfCells(cells: Cells, from: number, until: number): Cells {
  if (cells instanceof Float64Array) return cells.subarray(from, until);
  if (cells instanceof Texts) return new Texts(cells.strings, cells.codes.subarray(from, until));
  if (cells instanceof Bytes) return new Bytes(cells.strings, cells.codes.subarray(from, until));
  return cells.slice(from, until);
}

/** Bytes before the elements of an array, and of an array without any. */
const ARRAY_HEAD = 20;
const EMPTY_HEAD = 12;

/** Turns the sizes of rows `[from, until)` into where each begins, the first of them at 0; returns their end. */
function placed(sizes: Int32Array, from: number, until: number): number {
  let at = 0;
  for (let row = from; row < until; row++) {
    const size = sizes[row]!;
    sizes[row] = at;
    at += size;
  }
  return at;
}

function lengthOf(cells: Cells): number {
  return cells instanceof Spans ? cells.codes.length : cells.length;
}

/** The cells of a column, and their type. */
export interface TypedCells {
  readonly cells: Cells;
  readonly type: Type;
}

/** These rows of columns as `copy … from stdin (format binary)` reads them, in chunks like those of `copyRows`. */
export function* copyCells(columns: readonly TypedCells[], rows: Int32Array): Generator<Uint8Array> {
  yield SIGNATURE;
  const memory = newChunk();
  for (let from = 0; from < rows.length; from += PORTION_ROWS) {
    const portion = rows.subarray(from, from + PORTION_ROWS);
    yield* chunksOf(
      columns.map(({ cells, type }) => encoderOf(cells, type, portion)),
      portion.length,
      columns.length,
      memory,
    );
  }
  yield END;
}

/** Rows that are encoded together: few enough for what is between the steps to stay in the cache. */
const PORTION_ROWS = 2048;

/** Bytes that a chunk has at most, unless one row is longer. */
export const CHUNK_BYTES = 256 * 1024;

/** Memory for a chunk. */
function newChunk(): DataView<ArrayBuffer> {
  return new DataView(new ArrayBuffer(CHUNK_BYTES));
}

/**
 * Rows, in chunks, each of them valid until the next.
 *
 * @param fields number of fields with which each row begins; null for elements of an array
 * @param memory where chunks are encoded that fit in it
 */
function* chunksOf(
  columns: readonly Encoder[],
  count: number,
  fields: number | null,
  memory: DataView<ArrayBuffer>,
): Generator<Uint8Array> {
  const headBytes = fields === null ? 0 : FIELDS;
  const at = new Int32Array(count).fill(headBytes);
  for (const column of columns) column.measure(at);
  for (let from = 0; from < count;) {
    let until = from + 1;
    for (let bytes = at[from]!; until < count && bytes + at[until]! <= memory.byteLength; until++) bytes += at[until]!;
    const length = placed(at, from, until);
    const view = length <= memory.byteLength ? memory : new DataView(new ArrayBuffer(length));
    if (fields !== null) {
      for (let row = from; row < until; row++) {
        view.setInt16(at[row]!, fields);
        at[row]! += headBytes;
      }
    }
    for (const column of columns) column.write(view, at, from, until);
    yield new Uint8Array(view.buffer, 0, length);
    from = until;
  }
}

/** Bytes of the number of fields, with which a row begins. */
const FIELDS = 2;

/** Columns of `events`. */
export const EVENT_COLUMNS: readonly EventColumn[] = [
  { name: "event_id", of: "id", type: "text" },
  { name: "event_time", of: "time", type: "timestamptz" },
  { name: "user_id", of: "user", type: "text" },
  { name: "session_id", of: "session", type: "text" },
  { name: "event_type", of: "type", type: "text" },
  { name: "page", of: "page", type: "text" },
  { name: "device", of: "device", type: "text" },
  { name: "region", of: "region", type: "text" },
  { name: "referrer", of: "referrer", type: "text" },
  { name: "product_id", of: "product", type: "text" },
  { name: "campaign", of: "campaign", type: "text" },
  { name: "price_cents", of: "price", type: "bigint" },
  { name: "quantity", of: "quantity", type: "bigint" },
  { name: "currency", of: "currency", type: "text" },
  { name: "revenue_cents", of: "revenue", type: "bigint" },
  { name: "kafka_partition", of: "partition", type: "integer" },
  { name: "kafka_offset", of: "offset", type: "bigint" },
  { name: "kafka_time", of: "kafkaTime", type: "timestamptz" },
  { name: "user_agent", of: "userAgent", type: "text" },
  { name: "order_id", of: "order", type: "text" },
  { name: "is_bot", of: "bot", type: "boolean" },
];

/** Header of the binary `copy` format: signature, no flags, no extension. */
const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const END = Uint8Array.of(0xff, 0xff);

/** Those columns of `events` that are not null in all of these: what no client sends costs nothing. */
export function columnsSent(batches: readonly Batch[]): readonly EventColumn[] {
  return EVENT_COLUMNS.filter(({ of }) => batches.some(({ count, codes }) => !isNull(codes, of, count)));
}

/** Whether a column has texts, and none in the first `count` rows. */
function isNull(codes: Batch["codes"], of: EventColumn["of"], count: number): boolean {
  if (!(of in codes)) return false;
  const column = codes[of as keyof typeof codes];
  for (let row = 0; row < count; row++) if (column[row] !== NONE) return false;
  return true;
}

/**
 * These columns of events as `copy … from stdin (format binary)` reads them, in chunks, each of them valid until the next.
 */
export function* copyRows(batches: readonly Batch[], columns: readonly EventColumn[]): Generator<Uint8Array> {
  yield SIGNATURE;
  for (const batch of batches) {
    for (let from = 0; from < batch.count;) {
      const rows = batch.rowsFrom(from, columns);
      if (rows === null) {
        yield* rowsOf(batch, columns);
        break;
      }
      yield rows.bytes;
      from = rows.next;
    }
  }
  yield END;
}

/** The rows of a batch that does not write them itself. */
function* rowsOf(batch: Batch, written: readonly EventColumn[]): Generator<Uint8Array> {
  const columns = written.map(({ of, type }) => encoderOf(valuesOf(batch, of), type, null));
  yield* chunksOf(columns, batch.count, columns.length, newChunk());
}

function valuesOf(batch: Batch, of: EventColumn["of"]): Cells {
  const { count, first, words } = batch;
  switch (of) {
    case "id":
      return new Texts(words.ids, codesOf(rowsBelow(count), (row) => first + row));
    case "partition":
      return Float64Array.from(batch.partition.subarray(0, count));
    case "offset":
    case "kafkaTime":
    case "time":
    case "price":
    case "quantity":
    case "revenue":
      return batch[of].subarray(0, count);
    default:
      return new Texts(words[of], batch.codes[of].subarray(0, count));
  }
}
