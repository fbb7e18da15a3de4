/**
 * Encodes events as JSON, in the ways that different clients write them. No event id is used twice.
 * @module
 */
import type { Campaign } from "./catalog.ts";
import type { Click } from "./journey.ts";
import { hash, scramble } from "./random.ts";
import type { Shopper } from "./shoppers.ts";

/** Referrer and campaign of a visit; null where unknown. */
export interface Origin {
  readonly referrer: string | null;
  readonly campaign: Campaign | null;
}

/** Fields that all events of one visit share, encoded once. */
export interface EncodedVisit {
  readonly shopper: Shopper;
  readonly origin: Origin;
  readonly head: string;
  readonly tail: string;
  /** What its purchases say of their order, which is one. */
  readonly order: string;
}

/** Size of the shared buffers. Allocating a buffer for every event would take longer than all other work. */
const BUFFER_BYTES = 64 * 1024;

/** Length of an event id, in bytes. */
const EVENT_ID_BYTES = 36;

const encoder = new TextEncoder();
const OPENING = encoder.encode('{"eventId":"');
const CLOSING = encoder.encode('",');
const DIGITS = encoder.encode("0123456789abcdef");
const BRACE = 123;
const DASH = 45;

/** Encodes the events of a run into its own buffers. Bytes that it has returned never change. */
export class EventEncoder {
  readonly #keys: readonly [number, number, number, number, number];
  #events = 0;
  #visits = 0;
  #buffer = new Uint8Array(BUFFER_BYTES);
  #used = 0;

  /** @param run numbers that identify the run: other numbers give other ids */
  constructor(...run: readonly number[]) {
    this.#keys = [hash(...run, 1), hash(...run, 2), hash(...run, 3), hash(...run, 4), hash(...run, 5)];
  }

  /** Prepares a visit, with a new session id if its client sends session ids. */
  visit(shopper: Shopper, origin: Origin): EncodedVisit {
    const { client, device, region, userAgent, userId } = shopper;
    const visit = this.#visitId();
    const sessionId = client.sendsSessionId ? `s-${visit}` : null;
    return {
      shopper,
      origin,
      head: `"userId":"${userId}"${optional("sessionId", sessionId)},"eventType":"`,
      tail: optional("device", device) + optional("region", region) +
        optional("campaign", origin.campaign?.name ?? null) +
        optional("userAgent", userAgent) + client.extra + "}",
      order: optional("orderId", client.terse ? null : `o-${visit}`),
    };
  }

  /**
   * Encodes an event as UTF-8, with a new event id if it is `identified`. The first event of a visit (`atEntry`) has
   * the referrer and campaign. Its fields may take at most 16 KiB.
   */
  encode(visit: EncodedVisit, click: Click, timeMs: number, atEntry: boolean, identified: boolean): Uint8Array {
    const fields = fieldsOf(visit, click, timeMs, atEntry);
    const mostBytes = OPENING.length + EVENT_ID_BYTES + CLOSING.length + 3 * fields.length;
    if (this.#used + mostBytes > BUFFER_BYTES) {
      this.#buffer = new Uint8Array(BUFFER_BYTES);
      this.#used = 0;
    }
    const buffer = this.#buffer;
    const start = this.#used;
    let at = start;
    if (identified) {
      buffer.set(OPENING, at);
      at += OPENING.length;
      this.#writeEventId(buffer, at);
      at += EVENT_ID_BYTES;
      buffer.set(CLOSING, at);
      at += CLOSING.length;
    } else buffer[at++] = BRACE;
    at += encoder.encodeInto(fields, buffer.subarray(at)).written;
    this.#used = at;
    return buffer.subarray(start, at);
  }

  /** Returns a new event id. */
  eventId(): string {
    const bytes = new Uint8Array(EVENT_ID_BYTES);
    this.#writeEventId(bytes, 0);
    return String.fromCharCode(...bytes);
  }

  /** Returns the id of a new visit. */
  #visitId(): string {
    return scramble(this.#visits++ ^ this.#keys[4]).toString(16).padStart(8, "0");
  }

  /** Writes a new event id as ASCII, in the form of a random UUID. */
  #writeEventId(bytes: Uint8Array, at: number): void {
    const n = this.#events++;
    // `a` and `b` together are a bijection of `n`, so ids are unique. `c` and `d` make ids differ between runs and look
    // random.
    const a = scramble(n ^ this.#keys[0]);
    const b = scramble(Math.floor(n / 2 ** 32) ^ a ^ this.#keys[1]);
    const c = scramble(a ^ this.#keys[2]);
    const d = scramble(b ^ c ^ this.#keys[3]);
    writeHex(a, 8, bytes, at);
    bytes[at + 8] = DASH;
    writeHex(b >>> 16, 4, bytes, at + 9);
    bytes[at + 13] = DASH;
    writeHex(((c >>> 16) & 0x0fff) | 0x4000, 4, bytes, at + 14);
    bytes[at + 18] = DASH;
    writeHex((c & 0x3fff) | 0x8000, 4, bytes, at + 19);
    bytes[at + 23] = DASH;
    writeHex(b, 4, bytes, at + 24);
    writeHex(d, 8, bytes, at + 28);
  }
}

/** Writes the last `digits` hexadecimal digits of a number. */
function writeHex(x: number, digits: number, bytes: Uint8Array, at: number): void {
  for (let i = at + digits - 1; i >= at; i--) {
    bytes[i] = DIGITS[x & 15]!;
    x >>>= 4;
  }
}

/** The fields of an event without its id, as JSON without the opening brace. */
function fieldsOf(visit: EncodedVisit, click: Click, timeMs: number, atEntry: boolean): string {
  const { shopper, origin, head, tail } = visit;
  const { client, currency } = shopper;
  const { referrer, campaign } = origin;
  const { eventType, page, product, quantity } = click;
  let text = `${head}${eventType}","timestamp":${timestamp(timeMs, client.timestamp)},"page":"${page}`;
  if (atEntry && campaign !== null && !page.includes("#")) {
    text += `${page.includes("?") ? "&" : "?"}${campaign.link}`;
  }
  text += '"';
  if (atEntry && referrer !== null) text += `,"referrer":"${referrer}"`;
  if (product !== null) {
    const price = client.decimalPrices ? `"${product.decimalPrice}"` : product.price;
    text += `,"productId":"${product.id}","price":${price}`;
    if (quantity !== null) text += `,"quantity":${quantity}`;
    if (!client.terse) text += `,"currency":"${currency}"`;
  }
  if (eventType === "purchase") text += visit.order;
  return text + tail;
}

function optional(field: string, value: string | null): string {
  return value === null ? "" : `,"${field}":"${value}"`;
}

function timestamp(timeMs: number, format: "iso" | "iso with offset" | "epoch"): string {
  if (format === "epoch") return String(timeMs);
  return format === "iso" ? `"${iso(timeMs)}Z"` : `"${iso(timeMs + 7_200_000)}+02:00"`;
}

/** The timestamp that was written last, up to its seconds. */
let lastSecond = NaN;
let lastText = "";

function iso(timeMs: number): string {
  const second = Math.floor(timeMs / 1000);
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toISOString().slice(0, 20);
    lastSecond = second;
  }
  return lastText + String(timeMs - second * 1000).padStart(3, "0");
}
