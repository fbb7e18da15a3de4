/**
 * Scenarios as text tables: clicks in, rows out. A table has a line of column names, and one line for each click or
 * row; `-` is an absent value. Times are on Monday, 2 November 2026, unless they carry a date.
 * @module
 */
import assert from "node:assert/strict";
import { JsonDecoder } from "../decode/json.ts";
import { Kernel } from "../kernel/kernel.ts";
import type { Cell } from "../measures/measure.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { tableOf } from "../translate/table.ts";
import { DAY_MS, type View } from "../views/view.ts";
import { type LogRecord, MemorySink, MemorySource } from "./fakes/memory.ts";
import { rowsOf } from "./fakes/tables.ts";

const DAY = "2026-11-02";
const KEEP_DAYS = 30;
const utf8 = new TextEncoder();

/** A JSON value of a record, valid or not. */
export type Message = Readonly<Record<string, unknown>>;

/** Parses a time such as `12:00:00.000` to epoch milliseconds; it is on 2 November 2026 unless it carries a date. */
export function at(text: string): number {
  return Date.parse(`${text.includes("T") ? text : `${DAY}T${text}`}Z`);
}

/** A record with a JSON value, or with this text or these bytes. `time` is its Kafka timestamp. */
export function record(value: Message | string | Uint8Array | null, time: number): LogRecord {
  if (value === null || value instanceof Uint8Array) return { value, time };
  return { value: utf8.encode(typeof value === "string" ? value : JSON.stringify(value)), time };
}

/** The kernel with the tests' retention, 30 days, and little memory; and the shop's currency, if it has one. */
export function decoder(currency: string | null = null): Kernel {
  return new Kernel({ keepMs: KEEP_DAYS * DAY_MS, mebibytes: 16, currency });
}

/** The reference decoder with the same retention. */
export function reference(): JsonDecoder {
  return new JsonDecoder(KEEP_DAYS * DAY_MS);
}

/** Parses the lines of a table into objects by column; absent values are left out. */
export function table(text: string): Record<string, string>[] {
  const [header = [], ...lines] = text.trim().split("\n").map((line) => line.trim().split(/ +/));
  return lines.filter((line) => line.length > 1 || line[0] !== "").map((line) => {
    assert.equal(line.length, header.length, `a line of ${header.length} columns: ${line.join(" ")}`);
    return Object.fromEntries(header.map((name, c) => [name, line[c]!]).filter(([, cell]) => cell !== "-"));
  });
}

/** Parses a table of clicks. Columns are fields of an event; `time` is short for `timestamp`. */
export function clicks(text: string): Message[] {
  return table(text).map(({ time, quantity, ...fields }, n) => ({
    eventId: `e${n + 1}`,
    userId: "ann",
    eventType: "page_view",
    page: "/",
    timestamp: at(time ?? "12:00:00.000"),
    ...quantity === undefined ? {} : { quantity: Number(quantity) },
    ...fields,
  }));
}

/** Returns the tables of the views after a pipeline has read the records, `inACommit` per commit. */
export async function tablesAfter(
  views: readonly View[],
  messages: readonly Message[],
  inACommit: number,
): Promise<MemorySink> {
  const latest = Math.max(0, ...messages.map(({ timestamp }) => timestamp as number));
  const sink = new MemorySink();
  const pipeline = new Pipeline({
    source: new MemorySource([messages.map((message) => record(message, latest))], inACommit),
    sink,
    views,
    decoder: decoder(),
    storeEvents: false,
    now: () => 0,
    commitEveryMs: 0,
    commitRecords: inACommit,
  });
  for (let n = 0; n <= messages.length / inACommit; n++) {
    await pipeline.step();
    await pipeline.flush();
  }
  return sink;
}

/** Returns the table of a view in the same way. */
export async function tableAfter(view: View, messages: readonly Message[], inACommit = 1000): Promise<MemorySink> {
  return await tablesAfter([view], messages, inACommit);
}

/**
 * Registers a test: these clicks result in exactly these rows, in any order and with any number of commits. Only the
 * columns in `rows` are compared.
 */
export function scenario(view: View, name: string, events: string, rows: string): void {
  Deno.test(`${view.name}: ${name}`, async () => {
    const [header = ""] = rows.trim().split("\n");
    const columns = header.trim().split(/ +/);
    const all = clicks(events);
    for (const messages of [all, all.toReversed(), rotated(all), interleaved(all)]) {
      for (const inACommit of [1000, 1, 2]) {
        const sink = await tableAfter(view, messages, inACommit);
        const order = `${inACommit} in a commit: ${messages.map(({ eventId }) => eventId).join(" ")}`;
        assert.deepEqual(shown(view, sink, columns), sortedLines(table(rows), columns), order);
      }
    }
  });
}

function rotated<T>(list: readonly T[]): T[] {
  const half = Math.ceil(list.length / 2);
  return [...list.slice(half), ...list.slice(0, half)];
}

function interleaved<T>(list: readonly T[]): T[] {
  return [...list.filter((_, i) => i % 2 === 1), ...list.filter((_, i) => i % 2 === 0)];
}

function shown(view: View, sink: MemorySink, columns: readonly string[]): string[] {
  const { window, key, measured } = tableOf(view);
  const types = new Map([...window, ...key, ...measured].map(({ name, type }) => [name, type]));
  const rows = rowsOf(sink, view).map((cells) => {
    return Object.fromEntries(columns.flatMap((name) => {
      assert.ok(types.has(name), `${view.name} has no column ${name}`);
      const text = shownCell(cells.get(name)!, types.get(name)!);
      return text === null ? [] : [[name, text]];
    }));
  });
  return sortedLines(rows, columns);
}

function shownCell(cell: Cell, type: string): string | null {
  if (cell === null) return null;
  const iso = type === "timestamptz" || type === "date" ? new Date(Number(cell)).toISOString().slice(0, -1) : "";
  if (type === "date") return iso.slice(0, 10);
  return type === "timestamptz" ? iso.replace(`${DAY}T`, "") : String(cell);
}

function sortedLines(rows: readonly Record<string, string>[], columns: readonly string[]): string[] {
  return rows.map((row) => columns.map((name) => row[name] ?? "-").join(" ")).sort();
}
