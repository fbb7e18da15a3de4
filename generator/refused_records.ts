/**
 * Records that cannot be events. Each is refused for exactly one reason.
 * @module
 */
import {
  type ClickEvent,
  MAX_AHEAD_MS,
  MAX_EVENT_BYTES,
  RECORD_REASONS,
  type RecordReason,
} from "../processor/event.ts";
import { type Random, WeightedChoice } from "./random.ts";

/** What a refused record is made from. */
export interface Good {
  /** An event that would be accepted. */
  readonly event: ClickEvent;
  /** The Kafka timestamp of its record, epoch milliseconds. */
  readonly kafkaMs: number;
  /** Days for which events are kept. */
  readonly keepDays: number;
}

/** Ways to make a record that is refused for a reason; a string is sent as UTF-8. */
type Ways = readonly ((good: Good, random: Random) => Uint8Array | string | null)[];

const DAY_MS = 86_400_000;

/** Days by which an expired event is at least older than the retention: enough for a longer retention than usual. */
const EXPIRED_DAYS = 400;

/** Invalid UTF-8: a stray byte, a lone continuation, an overlong NUL, a surrogate, a truncated sequence. */
const NOT_UTF8 = [[0xff], [0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]];

const WAYS: Readonly<Record<RecordReason, Ways>> = {
  empty: [() => null, () => new Uint8Array(0)],
  too_large: [
    ({ event }, random) => JSON.stringify({ ...event, note: "x".repeat(MAX_EVENT_BYTES + random.below(999)) }),
    (good) => padded(good, MAX_EVENT_BYTES + 1),
  ],
  not_utf8: NOT_UTF8.map((bytes) => ({ event }) => spoilt(event, bytes)),
  not_json: [
    ({ event }, random) => JSON.stringify(event).slice(0, -1 - random.below(40)),
    ({ event }) => `${JSON.stringify(event).slice(0, -1)},}`,
    ({ event }) => JSON.stringify(event).replaceAll('"', "'"),
    ({ event }) => `${JSON.stringify(event)}${JSON.stringify(event)}`,
    ({ event }) => `userId=${event.userId}&eventType=${event.eventType}`,
    () => "<html><body>502 Bad Gateway</body></html>",
  ],
  not_an_object: [
    ({ event }) => JSON.stringify([event]),
    ({ event }) => JSON.stringify(JSON.stringify(event)),
    ({ kafkaMs }) => String(kafkaMs),
    () => "null",
    () => "true",
  ],
  missing_field: (["userId", "eventType", "timestamp", "page"] as const).flatMap((field) => [
    change({ [field]: undefined }),
    change({ [field]: null }),
  ]),
  wrong_type: [
    change({ userId: 4711 }),
    change({ sessionId: ["a", "b"] }),
    change({ eventType: { name: "page_view" } }),
    change({ timestamp: true }),
    change({ page: 404 }),
    change({ device: 7 }),
    change({ region: { country: "DE" } }),
    change({ price: { amount: 12, currency: "EUR" } }),
    change({ quantity: [2] }),
    change({ campaign: false }),
  ],
  bad_value: [
    change({ eventId: "" }),
    change({ userId: "" }),
    change({ userId: "u".repeat(129) }),
    change({ sessionId: "s".repeat(129) }),
    change({ eventType: "Page View" }),
    change({ eventType: "9lives" }),
    change({ page: "" }),
    change({ page: `/${"x".repeat(2048)}` }),
    change({ page: "/\0" }),
    change({ region: "\ud83d" }),
    change({ region: "" }),
    change({ price: -1 }),
    change({ price: "twelve" }),
    change({ quantity: 0 }),
    change({ quantity: -2 }),
    change({ quantity: "two" }),
    change({ currency: "Euro" }),
  ],
  bad_timestamp: [
    change({ timestamp: "yesterday" }),
    change({ timestamp: "" }),
    change({ timestamp: "2026-02-30T12:00:00Z" }),
    change({ timestamp: "2026-11-24 12:00" }),
    change({ timestamp: "2026-11-24T12:00:00" }),
    change({ timestamp: "10000-01-01T00:00:00Z" }),
    change({ timestamp: -1 }),
    change({ timestamp: 253_402_300_800_000 }),
  ],
  from_the_future: [
    ({ event, kafkaMs }, random) => {
      const aheadMs = MAX_AHEAD_MS + Math.round(random.logUniform(1000, 3 * DAY_MS));
      return JSON.stringify({ ...event, timestamp: new Date(kafkaMs + aheadMs).toISOString() });
    },
  ],
  expired: [
    ({ event, kafkaMs, keepDays }, random) => {
      const ageMs = Math.max(keepDays + 1, EXPIRED_DAYS) * DAY_MS + random.below(30 * DAY_MS);
      return JSON.stringify({ ...event, timestamp: kafkaMs - ageMs });
    },
  ],
};

/** Weights of the reasons. A record that is too large outweighs hundreds of others, so it is rare. */
const OFTEN = new WeightedChoice(RECORD_REASONS.map((reason) => [reason, reason === "too_large" ? 0.02 : 1] as const));

const encoder = new TextEncoder();

/**
 * Reasons of the next records. Each reason comes up once first, so that even a few refused records show all of them.
 */
export class RefusedRecords {
  readonly #random: Random;
  #made = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Returns a refused record and its reason. */
  make(good: Good): { readonly reason: RecordReason; readonly value: Uint8Array | null } {
    const reason = RECORD_REASONS[this.#made++] ?? OFTEN.draw(this.#random);
    const message = this.#random.pick(WAYS[reason])(good, this.#random);
    return { reason, value: typeof message === "string" ? encoder.encode(message) : message };
  }
}

function change(fields: Readonly<Record<string, unknown>>): (good: Good) => string {
  return ({ event }) => JSON.stringify({ ...event, ...fields });
}

/** Pads an event to exactly this many bytes, to test the limit. */
function padded({ event }: Good, bytes: number): string {
  const text = JSON.stringify(event);
  return text + " ".repeat(bytes - encoder.encode(text).length);
}

/** Encodes an event with invalid UTF-8 in its page. */
function spoilt(event: ClickEvent, bytes: readonly number[]): Uint8Array {
  const mark = "\x7f";
  const text = encoder.encode(JSON.stringify({ ...event, page: `/${mark}` }));
  const at = text.indexOf(mark.charCodeAt(0));
  return Uint8Array.of(...text.subarray(0, at), ...bytes, ...text.subarray(at + 1));
}
