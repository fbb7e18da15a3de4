/**
 * Hostile records: the kernel, the decoder with `JSON.parse` and the oracle must make the same of them.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Batch, dictionaries, EVERYTHING } from "../../columns/batch.ts";
import { JsonDecoder } from "../../decode/json.ts";
import { FIELDS, MAX_EVENT_BYTES } from "../../event.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { decodeRecord, type OracleEvent, Refused } from "../../oracle/reference_decoder.ts";
import { Duplicates, PIECE_LENGTHS } from "../../pipeline/duplicates.ts";
import type { Records } from "../../records.ts";
import type { Random } from "../../../generator/random.ts";
import { agreed } from "../agreement.ts";
import { testKeyed } from "../fakes/keyed.ts";
import { laidOut, message } from "../scan_inputs.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, type Target, textOf } from "./target.ts";

const KAFKA_MS = Date.UTC(2026, 10, 24, 12);
const DAY_MS = 86_400_000;
const KEEP_DAYS = 30;

/** Stands between the records of a case. It is no UTF-8, so no valid record contains it. */
const SEPARATOR = Uint8Array.of(0xff, 0xfe, 0xff);
/** Before a record, with an index of `TIMES`: its Kafka timestamp. */
const TIMED = 0xfd;
const TIMES = [-1, 0, 1, -9e18, 9e18, 2 ** 53, KAFKA_MS - 40 * DAY_MS, KAFKA_MS + 1e9, 253_402_300_799_999];

/** Longest `detail` of a refusal, in UTF-16 code units. */
const DETAIL_LENGTH = 600;
/** Most memory that the kernel ever takes for a few records at a time, in bytes. */
const KERNEL_BYTES = 64e6;

/** Bytes to records, decoded in three ways. */
export const records: Target = {
  name: "records",
  about: "kernel, JSON decoder and oracle agree on every record, and the kernel's guard words stay",
  open,
};

function open(): Opened {
  const kernel = new Kernel({ keepMs: KEEP_DAYS * DAY_MS });
  const runs = kernel.begin();
  const reference = new JsonDecoder(KEEP_DAYS * DAY_MS);
  const keyed = testKeyed();
  const finders = { kernel: runs.duplicates(PIECE_LENGTHS, 1), reference: new Duplicates(PIECE_LENGTHS) };
  const check = (input: Uint8Array) => {
    const sent = recordsOf(input);
    const all = laidOut(sent.map(({ value }) => value), Float64Array.from(sent, ({ time }) => time));
    const words = {
      kernel: runs.dictionaries("t", keyed, EVERYTHING),
      reference: dictionaries("t", keyed, EVERYTHING),
    };
    const { lines, duplicates } = agreed(kernel, runs, reference, all, finders, words, "hostile");
    runs.check();
    assert.equal(lines.length + duplicates, sent.length, "every record is an event, a duplicate or refused");
    assert.ok(runs.takenBytes < KERNEL_BYTES, `the kernel took ${runs.takenBytes} bytes`);
    return judged(all, reference);
  };
  return { draw, check };
}

interface Sent {
  readonly value: Uint8Array;
  readonly time: number;
}

function recordsOf(input: Uint8Array): Sent[] {
  const sent: Sent[] = [];
  for (let from = 0; from <= input.length;) {
    let to = input.indexOf(SEPARATOR[0]!, from);
    while (to >= 0 && !(input[to + 1] === SEPARATOR[1] && input[to + 2] === SEPARATOR[2])) {
      to = input.indexOf(SEPARATOR[0]!, to + 1);
    }
    if (to < 0) to = input.length;
    const bytes = input.subarray(from, to);
    const isTimed = bytes.length > 1 && bytes[0] === TIMED;
    sent.push(
      isTimed
        ? { value: bytes.subarray(2), time: TIMES[bytes[1]! % TIMES.length]! }
        : { value: bytes, time: KAFKA_MS + sent.length },
    );
    from = to + SEPARATOR.length;
  }
  return sent;
}

/** Compares the JSON decoder with the oracle, record by record; returns what the last one is. */
function judged(all: Records, decoder: JsonDecoder): string {
  const words = dictionaries("t", testKeyed(), EVERYTHING);
  const batch = new Batch(words, all.count + 1);
  let outcome = "nothing";
  for (let i = 0; i < all.count; i++) {
    const refusal = decoder.decode(all, i, batch);
    const value = all.bytes.subarray(all.starts[i], all.ends[i]);
    const expected = oracleOn(value, all.times[i]!);
    outcome = refusal?.reason ?? "event";
    if (refusal === null) {
      assert.ok(!(expected instanceof Refused), `the oracle refuses it: ${expected}`);
      compare(batch, expected, i);
    } else {
      assert.ok(expected instanceof Refused, "the oracle takes it");
      assert.equal(`${refusal.reason} ${refusal.field}`, `${expected.reason} ${expected.field}`);
      assert.ok(refusal.detail.length <= DETAIL_LENGTH, `a detail of ${refusal.detail.length} characters`);
      assert.ok(!refusal.detail.includes("\0") && refusal.detail.isWellFormed(), "PostgreSQL can't store its detail");
      assert.ok(Buffer.compare(refusal.payload, value.subarray(0, MAX_EVENT_BYTES)) === 0, "another payload");
    }
  }
  return outcome;
}

function oracleOn(value: Uint8Array, time: number): OracleEvent | Refused {
  try {
    // A record without a time has its event's own.
    return time < 0
      ? decodeRecord({ offset: 0, value, time: Infinity }, Infinity)
      : decodeRecord({ offset: 0, value, time }, KEEP_DAYS);
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

function compare(batch: Batch, expected: OracleEvent, offset: number): void {
  const text = (column: Parameters<Batch["text"]>[0]) => batch.text(column, 0);
  const cents = (value: number) => Number.isNaN(value) ? null : BigInt(value);
  const found: Omit<OracleEvent, "eventId"> = {
    ...{ userId: text("user")!, sessionId: text("session"), eventType: text("type")!, timeMs: batch.time[0]! },
    ...{ page: text("page")!, device: text("device")!, region: text("region")!, referrer: text("referrer") },
    ...{ productId: text("product"), campaign: text("campaign"), priceCents: cents(batch.price[0]!) },
    ...{ quantity: batch.quantity[0]!, currency: text("currency"), revenueCents: cents(batch.revenue[0]!)! },
    ...{ userAgent: text("userAgent"), orderId: text("order") },
  };
  const { eventId, ...fields } = expected;
  for (const name of Object.keys(found) as (keyof typeof found)[]) assert.equal(found[name], fields[name], name);
  assert.equal(batch.id(0), eventId ?? `t/3/${offset}`);
}

function draw(random: Random): Uint8Array {
  const count = random.chance(0.01) ? 65 + random.below(80) : 1 + random.below(8);
  const parts: Uint8Array[] = [];
  for (let n = 0; n < count; n++) {
    if (n > 0) parts.push(SEPARATOR);
    if (random.chance(0.03)) parts.push(Uint8Array.of(TIMED, random.below(TIMES.length)));
    const bytes = n > 0 && random.chance(0.03) ? parts.at(-2)! : record(random);
    if (random.chance(0.08)) parts.push(...cutInTwo(random, bytes));
    else parts.push(bytes);
  }
  return concat(parts);
}

function record(random: Random): Uint8Array {
  const usual = () => message(random, KAFKA_MS);
  switch (random.below(16)) {
    case 0:
      return mutated(random, usual(), 6, usual());
    case 1:
    case 2:
      return withField(random, random.pick(Object.keys(FIELDS)), strange(random));
    case 3:
      return withField(random, random.pick(["x", "", "__proto__", "userId\\u0000", "é"]), strange(random));
    case 4:
      // The same field twice: the last one counts.
      return withField(random, random.pick(Object.keys(FIELDS)), random.pick(['"u"', "1", "null", strange(random)]));
    case 5:
      return random.chance(0.02) ? large(random) : mutated(random, usual(), 2);
    case 6:
      return random.chance(0.3)
        ? Uint8Array.from({ length: random.below(80) }, () => random.below(256))
        : mutated(random, usual(), 1);
    default:
      return usual();
  }
}

/** A record as two, so that the bytes after the end of the first would complete it; often cut within an escape. */
function cutInTwo(random: Random, bytes: Uint8Array): Uint8Array[] {
  const escape = bytes.indexOf(0x5c, random.below(bytes.length + 1));
  const at = escape >= 0 && random.chance(0.8) ? escape + random.below(7) : random.below(bytes.length + 1);
  return [bytes.subarray(0, at), SEPARATOR, bytes.subarray(at)];
}

/** A usual record with one more field at either end. */
function withField(random: Random, name: string, json: string): Uint8Array {
  const usual = textOf(message(random, KAFKA_MS));
  const field = `"${name}":${json}`;
  return bytesOf(
    random.chance(0.5) ? usual.replace("{", () => `{${field},`) : usual.replace(/\}\s*$/, () => `,${field}}`),
  );
}

/** A strange value as JSON, or nearly. */
function strange(random: Random): string {
  switch (random.below(7)) {
    case 0: {
      const depth = random.pick([2, 30, 200, random.chance(0.02) ? 9_000 : 500]);
      const [open, close] = random.pick([["[", "]"], ['{"a":', "}"], ['[{"":', "}]"]] as const);
      return `${open.repeat(depth)}1${close.repeat(depth - random.below(2))}`;
    }
    case 1:
      return `${random.pick(["", "-"])}${"9".repeat(1 + random.below(400))}${
        random.pick(["", ".5", "e9", "e-400", "e400"])
      }`;
    case 2:
      return `0.${"0".repeat(random.below(350))}${random.below(1000)}`;
    case 3: {
      const escapes = ["\\ud83d", "\\ude00", "\\ud83d\\ude00", "\\u0000", "\\u001b", "\\n", "\\u00e9", "\\u12", "\\q"];
      return `"${Array.from({ length: random.below(9) }, () => random.pick(escapes)).join("")}"`;
    }
    case 4:
      // Every length around the width of a vector and the limits of fields.
      return `"${
        random.pick(["a", "é", "🛒"]).repeat(random.pick([15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129]))
      }"`;
    case 5:
      return JSON.stringify(random.pick(TOKENS)).replace(/^"|"$/g, () => random.chance(0.05) ? "" : '"');
    default:
      return random.pick([
        "tru",
        "nul",
        "NaN",
        "01",
        "1.",
        "-",
        "+1",
        ".5",
        "1e",
        "'a'",
        "{",
        "[",
        '"',
        "[1,]",
        '{"a"}',
      ]);
  }
}

/** A record of about the most bytes. */
function large(random: Random): Uint8Array {
  const usual = withField(random, "x", '"@"');
  const length = MAX_EVENT_BYTES - usual.length + random.pick([-1, 0, 1, 2, 1000]);
  return bytesOf(textOf(usual).replace("@", "x".repeat(length)));
}
