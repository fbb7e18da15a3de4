/**
 * The load of the benchmarks: clicks of about 240 bytes. A few users are busy and many are rare (the probability of
 * rank `k` falls as `1/k`). Clicks are spread evenly over the event time; some are late. Equal options give equal
 * bytes.
 * @module
 */
import { Buffer } from "node:buffer";
import { Random } from "../generator/random.ts";
import type { Sendable } from "../testing/servers/load.ts";

/** Options of a load. */
export interface Load {
  readonly events: number;
  readonly users: number;
  /** Event time that the load covers, in milliseconds. */
  readonly spanMs: number;
  /** Share of events that are up to `LATE_MS` late. */
  readonly late: number;
  readonly seed: number;
}

/** A record of the load. */
export interface LoadedRecord extends Sendable {
  readonly value: Buffer;
  readonly eventType: string;
  /** Revenue of a purchase; 0 of any other event. */
  readonly revenueCents: number;
}

/** Start of the event time: a past Thursday morning, because brokers refuse timestamps from the future. */
export const FROM_MS = Date.UTC(2026, 9, 1, 9);

const LATE_MS = 20_000;
const PAGES = 1000;
const TYPES = ["search", "add_to_cart", "remove_from_cart", "checkout", "purchase"];
const DEVICES = ["desktop", "mobile", "tablet"];
const REGIONS = ["eu-west", "eu-north", "us-east", "us-west", "ap-south", "sa-east"];

/** Yields the records of a load in the order of sending. */
export function* recordsOf({ events, users, spanMs, late, seed }: Load): Generator<LoadedRecord> {
  const random = new Random(seed);
  for (let n = 0; n < events; n++) {
    const sentMs = FROM_MS + Math.floor(n / events * spanMs);
    const time = random.next() < late ? sentMs - Math.floor(random.next() * LATE_MS) : sentMs;
    // An integer with a uniformly distributed logarithm: rank k has the probability log(1 + 1/k) / log(users + 1).
    const user = Math.floor(Math.exp(random.next() * Math.log(users + 1)));
    const page = Math.floor(Math.exp(random.next() * Math.log(PAGES + 1)));
    const views = random.next() < 0.7;
    const type = views ? "page_view" : TYPES[Math.floor(random.next() ** 2 * TYPES.length)]!;
    const price = type === "purchase" || type === "add_to_cart" ? `,"price":${page}.99,"quantity":1` : "";
    const id = `${hex(random)}-${hex(random)}-${(n + 0x10000000).toString(16)}`;
    const key = `user-${user}`;
    const value = `{"eventId":"${id}","userId":"${key}","sessionId":"session-${user}","eventType":"${type}",` +
      `"timestamp":"${new Date(time).toISOString()}","page":"/products/${page}?from=list",` +
      `"device":"${DEVICES[user % 3]}","region":"${REGIONS[user % 6]}","productId":"p-${page}"${price}}`;
    const revenueCents = type === "purchase" ? page * 100 + 99 : 0;
    yield { key, value: Buffer.from(value), timestampMs: sentMs, eventType: type, revenueCents };
  }
}

function hex(random: Random): string {
  return Math.floor(random.next() * 0x100000000).toString(16).padStart(8, "0");
}
