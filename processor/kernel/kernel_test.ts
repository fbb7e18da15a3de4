import assert from "node:assert/strict";
import { dictionaries, EVERYTHING } from "../columns/batch.ts";
import type { Decoder } from "../decode/decoder.ts";
import { JsonDecoder } from "../decode/json.ts";
import { Duplicates, PIECE_LENGTHS } from "../pipeline/duplicates.ts";
import { Kernel } from "./kernel.ts";
import { Random } from "../../generator/random.ts";
import { agreed, type Finders, outcome } from "../testing/agreement.ts";
import { PAGES } from "../testing/pages.ts";
import { laidOut, message } from "../testing/scan_inputs.ts";
import { DAY_MS } from "../views/view.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

// A quick sample; `deno task agree` runs 10 million.
const INPUTS = Number(Deno.env.get("KERNEL_INPUTS") ?? 200_000);
const SEED = Number(Deno.env.get("KERNEL_SEED") ?? 1);

const KEEP_MS = 30 * DAY_MS;
const KAFKA_MS = Date.UTC(2026, 10, 24, 12);
/** Messages that share dictionaries, adjacent in memory as in a fetched batch. */
const RUN = 500;
/** Only what windows need: no sessions, no raw events. */
const NO_MORE_THAN_WINDOWS = { ids: false, sessions: false, agents: true, events: false };

Deno.test(`kernel: ${INPUTS} messages are decoded as by JSON.parse, and the same are duplicates`, () => {
  for (const [n, shop] of [null, "EUR", "JPY", "KWD"].entries()) assertAgree(INPUTS / (n === 0 ? 1 : 10), shop);
});

/** Compares decoders of a shop with this currency on so many messages. */
function assertAgree(inputs: number, shop: string | null): void {
  const random = new Random(SEED);
  const kernel = new Kernel({ keepMs: KEEP_MS, currency: shop });
  const runs = kernel.begin();
  const reference = new JsonDecoder(KEEP_MS, true, shop);
  const keyed = testKeyed();
  let [events, refusals, duplicates, alone, done] = [0, 0, 0, 0, 0];
  let finders: Finders | null = null;
  for (let run = 0; done < inputs; run++) {
    const count = Math.min(RUN, inputs - done);
    const messages: Uint8Array[] = [];
    for (let n = 0; n < count; n++) {
      messages.push(n > 0 && random.chance(0.02) ? messages[random.below(n)]! : message(random, KAFKA_MS));
    }
    const times = Float64Array.from(
      { length: count },
      () => random.chance(0.02) ? -1 : KAFKA_MS + random.below(60_000),
    );
    const records = laidOut(messages, times, done);
    const wanted = run % 2 === 0 ? EVERYTHING : NO_MORE_THAN_WINDOWS;
    if (run % 50 === 0) {
      finders?.kernel.free();
      finders = { kernel: runs.duplicates(PIECE_LENGTHS, 1), reference: new Duplicates(PIECE_LENGTHS) };
    }
    const words = { kernel: runs.dictionaries("t", keyed, wanted), reference: dictionaries("t", keyed, wanted) };
    const all = agreed(kernel, runs, reference, records, finders!, words, `seed ${SEED}, inputs from ${done}`);
    runs.check();
    refusals += all.lines.filter((line) => line.startsWith("refused")).length;
    events += all.lines.length;
    duplicates += all.duplicates;
    alone += all.alone;
    done += count;
  }
  events -= refusals;
  // Guards against a test that compares nothing: no events, or only those of the reference decoder.
  assert.ok(events > done * 0.4 && events < done * 0.9, `${events} events of ${done}`);
  assert.ok(duplicates > done * 0.005, `${duplicates} duplicates of ${done}`);
  assert.ok(alone < refusals * 1.4, `${alone} of ${done} were left to JSON.parse, ${refusals} refused`);
}

/** An event as JSON, with some fields changed. */
function event(fields: Record<string, unknown> = {}): Uint8Array {
  const time = new Date(KAFKA_MS).toISOString();
  return utf8.encode(
    JSON.stringify({ eventId: "e", userId: "u", eventType: "purchase", timestamp: time, page: "/", ...fields }),
  );
}

const utf8 = new TextEncoder();

/** A reference decoder that only counts what is left to it. */
function countsOnly(): Decoder & { readonly alone: string[] } {
  const alone: string[] = [];
  return {
    alone,
    decode(records, i) {
      alone.push(new TextDecoder().decode(records.bytes.subarray(records.starts[i], records.ends[i])));
      return null;
    },
  };
}

Deno.test("kernel: usual records are decoded in runs, whatever records came before", () => {
  const reference = countsOnly();
  const kernel = new Kernel({ keepMs: KEEP_MS, reference });
  const runs = kernel.begin();
  const kinds = [
    event(),
    event({ timestamp: KAFKA_MS }),
    event({ timestamp: `${new Date(KAFKA_MS + 7_200_000).toISOString().slice(0, -1)}+02:00` }),
    event({ price: 9.95 }),
    event({ price: "9.95" }),
    event({ region: "Île-de-France", page: "/東京/🛒" }),
    event({ region: "DE", appVersion: "4.2.1" }),
    event({ region: "DE", appVersion: 4, isNew: true, coupon: null }),
    event({ eventId: null }),
    event({ page: 'say "é" \\ 🛒\n', referrer: "a/b" }),
    utf8.encode(new TextDecoder().decode(event({ region: "Köln" })).replace("ö", "\\u00f6").replaceAll(",", " ,\n ")),
  ];
  const random = new Random(1);
  const messages = Array.from({ length: 1000 }, () => random.pick(kinds));
  const records = laidOut(messages, new Float64Array(messages.length).fill(KAFKA_MS));
  const words = runs.dictionaries("t", testKeyed(), EVERYTHING);
  const { lines, duplicates } = outcome(
    kernel,
    runs,
    records,
    runs.batch(words, 1000),
    runs.duplicates(PIECE_LENGTHS, 1),
  );
  assert.deepEqual(reference.alone, []);
  assert.equal(lines.length + duplicates, 1000);
});

Deno.test("kernel: odd records don't push the usual ones off the fast way", () => {
  const kernel = new Kernel({ keepMs: KEEP_MS, reference: countsOnly() });
  const runs = kernel.begin();
  const random = new Random(2);
  const words = runs.dictionaries("t", testKeyed(), EVERYTHING);
  const finder = runs.duplicates(PIECE_LENGTHS, 1);
  for (let run = 0; run < 20; run++) {
    const messages = Array.from({ length: 500 }, (_, n) => {
      const id = { eventId: `${run}-${n}` };
      return random.chance(0.3)
        ? event({ ...id, [`x${random.below(1e9)}`]: 1, [`y${random.below(1e9)}`]: "z" })
        : event(id);
    });
    const records = laidOut(messages, new Float64Array(500).fill(KAFKA_MS), run * 500);
    assert.equal(outcome(kernel, runs, records, runs.batch(words, 500), finder).lines.length, 500);
  }
});

Deno.test("kernel: a record ends where its length says, whatever bytes follow", () => {
  const whole = JSON.stringify({
    ...{ eventId: "e-1", userId: "u-1", sessionId: "s", eventType: "purchase", timestamp: KAFKA_MS, page: "/a?b#c" },
    ...{ device: "mobile", region: "DE", price: "12.50", quantity: 3, currency: "EUR" },
  });
  const bytes = utf8.encode(whole);
  const [kernel, reference] = [new Kernel({ keepMs: KEEP_MS }), new JsonDecoder(KEEP_MS)];
  const runs = kernel.begin();
  const keyed = testKeyed();
  for (let end = 1; end <= bytes.length; end++) {
    // The whole record is in memory, but its length ends it here; or the bytes after it would close any string and
    // object.
    for (const behind of [bytes.subarray(end), utf8.encode('"}"}"}"}')]) {
      const records = laidOut([bytes.subarray(0, end), behind], Float64Array.of(KAFKA_MS, KAFKA_MS));
      const finders = { kernel: runs.duplicates(PIECE_LENGTHS, 1), reference: new Duplicates() };
      const words = {
        kernel: runs.dictionaries("t", keyed, EVERYTHING),
        reference: dictionaries("t", keyed, EVERYTHING),
      };
      const { lines } = agreed(kernel, runs, reference, records, finders, words, whole.slice(0, end));
      assert.equal(lines[0]!.startsWith("refused"), end < bytes.length, whole.slice(0, end));
    }
  }
});

Deno.test("kernel: pages are cut as by the reference, with and without hash routes", () => {
  const records = laidOut(
    PAGES.map(([page], n) => event({ page, eventId: `e${n}` })),
    new Float64Array(PAGES.length).fill(KAFKA_MS),
  );
  for (const hashRoutes of [true, false]) {
    const kernel = new Kernel({ keepMs: KEEP_MS, hashRoutes, reference: countsOnly() });
    const runs = kernel.begin();
    const batch = runs.batch(runs.dictionaries("t", testKeyed(), EVERYTHING), PAGES.length);
    assert.equal(outcome(kernel, runs, records, batch, runs.duplicates(PIECE_LENGTHS, 1)).alone, 0);
    for (const [i, [sent, routed, cut]] of PAGES.entries()) {
      assert.deepEqual([batch.text("page", i), batch.text("pagePath", i)], [sent, hashRoutes ? routed : cut]);
    }
  }
});

Deno.test("kernel: an event without an id gets its place in the log", () => {
  const kernel = new Kernel({ keepMs: KEEP_MS, reference: countsOnly() });
  const runs = kernel.begin();
  const offsets = [0, 9, 10, 4_294_967_296, Number.MAX_SAFE_INTEGER - 1];
  const records = {
    ...laidOut(offsets.map(() => event({ eventId: undefined })), new Float64Array(5).fill(KAFKA_MS)),
    offsets: Float64Array.from(offsets),
    partition: 2_147_483_647,
  };
  const batch = runs.batch(runs.dictionaries("ключи.clicks", testKeyed(), EVERYTHING), 5);
  outcome(kernel, runs, records, batch, runs.duplicates(PIECE_LENGTHS, 1));
  assert.deepEqual(offsets.map((_, i) => batch.id(i)), offsets.map((offset) => `ключи.clicks/2147483647/${offset}`));
});
