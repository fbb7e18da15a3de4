import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Random } from "../../generator/random.ts";
import { onEachDatabase } from "../../testing/servers/databases.ts";
import { Batch, type Dictionaries, dictionaries, type EventColumn, EVERYTHING } from "../columns/batch.ts";
import { type Cell, cellAt, type Cells, Spans, Texts } from "../columns/cells.ts";
import { NONE } from "../columns/strings.ts";
import type { Decoder } from "../decode/decoder.ts";
import { JsonDecoder } from "../decode/json.ts";
import { END_OF_TIME_MS, MAX_CENTS } from "../event.ts";
import { Kernel, type KernelRuns } from "../kernel/kernel.ts";
import { PIECE_LENGTHS } from "../pipeline/duplicates.ts";
import type { Records } from "../records.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { laidOut, message } from "../testing/scan_inputs.ts";
import { DAY_MS } from "../views/view.ts";
import { arrayOf, columnsSent, copyCells, copyRows, EVENT_COLUMNS, type Type, type TypedCells } from "./binary.ts";

const INPUTS = 200_000;
const KAFKA_MS = Date.UTC(2026, 10, 24, 12);
/** Longest chunk: a row may begin shortly before 256 KiB. */
const LONGEST_CHUNK = 512 * 1024;
/** A referrer of so many bytes fits into a chunk with the other cells of its row. */
const LONGEST_TEXT = LONGEST_CHUNK - 500;
/** Keeps every event, however old. */
const KEEP_MS = 1e16;

const utf8 = new TextEncoder();

/** Bytes of PostgreSQL's binary format, written as plainly as they can be. */
class Plain {
  #bytes = new Uint8Array(1024 * 1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  add(...bytes: number[]): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  int32(n: number): void {
    const at = this.#room(4);
    this.#view.setInt32(at, n);
  }

  cell(cell: Cell, type: Type): void {
    if (cell === null) return this.int32(-1);
    if (typeof cell === "number") return this.#number(cell, type);
    const value = typeof cell === "string" ? utf8.encode(cell) : cell;
    this.int32(value.length);
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
  }

  #number(n: number, type: Type): void {
    const width = WIDTHS[type]!;
    this.int32(width);
    const at = this.#room(width);
    const view = this.#view;
    if (type === "bigint") view.setBigInt64(at, BigInt(n));
    else if (type === "timestamptz") view.setBigInt64(at, BigInt(n - EPOCH_MS) * 1000n);
    else if (type === "date") view.setInt32(at, Math.floor((n - EPOCH_MS) / DAY_MS));
    else if (type === "smallint") view.setInt16(at, n);
    else if (type === "boolean") view.setUint8(at, n);
    else view.setInt32(at, n);
  }

  /** Makes room for bytes; returns where they go. */
  #room(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) {
      const larger = new Uint8Array(this.#at * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

const EPOCH_MS = Date.UTC(2000, 0, 1);
const WIDTHS: Partial<Record<Type, number>> = {
  bigint: 8,
  timestamptz: 8,
  integer: 4,
  date: 4,
  smallint: 2,
  boolean: 1,
};

/** Rows for `copy`. */
function plainRows(types: readonly Type[], rows: Iterable<readonly Cell[]>): Uint8Array {
  const out = new Plain();
  out.add(...utf8.encode("PGCOPY\n"), 0xff, 13, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  for (const row of rows) {
    out.add(0, types.length);
    row.forEach((cell, c) => out.cell(cell, types[c]!));
  }
  out.add(0xff, 0xff);
  return out.bytes;
}

/** The chunks as one; each is overwritten with zeros before the next is asked for, as its memory may be reused. */
function written(chunks: Iterable<Uint8Array>): { readonly all: Uint8Array; readonly count: number } {
  const kept: Uint8Array[] = [];
  for (const chunk of chunks) {
    kept.push(chunk.slice());
    // A constant stays, such as the signature.
    if (chunk.length > 100) chunk.fill(0);
  }
  assert.ok(kept.every(({ length }) => length <= LONGEST_CHUNK), "a chunk is too long");
  return { all: new Uint8Array(Buffer.concat(kept)), count: kept.length };
}

function assertSame(own: Uint8Array, other: Uint8Array, where: string): void {
  if (own.length === other.length && Buffer.compare(own, other) === 0) return;
  const at = other.findIndex((byte, n) => byte !== own[n]);
  const around = (bytes: Uint8Array) => bytes.subarray(Math.max(0, at - 20), at + 20).toHex();
  assert.fail(`${where}: byte ${at} of ${own.length} and ${other.length}: ${around(own)}, expected ${around(other)}`);
}

const EVENT_TYPES = EVENT_COLUMNS.map(({ type }) => type);

/** The columns of `events`, of the event at an index. */
function eventAt(batch: Batch, i: number): Cell[] {
  const { time, price, quantity, revenue, partition, offset, kafkaTime } = batch;
  return [
    ...[batch.id(i), time[i]!, batch.text("user", i), batch.text("session", i), batch.text("type", i)],
    ...[batch.text("page", i), batch.text("device", i), batch.text("region", i), batch.text("referrer", i)],
    ...[batch.text("product", i), batch.text("campaign", i), Number.isNaN(price[i]) ? null : price[i]!, quantity[i]!],
    ...[batch.text("currency", i), revenue[i]!, partition[i]!, offset[i]!, kafkaTime[i]!],
    ...[batch.text("userAgent", i), batch.text("order", i), batch.text("bot", i) === "true" ? 1 : 0],
  ];
}

function eventsOf(batches: readonly Batch[]): Cell[][] {
  return batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => eventAt(batch, i)));
}

/** Writes events to batches of `capacity`, in the kernel or not, and marks some. Tells no duplicates. */
function decoded(all: readonly Records[], capacity: number, decoder: Decoder, runs?: KernelRuns): Batch[] {
  const words: Dictionaries = runs?.dictionaries("t", testKeyed(), EVERYTHING) ??
    dictionaries("t", testKeyed(), EVERYTHING);
  const next = () => runs?.batch(words, capacity) ?? new Batch(words, capacity);
  const batches = [next()];
  for (const records of all) {
    const finder = runs?.duplicates(PIECE_LENGTHS, 1);
    for (let i = 0; i < records.count;) {
      const batch = batches.at(-1)!;
      const to = runs?.take(records, i, Math.min(records.count, i + capacity - batch.count), batch, finder!) ?? i;
      if (to > i) batch.keep(runs!.stored);
      else if (decoder.decode(records, i, batch) === null) batch.keep();
      i = Math.max(to, i + 1);
      if (batch.count === capacity) batches.push(next());
    }
  }
  for (const { count, codes: { bot } } of batches) for (let i = 0; i < count; i++) bot[i] = i % 3 === 0 ? 1 : 0;
  return batches;
}

/** Checks the rows of events by the kernel and by plain batches; returns the events and the number of chunks. */
function checkRows(all: readonly Records[], capacity: number, where: string): { events: Cell[][]; chunks: number } {
  const kernel = new Kernel({ keepMs: KEEP_MS });
  const runs = kernel.begin();
  const batches = decoded(all, capacity, kernel, runs);
  const events = eventsOf(batches);
  const { all: own, count: chunks } = written(copyRows(batches, EVENT_COLUMNS));
  assertSame(own, plainRows(EVENT_TYPES, events), `${where}, kernel`);
  runs.check();
  const plain = decoded(all, capacity, new JsonDecoder(KEEP_MS));
  assertSame(written(copyRows(plain, EVENT_COLUMNS)).all, plainRows(EVENT_TYPES, eventsOf(plain)), `${where}, plain`);
  return { events, chunks };
}

Deno.test(`copy: the rows of ${INPUTS} records are what PostgreSQL's format says`, () => {
  const random = new Random(7);
  for (let done = 0; done < INPUTS; done += 40_000) {
    const all = Array.from({ length: 80 }, (_, run) => {
      const messages = Array.from({ length: 500 }, () => message(random, KAFKA_MS));
      const times = Float64Array.from(messages, () => random.chance(0.02) ? -1 : KAFKA_MS + random.below(60_000));
      return laidOut(messages, times, done + run * 500);
    });
    const { events, chunks } = checkRows(all, 1 + random.below(8192), `inputs from ${done}`);
    // Guards against a test that compares nothing.
    assert.ok(events.length > 15_000, `${events.length} events`);
    assert.ok(chunks > 8, `${chunks} chunks`);
    for (const c of [3, 11, 18, 19]) {
      assert.ok(events.some((row) => row[c] === null) && events.some((row) => row[c] !== null));
    }
  }
});

/** Odd events, `times` of each. */
function oddRecords(times = 1): Records[] {
  const instants = [KAFKA_MS, 0, 1, Date.UTC(2000, 0, 1), Date.UTC(1999, 11, 31), END_OF_TIME_MS - 1, 9.1e12 + 1];
  const kinds: Record<string, unknown>[] = [
    {},
    { eventId: "e", sessionId: "s", referrer: "", productId: "", campaign: "", currency: "EUR", region: "🛒" },
    { referrer: "r".repeat(15), productId: "r".repeat(16), campaign: "r".repeat(17) },
    { userId: "😀".repeat(64), page: "東".repeat(2048), region: "Île-de-France", device: "desktop" },
    { price: MAX_CENTS / 100, quantity: 1, eventType: "purchase" },
    { price: 0, quantity: Number.MAX_SAFE_INTEGER, device: "fridge" },
    { page: "/", referrer: "é".repeat(30_000) },
    { page: "/", campaign: "x".repeat(64_000) },
  ];
  const places = [[0, 0], [2_147_483_647, Number.MAX_SAFE_INTEGER - 100_000]] as const;
  return places.flatMap(([partition, offset]) =>
    instants.map((ms) => {
      const all = Array.from({ length: times }, () => kinds).flat();
      const messages = all.map((fields) =>
        utf8.encode(JSON.stringify({ userId: "u", eventType: "page_view", timestamp: ms, page: "/", ...fields }))
      );
      return { ...laidOut(messages, new Float64Array(messages.length).fill(ms), offset), partition };
    })
  );
}

Deno.test("copy: rows of odd events, short and long, wherever a chunk ends", () => {
  for (const [times, capacity] of [[1, 1], [1, 8192], [30, 100], [30, 8192]] as const) {
    const records = oddRecords(times);
    const { events } = checkRows(records, capacity, `${times} times, batches of ${capacity}`);
    assert.ok(events.length > records.length * times * 6, `${events.length} events`);
  }
});

/** Writes events with referrers of these lengths, far longer than a record may be, and checks their rows. */
function checkReferrers(runs: KernelRuns, lengths: readonly number[]): void {
  const batch = runs.batch(runs.dictionaries("t", testKeyed(), EVERYTHING), lengths.length);
  for (const length of lengths) {
    batch.offset[batch.count] = batch.count;
    batch.setPlaceAsId();
    batch.codes.referrer[batch.count] = batch.words.referrer.internText("x".repeat(length));
    for (const column of ["currency", "userAgent", "order"] as const) batch.codes[column][batch.count] = NONE;
    batch.codes.bot[batch.count] = length % 2;
    batch.keep();
  }
  try {
    assertSame(
      written(copyRows([batch], EVENT_COLUMNS)).all,
      plainRows(EVENT_TYPES, eventsOf([batch])),
      `lengths ${lengths}`,
    );
  } finally {
    runs.check();
    runs.free(batch.words, [batch]);
  }
}

Deno.test("copy: a row that does not fit into a chunk is the first of the next", () => {
  const runs = new Kernel({ keepMs: KEEP_MS }).begin();
  const random = new Random(5);
  for (let n = 0; n < 200; n++) {
    checkReferrers(runs, Array.from({ length: 6 }, () => random.below(random.pick([10, LONGEST_TEXT]))));
  }
});

Deno.test("copy: a row that fits into no chunk ends the kernel, and nothing is written past the end", () => {
  const runs = new Kernel({ keepMs: KEEP_MS }).begin();
  let refused = 0;
  for (let length = LONGEST_TEXT - 50; length < LONGEST_CHUNK; length++) {
    try {
      checkReferrers(runs, [1, length, 2]);
    } catch (error) {
      assert.match(String(error), /no room for the row of event 1 of a commit/);
      assert.ok(length > LONGEST_TEXT, `${length} bytes`);
      refused++;
    }
  }
  assert.ok(refused > 0);
});

Deno.test("copy: no event gives no row", () => {
  const runs = new Kernel({ keepMs: KEEP_MS }).begin();
  const empty = runs.batch(runs.dictionaries("t", testKeyed(), EVERYTHING), 10);
  for (const batches of [[], [empty]]) {
    assertSame(written(copyRows(batches, EVENT_COLUMNS)).all, plainRows([], []), "no event");
  }
});

/** The strings of a column, by number: in the kernel, or in an object each. */
function columnsOf(texts: readonly (string | null)[]): Cells[] {
  const runs = new Kernel({ keepMs: KEEP_MS }).begin();
  return [runs.dictionaries("t", testKeyed(), EVERYTHING), dictionaries("t", testKeyed(), EVERYTHING)].map((words) =>
    new Texts(words.page, Int32Array.from(texts, (text) => text === null ? NONE : words.page.internText(text)))
  );
}

const TEXTS = ["", "a", null, "abc", "abcd", "abcde", "é", "😀😀", "x".repeat(1000), "東".repeat(100), null, "a"];
const NUMBERS = [0, 1, -1, NaN, 255, 256, 32_767, -32_768];
const LARGE = [...NUMBERS, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, -(2 ** 53) + 1];
const TIMES = [...NUMBERS, 946_684_800_000, 946_684_799_999, -62_135_596_800_000, END_OF_TIME_MS - 1, 9.9e12 + 1];

const COLUMNS: readonly TypedCells[] = [
  ...columnsOf(TEXTS).map((cells) => ({ cells, type: "text" as const })),
  { cells: TEXTS, type: "text" },
  { cells: [...TEXTS, ...["\ud800", "a\udc00b", "\x7f\x80\u07ff\u0800\uffff"]], type: "text" },
  { cells: TEXTS.map((text) => text === null ? null : utf8.encode(text)), type: "bytea" },
  { cells: Float64Array.from(LARGE), type: "bigint" },
  { cells: LARGE.map((n) => Number.isNaN(n) ? null : n), type: "bigint" },
  { cells: Float64Array.from(NUMBERS), type: "smallint" },
  { cells: Float64Array.from(NUMBERS), type: "integer" },
  { cells: Float64Array.from(TIMES), type: "timestamptz" },
  { cells: Float64Array.from(TIMES.filter((ms) => ms < 1e15)), type: "date" },
  { cells: Float64Array.of(0, 1, NaN, 1), type: "boolean" },
  { cells: [Uint8Array.of(0, 0, 0, 0, 0, 1), null, Uint8Array.of(255, 255, 255, 255, 255, 255)], type: "tid" },
];

const lengthOf = (cells: Cells) => cells instanceof Spans ? cells.codes.length : cells.length;
const rowsFrom = (cells: Cells) => Int32Array.from({ length: lengthOf(cells) }, (_, row) => row);

const OID_OF: Record<Type, number> = {
  ...{
    text: 25,
    bytea: 17,
    bigint: 20,
    smallint: 21,
    integer: 23,
    timestamptz: 1184,
    date: 1082,
    boolean: 16,
    tid: 27,
  },
};

/** An array. */
function plainArray(cells: readonly Cell[], type: Type): Uint8Array {
  const out = new Plain();
  const head = [cells.length === 0 ? 0 : 1, cells.includes(null) ? 1 : 0, OID_OF[type]];
  for (const n of cells.length === 0 ? head : [...head, cells.length, 1]) out.int32(n);
  for (const cell of cells) out.cell(cell, type);
  return out.bytes;
}

Deno.test("array: columns of every kind, or only some of their rows", () => {
  for (const { cells, type } of COLUMNS) {
    const all = rowsFrom(cells);
    const where = `${type} of ${cells.constructor.name}`;
    assertSame(arrayOf(cells, type).bytes, plainArray(Array.from(all, (row) => cellAt(cells, row)), type), where);
    for (const rows of [all.toReversed(), all.filter((row) => row % 3 === 1), all.filter((row) => row === 0)]) {
      const own = arrayOf(cells, type, rows).bytes;
      assertSame(own, plainArray(Array.from(rows, (row) => cellAt(cells, row)), type), where);
    }
    assertSame(arrayOf(cells, type, new Int32Array(0)).bytes, plainArray([], type), where);
  }
});

Deno.test("copy: rows of columns of every kind, in any order, wherever a chunk ends", () => {
  const random = new Random(3);
  const fewest = Math.min(...COLUMNS.map(({ cells }) => lengthOf(cells)));
  for (const count of [0, 1, 100, 5000]) {
    const rows = Int32Array.from({ length: count }, () => random.below(fewest));
    const types = COLUMNS.map(({ type }) => type);
    const expected = Array.from(rows, (row) => COLUMNS.map(({ cells }) => cellAt(cells, row)));
    assertSame(written(copyCells(COLUMNS, rows)).all, plainRows(types, expected), `${count} rows`);
  }
});

onEachDatabase("events", {
  "are stored as they were decoded": async (open) => {
    const db = await open();
    const kernel = new Kernel({ keepMs: KEEP_MS });
    const batches = decoded(oddRecords(4), 8192, kernel, kernel.begin());
    await db.exec(`create table t (${EVENT_COLUMNS.map(({ name, type }) => `${name} ${type}`).join(", ")})`);
    const read = EVENT_COLUMNS.map(({ name, type }) => {
      if (type === "timestamptz") return `(extract(epoch from ${name}) * 1000)::bigint::text as ${name}`;
      return type === "boolean" ? `${name}::integer::text as ${name}` : `${name}::text`;
    });
    const check = async (columns: readonly EventColumn[]) => {
      const names = columns.map(({ name }) => name).join(", ");
      await db.exec("truncate t");
      await db.copyIn(`copy t (${names}) from stdin (format binary)`, copyRows(batches, columns));
      const { rows } = await db.query<Record<string, string | null>>(`select ${read.join(", ")} from t`);
      const expected = eventsOf(batches).map((row) => row.map((cell) => cell === null ? null : String(cell)));
      assert.ok(expected.length > 300, `${expected.length} events`);
      assert.deepEqual(rows.map((row) => EVENT_COLUMNS.map(({ name }) => row[name]!)), expected);
    };
    await check(EVENT_COLUMNS);
    // Nothing is sent of a column without a text in any batch; texts in one batch are enough.
    for (const { codes } of batches) for (const column of ["order", "referrer"] as const) codes[column].fill(NONE);
    for (const { codes } of batches.slice(1)) codes.session.fill(NONE);
    const sent = columnsSent(batches);
    const left = EVENT_COLUMNS.filter((column) => !sent.includes(column)).map(({ name }) => name);
    assert.deepEqual(left, ["referrer", "user_agent", "order_id"]);
    await check(sent);
  },
});
