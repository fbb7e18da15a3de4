import { BOT, PERSON } from "./clicks.ts";
import fc from "fast-check";
import type { ShopMoney } from "../oracle/money.ts";
import type { Expected, OracleLog } from "../oracle/oracle.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** First Kafka timestamp of the logs, epoch milliseconds: three minutes into a day. */
export const START_MS = Date.UTC(2026, 2, 2, 0, 3);

/** The topic of the logs. */
export const TOPIC = "clickstream-events";

// Texts that sort, compare, print or escape in surprising ways.
const TEXTS = [
  ...["a", "b", "B", "a b", "a/b", "%_", "null", "é", "e\u0301", "\uff5e", "\u{1F600}", "\u{10400}", "\u2028"],
  ...["'\"\\", "\t\n", "\u0001", "\\N", "-", "{}", "x".repeat(64), "\u{1F600}".repeat(32), `${TOPIC}/0/1`],
];
const text = fc.constantFrom(...TEXTS);
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

// On a grid of ten minutes, so that ties and pauses of exactly half an hour are common.
const onGrid = fc.tuple(fc.nat(12), fc.constantFrom(-1, 0, 0, 0, 1, 30_000)).map(([step, off]) => () =>
  START_MS + (step - 8) * 10 * MINUTE_MS + off
);
const fromKafka = fc.constantFrom(
  ...[0, 0, -1, -999, -59_999, -30 * MINUTE_MS, -DAY_MS, -30 * DAY_MS, -30 * DAY_MS - 1, 5 * MINUTE_MS],
  5 * MINUTE_MS + 1,
).map((off) => (kafkaMs: number) => kafkaMs + off);
const eventTime = fc.oneof({ weight: 3, arbitrary: onGrid }, { weight: 1, arbitrary: fromKafka });

const timestamp = fc.constantFrom<(timeMs: number) => unknown>(
  (timeMs) => timeMs,
  (timeMs) => timeMs + 0.75,
  (timeMs) => new Date(timeMs).toISOString(),
  (timeMs) => new Date(timeMs).toISOString().replace("Z", "999Z"),
  (timeMs) => new Date(timeMs).toISOString().replace(".000Z", "+00"),
  (timeMs) => new Date(timeMs + 90 * MINUTE_MS).toISOString().replace("Z", "+01:30"),
  (timeMs) => new Date(timeMs - 90 * MINUTE_MS).toISOString().replace("Z", "-0130"),
);

const price = fc.oneof(
  fc.nat(99_999).map((cents) => cents / 100),
  fc.double({ min: 0, max: 1_000, noNaN: true }),
  fc.stringMatching(/^[0-9]{1,4}(\.[0-9]{1,5})?$/),
  fc.constantFrom<number | string>(1.005, 0.285, 1.115, 4.35, 1e-7, 5e-324, 1e10, 9_999_999_999.99, "0.005", "00"),
);

interface Click {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly timeOf: (kafkaMs: number) => number;
  readonly stamp: (timeMs: number) => unknown;
}

const SEARCHES = [
  ...["/s?q=Red+shoes", "/s?a=1&q=red%20shoes+&q=no", "/s?s=%C3%BC#f", "/#/s?search=%c3%bc", "/s?keyword=%zz%ff+x"],
  ...["/s?query=", "/s?q=%00", "/s?xq=1&=2&q", "/s#?q=5%", "/s?q=%E2%82%AC%E2%82"],
];

const LANDINGS = [
  ...["/?utm_source=Google&utm_medium=CPC&utm_campaign=Spring%20Sale", "/a?utm_medium=email&utm_source=news+letter#x"],
  ...["/a?utm_source=&utm_source=no&gclid=1", "/#/a?utm_campaign=only", "/?gclid=x&fbclid=y", "/?msclkid=%20&fbclid=y"],
  ...[
    "/?utm_source=%zz%ff&utm_medium=%00",
    "/a?fbclid=1",
    "/?a=1&msclkid=2",
    "/?utm_source=%F0%9F%98%80%0A&xutm_medium=a",
  ],
  ...[
    `/?utm_campaign=${"%C3%84".repeat(300)}&utm_source=${"\u{1F600}".repeat(150)}`,
    "/?utm_medium=social&UTM_SOURCE=a",
  ],
  ...["/?utm_source=facebook&utm_medium=paid_social&utm_campaign=shop-week", "/?utm_source=%28direct%29"],
];
const REFERRERS = [
  ...[
    "https://www.google.com/",
    "https://google.co.uk/search?q=a",
    "https://mail.google.com/mail",
    "bing.com",
    "//t.co/x",
  ],
  ...[
    "http://L.Facebook.com:80/l.php?u=https://a.example",
    "https://me:p@blog.example.org./a",
    "shop.example.com/cart",
  ],
  ...[
    "https://shop.example.com",
    "https://www.example.net?x",
    "android-app://com.example.app/",
    "/cart",
    "about:blank",
  ],
];

const fields = fc.record({
  eventId: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("e1", "e2", "e10", "\uff5e", "\u{1F600}", `${TOPIC}/0/1`) },
    { weight: 3, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.constantFrom(undefined, null) },
  ),
  userId: fc.oneof({ weight: 4, arbitrary: fc.constantFrom("ann", "bob") }, { weight: 1, arbitrary: text }),
  sessionId: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 2, arbitrary: fc.constantFrom("s", "ann", null) },
    { weight: 1, arbitrary: text },
  ),
  eventType: fc.constantFrom(
    ...["page_view", "page_view", "page_view", "add_to_cart", "add_to_cart", "purchase", "purchase"],
    ...["search", "checkout", "z_9"],
  ),
  page: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("/", "/a", "/a?x=1#y", "/a#y?x", "?q", "#", "/\u{1F600}") },
    { weight: 2, arbitrary: fc.constantFrom(...SEARCHES) },
    { weight: 2, arbitrary: fc.constantFrom(...LANDINGS) },
    { weight: 1, arbitrary: text },
    { weight: 1, arbitrary: fc.constant("/" + "p".repeat(2_047)) },
  ),
  device: some(fc.constantFrom("desktop", "mobile", "tablet", "Desktop", "", "tv", "unknown", "tv\0", null)),
  region: some(fc.oneof(fc.constantFrom("eu", "EU", "unknown", null), text)),
  referrer: some(fc.oneof({ weight: 3, arbitrary: fc.constantFrom("", ...REFERRERS) }, { weight: 1, arbitrary: text })),
  productId: some(fc.oneof(fc.constantFrom("P1", "P2"), text)),
  campaign: fc.option(text, { nil: undefined, freq: 1 }),
  price: some(price),
  quantity: some(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom(null, 1e6, 1e12))),
  currency: some(fc.constantFrom("EUR", "USD", "JPY", "KWD", "CLF", "XXX", null)),
  userAgent: some(fc.oneof(fc.constantFrom("Mozilla/5.0", PERSON, BOT, null, "a".repeat(1024)), text)),
  orderId: some(fc.oneof(fc.constantFrom("o-1", null), text)),
  more: some(fc.constantFrom<unknown>({ userId: "no", deep: [[{}]] }, [], "\ud800")),
});

const click: fc.Arbitrary<Click> = fc.record({ fields, timeOf: eventTime, stamp: timestamp });

// Each value is valid for some fields and invalid for others.
const ODD_VALUES = [
  ...[undefined, null, true, [], {}, "", "\0", "a\0", "\ud800", "\udc00a", "x".repeat(128), "x".repeat(129)],
  ...["\u{1F600}".repeat(64) + "x", "x".repeat(65), "x".repeat(2_048), "x".repeat(2_049), "y" + "_".repeat(64), "A"],
  ...[
    0,
    -0,
    -0.001,
    -1,
    1.5,
    2,
    2 ** 53,
    1e300,
    1e10,
    10_000_000_000.004,
    1e12,
    253_402_300_800_000,
    "1e2",
    "1.",
    ".5",
  ],
  ...["-1", "+1", " 1", "1\n", "eur", "EURO", "EUR\n", "yesterday", "2026-03-01T23:00", "2026-02-29T23:00Z"],
  ...["2026-03-01 23:00Z", "2026-03-01T24:00Z", "2026-03-01T23:59:60Z", "2026-03-01T23:00:00,5Z", "1969-12-31T23:59Z"],
  ...["2026-03-01T23:00:00.5z", "2026-03-01T23:00+24:00", "+002026-03-01T23:00Z", "20260301T230000Z", "1772406000000"],
];
const FIELDS = ["eventId", "userId", "sessionId", "eventType", "timestamp", "page", "device", "region"]
  .concat(["referrer", "productId", "campaign", "price", "quantity", "currency", "userAgent", "orderId"]);
const oddField = fc.tuple(fc.constantFrom(...FIELDS), fc.constantFrom<unknown>(...ODD_VALUES));

// Notations of the same object; the last two repeat a field.
const SPELLINGS: readonly ((json: string) => string)[] = [
  (json) => json,
  (json) => json.replaceAll(/[^\x20-\x7e]/g, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")),
  (json) => json.replace("userId", "\\u0075serId").replaceAll("/", "\\/"),
  (json) => `\n ${json.replaceAll('":', '" :\t')}\r `,
  (json) => json.replace(/"quantity":(\d+)/, '"quantity":$1.0e0'),
  (json) => `{"page":"/first","userId":5,${json.slice(1)}`,
  (json) => `${json.slice(0, -1)},"page":null}`,
];

const utf8 = new TextEncoder();
const BAD_BYTES: readonly (Uint8Array | null)[] = [
  ...[null, ...["", " ", "{", "[]", "null", "1", '"text"', "{}", "{'a':1}", '{"userId":"\t"}', "\ufeff{}"].map(encode)],
  ...[[0xff], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0xef, 0xbb, 0xbf, 0x7b, 0x7d]].map((bytes) =>
    Uint8Array.from(bytes)
  ),
  ...[encode(" ".repeat(65_536)), encode(`{"userId":"u"}${" ".repeat(65_536)}`)],
];

function encode(value: string): Uint8Array {
  return utf8.encode(value);
}

// Undefined fields are omitted.
function spelt({ fields, timeOf, stamp }: Click, odd: readonly [string, unknown][], kafkaMs: number): string {
  return JSON.stringify({ ...fields, timestamp: stamp(timeOf(kafkaMs)), ...Object.fromEntries(odd) });
}

const value = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(click, fc.constantFrom(...SPELLINGS)).map(([click, spell]) => (kafkaMs: number) =>
      encode(spell(spelt(click, [], kafkaMs)))
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(click, fc.array(oddField, { minLength: 1, maxLength: 2 })).map(
      ([click, odd]) => (kafkaMs: number) => encode(spelt(click, odd, kafkaMs)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(click, fc.nat(400)).map(([click, cut]) => (kafkaMs: number) =>
      encode(spelt(click, [], kafkaMs)).slice(0, cut)
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...BAD_BYTES).map((bytes) => () => bytes) },
);

const step = fc.constantFrom(0, 0, 1, 999, MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 10 * MINUTE_MS + 1);
// Clocks that are slightly slow, and sometimes one that is far behind or ahead.
const disorder = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.nat(2 * MINUTE_MS) },
  { weight: 1, arbitrary: fc.constantFrom(60 * MINUTE_MS, DAY_MS, -15 * MINUTE_MS, -60 * MINUTE_MS, -365 * DAY_MS) },
);
const records = fc.array(fc.record({ value, step, disorder }), { maxLength: 40, size: "max" }).map((list) => {
  let latest = START_MS;
  return list.map(({ value, step, disorder }, offset) => {
    latest += step;
    const time = latest - disorder;
    return { offset, time, value: value(time) };
  });
});

/**
 * Logs of a few partitions with many ties, late events, duplicates and every kind of refusal. Their Kafka timestamps
 * are out of order, some of them by far.
 */
export const oracleLog: fc.Arbitrary<OracleLog> = fc.array(records, { minLength: 1, maxLength: 3, size: "max" })
  .map((partitions) => ({ topic: TOPIC, partitions }));

/**
 * A shop without a currency, or with one and rates: some change at the midnight in the middle of the logs, some begin
 * there, and some make many amounts end in a half.
 */
export const shopMoney: fc.Arbitrary<ShopMoney | undefined> = fc.constantFrom(
  undefined,
  {
    currency: "EUR",
    rates: [
      ...[["USD", "1970-01-01", "0.5"], ["USD", "2026-03-02", "0.915"], ["JPY", "2026-01-31", "0.005"]] as const,
      ...[["KWD", "2026-03-02", "3.0555"], ["CLF", "2026-03-03", "37"], ["USD", "9999-12-31", "7"]] as const,
    ],
  },
  {
    currency: "JPY",
    rates: [["EUR", "2026-03-01", "163.35"], ["KWD", "2026-03-02", "500.5"], ["USD", "2026-02-01", "150"]],
  },
  { currency: "KWD", rates: [["JPY", "2026-03-02", "0.0019995"], ["CLF", "2026-03-01", "999999999999999.5"]] },
);

/**
 * False if two events of one session have the same time and id but differ in what the session takes from them: then the
 * result is undefined.
 */
export function isDecided({ events }: Expected): boolean {
  const seen = new Map<string, string>();
  return events.every((event) => {
    const place = JSON.stringify([event.user_id, event.session_id, event.event_time, event.event_id]);
    const { event_type, page, device, region, referrer, campaign } = event;
    const taken = JSON.stringify([event_type, page, device, region, referrer, campaign]);
    const other = seen.get(place) ?? taken;
    seen.set(place, taken);
    return other === taken;
  });
}
