/**
 * Events as columns. A batch holds up to `BATCH_EVENTS` events; strings are codes into dictionaries that live as long as
 * a commit, so memory is bounded by the commit and not by the number of users.
 * @module
 */

import { Dictionary, NONE } from "./dictionary.ts";

/** Most events in one batch. */
export const BATCH_EVENTS = 8192;

/** What a view may group or filter by. `page` is the page without query string and fragment. */
export const DIMENSIONS = ["type", "user", "session", "page", "device", "region"] as const;

/** One of `DIMENSIONS`. */
export type Dimension = typeof DIMENSIONS[number];

/** Columns of codes: the dimensions, and what is only kept with the raw event. */
export const CODED = [...DIMENSIONS, "sentPage", "referrer", "product", "campaign", "currency"] as const;

/** One of `CODED`. */
export type Coded = typeof CODED[number];

/** What a measure may add up. */
export type Quantity = "revenue";

/** The dictionaries of one commit, and the topic that its events came from. */
export type Dictionaries = { readonly topic: string } & { readonly [column in Coded]: Dictionary };

/** Empty dictionaries for the next commit. */
export function dictionaries(topic: string): Dictionaries {
  const columns = Object.fromEntries(CODED.map((name) => [name, new Dictionary()])) as Record<Coded, Dictionary>;
  return { topic, ...columns };
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Up to `capacity` events, one place per event in every column. */
export class Batch {
  count = 0;
  readonly words: Dictionaries;
  readonly capacity: number;
  readonly partition: Int32Array;
  readonly offset: Float64Array;
  /** The record's Kafka timestamp, epoch milliseconds. */
  readonly kafkaTime: Float64Array;
  /** Event time, epoch milliseconds. */
  readonly time: Float64Array;
  /** The `eventId`s, one after the other in UTF-8: that of event `i` is `idBytes[idEnds[i - 1], idEnds[i])`. */
  idBytes: Uint8Array<ArrayBuffer>;
  readonly idEnds: Int32Array;
  /** Unit price in cents; NaN without one. */
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  /** Revenue in cents; 0 but for purchases. */
  readonly revenue: Float64Array;
  /** Codes into `words`, `NONE` where absent. */
  readonly codes: { readonly [column in Coded]: Int32Array };

  constructor(words: Dictionaries, capacity = BATCH_EVENTS) {
    this.words = words;
    this.capacity = capacity;
    this.partition = new Int32Array(capacity);
    this.offset = new Float64Array(capacity);
    this.kafkaTime = new Float64Array(capacity);
    this.time = new Float64Array(capacity);
    this.idBytes = new Uint8Array(capacity * 40);
    this.idEnds = new Int32Array(capacity);
    this.price = new Float64Array(capacity);
    this.quantity = new Float64Array(capacity);
    this.revenue = new Float64Array(capacity);
    this.codes = Object.fromEntries(CODED.map((name) => [name, new Int32Array(capacity)])) as Record<Coded, Int32Array>;
  }

  /** Where the `eventId` of event `i` begins in `idBytes`. */
  idStart(i: number): number {
    return i === 0 ? 0 : this.idEnds[i - 1]!;
  }

  /** Copies `bytes[start, end)` as the `eventId` of event `i`, after that of the one before; empty where it has none. */
  setId(i: number, bytes: Uint8Array, start: number, end: number): void {
    let at = this.idStart(i);
    if (at + end - start > this.idBytes.length) {
      const larger = new Uint8Array(Math.max(at + end - start, this.idBytes.length * 2));
      larger.set(this.idBytes);
      this.idBytes = larger;
    }
    for (let from = start; from < end; from++) this.idBytes[at++] = bytes[from]!;
    this.idEnds[i] = at;
  }

  /** Identity of event `i`: its `eventId`, or `topic/partition/offset`. */
  id(i: number): string {
    const start = this.idStart(i);
    const end = this.idEnds[i]!;
    if (start === end) return `${this.words.topic}/${this.partition[i]}/${this.offset[i]}`;
    return utf8.decode(this.idBytes.subarray(start, end));
  }

  /** The string of event `i` in a coded column, or null where absent. */
  text(column: Coded, i: number): string | null {
    const code = this.codes[column][i]!;
    return code === NONE ? null : this.words[column].text(code);
  }
}
