import assert from "node:assert/strict";
import { expectedOf, type OracleLog } from "./oracle.ts";
import { clicks, fromJson, KAFKA_MS, logOf, MINUTE_MS } from "./logs.ts";

const SETTINGS = { keepDays: 30 };

function refusalOf(value: Uint8Array | string | null): string | undefined {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  const log: OracleLog = { topic: "t", partitions: [[{ offset: 7, value: bytes, time: KAFKA_MS }]] };
  const { refusals, progress } = expectedOf(log, SETTINGS);
  assert.equal(progress[0]!.refused, refusals.length);
  return refusals.map(({ reason, field }) => field === null ? reason : `${reason} ${field}`)[0];
}

const GOOD = { userId: "u", eventType: "purchase", timestamp: KAFKA_MS, page: "/" };

Deno.test("the oracle refuses records that are not JSON objects, in the order of the contract's reasons", () => {
  const cases: [string, Uint8Array | string | null][] = [
    ["empty", null],
    ["empty", ""],
    ["not_json", " "],
    ["too_large", " ".repeat(65_537)],
    ["too_large", new Uint8Array(65_537).fill(0xff)],
    ["not_json", " ".repeat(65_536)],
    ["not_utf8", Uint8Array.of(0x22, 0xc0, 0x80, 0x22)],
    ["not_json", "{"],
    ["not_an_object", "null"],
    ["not_an_object", "[]"],
    ["not_an_object", '"text"'],
    ["missing_field userId", "{}"],
  ];
  for (const [reason, value] of cases) assert.equal(refusalOf(value), reason, JSON.stringify(value)?.slice(0, 40));
});

Deno.test("the oracle names the first invalid field, in the order of the contract's fields", () => {
  const cases: [string | undefined, Record<string, unknown>][] = [
    [undefined, {}],
    ["bad_value eventId", { eventId: "", userId: null }],
    ["bad_value eventId", { eventId: "x".repeat(129) }],
    [undefined, { eventId: "x".repeat(128) }],
    ["bad_value eventId", { eventId: "😀".repeat(64) + "x" }],
    ["bad_value eventId", { eventId: "a\0" }],
    ["bad_value userId", { userId: "\ud800" }],
    ["missing_field userId", { userId: null, eventType: 1 }],
    ["wrong_type userId", { userId: 1, eventType: 1 }],
    ["wrong_type sessionId", { sessionId: 5 }],
    ["bad_value sessionId", { sessionId: "" }],
    ["bad_value eventType", { eventType: "Purchase" }],
    ["bad_value eventType", { eventType: "a" + "b".repeat(64) }],
    [undefined, { eventType: "a" + "b".repeat(63) }],
    ["missing_field timestamp", { timestamp: null }],
    ["wrong_type timestamp", { timestamp: true }],
    ["bad_timestamp timestamp", { timestamp: "yesterday", page: 5 }],
    ["missing_field page", { page: undefined }],
    ["bad_value page", { page: "/" + "x".repeat(2048) }],
    ["wrong_type device", { device: 1, region: 1 }],
    [undefined, { device: "toaster\0" }],
    ["bad_value region", { region: "x".repeat(65) }],
    ["bad_value referrer", { referrer: "\udc00" }],
    [undefined, { referrer: "", productId: "", campaign: "" }],
    ["wrong_type productId", { productId: 5, campaign: 5 }],
    ["bad_value price", { price: -1, quantity: 0 }],
    ["wrong_type price", { price: [] }],
    ["bad_value quantity", { quantity: 0, currency: "eur" }],
    ["bad_value quantity", { quantity: 1.5 }],
    ["bad_value quantity", { quantity: 2 ** 53 }],
    ["wrong_type quantity", { quantity: [1] }],
    [undefined, { quantity: "1" }],
    ["bad_value quantity", { quantity: "1.0" }],
    ["bad_value currency", { currency: "eur" }],
    ["bad_value userAgent", { userAgent: "x".repeat(1025) }],
    ["bad_value orderId", { orderId: "" }],
    ["wrong_type currency", { currency: 978 }],
    ["bad_value price", { price: 5e9, quantity: 3, currency: "eur" }],
    [undefined, { price: 5e9, quantity: 2 }],
    [undefined, { price: 5e9, quantity: 3, eventType: "search" }],
    ["from_the_future timestamp", { timestamp: KAFKA_MS + 300_001 }],
    [undefined, { timestamp: KAFKA_MS + 300_000 }],
    ["expired timestamp", { timestamp: KAFKA_MS - 30 * 86_400_000 - 1 }],
    [undefined, { timestamp: KAFKA_MS - 30 * 86_400_000 }],
    ["bad_value currency", { timestamp: KAFKA_MS + 300_001, currency: "" }],
  ];
  for (const [reason, fields] of cases) {
    assert.equal(refusalOf(JSON.stringify({ ...GOOD, ...fields })), reason, JSON.stringify(fields).slice(0, 60));
  }
  assert.equal(
    refusalOf('{"userId":"u","page":"/","eventType":"a","timestamp":0,"userId":null}'),
    "missing_field userId",
  );
});

Deno.test("the oracle keeps a refused payload byte for byte up to 64 KiB", () => {
  const long = new Uint8Array(70_000).fill(0xab);
  const log: OracleLog = {
    topic: "t",
    partitions: [[{ offset: 0, value: null, time: 0 }, { offset: 1, value: long, time: 0 }]],
  };
  const { refusals } = expectedOf(log, SETTINGS);
  assert.deepEqual(refusals.map((row) => row.payload), ["", "ab".repeat(65_536)]);
});

Deno.test("the oracle counts an id sent again within 10 minutes as a duplicate", () => {
  const at = (minutes: number) => KAFKA_MS + minutes * MINUTE_MS;
  const again = (minutes: number, eventId: string | null, userId = "u") => ({
    time: at(minutes),
    fields: { ...GOOD, eventId, userId, timestamp: KAFKA_MS - 60 * MINUTE_MS },
  });
  const log = logOf([
    // The chain a: first, 8 min later, 8 min after its duplicate, 10 min and 1 ms after that.
    [
      again(0, "a"),
      again(8, "a"),
      again(16, "a"),
      { ...again(26, "a"), time: at(26) + 1 },
      again(0, null),
      again(0, null),
    ],
    // Another partition has its own memory; refused records are not remembered; clocks may run backwards.
    [
      again(0, "a"),
      again(0, "b", ""),
      again(1, "b"),
      again(-9, "b"),
      again(-19, "b"),
      again(0, "t/1/5"),
      again(0, null),
    ],
  ]);
  const { events, progress } = expectedOf(log, SETTINGS);
  assert.deepEqual(progress.map(({ watermark: _, topic: __, ...counts }) => counts), [
    { partition: 0, next_offset: 6, consumed: 6, stored: 4, duplicates: 2, refused: 0 },
    { partition: 1, next_offset: 7, consumed: 7, stored: 4, duplicates: 2, refused: 1 },
  ]);
  assert.deepEqual(events.map((event) => `${event.kafka_offset} ${event.event_id}`), [
    "0 a",
    "3 a",
    "4 t/0/4",
    "5 t/0/5",
    "0 a",
    "2 b",
    "5 t/1/5",
    "6 t/1/6",
  ]);
});

Deno.test("the oracle's event-time watermark is 10 s behind the latest stored event of the partition", () => {
  const log = logOf([
    [{ time: KAFKA_MS, fields: { ...GOOD, timestamp: KAFKA_MS + 1_500 } }, { time: KAFKA_MS, fields: GOOD }],
    [{ time: KAFKA_MS, fields: { ...GOOD, timestamp: KAFKA_MS + 900_000 } }],
    [],
  ]);
  const watermarks = expectedOf(log, SETTINGS).progress.map((row) => row.watermark);
  assert.deepEqual(watermarks, [new Date(KAFKA_MS - 8_500).toISOString(), null, null]);
});

Deno.test("the oracle keeps every field of an event", () => {
  const [row] = expectedOf(
    fromJson([{
      ...{ ...GOOD, eventId: "e", userId: "ü", sessionId: "s", timestamp: "2026-03-01T12:00:00.1239+01:00" },
      ...{ page: "/p?q#f", device: "tablet", region: "eu", referrer: "r", productId: "p", campaign: "c" },
      ...{ price: "1.005", quantity: 3, currency: "EUR", unknown: {} },
      ...{ userAgent: "curl/8.14.1", orderId: "o-1" },
    }], Date.parse("2026-03-01T11:00:00.5Z")),
    SETTINGS,
  ).events;
  assert.deepEqual(row, {
    ...{ event_id: "e", event_time: "2026-03-01T11:00:00.123Z", user_id: "ü", session_id: "s", event_type: "purchase" },
    ...{ page: "/p?q#f", device: "tablet", region: "eu", referrer: "r", product_id: "p", campaign: "c" },
    ...{ price_cents: "101", quantity: 3, currency: "EUR", revenue_cents: "303" },
    ...{ kafka_partition: 0, kafka_offset: 0, kafka_time: "2026-03-01T11:00:00.500Z" },
    ...{ user_agent: "curl/8.14.1", order_id: "o-1", is_bot: true },
  });
});

Deno.test("the oracle fills in the defaults of absent fields", () => {
  const rows = expectedOf(fromJson([GOOD, { ...GOOD, device: "Desktop", price: 2.5, eventType: "search" }]), SETTINGS);
  const picked = rows.events.map((row) => [row.event_id, row.session_id, row.device, row.region, row.referrer]);
  assert.deepEqual(picked, [["t/0/0", null, "unknown", "unknown", null], ["t/0/1", null, "other", "unknown", null]]);
  const money = rows.events.map((row) => [row.price_cents, row.quantity, row.currency, row.revenue_cents]);
  assert.deepEqual(money, [[null, 1, null, "0"], ["250", 1, null, "0"]]);
});

Deno.test("the oracle counts three users by minute, page, window and day", () => {
  const { traffic, pages, active_users, user_days } = expectedOf(
    clicks([
      ["ann", "23:58:59.999", "page_view", "/a?x=1"],
      ["ann", "23:58:00", "page_view", "/a#y"],
      ["bob", "23:58:30", "page_view", "/a"],
      ["bob", "23:59:00", "purchase", "/pay", { price: 2.5, quantity: 2 }],
      ["bob", "24:00:00", "purchase", "/pay", { price: "0.005" }],
    ]),
    SETTINGS,
  );
  assert.deepEqual(traffic.map(Object.values), [
    ["2026-03-01T23:58:00.000Z", "page_view", "unknown", "unknown", false, 3, 2, "0"],
    ["2026-03-01T23:59:00.000Z", "purchase", "unknown", "unknown", false, 1, 1, "500"],
    ["2026-03-02T00:00:00.000Z", "purchase", "unknown", "unknown", false, 1, 1, "1"],
  ]);
  assert.deepEqual(pages.map(Object.values), [["2026-03-01T23:58:00.000Z", "/a", false, 3, 2]]);
  assert.deepEqual(
    active_users.map((row) => `${row.window_start.slice(11, 16)}-${row.window_end.slice(11, 16)} ${row.users}`),
    [
      ...["23:54-23:59 2", "23:55-00:00 2", "23:56-00:01 2", "23:57-00:02 2", "23:58-00:03 2"],
      ...["23:59-00:04 1", "00:00-00:05 1"],
    ],
  );
  assert.deepEqual(user_days.map(Object.values), [
    ["ann", "2026-03-01", 2, 0, "0", 0, false],
    ["bob", "2026-03-01", 2, 1, "500", 0, false],
    ["bob", "2026-03-02", 1, 1, "1", 0, false],
  ]);
});
