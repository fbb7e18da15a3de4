/**
 * The contract between the simulator or a real shop and the processor: one UTF-8 JSON object per Kafka record, keyed by
 * `userId`.
 * @module
 */

/** An event as it is sent: the fields of one JSON object on the topic. `null` counts as absent. */
export interface ClickEvent {
  readonly eventId?: string | null;
  readonly userId: string;
  readonly sessionId?: string | null;
  readonly eventType: string;
  /** ISO 8601 with zone, extended or basic, in RFC 3339's notation too; or epoch milliseconds. */
  readonly timestamp: string | number;
  readonly page: string;
  readonly device?: string | null;
  readonly region?: string | null;
  readonly referrer?: string | null;
  readonly productId?: string | null;
  readonly campaign?: string | null;
  /** Unit price in `currency`: a number, or a decimal string. */
  readonly price?: number | string | null;
  /** A whole number from 1, or its decimal string. */
  readonly quantity?: number | string | null;
  readonly currency?: string | null;
  /** What the client calls itself, as HTTP's header of this name. */
  readonly userAgent?: string | null;
  /** The order that a purchase belongs to. */
  readonly orderId?: string | null;
}

/** Largest record value that can be an event, in bytes. */
export const MAX_EVENT_BYTES = 64 * 1024;

/**
 * Largest price, and largest revenue of one event, in cents: ten billion units of the currency. This keeps sums exact;
 * it takes millions of such events to fill a `bigint`.
 */
export const MAX_CENTS = 1e12;

/** How far an event may lie ahead of its record's Kafka timestamp, in milliseconds. */
export const MAX_AHEAD_MS = 5 * 60_000;

/** First instant after the years that an event may be in (1970 to 9999), in epoch milliseconds. */
export const END_OF_TIME_MS = 253_402_300_800_000;

/** Known devices; others count as `other`. */
export const DEVICES: ReadonlySet<string> = new Set(["desktop", "mobile", "tablet"]);

/** The event type whose events have revenue. */
export const PURCHASE = "purchase";

/** The rules for a field of an event; `null` counts as absent. */
export interface FieldRule {
  readonly required?: true;
  /** Whether it may be a number as well as a string. */
  readonly number?: true;
  /** Longest text, in UTF-16 code units; the shortest is then 1. */
  readonly maxLength?: number;
  /** The allowed form of the text, as a pattern and in words. */
  readonly form?: { readonly pattern: RegExp; readonly words: string };
  /** Smallest and largest number. */
  readonly least?: number;
  readonly most?: number;
  /** The value that replaces an absent field. */
  readonly absent?: string | number;
  /** The texts that keep their value, and the value of all others. */
  readonly among?: ReadonlySet<string>;
  readonly other?: string;
}

const MAX_ID_LENGTH = 128;

/** The fields of an event and their rules; this is their only definition. */
export const FIELDS = {
  eventId: { maxLength: MAX_ID_LENGTH },
  userId: { required: true, maxLength: MAX_ID_LENGTH },
  sessionId: { maxLength: MAX_ID_LENGTH },
  eventType: {
    required: true,
    form: {
      pattern: /^[a-z][a-z0-9_]{0,63}$/,
      words: "1 to 64 small letters, digits and _, beginning with a letter, such as page_view",
    },
  },
  timestamp: { required: true, number: true },
  page: { required: true, maxLength: 2048 },
  device: { absent: "unknown", among: DEVICES, other: "other" },
  region: { maxLength: 64, absent: "unknown" },
  referrer: {},
  productId: {},
  campaign: {},
  price: { number: true, least: 0, most: MAX_CENTS / 100 },
  quantity: { number: true, least: 1, absent: 1 },
  currency: { form: { pattern: /^[A-Z]{3}$/, words: "three capitals, such as EUR" } },
  userAgent: { maxLength: 1024 },
  orderId: { maxLength: MAX_ID_LENGTH },
} as const satisfies { readonly [name in keyof ClickEvent]-?: FieldRule };

/** Why a record can't be an event: a closed set, in the order of the checks. */
export const RECORD_REASONS = [
  "empty",
  "too_large",
  "not_utf8",
  "not_json",
  "not_an_object",
  "missing_field",
  "wrong_type",
  "bad_value",
  "bad_timestamp",
  "from_the_future",
  "expired",
] as const;

/** One of `RECORD_REASONS`. */
export type RecordReason = typeof RECORD_REASONS[number];

/** Why something is refused: a record, or a batch of records that can't be read. */
export const REASONS = [...RECORD_REASONS, "unreadable_batch"] as const;

/** One of `REASONS`. */
export type Reason = typeof REASONS[number];

/** Path, query string, and a fragment that is a hash route, up to its own query string or fragment. */
const PAGE_PARTS = /^([^?#]*)(?:\?[^#]*)?(#!?\/[^?#]*)?/;

/**
 * The page that reports group by: without query string and fragment, but with a hash route, which is a fragment that
 * begins with `/` or `!/`; `/` if nothing is left.
 *
 * @param hashRoutes false: no fragment is a route
 */
export function cutPage(page: string, hashRoutes: boolean): string {
  const [, path, route] = PAGE_PARTS.exec(page)!;
  return (hashRoutes && route !== undefined ? path! + route : path!) || "/";
}
