/**
 * What the shop says happened: the one contract between generator and processor. One UTF-8 JSON object per Kafka
 * message, keyed by `userId`.
 * @module
 */

/** A click as it travels: the fields of one JSON object on the topic. `null` counts as absent. */
export interface ClickEvent {
  readonly eventId?: string | null;
  readonly userId: string;
  readonly sessionId?: string | null;
  readonly eventType: string;
  /** ISO 8601 with zone, extended or basic, as RFC 3339 allows it; or epoch milliseconds. */
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
}

/** Largest message value that can be an event, in bytes. */
export const MAX_EVENT_BYTES = 64 * 1024;

/**
 * Largest price, and largest revenue of one event, in cents: ten billion units of the currency. Bounded so that sums
 * stay exact, and so that it takes millions of them to fill a `bigint`.
 */
export const MAX_CENTS = 1e12;

/** How far an event may lie ahead of its record's Kafka timestamp, in milliseconds. */
export const MAX_AHEAD_MS = 5 * 60_000;

/** First instant past the years that an event may lie in (1970 to 9999), in epoch milliseconds. */
export const END_OF_TIME_MS = 253_402_300_800_000;

/** Devices that are told apart. */
export const DEVICES: ReadonlySet<string> = new Set(["desktop", "mobile", "tablet"]);

/** The event type whose events have revenue. */
export const PURCHASE = "purchase";

/** What a field of an event may hold; `null` counts as absent. */
export interface FieldRule {
  readonly required?: true;
  /** Whether it may be a number as well as a string. */
  readonly number?: true;
  /** Longest text, in UTF-16 code units. With it, the shortest is 1. */
  readonly maxLength?: number;
  /** What the text must look like, and that in words. */
  readonly form?: { readonly pattern: RegExp; readonly words: string };
  /** Least and largest number. */
  readonly least?: number;
  readonly most?: number;
  /** What stands in for it where it is absent. */
  readonly absent?: string | number;
  /** The texts that are told apart, and what all others count as. */
  readonly among?: ReadonlySet<string>;
  readonly other?: string;
}

const MAX_ID_LENGTH = 128;

/** The fields of an event, and what each may hold: the only place where that is said. */
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
} as const satisfies { readonly [name in keyof ClickEvent]-?: FieldRule };

/** Why a record can't be an event: a closed set, in the order in which a record is judged. */
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

/** Path, query string, and a fragment that is a hash route up to its own query string or fragment. */
const PAGE_PARTS = /^([^?#]*)(?:\?[^#]*)?(#!?\/[^?#]*)?/;

/**
 * The page by which pages are grouped: without query string and fragment, but with a hash route, which is a fragment
 * that begins with `/` or `!/`; `/` where nothing is left.
 *
 * @param hashRoutes false: no fragment is a route
 */
export function cutPage(page: string, hashRoutes: boolean): string {
  const [, path, route] = PAGE_PARTS.exec(page)!;
  return (hashRoutes && route !== undefined ? path! + route : path!) || "/";
}
