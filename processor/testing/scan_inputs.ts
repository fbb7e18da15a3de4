/**
 * Records for comparing two decoders, by seed: events as shops send them, and near misses.
 * @module
 */
import type { Random } from "../../generator/random.ts";
import type { Records } from "../records.ts";

const STRINGS = [
  "",
  "a",
  "u-1",
  "Île-de-France",
  "東京",
  "🛒",
  "\u00a0",
  "\ufeff",
  "\u2028",
  "x".repeat(64),
  "é".repeat(64),
];
const ESCAPED = ['a\\"b', "\\u0041", "\\u0000", "\\ud83d", "\\ud83d\\uded2", "\\n", "\\/", "\\x", "\\"];
const NUMBERS = [
  ...["0", "1", "-1", "1.5", "0.005", "1.005", "99.99", "1e3", "1E-2", "-0", "01", "1.", ".5", "+1", "1e400", "NaN"],
  ...["9007199254740993", "123456789012345", "1234567890123456", "12345678901.239", "10000000000", "0.0000000000001"],
];
const VALUES = ["null", "true", "false", "{}", "[]", '{"userId":"n"}', "[1]", "nul", "tru", "undefined", '"'];
const BLANKS = ["", "", "", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\v"];
const CURRENCIES = ["USD", "JPY", "KWD", "CLF", "XXX", "USD", "JPY", "KWD", "BHD", "AAA", "ZZZ", "eur", "€UR"];
const KEYS = ["userId", "page", "price", "timestamp", "region", "appVersion", "__proto__", "", "user\\u0049d", "é"];

/** Values that most events share, so that dictionaries find them again. */
function word(random: Random): string {
  return `${random.pick(["u", "s", "p", "x"])}-${random.below(200)}`;
}

function time(random: Random, kafkaMs: number): string {
  const ms = kafkaMs - random.below(60_000) -
    (random.chance(0.03) ? random.pick([-600_000, 31 * 86_400_000, 1e12]) : 0);
  const iso = new Date(ms).toISOString();
  if (random.chance(0.85)) return `"${iso}"`;
  return random.pick([
    String(ms),
    `"${iso.slice(0, -5)}Z"`,
    `"${iso.slice(0, -1)}+02:00"`,
    `"${iso.slice(0, -1)}${
      random.pick(["-03:30", "+00:00", "-23:59", "+24:00", "+01:60", "+0100", " 01:00", "+1:000"])
    }"`,
    `"${iso.slice(0, 10)}"`,
    `"${iso.replace("T", " ")}"`,
    `"${iso.toLowerCase()}"`,
    `"${iso.replaceAll(/[-:]/g, "")}"`,
    `"${iso.replaceAll(/[-:]/g, "").replace("Z", "+0000")}"`,
    `"${iso.replaceAll("-", "")}"`,
    `"${iso.slice(0, 4)}-W48-2${iso.slice(10)}"`,
    `"${iso.slice(0, 17)}60.${random.below(10)}00+01:00"`,
    String(Math.floor(ms / 1000)),
    `"${Math.floor(ms / 1000)}"`,
    `"${iso.slice(0, -1)}123Z"`,
    `"${iso.slice(0, 17)}60.000Z"`,
    `"${iso.slice(0, 11)}24:00:00.000Z"`,
    `"${iso.slice(0, 5)}13-01T00:00:00.000Z"`,
    `${ms}.7`,
    '"tomorrow"',
    `"${ms}"`,
  ]);
}

/** A text as JSON, sometimes an unusual one. */
function text(random: Random, usual: string): string {
  if (random.chance(0.985)) return `"${usual}"`;
  if (random.chance(0.4)) return `"${random.pick(STRINGS)}"`;
  return random.pick([
    `"${random.pick(ESCAPED)}"`,
    random.pick(NUMBERS),
    random.pick(VALUES),
    `"${"y".repeat(random.below(3000))}"`,
  ]);
}

function number(random: Random, usual: string): string {
  if (random.chance(0.9)) return usual;
  return random.pick([random.pick(NUMBERS), `"${random.pick(NUMBERS)}"`, `"${usual}"`, random.pick(VALUES)]);
}

/** Fields of an event as JSON texts, in sending order. */
function fields(random: Random, kafkaMs: number): [string, string][] {
  const type = random.chance(0.98)
    ? random.pick(["page_view", "purchase", "add_to_cart"])
    : random.pick(["Purchase", "a".repeat(65)]);
  const query = random.pick(["", "", "", "?q=1", "?é", "?"]);
  const fragment = random.pick([
    "",
    "",
    "",
    "#top",
    "#",
    "#/",
    "#!/",
    "#!",
    `#/${word(random)}`,
    "#!/é?y=2",
    "#/a#/b",
    "##/",
  ]);
  const page = `${random.pick(["/", "/", "/é", ""])}${random.chance(0.9) ? word(random) : ""}${query}${fragment}`;
  const all: [string, string, number][] = [
    ["eventId", text(random, `e-${random.below(1e9)}`), 0.95],
    ["userId", text(random, word(random)), 0.995],
    ["sessionId", text(random, word(random)), 0.7],
    ["eventType", text(random, type), 0.995],
    ["timestamp", time(random, kafkaMs), 0.995],
    ["page", text(random, page), 0.995],
    ["device", text(random, random.pick(["desktop", "mobile", "tablet", "smart-tv", "unknown", "other", "té"])), 0.9],
    ["region", text(random, random.pick(["DE", "Île-de-France", "eu-west"])), 0.9],
    ["referrer", text(random, "https://example.org/"), 0.3],
    ["productId", text(random, word(random)), 0.4],
    ["campaign", text(random, word(random)), 0.2],
    [
      "price",
      number(random, `${random.below(200)}.${random.below(10)}${random.below(10)}${random.pick(["", "", "5", "49"])}`),
      0.4,
    ],
    ["quantity", number(random, random.chance(0.9) ? String(1 + random.below(5)) : `"${random.below(9)}"`), 0.3],
    ["currency", text(random, random.chance(0.6) ? "EUR" : random.pick(CURRENCIES)), 0.3],
    ["userAgent", text(random, random.chance(0.9) ? "Mozilla/5.0 (X11)" : "é".repeat(1020 + random.below(8))), 0.3],
    ["orderId", text(random, random.chance(0.95) ? word(random) : "o".repeat(126 + random.below(5))), 0.2],
    ["appVersion", random.pick(['"4.2.1"', "7", "1.5", "true", "false", "null", '"ü"', "{}"]), 0.1],
  ];
  const kept = all.filter(([, , chance]) => random.chance(chance)).map((
    [name, value],
  ): [string, string] => [name, value]);
  if (random.chance(0.03)) kept.push([random.pick(KEYS), text(random, word(random))]);
  return random.chance(0.05) ? random.shuffled(kept) : kept;
}

/** One record in bytes. About two thirds are events. */
export function message(random: Random, kafkaMs: number): Uint8Array {
  const loose = random.chance(0.05);
  const blank = () => loose ? random.pick(BLANKS) : "";
  const inner = fields(random, kafkaMs).map(([name, value]) =>
    `${blank()}"${name}"${blank()}:${blank()}${value}${blank()}`
  );
  const whole = `${blank()}{${inner.join(",")}}${blank()}`;
  return random.chance(0.1) ? mutated(random, encoder.encode(whole)) : encoder.encode(whole);
}

const encoder = new TextEncoder();

/** Bytes with a meaning for a scanner. */
const TELLING = [
  0,
  0x1f,
  0x20,
  0x22,
  0x2c,
  0x2e,
  0x30,
  0x3a,
  0x5c,
  0x7b,
  0x7d,
  0x7f,
  0x80,
  0xc0,
  0xc3,
  0xed,
  0xf0,
  0xff,
];

/** Boundary cases of UTF-8: overlong, surrogates, past the last code point, truncated, and valid ones next to them. */
const EDGES = [
  ...[[0xc0, 0xaf], [0xc1, 0xbf], [0xe0, 0x9f, 0xbf], [0xf0, 0x8f, 0xbf, 0xbf], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf]],
  ...[[0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0xf0, 0x9f, 0x9b], [0xc3], [0xe2, 0x82, 0x41]],
  ...[[0xc2, 0x80], [0xe0, 0xa0, 0x80], [0xed, 0x9f, 0xbf], [0xee, 0x80, 0x80], [0xf0, 0x90, 0x80, 0x80]],
  [0xf4, 0x8f, 0xbf, 0xbf],
];

/** The bytes with one byte changed, removed or inserted, a part inserted or repeated, or the end cut off. */
function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length);
  const byte = random.chance(0.7) ? random.pick(TELLING) : random.below(256);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(6)) {
    case 0:
      return Uint8Array.of(...before, byte, ...after.subarray(1));
    case 1:
      return Uint8Array.of(...before, byte, ...after);
    case 2:
      return Uint8Array.of(...before, ...after.subarray(1));
    case 3:
      return Uint8Array.of(...before, ...random.pick(EDGES), ...after);
    case 4:
      return Uint8Array.of(...before, ...after.subarray(0, 1 + random.below(20)), ...after);
    default:
      return before.slice();
  }
}

/** Records that are adjacent in memory; the last ends at the end of the readable bytes. */
export function laidOut(messages: readonly Uint8Array[], times: Float64Array, firstOffset = 0): Records {
  const starts = new Int32Array(messages.length);
  const ends = new Int32Array(messages.length);
  const bytes = new Uint8Array(messages.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const [i, bytesOfOne] of messages.entries()) {
    bytes.set(bytesOfOne, at);
    starts[i] = at;
    ends[i] = at += bytesOfOne.length;
  }
  const offsets = Float64Array.from(starts, (_, i) => firstOffset + i);
  const next = firstOffset + starts.length;
  const place = { partition: 3, next, end: 0, stable: 0, skipped: 0, gap: null, leaderEpoch: null };
  return { ...place, count: starts.length, bytes, offsets, times, starts, ends };
}
