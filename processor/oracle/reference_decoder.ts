import { decimalsOf, limitOf } from "./money.ts";
import { type Fields, isStorable, millisecondsOfNumber, millisecondsOfText, smallestUnitsOf } from "./values.ts";

/** One Kafka record; `time` is its Kafka timestamp in epoch milliseconds. */
export interface OracleRecord {
  readonly offset: number;
  readonly value: Uint8Array | null;
  readonly time: number;
}

/** The values of an event; null for absent fields without a default. */
export interface OracleEvent {
  readonly eventId: string | null;
  readonly userId: string;
  readonly sessionId: string | null;
  readonly eventType: string;
  readonly timeMs: number;
  readonly page: string;
  readonly device: string;
  readonly region: string;
  readonly referrer: string | null;
  readonly productId: string | null;
  readonly campaign: string | null;
  readonly priceCents: bigint | null;
  readonly quantity: number;
  readonly currency: string | null;
  readonly revenueCents: bigint;
  readonly userAgent: string | null;
  readonly orderId: string | null;
}

/** Why a record is not an event: a reason of the contract's closed set, and the invalid field if there is one. */
export class Refused extends Error {
  constructor(readonly reason: string, readonly field: string | null) {
    super(field === null ? reason : `${reason} in ${field}`);
  }
}

const LARGEST_BYTES = 64 * 1024;
const AHEAD_MS = 5 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const DEVICES = ["desktop", "mobile", "tablet"];

/**
 * The event in a record, by the contract's sections 1 and 2; throws `Refused` if there is none.
 *
 * @param shop the shop's currency, if it has one: then a price is in the smallest unit of its own currency, and is not
 * converted yet
 */
export function decodeRecord(record: OracleRecord, keepDays: number, shop?: string): OracleEvent {
  const event = eventOf(parse(record.value), shop);
  if (event.timeMs > record.time + AHEAD_MS) throw new Refused("from_the_future", "timestamp");
  if (event.timeMs < record.time - keepDays * DAY_MS) throw new Refused("expired", "timestamp");
  return event;
}

function parse(value: Uint8Array | null): Fields {
  if (value === null || value.length === 0) throw new Refused("empty", null);
  if (value.length > LARGEST_BYTES) throw new Refused("too_large", null);
  const json = jsonOf(textOf(value));
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Refused("not_an_object", null);
  return json as Fields;
}

function textOf(value: Uint8Array): string {
  try {
    return UTF8.decode(value);
  } catch {
    throw new Refused("not_utf8", null);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused("not_json", null);
  }
}

// Checks the fields in the order of the contract: the first error is the reason.
function eventOf(fields: Fields, shop: string | undefined): OracleEvent {
  const eventId = optionalText(fields, "eventId", 1, 128);
  const userId = needed("userId", optionalText(fields, "userId", 1, 128));
  const sessionId = optionalText(fields, "sessionId", 1, 128);
  const eventType = eventTypeOf(fields);
  const timeMs = timeOf(fields);
  const page = needed("page", optionalText(fields, "page", 1, 2048));
  const device = deviceOf(fields);
  const region = optionalText(fields, "region", 1, 64) ?? "unknown";
  const referrer = optionalText(fields, "referrer");
  const productId = optionalText(fields, "productId");
  const campaign = optionalText(fields, "campaign");
  const decimals = decimalsOf(typeof fields["currency"] === "string" ? fields["currency"] : null, shop);
  const priceCents = priceOf(fields, decimals);
  const quantity = quantityOf(fields);
  const revenueCents = eventType === "purchase" ? (priceCents ?? 0n) * BigInt(quantity) : 0n;
  if (revenueCents > limitOf(decimals)) throw new Refused("bad_value", "price");
  const currency = currencyOf(fields);
  const userAgent = optionalText(fields, "userAgent", 1, 1024);
  const orderId = optionalText(fields, "orderId", 1, 128);
  return {
    ...{ eventId, userId, sessionId, eventType, timeMs, page, device, region, referrer, productId, campaign },
    ...{ priceCents, quantity, currency, revenueCents, userAgent, orderId },
  };
}

function eventTypeOf(fields: Fields): string {
  const eventType = needed("eventType", typed(fields, "eventType", "string"));
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(eventType)) throw new Refused("bad_value", "eventType");
  return eventType;
}

function timeOf(fields: Fields): number {
  const timestamp = needed("timestamp", numberOrText(fields, "timestamp"));
  const timeMs = typeof timestamp === "number" ? millisecondsOfNumber(timestamp) : millisecondsOfText(timestamp);
  if (timeMs === undefined) throw new Refused("bad_timestamp", "timestamp");
  return timeMs;
}

function deviceOf(fields: Fields): string {
  const device = typed(fields, "device", "string");
  if (device === null) return "unknown";
  return DEVICES.includes(device) ? device : "other";
}

function priceOf(fields: Fields, decimals: number): bigint | null {
  const price = numberOrText(fields, "price");
  if (price === null) return null;
  const cents = smallestUnitsOf(price, decimals);
  if (cents === undefined || cents > limitOf(decimals)) throw new Refused("bad_value", "price");
  return cents;
}

function quantityOf(fields: Fields): number {
  const sent = numberOrText(fields, "quantity") ?? 1;
  const quantity = typeof sent === "string" && !/^[0-9]+$/.test(sent) ? NaN : Number(sent);
  if (!Number.isSafeInteger(quantity) || quantity < 1) throw new Refused("bad_value", "quantity");
  return quantity;
}

function currencyOf(fields: Fields): string | null {
  const currency = typed(fields, "currency", "string");
  if (currency !== null && !/^[A-Z]{3}$/.test(currency)) throw new Refused("bad_value", "currency");
  return currency;
}

function optionalText(fields: Fields, name: string, shortest = 0, longest = Infinity): string | null {
  const text = typed(fields, name, "string");
  if (text === null) return null;
  if (text.length < shortest || text.length > longest || !isStorable(text)) throw new Refused("bad_value", name);
  return text;
}

function needed<T>(name: string, value: T | null): T {
  if (value === null) throw new Refused("missing_field", name);
  return value;
}

function numberOrText(fields: Fields, name: string): number | string | null {
  return typeof fields[name] === "number" ? typed(fields, name, "number") : typed(fields, name, "string");
}

function typed(fields: Fields, name: string, type: "string"): string | null;
function typed(fields: Fields, name: string, type: "number"): number | null;
function typed(fields: Fields, name: string, type: "string" | "number"): unknown {
  // `null` counts as absent.
  const value = fields[name] ?? null;
  if (value !== null && typeof value !== type) throw new Refused("wrong_type", name);
  return value;
}
