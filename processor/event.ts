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

/** Longest identity (`eventId`, `userId`, `sessionId`), in UTF-16 code units. */
export const MAX_ID_LENGTH = 128;

/** Longest `page`, in UTF-16 code units. */
export const MAX_PAGE_LENGTH = 2048;

/** Longest `region`, in UTF-16 code units. */
export const MAX_REGION_LENGTH = 64;

/**
 * Largest price, and largest revenue of one event, in cents: ten billion units of the currency. Bounded so that sums
 * stay exact, and so that it takes millions of them to fill a `bigint`.
 */
export const MAX_CENTS = 1e12;

/** How far an event may lie ahead of its record's Kafka timestamp, in milliseconds. */
export const MAX_AHEAD_MS = 5 * 60_000;

/** First instant past the years that an event may lie in (1970 to 9999), in epoch milliseconds. */
export const END_OF_TIME_MS = 253_402_300_800_000;

/** What an event type looks like. */
export const EVENT_TYPE = /^[a-z][a-z0-9_]{0,63}$/;

/** Devices that are told apart; any other text counts as `other`, and none as `unknown`. */
export const DEVICES: ReadonlySet<string> = new Set(["desktop", "mobile", "tablet"]);

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
