import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Batch, type Coded, dictionaries } from "../columns/batch.ts";
import { MAX_AHEAD_MS, MAX_EVENT_BYTES, type Reason, RECORD_REASONS } from "../event.ts";
import { recordsOf } from "../testing/fakes/memory.ts";
import { at, type Message, record, reference } from "../testing/scenario.ts";
import { DAY_MS } from "../views/view.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";

const NOON = at("12:00:00");
const KEEP_MS = 30 * DAY_MS;
const GOOD: Message = { eventId: "e", userId: "u", eventType: "page_view", timestamp: NOON, page: "/p" };
const utf8 = new TextEncoder();

/** A message, or the valid one with some fields changed. */
type Sent = Message | string | Uint8Array | null;

function bytesOf(sent: Sent): Uint8Array | null {
  return record(
    typeof sent === "object" && !(sent instanceof Uint8Array) && sent !== null ? { ...GOOD, ...sent } : sent,
    0,
  )
    .value;
}

/** The valid message with one field written as raw JSON. */
function raw(field: string, json: string): string {
  const { [field]: _, ...others } = GOOD;
  return `{"${field}":${json},${JSON.stringify(others).slice(1)}`;
}

function decoded(sent: Sent, kafkaTime = NOON) {
  const batch = new Batch(dictionaries("topic", testKeyed()), 1);
  const records = recordsOf(2, 40, [{ value: bytesOf(sent), time: kafkaTime }]);
  const refusal = reference().decode(records, 0, batch);
  return { refusal, batch, text: (column: Coded) => batch.text(column, 0) };
}

function assertRefused(sent: Sent, reason: Reason, field: string | null, kafkaTime = NOON) {
  const { refusal } = decoded(sent, kafkaTime);
  const said = typeof sent === "string" ? sent.slice(0, 80) : JSON.stringify(sent)?.slice(0, 80);
  assert.deepEqual([refusal?.reason, refusal?.field], [reason, field], said);
  assert.deepEqual([refusal!.partition, refusal!.offset], [2, 40]);
  assert.ok(
    refusal!.detail.length > 0 && refusal!.detail.length < 400 && refusal!.detail.isWellFormed(),
    refusal!.detail,
  );
  assert.ok(!refusal!.detail.includes("\0"));
  assert.ok(refusal!.payload instanceof Uint8Array && !(refusal!.payload instanceof Buffer));
  assert.ok(Buffer.from(bytesOf(sent) ?? []).subarray(0, MAX_EVENT_BYTES).equals(refusal!.payload), "byte for byte");
}

function padded(bytes: number): string {
  const empty = JSON.stringify({ ...GOOD, extra: "" });
  return JSON.stringify({ ...GOOD, extra: "x".repeat(bytes - empty.length) });
}

const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

const REFUSED: readonly (readonly [Reason, string | null, readonly Sent[]])[] = [
  ["empty", null, [null, new Uint8Array(), ""]],
  ["too_large", null, [
    padded(MAX_EVENT_BYTES + 1),
    "x".repeat(MAX_EVENT_BYTES + 1),
    new Uint8Array(200_000).fill(255),
  ]],
  ["not_utf8", null, [
    Uint8Array.of(0xff),
    Uint8Array.of(...utf8.encode('{"userId":"'), 0xc3),
    Uint8Array.of(...utf8.encode('"'), 0xed, 0xa0, 0x80, 34),
    Uint8Array.of(0xc0, 0xaf),
  ]],
  ["not_json", null, [" ", "{", "nope", "{}{}", "{'a':1}", '{"a":1,}', "\ufeff{}", "NaN", '"\0"', '{"a":"\ud83d']],
  ["not_an_object", null, ["null", "true", "5", '"text"', "[]", '[{"userId":"u"}]', nested(30_000)]],
  ["missing_field", "userId", [
    { userId: undefined },
    { userId: null },
    "{}",
    '{"UserId":"u"}',
    '{"__proto__":{"userId":"u"}}',
  ]],
  ["missing_field", "eventType", [{ eventType: null }, { eventType: undefined }]],
  ["missing_field", "timestamp", [{ timestamp: null }, { timestamp: undefined }]],
  ["missing_field", "page", [{ page: null }, { page: undefined }]],
  ["wrong_type", "eventId", [{ eventId: 5 }, { eventId: false }, { eventId: {} }]],
  ["wrong_type", "userId", [{ userId: 5 }, { userId: ["u"] }, raw("userId", nested(20_000))]],
  ["wrong_type", "sessionId", [{ sessionId: 0 }, { sessionId: [] }]],
  ["wrong_type", "eventType", [{ eventType: 1 }]],
  ["wrong_type", "timestamp", [{ timestamp: true }, { timestamp: {} }]],
  ["wrong_type", "page", [{ page: 1 }]],
  ["wrong_type", "device", [{ device: 1 }, { device: false }]],
  ["wrong_type", "region", [{ region: 1 }]],
  ["wrong_type", "referrer", [{ referrer: 1 }]],
  ["wrong_type", "productId", [{ productId: 1 }]],
  ["wrong_type", "campaign", [{ campaign: {} }]],
  ["wrong_type", "price", [{ price: true }, { price: [1] }]],
  ["wrong_type", "quantity", [{ quantity: [2] }, { quantity: true }]],
  ["wrong_type", "currency", [{ currency: 978 }]],
  ["bad_value", "eventId", [{ eventId: "" }, { eventId: "x".repeat(129) }, { eventId: "😀".repeat(65) }]],
  ["bad_value", "userId", [{ userId: "" }, { userId: "x".repeat(129) }, { userId: "a\0b" }]],
  ["bad_value", "userId", [raw("userId", '"\\u0000"'), raw("userId", '"\\ud800"'), raw("userId", '"\\udc00x"')]],
  ["bad_value", "userId", [raw("userId", '"\\ude00\\ud83d"')]],
  ["bad_value", "sessionId", [{ sessionId: "" }, { sessionId: "x".repeat(129) }, raw("sessionId", '"\\uDBFF"')]],
  ["bad_value", "eventType", [{ eventType: "" }, { eventType: "Page" }, { eventType: "1a" }, { eventType: "a-b" }]],
  ["bad_value", "eventType", [{ eventType: "a".repeat(65) }, { eventType: "page_view\n" }, { eventType: "_a" }]],
  ["bad_value", "page", [{ page: "" }, { page: "/".repeat(2049) }, { page: "/\0" }]],
  ["bad_value", "region", [{ region: "" }, { region: "x".repeat(65) }, raw("region", '"\\u0000"')]],
  ["bad_value", "referrer", [{ referrer: "\0" }, raw("referrer", '"\\ud800"')]],
  ["bad_value", "productId", [raw("productId", '"a\\ud83d"')]],
  ["bad_value", "campaign", [raw("campaign", '"\\u0000"')]],
  ["bad_value", "price", [{ price: -0.01 }, { price: -1e-9 }, { price: "-1" }, { price: "" }, { price: "1,5" }]],
  ["bad_value", "price", [{ price: "1e3" }, { price: ".5" }, { price: "5." }, { price: "+5" }, { price: " 5" }]],
  ["bad_value", "price", [{ price: "0x10" }, { price: "Infinity" }, { price: "NaN" }, raw("price", "1e400"), {
    price: 1e21,
  }]],
  ["bad_value", "price", [{ price: 10_000_000_000.01 }, { price: "10000000000.005" }, { price: "9".repeat(40) }]],
  ["bad_value", "price", [{ eventType: "purchase", price: 5_000_000_000, quantity: 3 }]],
  ["bad_value", "quantity", [
    { quantity: 0 },
    { quantity: -1 },
    { quantity: 1.5 },
    { quantity: 2 ** 53 },
    raw("quantity", "1e400"),
  ]],
  [
    "bad_value",
    "quantity",
    ["", "0", "00", "-1", "+1", "1.0", "1e3", " 1", "two", String(2 ** 53)].map((quantity) => ({
      quantity,
    })),
  ],
  ["bad_value", "currency", [{ currency: "" }, { currency: "eur" }, { currency: "EURO" }, { currency: "€" }, {
    currency: "EUR\n",
  }]],
  ["bad_timestamp", "timestamp", [{ timestamp: "" }, { timestamp: "yesterday" }, { timestamp: -1 }, {
    timestamp: 253_402_300_800_000,
  }]],
  ["bad_timestamp", "timestamp", [
    { timestamp: "2026-11-02T12:00:00" },
    { timestamp: "2026-02-30T12:00:00Z" },
    raw("timestamp", "1e400"),
  ]],
];

for (const reason of RECORD_REASONS.slice(0, 9)) {
  Deno.test(`refused as ${reason}`, () => {
    const cases = REFUSED.filter(([of]) => of === reason);
    assert.ok(cases.length > 0);
    for (const [, field, messages] of cases) for (const sent of messages) assertRefused(sent, reason, field);
  });
}

Deno.test("an event is refused more than 5 minutes after or 30 days before its Kafka timestamp", () => {
  const age = (ms: number, kafkaTime = NOON) => decoded({ timestamp: kafkaTime - ms }, kafkaTime).refusal?.reason;
  const table: readonly (readonly [number, Reason | undefined])[] = [
    [-MAX_AHEAD_MS, undefined],
    [-MAX_AHEAD_MS - 1, "from_the_future"],
    [KEEP_MS, undefined],
    [KEEP_MS + 1, "expired"],
  ];
  for (const [ms, reason] of table) assert.equal(age(ms), reason, `${ms} ms old`);
  assertRefused({ timestamp: NOON + MAX_AHEAD_MS + 1 }, "from_the_future", "timestamp");
  assertRefused({ timestamp: NOON - KEEP_MS - 1 }, "expired", "timestamp");
  assertRefused({ timestamp: new Date(NOON - KEEP_MS - 1).toISOString() }, "expired", "timestamp");
});

Deno.test("without a Kafka timestamp the event time is not checked against it", () => {
  for (const timestamp of [0, NOON, 253_402_300_799_999]) {
    const { refusal, batch } = decoded({ timestamp }, -1);
    assert.equal(refusal, null);
    assert.equal(batch.kafkaTime[0], timestamp);
  }
});

Deno.test("a refusal names the first error, in the order of the contract's fields", () => {
  assertRefused({ userId: null, eventType: 5, page: null }, "missing_field", "userId");
  assertRefused({ timestamp: "?", page: null }, "bad_timestamp", "timestamp");
  assertRefused({ timestamp: 0, currency: "?" }, "bad_value", "currency");
  assertRefused("\xff".repeat(MAX_EVENT_BYTES), "too_large", null);
});

Deno.test("a refusal explains itself in plain text and names the field", () => {
  const at = (ms: number) => new Date(NOON + ms).toISOString();
  const table: readonly (readonly [Sent, string])[] = [
    [{ timestamp: at(-423 * 86_400_000) }, "423 days old; kept for 30 days"],
    [{ timestamp: at(-30 * 86_400_000 - 1) }, "more than 30 days old; kept for 30 days"],
    [{ timestamp: at(7 * 60_000) }, "7 minutes ahead of its Kafka timestamp; at most 5 minutes are allowed"],
    [{ timestamp: at(300_001) }, "more than 5 minutes ahead of its Kafka timestamp; at most 5 minutes are allowed"],
    [
      { timestamp: Math.floor(NOON / 1000) },
      `${Math.floor(NOON * 0.999 / 86_400_000)} days old; kept for 30 days: ` +
      `${Math.floor(NOON / 1000)} looks like seconds; send milliseconds`,
    ],
    [
      { timestamp: `${Math.floor(NOON / 1000)}` },
      `"${Math.floor(NOON / 1000)}" is not a time: it looks like seconds; send milliseconds`,
    ],
    [{ timestamp: NOON * 1000 }, `${NOON * 1000} is not a time: it looks like microseconds; send milliseconds`],
    [{ currency: "eur" }, 'currency is "eur"; it must be three capitals, such as EUR'],
    [
      { eventType: "Page View" },
      'eventType is "Page View"; it must be 1 to 64 small letters, digits and _, beginning with a letter, such as page_view',
    ],
    [{ userId: "" }, "userId is empty; 1 to 128 characters are allowed"],
    [{ page: "/".repeat(2049) }, "page has 2049 characters; 1 to 2048 characters are allowed"],
    [{ price: "1,5" }, 'price is "1,5"; it must be a decimal number from 0 to 10000000000, such as 19.99'],
    [{ quantity: "3.0" }, 'quantity is "3.0"; it must be a whole number from 1'],
    [{ quantity: true }, "quantity is true; it must be a number or a string"],
    [{ userId: undefined }, "userId is missing"],
  ];
  for (const [sent, detail] of table) assert.equal(decoded(sent).refusal?.detail, detail);
});

Deno.test("a byte-order mark before an event is named", () => {
  const { refusal } = decoded(`\ufeff${JSON.stringify({ userId: "u" })}`);
  assert.match(refusal!.detail, /byte-order mark/);
});

Deno.test("a record of 64 KiB is accepted, a byte more is refused", () => {
  const whole = padded(MAX_EVENT_BYTES);
  assert.equal(utf8.encode(whole).length, MAX_EVENT_BYTES);
  assert.equal(decoded(whole).refusal?.detail, undefined);
});

Deno.test("a refused payload is kept byte for byte, even when the record's bytes are reused", () => {
  const every = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const bytes of [every.slice(), Buffer.from(every)]) {
    const records = { ...recordsOf(0, 0, [{ value: every, time: NOON }]), bytes };
    const refusal = reference().decode(records, 0, new Batch(dictionaries("topic", testKeyed()), 1));
    bytes.fill(0);
    assert.equal(refusal!.reason, "not_utf8");
    assert.deepEqual(refusal!.payload, every);
  }
});

Deno.test("refused records don't change the events around them, even if they fail half-written", () => {
  const bad: readonly Sent[] = ["{", { eventId: "x", currency: "?" }, {
    sessionId: "s",
    device: "tablet",
    timestamp: 0,
  }, null];
  const log = [{ eventId: "a", userId: "ann" }, ...bad, { eventId: "b", userId: "bob" }, ...bad, { userId: "cyd" }];
  const records = recordsOf(1, 7, log.map((sent) => ({ value: bytesOf(sent), time: NOON })));
  const batch = new Batch(dictionaries("topic", testKeyed()), 8);
  for (let i = 0; i < records.count; i++) if (reference().decode(records, i, batch) === null) batch.keep();
  const row = (
    i: number,
  ) => [batch.id(i), batch.text("user", i), batch.text("session", i), batch.text("device", i), batch.offset[i]];
  assert.deepEqual([0, 1, 2].map(row), [
    ["a", "ann", null, "unknown", 7],
    ["b", "bob", null, "unknown", 12],
    ["e", "cyd", null, "unknown", 17],
  ]);
  assert.equal(batch.count, 3);
});

Deno.test("deeply nested JSON is refused within 2 s", () => {
  const objects = (depth: number) => `${'{"0":'.repeat(depth)}1${"}".repeat(depth)}`;
  const fromMs = performance.now();
  for (const field of Object.keys(GOOD)) {
    for (const value of [nested(100), objects(4_000), nested(32_000), objects(10_000)]) {
      assertRefused(raw(field, value), "wrong_type", field);
    }
  }
  assertRefused(nested(32_000), "not_an_object", null);
  assertRefused("[".repeat(65_536), "not_json", null);
  assert.equal(decoded(raw("extra", objects(10_000))).refusal, null);
  const tookMs = performance.now() - fromMs;
  assert.ok(tookMs < 2000, `${tookMs} ms`);
});

Deno.test("any error while a record is decoded refuses that record alone", () => {
  const value = bytesOf({});
  const records = recordsOf(2, 40, [{ value, time: NOON }, { value, time: NOON }]);
  const batch = new Batch(dictionaries("topic", testKeyed()), 2);
  const intern = batch.words.referrer.internText.bind(batch.words.referrer);
  batch.words.region.internText = () => {
    throw new RangeError("planted");
  };
  const refusal = reference().decode(records, 0, batch);
  assert.deepEqual([refusal?.reason, refusal?.field, refusal?.offset], ["bad_value", null, 40]);
  assert.match(refusal!.detail, /cannot be decoded: RangeError: planted/);
  batch.words.region.internText = intern;
  assert.equal(reference().decode(records, 1, batch), null);
});
