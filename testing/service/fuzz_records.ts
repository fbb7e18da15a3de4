/**
 * Odd records by seed, with every fault we can think of, among many valid ones.
 * @module
 */
import type { BatchRecord } from "../../processor/testing/batches.ts";
import type { Random } from "../../generator/random.ts";
import { message } from "../../processor/testing/scan_inputs.ts";

const utf8 = new TextEncoder();
const DAY_MS = 86_400_000;
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const FIELDS = ["eventId", "userId", "sessionId", "eventType", "timestamp", "page", "device", "region"]
  .concat(["referrer", "productId", "campaign", "price", "quantity", "currency", "userAgent", "orderId"]);
const LIMITS = [0, 1, 63, 64, 65, 127, 128, 129, 2047, 2048, 2049];
/** Values of every type, as JSON. */
const VALUES = ["null", "true", "false", "0", "-0", "-1", "1e400", "-1e400", "1e-400", "9".repeat(400), "0.1e1", "1E5"]
  .concat([
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "[]",
    "{}",
    "[[[]]]",
    '{"a":{"b":null}}',
    "9007199254740993",
  ]);

/**
 * Returns a record. Records with extreme timestamps have unique ids, because it is undefined which copies would be
 * duplicates.
 */
export function oddRecord(random: Random, kafkaMs: number, unique: () => string): BatchRecord {
  const key = random.chance(0.3) ? null : bytes(random, random.below(20));
  const headers = random.chance(0.1) ? random.below(5) : 0;
  const usual = { key, headers, time: kafkaMs };
  if (random.chance(0.8)) return { ...usual, value: message(random, kafkaMs) };
  switch (random.below(12)) {
    case 0:
      return {
        ...usual,
        value: random.pick([null, new Uint8Array(), utf8.encode(" "), utf8.encode("{}"), Uint8Array.of(0)]),
      };
    case 1:
      return { ...usual, value: bytes(random, random.below(300)) };
    case 2:
      return { ...usual, value: random.chance(0.1) ? nested(random, kafkaMs) : limited(random, kafkaMs, unique) };
    case 3:
      return {
        ...usual,
        value: random.chance(0.02) ? large(random, kafkaMs, unique) : limited(random, kafkaMs, unique),
      };
    case 4:
    case 5: {
      // Extreme timestamps, far from all others.
      const time = random.pick([-1, 0, 1, 2 ** 31, LAST_MS, LAST_MS - 1, LAST_MS - 31 * DAY_MS, Date.UTC(2000, 0, 1)]);
      const timestamp = random.pick([0, 1, LAST_MS, LAST_MS + 1, time, Math.max(0, time - random.below(1e9)), kafkaMs]);
      return { ...usual, time, value: event({ eventId: unique(), timestamp, userId: `t-${random.below(50)}` }) };
    }
    case 6:
    case 7:
      return {
        ...usual,
        value: event({ eventId: unique(), timestamp: kafkaMs, page: "/" }, random.pick(FIELDS), random.pick(VALUES)),
      };
    default:
      return { ...usual, value: limited(random, kafkaMs, unique) };
  }
}

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** An event with these fields; one of them is replaced by this JSON text. */
function event(fields: Readonly<Record<string, unknown>>, odd?: string, value?: string): Uint8Array {
  const whole: Record<string, unknown> = { userId: "u-1", eventType: "page_view", page: "/odd", ...fields };
  if (odd !== undefined) delete whole[odd];
  const json = JSON.stringify(whole);
  return utf8.encode(odd === undefined ? json : `{"${odd}":${value},${json.slice(1)}`);
}

/** An event with one text at its length limit, or one character above or below, of any kind of character. */
function limited(random: Random, kafkaMs: number, unique: () => string): Uint8Array {
  const field = random.pick(FIELDS);
  const length = random.pick(LIMITS);
  const text = Array.from({ length }, () => character(random)).join("").slice(0, length);
  const fields = { eventId: unique(), timestamp: kafkaMs, [field]: text };
  return event(random.chance(0.5) ? fields : { ...fields, userId: text.toWellFormed().slice(0, 128) || "u" });
}

function character(random: Random): string {
  const unit = random.chance(0.9) ? random.below(0xd800) : random.below(0x10000);
  return random.chance(0.1) ? String.fromCodePoint(0x10000 + random.below(0xfffff)) : String.fromCharCode(unit || 1);
}

/** An event with one deeply nested field. */
function nested(random: Random, kafkaMs: number): Uint8Array {
  const depth = random.pick([10, 1000, 4000, 9000]);
  const [open, close] = random.pick([["[", "]"], ['{"0":', "}"], ['[{"":', "}]"]] as const);
  const value = `${open.repeat(depth)}${random.pick(["1", "null", "", '"\\ud800"'])}${
    close.repeat(depth - random.below(2))
  }`;
  return event({ timestamp: kafkaMs }, random.pick([...FIELDS, "extra"]), value);
}

/** An event of exactly the maximum size, or one byte more or less. */
function large(random: Random, kafkaMs: number, unique: () => string): Uint8Array {
  const fields = { eventId: unique(), timestamp: kafkaMs, extra: "" };
  const length = 65_536 - event(fields).length + random.pick([-1, 0, 1, 2000]);
  return event({ ...fields, extra: "x".repeat(length) });
}
