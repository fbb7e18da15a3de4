/**
 * Columns of values in PostgreSQL's binary format: arrays for `unnest`, and rows for `copy`. Neither side formats or
 * parses digits, and the strings of events are copied as bytes, without becoming strings in between.
 * @module
 */
import type { Batch, EventColumn } from "../columns/batch.ts";
import { type Cells, codesOf, rowsBelow, Spans, Texts } from "../columns/cells.ts";
import { type Encoder, encoderOf, type Type } from "./encoding.ts";

export type { Type };

/** A parameter in PostgreSQL's binary format. Its type is the one that the statement gives it. */
export class BinaryParameter {
  /** The value, in the format that PostgreSQL's `recv` function of the type reads. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

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
export const ARRAY_OIDS: readonly number[] = [1001, 1016, 1005, 1007, 1009, 1010, 1182, 1185];

/** SQL for parameter `n` as an array of a type. */
export function arrayParameter(n: number, type: Type): string {
  return `$${n}::${type}[]`;
}

/** A column, or only these rows of it, as an array parameter. Times and dates are given in epoch milliseconds. */
export function arrayOf(cells: Cells, type: Type, rows: Int32Array | null = null): BinaryParameter {
  const count = rows === null ? lengthOf(cells) : rows.length;
  const encoder = encoderOf(cells, type, rows);
  const at = new Int32Array(count);
  const hasNull = encoder.measure(at);
  const size = placed(at, 0, count, count === 0 ? EMPTY_HEAD : ARRAY_HEAD);
  const view = new DataView(new ArrayBuffer(size));
  view.setInt32(0, count === 0 ? 0 : 1);
  view.setInt32(4, hasNull ? 1 : 0);
  view.setInt32(8, OIDS[type]);
  if (count > 0) {
    view.setInt32(12, count);
    view.setInt32(16, 1);
    encoder.write(view, at, 0, count);
  }
  return new BinaryParameter(new Uint8Array(view.buffer));
}

/** Bytes before the elements of an array, and of an array without any. */
const ARRAY_HEAD = 20;
const EMPTY_HEAD = 12;

/** Turns the sizes of rows `[from, until)` into where each begins, the first of them at `begin`; returns their end. */
function placed(sizes: Int32Array, from: number, until: number, begin: number): number {
  let at = begin;
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
  for (let from = 0; from < rows.length; from += PORTION_ROWS) {
    const portion = rows.subarray(from, from + PORTION_ROWS);
    yield* chunksOf(columns.map(({ cells, type }) => encoderOf(cells, type, portion)), portion.length);
  }
  yield END;
}

/** Rows that are encoded together: few enough for what is between the steps to stay in the cache. */
const PORTION_ROWS = 2048;

/** Rows of `copy`, in chunks. */
function* chunksOf(columns: readonly Encoder[], count: number): Generator<Uint8Array> {
  const at = new Int32Array(count).fill(FIELDS);
  for (const column of columns) column.measure(at);
  for (let from = 0; from < count;) {
    let until = from;
    for (let bytes = 0; until < count && bytes < CHUNK_BYTES; until++) bytes += at[until]!;
    const view = new DataView(new ArrayBuffer(placed(at, from, until, 0)));
    for (let row = from; row < until; row++) {
      view.setInt16(at[row]!, columns.length);
      at[row]! += FIELDS;
    }
    for (const column of columns) column.write(view, at, from, until);
    yield new Uint8Array(view.buffer);
    from = until;
  }
}

/** Bytes of the number of fields, with which a row begins. */
const FIELDS = 2;

/** Columns of `events`, in the order in which `copyRows` writes them. */
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
];

/** Size in bytes from which a chunk is passed on. */
const CHUNK_BYTES = 256 * 1024;
/** Header of the binary `copy` format: signature, no flags, no extension. */
const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const END = Uint8Array.of(0xff, 0xff);

/** Events as `copy … from stdin (format binary)` reads them, in chunks. */
export function* copyRows(batches: readonly Batch[]): Generator<Uint8Array> {
  yield SIGNATURE;
  for (const batch of batches) {
    for (let from = 0; from < batch.count;) {
      const rows = batch.rowsFrom(from, EVENT_COLUMNS);
      if (rows === null) {
        yield* rowsOf(batch);
        break;
      }
      yield rows.bytes;
      from = rows.next;
    }
  }
  yield END;
}

/** The rows of a batch that does not write them itself. */
function* rowsOf(batch: Batch): Generator<Uint8Array> {
  const columns = EVENT_COLUMNS.map(({ of, type }) => encoderOf(valuesOf(batch, of), type, null));
  yield* chunksOf(columns, batch.count);
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
