/**
 * Columns of values as PostgreSQL writes them in text: array literals for `unnest`, and lines for `copy`.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Batch, Coded } from "../batch.ts";
import type { Cell, Column } from "../measure.ts";

/** Longest text that is built before it is handed on, in UTF-16 code units. */
const CHUNK_LENGTH = 256 * 1024;

/** An array literal of one column; bytes in hexadecimal, times in ISO 8601. */
export function arrayLiteral(cells: readonly Cell[], type: Column["type"]): string {
  const parts: string[] = new Array(cells.length);
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    parts[i] = cell === null ? "NULL" : quoted(cell, type);
  }
  return `{${parts.join(",")}}`;
}

function quoted(cell: Exclude<Cell, null>, type: Column["type"]): string {
  if (typeof cell === "number") {
    if (type === "timestamptz") return isoOf(cell);
    return type === "date" ? isoOf(cell).slice(0, 10) : String(cell);
  }
  if (typeof cell !== "string") return `"${hexOf(cell)}"`;
  return `"${/["\\]/.test(cell) ? cell.replaceAll(/["\\]/g, "\\$&") : cell}"`;
}

/** The expression that turns an array literal, sent as parameter `n`, into an array of a type. */
export function arrayParameter(n: number, type: Column["type"]): string {
  return `$${n}::text::${type === "bytea" ? "text" : type}[]`;
}

/** Bytes in hexadecimal. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** ISO 8601 of epoch milliseconds in UTC. The day is worked out once for all the times in it. */
export function isoOf(time: number): string {
  const day = Math.floor(time / 86_400_000);
  if (day !== lastDay) {
    lastDay = day;
    lastDate = new Date(day * 86_400_000).toISOString().slice(0, 11);
  }
  const ms = time - day * 86_400_000;
  const hour = Math.floor(ms / 3_600_000);
  const minute = Math.floor(ms / 60_000) % 60;
  const second = Math.floor(ms / 1000) % 60;
  return `${lastDate}${TWO[hour]}:${TWO[minute]}:${TWO[second]}.${THREE[ms % 1000]}Z`;
}

let lastDay = NaN;
let lastDate = "";
const TWO = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, "0"));
const THREE = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, "0"));

/** Columns of `events`, in the order of `copyLines`. */
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

/** Events as lines of `copy … from stdin`, in chunks of UTF-8. */
export function* copyLines(batches: readonly Batch[]): Generator<Uint8Array> {
  let lines = "";
  const words = batches[0]?.words;
  if (words === undefined) return;
  const escapes = new Map<Coded, string[]>();
  const word = (batch: Batch, column: Coded, i: number): string => {
    const code = batch.codes[column][i]!;
    if (code < 0) return "\\N";
    let known = escapes.get(column);
    if (known === undefined) escapes.set(column, known = []);
    return known[code] ??= escaped(words[column].text(code));
  };
  for (const batch of batches) {
    for (let i = 0; i < batch.count; i++) {
      const price = batch.price[i]!;
      lines += `${escaped(batch.id(i))}\t${isoOf(batch.time[i]!)}\t${word(batch, "user", i)}\t${
        word(batch, "session", i)
      }\t${word(batch, "type", i)}\t${word(batch, "sentPage", i)}\t${word(batch, "device", i)}\t${
        word(batch, "region", i)
      }\t${word(batch, "referrer", i)}\t${word(batch, "product", i)}\t${word(batch, "campaign", i)}\t${
        Number.isNaN(price) ? "\\N" : price
      }\t${batch.quantity[i]}\t${word(batch, "currency", i)}\t${batch.revenue[i]}\t${batch.partition[i]}\t${
        batch.offset[i]
      }\t${isoOf(batch.kafkaTime[i]!)}\n`;
      if (lines.length > CHUNK_LENGTH) {
        yield Buffer.from(lines);
        lines = "";
      }
    }
  }
  if (lines !== "") yield Buffer.from(lines);
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

function escaped(text: string): string {
  return /[\\\t\n\r]/.test(text) ? text.replaceAll(/[\\\t\n\r]/g, (c) => ESCAPES[c]!) : text;
}
