import assert from "node:assert/strict";
import { Batch, CODED, dictionaries, EVERYTHING } from "../columns/batch.ts";
import { type Decoder, MOST_AHEAD } from "./decoder.ts";
import { JsonDecoder } from "./json.ts";
import type { Records } from "../records.ts";
import { ScanDecoder } from "./scan.ts";
import { Random } from "../../generator/random.ts";
import { message } from "../testing/scan_inputs.ts";
import { DAY_MS } from "../views/view.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

// A quick sample; `deno task agree` runs 10 million.
const INPUTS = Number(Deno.env.get("SCAN_INPUTS") ?? 200_000);
const SEED = Number(Deno.env.get("SCAN_SEED") ?? 1);

const KEEP_MS = 30 * DAY_MS;
const KAFKA_MS = Date.UTC(2026, 10, 24, 12);
/** Messages that share dictionaries, adjacent in memory as in a fetched batch. */
const RUN = 500;
/** Only what windows need: no sessions, no raw events. */
const NO_MORE_THAN_WINDOWS = { ids: false, sessions: false, events: false };
const LAID_OUT = new Uint8Array(2 * 1024 * 1024);

/** Adjacent messages; the last ends at the end of the readable bytes. */
function laidOut(messages: readonly Uint8Array[], times: Float64Array): Records {
  const starts = new Int32Array(messages.length);
  const ends = new Int32Array(messages.length);
  const size = messages.reduce((sum, { length }) => sum + length, 0);
  const bytes = LAID_OUT.subarray(0, size);
  let at = 0;
  for (const [i, bytesOfOne] of messages.entries()) {
    bytes.set(bytesOfOne, at);
    starts[i] = at;
    ends[i] = at += bytesOfOne.length;
  }
  const offsets = Float64Array.from(starts.keys());
  const place = { partition: 3, next: starts.length, end: 0, stable: 0, skipped: 0, gap: null };
  return { ...place, count: starts.length, bytes, offsets, times, starts, ends };
}

/** The wanted columns of a decoded event, as text. */
function written(batch: Batch, i: number): string {
  const { ids, sessions, events } = batch.words.wanted;
  const columns = CODED.filter((column) =>
    events || !["page", "referrer", "product", "campaign", "currency"].includes(column)
  ).filter((column) => sessions || column !== "session");
  const numbers = [
    batch.time,
    batch.kafkaTime,
    batch.price,
    batch.quantity,
    batch.revenue,
    batch.offset,
    batch.partition,
  ];
  return JSON.stringify([
    ids ? batch.id(i) : null,
    batch.idHash.subarray(3 * i, 3 * i + 3).join(),
    columns.map((column) => batch.text(column, i)),
    // JSON has no NaN.
    numbers.map((column) => String(column[i])),
  ]);
}

/** The result of decoding record `i`, as text. */
function outcome(decoder: Decoder, records: Records, i: number, batch: Batch): string {
  const refusal = decoder.decode(records, i, batch);
  if (refusal !== null) {
    return `refused ${JSON.stringify({ ...refusal, payload: [...refusal.payload.subarray(0, 40)] })}`;
  }
  const text = written(batch, batch.count);
  batch.keep();
  return text;
}

Deno.test(`${INPUTS} messages are decoded alike by scanning and by JSON.parse`, () => {
  const random = new Random(SEED);
  const reference = new JsonDecoder(KEEP_MS);
  let unusual = 0;
  const counted: Decoder = {
    decode(records, i, batch) {
      unusual++;
      return reference.decode(records, i, batch);
    },
  };
  const scanner = new ScanDecoder({ keepMs: KEEP_MS, reference: counted });
  const lows = new Int32Array(MOST_AHEAD);
  let events = 0;
  let done = 0;
  for (let run = 0; done < INPUTS; run++) {
    const count = Math.min(RUN, INPUTS - done);
    const times = Float64Array.from(
      { length: count },
      () => random.chance(0.02) ? -1 : KAFKA_MS + random.below(60_000),
    );
    const records = laidOut(Array.from({ length: count }, () => message(random, KAFKA_MS)), times);
    const wanted = run % 2 === 0 ? EVERYTHING : NO_MORE_THAN_WINDOWS;
    const [a, b] = [
      new Batch(dictionaries("t", testKeyed(), wanted), count + 1),
      new Batch(dictionaries("t", testKeyed(), wanted), count + 1),
    ];
    const looksAhead = run % 3 > 0;
    for (let i = 0; i < count; i++) {
      if (looksAhead) scanner.lookAhead(records, i, a.words, lows);
      const scanned = outcome(scanner, records, i, a);
      const parsed = outcome(reference, records, i, b);
      if (scanned !== parsed) {
        const sent = new TextDecoder().decode(records.bytes.subarray(records.starts[i], records.ends[i]));
        assert.equal(scanned, parsed, `seed ${SEED}, input ${done + i}: ${sent}`);
      }
      if (!parsed.startsWith("refused")) events++;
    }
    done += count;
  }
  // Guards against a test that compares nothing: no events, or only those of the reference decoder.
  assert.ok(events > done * 0.4 && events < done * 0.9, `${events} events of ${done}`);
  assert.ok(unusual < done * 0.6, `${unusual} of ${done} were left to JSON.parse`);
});

Deno.test("looking ahead returns each record's id hash once, for up to 64 records", () => {
  const messages = Array.from({ length: 2 * MOST_AHEAD + 3 }, (_, n) =>
    new TextEncoder().encode(
      JSON.stringify({ eventId: `e${n}`, userId: "u", eventType: "view", timestamp: KAFKA_MS, page: "/" }),
    ));
  const records = laidOut(messages, new Float64Array(messages.length).fill(KAFKA_MS));
  const scanner = new ScanDecoder({ keepMs: KEEP_MS });
  const batch = new Batch(dictionaries("t", testKeyed()), messages.length);
  const lows = new Int32Array(MOST_AHEAD);
  const told: number[] = [];
  const counts: number[] = [];
  for (let i = 0; i < messages.length; i++) {
    const count = scanner.lookAhead(records, i, batch.words, lows);
    if (count > 0) counts.push(count);
    told.push(...lows.subarray(0, count));
    assert.equal(scanner.decode(records, i, batch), null);
    batch.keep();
  }
  // The last record is so near the end of the bytes that it is scanned alone.
  assert.deepEqual(counts, [MOST_AHEAD, MOST_AHEAD, 2, 1]);
  assert.deepEqual(told, Array.from({ length: batch.count }, (_, i) => batch.idHash[3 * i]));
});

Deno.test("usual records are scanned, whatever records came before", () => {
  const unusual: string[] = [];
  const reference: Decoder = {
    decode(records, i) {
      unusual.push(new TextDecoder().decode(records.bytes.subarray(records.starts[i], records.ends[i])));
      return null;
    },
  };
  const scanner = new ScanDecoder({ keepMs: KEEP_MS, reference });
  const event = (fields: Record<string, unknown>) =>
    new TextEncoder().encode(JSON.stringify({
      ...{ eventId: "e", userId: "u", eventType: "purchase", timestamp: new Date(KAFKA_MS).toISOString(), page: "/" },
      ...fields,
    }));
  const kinds = [
    event({}),
    event({ timestamp: KAFKA_MS }),
    event({ timestamp: `${new Date(KAFKA_MS + 7_200_000).toISOString().slice(0, -1)}+02:00` }),
    event({ price: 9.95 }),
    event({ price: "9.95" }),
    event({ region: "Île-de-France", page: "/東京/🛒" }),
    event({ region: "DE", appVersion: "4.2.1" }),
    event({ region: "DE", appVersion: 4 }),
  ];
  const random = new Random(1);
  const messages = Array.from({ length: 1000 }, () => random.pick(kinds));
  const batch = new Batch(dictionaries("t", testKeyed()), messages.length);
  const records = laidOut(messages, new Float64Array(messages.length).fill(KAFKA_MS));
  for (let i = 0; i < messages.length; i++) {
    scanner.decode(records, i, batch);
    batch.keep();
  }
  assert.deepEqual(unusual, []);
});

Deno.test("a record ends where its length says, whatever bytes follow", () => {
  const whole = JSON.stringify({
    ...{ eventId: "e-1", userId: "u-1", sessionId: "s", eventType: "purchase", timestamp: KAFKA_MS, page: "/a?b#c" },
    ...{ device: "mobile", region: "DE", price: "12.50", quantity: 3, currency: "EUR" },
  });
  const [bytes, time] = [new TextEncoder().encode(whole), Float64Array.of(KAFKA_MS)];
  const [scanner, reference] = [new ScanDecoder({ keepMs: KEEP_MS }), new JsonDecoder(KEEP_MS)];
  for (let end = 1; end <= bytes.length; end++) {
    // The whole record is in memory, but its length ends it here; or the bytes after it would close any string and
    // object.
    for (const behind of [bytes.subarray(end), new TextEncoder().encode('"}"}"}"}')]) {
      const laid = laidOut([bytes.subarray(0, end), behind], time);
      const [a, b] = [scanner, reference].map((decoder) =>
        outcome(decoder, laid, 0, new Batch(dictionaries("t", testKeyed()), 2))
      );
      assert.equal(a, b, whole.slice(0, end));
      assert.equal(a!.startsWith("refused"), end < bytes.length, whole.slice(0, end));
    }
  }
});
