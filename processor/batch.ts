/**
 * Events as columns. A batch holds up to `BATCH_EVENTS` events; strings are codes into dictionaries that live as long as
 * a commit, so memory is bounded by the commit and not by the number of users.
 * @module
 */

/** Most events in one batch. */
export const BATCH_EVENTS = 8192;

/** Code of an absent string. */
export const NONE = -1;

/** Strings seen since the last commit, each once; its code is its place. */
export class Dictionary {
  readonly strings: string[] = [];
  readonly #codes = new Map<string, number>();

  /** The code of `text`, or `NONE` if it has not been seen. */
  find(text: string): number {
    return this.#codes.get(text) ?? NONE;
  }

  /** The code of `text`, the same for equal strings. */
  intern(text: string): number {
    let code = this.#codes.get(text);
    if (code === undefined) {
      code = this.strings.length;
      this.strings.push(text);
      this.#codes.set(text, code);
    }
    return code;
  }
}

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
  /** `eventId` as sent, or null: then topic, partition and offset stand in (see `id`). */
  readonly ids: (string | null)[] = [];
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
    this.price = new Float64Array(capacity);
    this.quantity = new Float64Array(capacity);
    this.revenue = new Float64Array(capacity);
    this.codes = Object.fromEntries(CODED.map((name) => [name, new Int32Array(capacity)])) as Record<Coded, Int32Array>;
  }

  /** Identity of event `i`: its `eventId`, or `topic/partition/offset`. */
  id(i: number): string {
    return this.ids[i] ?? `${this.words.topic}/${this.partition[i]}/${this.offset[i]}`;
  }

  /** The string of event `i` in a coded column, or null where absent. */
  text(column: Coded, i: number): string | null {
    const code = this.codes[column][i]!;
    return code === NONE ? null : this.words[column].strings[code]!;
  }
}
