/**
 * Events as columns. A batch holds up to `BATCH_EVENTS` events; strings are codes into dictionaries that live as long as
 * a commit, so memory is bounded by the commit and not by the number of users.
 * @module
 */

import { Arena } from "./arena.ts";
import { Dictionary, encoded, NONE, SLACK } from "./dictionary.ts";
import type { KeyedHash } from "./keyed_hash.ts";

/** Most events in one batch. */
export const BATCH_EVENTS = 8192;

/** What a view may group or filter by. `pagePath` is the page as `cutPage` cuts it. */
export const DIMENSIONS = ["type", "user", "session", "pagePath", "device", "region"] as const;

/** One of `DIMENSIONS`. */
export type Dimension = typeof DIMENSIONS[number];

/** Columns of codes: the dimensions, and what is only kept with the raw event, such as the page as it was sent. */
export const CODED = [...DIMENSIONS, "page", "referrer", "product", "campaign", "currency"] as const;

/** One of `CODED`. */
export type Coded = typeof CODED[number];

/** What a measure may add up. */
export type Quantity = "revenue";

/** What is looked at of each event. The other columns stay unwritten where that is quicker. */
export interface Wanted {
  /** The identity, which ids are compared by where two events happened at the same time. */
  readonly ids: boolean;
  readonly sessions: boolean;
  /** What is only kept with the raw event; with it, all. */
  readonly events: boolean;
}

/** All columns. */
export const EVERYTHING: Wanted = { ids: true, sessions: true, events: true };

/** The strings of one commit, and the topic that its events came from. */
export type Dictionaries =
  & {
    readonly topic: string;
    readonly wanted: Wanted;
    /** Hashes whatever is to be told apart by its hash alone: ids, and users in sets. */
    readonly keyed: KeyedHash;
    /** Identities of the events that count, in the order in which they came. */
    readonly ids: Arena;
  }
  & { readonly [column in Coded]: Dictionary };

/** Empty dictionaries for the next commit. */
export function dictionaries(topic: string, keyed: KeyedHash, wanted = EVERYTHING): Dictionaries {
  const columns = Object.fromEntries(CODED.map((name) => [name, new Dictionary(keyed)])) as Record<Coded, Dictionary>;
  return { topic, wanted, keyed, ids: new Arena(), ...columns };
}

/** Words of the hash of an `eventId`. */
export const ID_WORDS = 3;

/** Forgets all strings of a commit, and keeps the room that they had for another. */
export function clear(words: Dictionaries): void {
  words.ids.clear();
  for (const column of CODED) words[column].clear();
}

/** Up to `capacity` events, one place per event in every column. */
export class Batch {
  count = 0;
  readonly words: Dictionaries;
  /** Events of the commit that came before this batch: event `i` has place `first + i` in `words.ids`. */
  first: number;
  readonly capacity: number;
  readonly partition: Int32Array;
  readonly offset: Float64Array;
  /** The record's Kafka timestamp, epoch milliseconds. */
  readonly kafkaTime: Float64Array;
  /** Event time, epoch milliseconds. */
  readonly time: Float64Array;
  /** Keyed hash of the `eventId`, by which repetitions are told: `ID_WORDS` of each event, all 0 without one. */
  readonly idHash: Int32Array;
  /** Unit price in cents; NaN without one. */
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  /** Revenue in cents; 0 but for purchases. */
  readonly revenue: Float64Array;
  /** Codes into `words`, `NONE` where absent. */
  readonly codes: { readonly [column in Coded]: Int32Array };

  constructor(words: Dictionaries, capacity = BATCH_EVENTS) {
    this.words = words;
    this.first = words.ids.count;
    this.capacity = capacity;
    this.partition = new Int32Array(capacity);
    this.offset = new Float64Array(capacity);
    this.kafkaTime = new Float64Array(capacity);
    this.time = new Float64Array(capacity);
    this.idHash = new Int32Array(capacity * ID_WORDS);
    this.price = new Float64Array(capacity);
    this.quantity = new Float64Array(capacity);
    this.revenue = new Float64Array(capacity);
    this.codes = Object.fromEntries(CODED.map((name) => [name, new Int32Array(capacity)])) as Record<Coded, Int32Array>;
  }

  /** Sets the `eventId` of the event at place `count`: `[start, end)` of `view`, of this hash. */
  setId(view: DataView, start: number, end: number, a: number, b: number, c: number): void {
    if (this.words.wanted.ids) this.words.ids.set(this.first + this.count, view, start, end);
    const at = this.count * ID_WORDS;
    this.idHash[at] = a;
    this.idHash[at + 1] = b;
    this.idHash[at + 2] = c;
  }

  /** Gives the event at place `count` the identity of one without an `eventId`: where it lies in the log. */
  setPlaceAsId(): void {
    const place = encoded(`${this.words.topic}/${this.partition[this.count]}/${this.offset[this.count]}`);
    this.setId(place, 0, place.byteLength - SLACK, 0, 0, 0);
  }

  /** Counts the event that has been written at place `count`. */
  keep(): void {
    this.count++;
    this.words.ids.count++;
  }

  /** Makes room for the events that come after those in `words`, once those of this batch are no longer needed. */
  clear(): void {
    this.first = this.words.ids.count;
    this.count = 0;
  }

  /** Identity of event `i`: its `eventId`, or `topic/partition/offset`. */
  id(i: number): string {
    return this.words.ids.text(this.first + i);
  }

  /** The string of event `i` in a coded column, or null where absent. */
  text(column: Coded, i: number): string | null {
    const code = this.codes[column][i]!;
    return code === NONE ? null : this.words[column].text(code);
  }
}
