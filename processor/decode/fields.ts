/**
 * The fields of an event, as numbers and as bits.
 * @module
 */

/** Fields by number; the first is for those that are ignored. */
export const FIELDS = [
  "",
  "eventId",
  "userId",
  "sessionId",
  "eventType",
  "timestamp",
  "page",
  "device",
  "region",
  "referrer",
  "productId",
  "campaign",
  "price",
  "quantity",
  "currency",
] as const;
export const OTHER = 0;
export const ID = 1;
export const USER = 2;
export const SESSION = 3;
export const TYPE = 4;
export const TIMESTAMP = 5;
export const PAGE = 6;
export const DEVICE = 7;
export const REGION = 8;
export const REFERRER = 9;
export const PRODUCT = 10;
export const CAMPAIGN = 11;
export const PRICE = 12;
export const QUANTITY = 13;
export const CURRENCY = 14;
/** Stands for the beginning of the record, where a field that came before is asked for. */
export const BEGINNING = 15;
/** What is noted of one record, as a power of two: a place for each field. */
export const FIELD_BITS = 4;
export const FIELD_MASK = (1 << FIELD_BITS) - 1;

/** The fields that must be there, as bits. */
export const NEEDED = 1 << USER | 1 << TYPE | 1 << TIMESTAMP | 1 << PAGE;
/** Fields that may be a number. */
export const NUMERIC = 1 << TIMESTAMP | 1 << PRICE | 1 << QUANTITY;

export const FIELD_BY_NAME: ReadonlyMap<string, number> = new Map(
  FIELDS.map((name, field) => [name, field] as const).filter(([name]) => name !== ""),
);
