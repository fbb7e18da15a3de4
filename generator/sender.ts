/**
 * Events as JSON, in the ways in which clients write them.
 * @module
 */
import type { Click } from "./journey.ts";
import type { Shopper } from "./shoppers.ts";

/** Where a visit came from; null where it doesn't say. */
export interface Origin {
  readonly referrer: string | null;
  readonly campaign: string | null;
}

/** Writes the events of one visit. */
export class Sender {
  readonly #shopper: Shopper;
  readonly #origin: Origin;
  /** What all its events have in common, ready to be put between the rest. */
  readonly #head: string;
  readonly #tail: string;

  constructor(shopper: Shopper, sessionId: string | null, origin: Origin) {
    const { client, device, region, userId } = shopper;
    this.#shopper = shopper;
    this.#origin = origin;
    this.#head = `"userId":"${userId}"${optional("sessionId", sessionId)},"eventType":"`;
    this.#tail = optional("device", device) + optional("region", region) + optional("campaign", origin.campaign) +
      client.extra + "}";
  }

  /**
   * The fields of an event but for its identity, as JSON without the first brace. The first event of a visit says where
   * it came from.
   */
  fields({ eventType, page, product, quantity }: Click, timeMs: number, atEntry: boolean): string {
    const { client, currency } = this.#shopper;
    const { referrer, campaign } = this.#origin;
    let text = `${this.#head}${eventType}","timestamp":${timestamp(timeMs, client.timestamp)},"page":"${page}`;
    if (atEntry && campaign !== null && !page.includes("#")) {
      text += `${page.includes("?") ? "&" : "?"}utm_campaign=${campaign}`;
    }
    text += '"';
    if (atEntry && referrer !== null) text += `,"referrer":"${referrer}"`;
    if (product !== null) {
      const price = client.decimalPrices ? `"${product.decimalPrice}"` : product.price;
      text += `,"productId":"${product.id}","price":${price}`;
      if (quantity !== null) text += `,"quantity":${quantity}`;
      if (!client.terse) text += `,"currency":"${currency}"`;
    }
    return text + this.#tail;
  }
}

function optional(field: string, value: string | null): string {
  return value === null ? "" : `,"${field}":"${value}"`;
}

function timestamp(timeMs: number, format: "iso" | "iso with offset" | "epoch"): string {
  if (format === "epoch") return String(timeMs);
  return format === "iso" ? `"${iso(timeMs)}Z"` : `"${iso(timeMs + 7_200_000)}+02:00"`;
}

/** Of the second that was written last, all that comes before its milliseconds. */
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
