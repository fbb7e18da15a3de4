/**
 * Columns of values in PostgreSQL's binary format: arrays for `unnest`, and rows for `copy`. Neither side formats or
 * parses digits, and the strings of events are copied as bytes, without becoming strings in between.
 * @module
 */
import type { Batch, Coded } from "../columns/batch.ts";
import { type Cells, Spans } from "../columns/cells.ts";
import type { Column } from "../measures/measure.ts";

/** A parameter in PostgreSQL's binary format. Its type is the one that the statement gives it. */
export class BinaryParameter {
  /** The value, in the format that PostgreSQL's `recv` function of the type reads. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** Type of a column or a parameter: besides those of measures, flags (0 or 1), and two for parameters only. */
export type Type = Column["type"] | "boolean" | "integer" | "tid";

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

/** PostgreSQL's epoch, 2000-01-01, in Unix epoch milliseconds. */
const EPOCH_MS = 946_684_800_000;
const DAY_MS = 86_400_000;
/** Times of up to this many milliseconds stay exact in a double as microseconds. */
const EXACT_MS = 2 ** 53 / 1000;
const TWO_32 = 4294967296;

/** SQL for parameter `n` as an array of a type. */
export function arrayParameter(n: number, type: Type): string {
  return `$${n}::${type}[]`;
}

/** A column, or only these rows of it, as an array parameter. Times and dates are given in epoch milliseconds. */
export function arrayOf(cells: Cells, type: Type, rows: Int32Array | null = null): BinaryParameter {
  const count = rows === null ? lengthOf(cells) : rows.length;
  const out = new Writer(20 + sizeOf(cells, count, rows));
  out.int32(count === 0 ? 0 : 1);
  const flagAt = out.at;
  out.int32(0);
  out.int32(OIDS[type]);
  if (count > 0) {
    out.int32(count);
    out.int32(1);
  }
  let nulls = 0;
  for (let i = 0; i < count; i++) if (!out.cell(cells, rows === null ? i : rows[i]!, type)) nulls = 1;
  out.view.setInt32(flagAt, nulls);
  return new BinaryParameter(out.taken());
}

/** Upper bound for the size of the cells in bytes. Without it a large array would have to grow, which costs more. */
function sizeOf(cells: Cells, count: number, rows: Int32Array | null): number {
  if (cells instanceof Float64Array) return count * 12;
  let size = 8;
  for (let i = 0; i < count; i++) {
    const row = rows === null ? i : rows[i]!;
    if (cells instanceof Spans) {
      const code = cells.codes[row]!;
      size += 4 + (code < 0 ? 0 : cells.strings.length(code));
    } else {
      const cell = cells[row]!;
      size += typeof cell === "string" ? 4 + cell.length * 3 : typeof cell === "number" ? 12 : 4 + (cell?.length ?? 0);
    }
  }
  return size;
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
  const out = new Writer(chunkOf(rows.length * columns.length * 20));
  out.bytes(SIGNATURE);
  for (let i = 0; i < rows.length; i++) {
    out.int16(columns.length);
    for (const { cells, type } of columns) out.cell(cells, rows[i]!, type);
    if (out.at > CHUNK_BYTES) yield out.taken();
  }
  out.int16(-1);
  yield out.taken();
}

/** Columns of `events`, in the order in which `copyRows` writes them. */
export const EVENT_COLUMNS = [
  "event_id",
  "event_time",
  "user_id",
  "session_id",
  "event_type",
  "page",
  "device",
  "region",
  "referrer",
  "product_id",
  "campaign",
  "price_cents",
  "quantity",
  "currency",
  "revenue_cents",
  "kafka_partition",
  "kafka_offset",
  "kafka_time",
] as const;

/** Size in bytes from which a chunk is passed on. Buffers are twice as large, so that the largest event still fits. */
const CHUNK_BYTES = 256 * 1024;

/** Size of the buffer for rows of about `bytes` in total, so that a few rows do not cost the memory of many. */
function chunkOf(bytes: number): number {
  return Math.min(CHUNK_BYTES * 2, bytes + 1024);
}

/** Header of the binary `copy` format: signature, no flags, no extension. */
const SIGNATURE = Uint8Array.of(0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** Events as `copy … from stdin (format binary)` reads them, in chunks. Each is valid until the next is requested. */
export function* copyRows(batches: readonly Batch[]): Generator<Uint8Array> {
  const out = new Writer(chunkOf(batches.reduce((sum, { count }) => sum + count, 0) * 300));
  out.bytes(SIGNATURE);
  for (const batch of batches) {
    for (let i = 0; i < batch.count; i++) {
      copyRow(out, batch, i);
      if (out.at > CHUNK_BYTES) yield out.taken();
    }
  }
  out.int16(-1);
  yield out.taken();
}

function copyRow(out: Writer, batch: Batch, i: number): void {
  out.int16(EVENT_COLUMNS.length);
  id(out, batch, i);
  out.timestamp(batch.time[i]!);
  word(out, batch, "user", i);
  word(out, batch, "session", i);
  word(out, batch, "type", i);
  word(out, batch, "page", i);
  word(out, batch, "device", i);
  word(out, batch, "region", i);
  word(out, batch, "referrer", i);
  word(out, batch, "product", i);
  word(out, batch, "campaign", i);
  const price = batch.price[i]!;
  if (Number.isNaN(price)) out.int32(-1);
  else out.int64(price);
  out.int64(batch.quantity[i]!);
  word(out, batch, "currency", i);
  out.int64(batch.revenue[i]!);
  out.int32(4);
  out.int32(batch.partition[i]!);
  out.int64(batch.offset[i]!);
  out.timestamp(batch.kafkaTime[i]!);
}

function id(out: Writer, batch: Batch, i: number): void {
  const { ids } = batch.words;
  const n = batch.first + i;
  const start = ids.start(n);
  out.span(ids.view, start, ids.length(n));
}

function word(out: Writer, batch: Batch, column: Coded, i: number): void {
  const code = batch.codes[column][i]!;
  if (code < 0) return out.int32(-1);
  const words = batch.words[column];
  out.span(words.view, words.start(code), words.length(code));
}

/** Writes values in network byte order, each after its length. */
class Writer {
  at = 0;
  view: DataView<ArrayBuffer>;

  readonly #capacity: number;

  /** @param capacity initial size of the buffer, in bytes */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.view = new DataView(new ArrayBuffer(capacity));
  }

  /** Returns what was written since the last call. */
  taken(): Uint8Array {
    const all = new Uint8Array(this.view.buffer, 0, this.at);
    this.at = 0;
    this.view = EMPTY;
    return all;
  }

  int16(n: number): void {
    this.#room(2);
    this.view.setInt16(this.at, n);
    this.at += 2;
  }

  int32(n: number): void {
    this.#room(4);
    this.view.setInt32(this.at, n);
    this.at += 4;
  }

  int64(n: number): void {
    this.#room(12);
    const { view, at } = this;
    const high = Math.floor(n / TWO_32);
    view.setInt32(at, 8);
    view.setInt32(at + 4, high);
    view.setUint32(at + 8, n - high * TWO_32);
    this.at = at + 12;
  }

  timestamp(epochMs: number): void {
    const ms = epochMs - EPOCH_MS;
    if (Math.abs(ms) < EXACT_MS) return this.int64(ms * 1000);
    this.int32(8);
    this.#room(8);
    this.view.setBigInt64(this.at, BigInt(ms) * 1000n);
    this.at += 8;
  }

  /** Writes the cell of a row; returns false if it is null. */
  cell(cells: Cells, row: number, type: Type): boolean {
    if (cells instanceof Float64Array) {
      const n = cells[row]!;
      if (Number.isNaN(n)) return this.#null();
      this.number(n, type);
    } else if (cells instanceof Spans) {
      const code = cells.codes[row]!;
      if (code < 0) return this.#null();
      const { strings } = cells;
      this.span(strings.view, strings.start(code), strings.length(code));
    } else {
      const cell = cells[row]!;
      if (cell === null) return this.#null();
      if (typeof cell === "number") this.number(cell, type);
      else if (typeof cell === "string") this.text(cell);
      else this.raw(cell);
    }
    return true;
  }

  #null(): boolean {
    this.int32(-1);
    return false;
  }

  number(n: number, type: Type): void {
    switch (type) {
      case "timestamptz":
        return this.timestamp(n);
      case "bigint":
        return this.int64(n);
      case "smallint":
        this.int32(2);
        return this.int16(n);
      case "boolean":
        return this.raw(n === 0 ? FALSE : TRUE);
      default:
        this.int32(4);
        return this.int32(type === "date" ? Math.floor((n - EPOCH_MS) / DAY_MS) : n);
    }
  }

  /** Writes a string in UTF-8. */
  text(text: string): void {
    this.#room(4 + text.length * 3);
    const { view, at } = this;
    let to = at + 4;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c >= 0x80) {
        to = at + 4 + utf8.encodeInto(text, new Uint8Array(view.buffer, at + 4)).written;
        break;
      }
      view.setUint8(to++, c);
    }
    view.setInt32(at, to - at - 4);
    this.at = to;
  }

  /** Writes bytes `[start, start + length)` of another view; reads up to three bytes past them. */
  span(from: DataView, start: number, length: number): void {
    this.#room(8 + length);
    const { view } = this;
    let to = this.at + 4;
    view.setInt32(this.at, length);
    this.at = to + length;
    for (const end = start + length; start < end; start += 4, to += 4) {
      view.setInt32(to, from.getInt32(start, true), true);
    }
  }

  raw(bytes: Uint8Array): void {
    this.int32(bytes.length);
    this.bytes(bytes);
  }

  /** Writes bytes without their length. */
  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    new Uint8Array(this.view.buffer).set(bytes, this.at);
    this.at += bytes.length;
  }

  #room(bytes: number): void {
    if (this.at + bytes <= this.view.byteLength) return;
    const larger = new Uint8Array(Math.max(this.at + bytes, this.view.byteLength * 2, this.#capacity));
    larger.set(new Uint8Array(this.view.buffer, 0, this.at));
    this.view = new DataView(larger.buffer);
  }
}

const FALSE = Uint8Array.of(0);
const TRUE = Uint8Array.of(1);
const EMPTY = new DataView(new ArrayBuffer(0));

const utf8 = new TextEncoder();
