import assert from "node:assert/strict";
import { Batch, CODED, dictionaries } from "../columns/batch.ts";
import { JsonDecoder } from "./json.ts";
import { recordsOf } from "../testing/fakes/memory.ts";
import { PAGES } from "../testing/pages.ts";
import { at, type Message, record, reference } from "../testing/scenario.ts";
import { testKeyed } from "../testing/fakes/keyed.ts";
import { DAY_MS } from "../views/view.ts";

const NOON = at("12:00:00");
const GOOD: Message = { eventId: "e", userId: "u", eventType: "page_view", timestamp: NOON, page: "/p" };

/** The stored columns of a message, by name. */
function kept(sent: Message | string): Record<string, unknown> {
  const batch = new Batch(dictionaries("topic", testKeyed()), 1);
  const value = typeof sent === "string" ? sent : { ...GOOD, ...sent };
  const refusal = reference().decode(recordsOf(3, 41, [record(value, NOON)]), 0, batch);
  assert.equal(refusal, null, `${JSON.stringify(sent)}: ${refusal?.detail}`);
  // Marks of bots are made later.
  const texts = CODED.filter((column) => column !== "bot");
  return {
    ...Object.fromEntries(texts.map((column) => [column, batch.text(column, 0)])),
    id: batch.id(0),
    time: batch.time[0],
    kafkaTime: batch.kafkaTime[0],
    partition: batch.partition[0],
    offset: batch.offset[0],
    price: batch.price[0],
    quantity: batch.quantity[0],
    revenue: batch.revenue[0],
  };
}

/** Asserts that a message is an event with these values. */
function assertKept(sent: Message | string, some: Readonly<Record<string, unknown>>) {
  const all = kept(sent);
  for (const [column, value] of Object.entries(some)) {
    assert.deepEqual(all[column], value, `${column} of ${JSON.stringify(sent).slice(0, 120)}`);
  }
}

const NOTHING_OPTIONAL = {
  ...{ session: null, device: "unknown", region: "unknown", referrer: null, product: null, campaign: null },
  ...{ price: NaN, quantity: 1, currency: null, revenue: 0, userAgent: null, order: null },
};

Deno.test("an event with all fields is kept completely", () => {
  const sent = {
    ...{
      eventId: "id",
      userId: "ann",
      sessionId: "s",
      eventType: "purchase",
      timestamp: "2026-11-02T12:00:00.123456Z",
    },
    ...{
      page: "/shoes?size=42#top",
      device: "mobile",
      region: "eu",
      referrer: "https://example.org/",
      productId: "p1",
    },
    ...{ campaign: "autumn", price: 19.99, quantity: 3, currency: "EUR", unknown: [{}], more: null },
    ...{ userAgent: "Mozilla/5.0", orderId: "o-1" },
  };
  assert.deepEqual(kept(sent), {
    ...{
      id: "id",
      user: "ann",
      session: "s",
      type: "purchase",
      time: NOON + 123,
      pagePath: "/shoes",
      page: "/shoes?size=42#top",
    },
    ...{ device: "mobile", region: "eu", referrer: "https://example.org/", product: "p1", campaign: "autumn" },
    ...{ price: 1999, quantity: 3, currency: "EUR", revenue: 5997, partition: 3, offset: 41, kafkaTime: NOON },
    ...{ userAgent: "Mozilla/5.0", order: "o-1" },
  });
});

Deno.test("null counts as absent, and absent fields get their defaults", () => {
  const fields = [
    "sessionId",
    "device",
    "region",
    "referrer",
    "productId",
    "campaign",
    "price",
    "quantity",
    "currency",
    "userAgent",
    "orderId",
  ];
  assertKept({}, NOTHING_OPTIONAL);
  assertKept(Object.fromEntries(fields.map((field) => [field, null])), NOTHING_OPTIONAL);
  assertKept({ eventId: null }, { id: "topic/3/41" });
  assertKept({ eventId: undefined }, { id: "topic/3/41" });
});

Deno.test("if a field is sent twice the last one counts, escaped or not", () => {
  const rest = JSON.stringify(GOOD).slice(1);
  assertKept(`{"userId":"first",${rest}`, { user: "u" });
  assertKept(`${JSON.stringify(GOOD).slice(0, -1)},"userId":"last"}`, { user: "last" });
  assertKept(`${JSON.stringify(GOOD).slice(0, -1)},"user\\u0049d":"escaped"}`, { user: "escaped" });
  assertKept(`{"userId":5,"price":"?",${rest.slice(0, -1)},"price":1}`, { user: "u", price: 100 });
  assertKept(`{"region":"eu",${rest.slice(0, -1)},"region":null}`, { region: "unknown" });
});

Deno.test("lengths are in UTF-16 code units", () => {
  for (const id of ["x".repeat(128), "é".repeat(128), "😀".repeat(64)]) {
    assertKept({ eventId: id, userId: id, sessionId: id }, { id, user: id, session: id });
  }
  assertKept({ page: "/".repeat(2048), region: "😀".repeat(32) }, { page: "/".repeat(2048), region: "😀".repeat(32) });
  assertKept({ eventType: `a${"_9".repeat(31)}z` }, { type: `a${"_9".repeat(31)}z` });
  const long = "x".repeat(20_000);
  assertKept({ referrer: long, productId: "", campaign: long }, { referrer: long, product: "", campaign: long });
});

Deno.test("strings are kept as they are, escaped or not", () => {
  assertKept({ userId: " a\tb\u2028\u{10ffff}" }, { user: " a\tb\u2028\u{10ffff}" });
  const escaped = JSON.stringify(GOOD).replace('"u"', '"\\u00e9\\ud83d\\ude00\\/\\n"');
  assertKept(` \n${escaped}\t `, { user: "é😀/\n" });
});

Deno.test("known devices keep their names, all others become other", () => {
  const table = {
    desktop: "desktop",
    mobile: "mobile",
    tablet: "tablet",
    Mobile: "other",
    tv: "other",
    "": "other",
    "\0": "other",
  };
  for (const [device, known] of Object.entries(table)) assertKept({ device }, { device: known });
  assertKept(JSON.stringify(GOOD).replace("}", ',"device":"\\ud800"}'), { device: "other" });
  assertKept({ device: "unknown" }, { device: "other" });
});

Deno.test("pages are cut at the first ? or # except for hash routes, and also kept as sent", () => {
  for (const [sent, page] of PAGES) assertKept({ page: sent }, { pagePath: page, page: sent });
});

Deno.test("pages are cut with and without hash routes", () => {
  const records = recordsOf(0, 0, PAGES.map(([page]) => record({ ...GOOD, page }, NOON)));
  for (const hashRoutes of [true, false]) {
    const batch = new Batch(dictionaries("topic", testKeyed()), PAGES.length);
    const decoder = new JsonDecoder(30 * DAY_MS, hashRoutes);
    for (let i = 0; i < records.count; i++) if (decoder.decode(records, i, batch) === null) batch.keep();
    const cut = PAGES.map(([sent, routed, cut]) => [sent, hashRoutes ? routed : cut]);
    assert.deepEqual(PAGES.map(([sent], i) => [sent, batch.text("pagePath", i)]), cut);
  }
});

Deno.test("prices are rounded half up, by their decimal digits", () => {
  const table: readonly (readonly [number | string, number])[] = [
    [0, 0],
    [-0, 0],
    ["0", 0],
    ["000.0", 0],
    [0.005, 1],
    ["0.005", 1],
    [0.004999, 0],
    ["0.00499999999999999999", 0],
    [1.005, 101],
    ["1.005", 101],
    ["1.0049999999999999999", 100],
    [1.115, 112],
    [8.345, 835],
    [2.675, 268],
    ["19.9", 1990],
    ["0019.99", 1999],
    [1e-7, 0],
    [5e-324, 0],
    [0.1 + 0.2, 30],
    [9_999_999_999.994, 999_999_999_999],
    [9_999_999_999.995, 1e12],
    [1e10, 1e12],
    ["10000000000", 1e12],
    ["10000000000.004", 1e12],
    ["99999999.995", 10_000_000_000],
  ];
  for (const [price, cents] of table) assertKept({ price }, { price: cents, revenue: 0 });
});

Deno.test("revenue is price times quantity, for purchases only", () => {
  const buy = (more: Message) => ({ eventType: "purchase", ...more });
  assertKept(buy({ price: "1.005", quantity: 3 }), { revenue: 303 });
  assertKept(buy({ price: 2 }), { revenue: 200, quantity: 1 });
  assertKept(buy({ quantity: 5 }), { revenue: 0, price: NaN });
  assertKept(buy({ price: 0, quantity: Number.MAX_SAFE_INTEGER }), { revenue: 0 });
  assertKept(buy({ price: 1, quantity: 1e10 }), { revenue: 1e12 });
  assertKept({ eventType: "checkout", price: 1, quantity: 1e11 }, { revenue: 0 });
});

Deno.test("a quantity is a whole number in any notation", () => {
  for (const json of ["2", "2.0", "2e0", "0.2e1", '"2"', '"002"']) {
    assertKept(`${JSON.stringify(GOOD).slice(0, -1)},"quantity":${json}}`, { quantity: 2 });
  }
});
