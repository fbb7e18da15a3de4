/**
 * Events as columns. A batch holds up to `BATCH_EVENTS` events; strings are codes into dictionaries that live for one
 * commit, so the commit bounds the memory, not the number of users.
 * @module
 */

import { Arena } from "./arena.ts";
import { encoded, SLACK, TextDictionary } from "./dictionary.ts";
import type { KeyedHash } from "./keyed_hash.ts";
import { type Dictionary, NONE, type Sequence } from "./strings.ts";

/** Most events in one batch. */
export const BATCH_EVENTS = 8192;

/**
 * Dimensions that a view may group or filter by. `pagePath` is the page as `cutPage` cuts it; `bot` is `true` if the
 * event's `userAgent` is on the list of bots. Decoders leave `bot` unwritten: it is marked before events are folded.
 */
export const DIMENSIONS = [
  ...["type", "user", "session", "pagePath", "device", "region", "product", "campaign", "currency", "bot"] as const,
] as const;

/** One of `DIMENSIONS`. */
export type Dimension = typeof DIMENSIONS[number];

/** Dimensions that an event may lack. */
export const OPTIONAL: readonly Dimension[] = ["session", "product", "campaign", "currency"];

/** Columns of codes: the dimensions, and other fields of raw events, such as the page as it was sent. */
export const CODED = [
  ...["type", "user", "session", "pagePath", "device", "region", "bot"] as const,
  ...["page", "referrer", "product", "campaign", "currency", "userAgent", "order"] as const,
] as const;

/** One of `CODED`. */
export type Coded = typeof CODED[number];

/** Quantities that a measure may sum or compare. Amounts are in minor units; the price is NaN where an event has none. */
export type Quantity = "revenue" | "price" | "unconverted";

/** The columns that are needed. Others may stay unwritten if that is faster. */
export interface Wanted {
  /** The identity, which breaks ties between events of the same time. */
  readonly ids: boolean;
  readonly sessions: boolean;
  /** The `userAgent`, by which events are marked as a bot's. */
  readonly agents: boolean;
  /** The currency, and the other fields of raw events that nothing above names; implies all others. */
  readonly events: boolean;
}

/** All columns. */
export const EVERYTHING: Wanted = { ids: true, sessions: true, agents: true, events: true };

/** The strings of one commit, and the topic of its events. */
export type Dictionaries =
  & {
    readonly topic: string;
    readonly wanted: Wanted;
    /** Hashes values that are compared by their hash alone: ids, and users in sets. */
    readonly keyed: KeyedHash;
    /** Identities of the counted events, in order of arrival. */
    readonly ids: Sequence;
  }
  & { readonly [column in Coded]: Dictionary };

/** Texts that always have the codes 0, 1, 2, … in the dictionary of a column: a mark's code is its value. */
export const FIXED: { readonly [column in Coded]?: readonly string[] } = { bot: ["false", "true"] };

/** Empty dictionaries for the next commit. */
export function dictionaries(topic: string, keyed: KeyedHash, wanted = EVERYTHING): Dictionaries {
  const columns = Object.fromEntries(CODED.map((name) => [name, new TextDictionary(keyed, FIXED[name])])) as Record<
    Coded,
    TextDictionary
  >;
  return { topic, wanted, keyed, ids: new Arena(), ...columns };
}

/** Words of the hash of an `eventId`. */
export const ID_WORDS = 3;

/** Removes all strings of a commit, and keeps their memory for the next. */
export function clear(words: Dictionaries): void {
  words.ids.clear();
  for (const column of CODED) words[column].clear();
}

/** The arrays of a batch, one value per event in each. */
export interface Columns {
  readonly partition: Int32Array;
  readonly offset: Float64Array;
  /** The record's Kafka timestamp, epoch milliseconds. */
  readonly kafkaTime: Float64Array;
  /** Event time, epoch milliseconds. */
  readonly time: Float64Array;
  /** Keyed hash of the `eventId`, for finding duplicates: `ID_WORDS` per event, all 0 without an `eventId`. */
  readonly idHash: Int32Array;
  /** Unit price in minor units of its currency; NaN if absent. */
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  /** Revenue in minor units, of the shop's currency once it is converted; 0 except for purchases. */
  readonly revenue: Float64Array;
  /** Codes into the dictionaries, `NONE` if absent. */
  readonly codes: { readonly [column in Coded]: Int32Array };
}

/** Columns of doubles, and of words besides the codes. */
const DOUBLES = 6;
const WORDS = 1 + ID_WORDS;

/** Columns in one piece of memory: allocating each by itself takes longer. */
function columnsFor(capacity: number): Columns {
  const memory = new ArrayBuffer(capacity * (8 * DOUBLES + 4 * (WORDS + CODED.length)));
  let at = 0;
  const numbers = () => {
    const column = new Float64Array(memory, at, capacity);
    at += column.byteLength;
    return column;
  };
  const integers = (length = capacity) => {
    const column = new Int32Array(memory, at, length);
    at += column.byteLength;
    return column;
  };
  return {
    offset: numbers(),
    kafkaTime: numbers(),
    time: numbers(),
    price: numbers(),
    quantity: numbers(),
    revenue: numbers(),
    partition: integers(),
    idHash: integers(capacity * ID_WORDS),
    codes: Object.fromEntries(CODED.map((name) => [name, integers()])) as Record<Coded, Int32Array>,
  };
}

/** A column of rows of events: its name, what it has of an event, and its type in PostgreSQL. */
export type EventColumn =
  & { readonly name: string }
  & (
    | { readonly of: "id" | Exclude<Coded, "bot">; readonly type: "text" }
    | { readonly of: "bot"; readonly type: "boolean" }
    | { readonly of: "partition"; readonly type: "integer" }
    | { readonly of: EventNumber; readonly type: "bigint" | "timestamptz" }
  );

/** A number of an event. */
type EventNumber = "offset" | "kafkaTime" | "time" | "price" | "quantity" | "revenue";

/** Rows of events, up to and without event `next` of their batch. */
export interface WrittenRows {
  readonly bytes: Uint8Array;
  readonly next: number;
}

/** The column of batches in which everything has a rate. */
const ALL_CONVERTED = new Float64Array(BATCH_EVENTS);

/** Up to `capacity` events, one value per event in every column. */
export class Batch implements Columns {
  count = 0;
  /** 1 for a purchase that has no rate, otherwise 0. Call `beginConversion` before writing it. */
  unconverted: Float64Array;
  readonly words: Dictionaries;
  /** Number of events of the commit before this batch: event `i` has index `first + i` in `words.ids`. */
  first: number;
  readonly capacity: number;
  readonly partition: Int32Array;
  readonly offset: Float64Array;
  readonly kafkaTime: Float64Array;
  readonly time: Float64Array;
  readonly idHash: Int32Array;
  readonly price: Float64Array;
  readonly quantity: Float64Array;
  readonly revenue: Float64Array;
  readonly codes: { readonly [column in Coded]: Int32Array };

  constructor(words: Dictionaries, capacity = BATCH_EVENTS, columns: Columns = columnsFor(capacity)) {
    this.words = words;
    this.first = words.ids.count;
    this.capacity = capacity;
    this.partition = columns.partition;
    this.offset = columns.offset;
    this.kafkaTime = columns.kafkaTime;
    this.time = columns.time;
    this.idHash = columns.idHash;
    this.price = columns.price;
    this.quantity = columns.quantity;
    this.revenue = columns.revenue;
    this.codes = columns.codes;
    this.unconverted = capacity > BATCH_EVENTS ? new Float64Array(capacity) : ALL_CONVERTED;
  }

  /** Gives the batch a column `unconverted` of its own. */
  beginConversion(): void {
    if (this.unconverted === ALL_CONVERTED) this.unconverted = new Float64Array(this.capacity);
  }

  /** Sets the `eventId` of the event at index `count`: `[start, end)` of `view`, with this hash. */
  setId(view: DataView, start: number, end: number, a: number, b: number, c: number): void {
    if (this.words.wanted.ids) this.words.ids.set(this.first + this.count, view, start, end);
    const at = this.count * ID_WORDS;
    this.idHash[at] = a;
    this.idHash[at + 1] = b;
    this.idHash[at + 2] = c;
  }

  /** Sets the identity of the event at index `count` to its position in the log; for events without an `eventId`. */
  setPlaceAsId(): void {
    const place = encoded(`${this.words.topic}/${this.partition[this.count]}/${this.offset[this.count]}`);
    this.setId(place, 0, place.byteLength - SLACK, 0, 0, 0);
  }

  /**
   * Events from index `from` on as rows in PostgreSQL's binary format, if the batch can write them itself; otherwise null.
   */
  rowsFrom(_from: number, _columns: readonly EventColumn[]): WrittenRows | null {
    return null;
  }

  /** Counts the events that were written from index `count` on. */
  keep(events = 1): void {
    this.count += events;
    this.words.ids.count += events;
  }

  /** Empties the batch, so that the next events follow those in `words`. */
  clear(): void {
    this.first = this.words.ids.count;
    this.count = 0;
  }

  /** Identity of event `i`: its `eventId`, or `topic/partition/offset`. */
  id(i: number): string {
    return this.words.ids.text(this.first + i);
  }

  /** The string of event `i` in a coded column, or null if absent. */
  text(column: Coded, i: number): string | null {
    const code = this.codes[column][i]!;
    return code === NONE ? null : this.words[column].text(code);
  }
}
