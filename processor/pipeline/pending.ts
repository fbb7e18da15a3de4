/**
 * The content of the next commit.
 * @module
 */
import {
  Batch,
  BATCH_EVENTS,
  clear,
  type Dictionaries,
  dictionaries,
  EVERYTHING,
  type Wanted,
} from "../columns/batch.ts";
import { Times } from "./distribution.ts";
import { type Fold, fold } from "./fold.ts";
import type { KeyedHash } from "../columns/keyed_hash.ts";
import type { RunDecoder } from "../decode/decoder.ts";
import type { Refusal } from "../refusal.ts";
import type { Delta, View } from "../views/view.ts";

/**
 * Most cents in one commit: sums above 2^53 are not exact, and one event adds at most `MAX_CENTS`.
 */
const MAX_PENDING_CENTS = 8e15;

/** Most bytes of refused payloads in one commit, however much memory there is for texts. */
const MAX_REFUSED_BYTES = 32 * 1024 * 1024;

/**
 * What a distinct page takes besides its text, in bytes: a row of a view and of its rollup. A view by user has a row for
 * nearly each record, which the number of records bounds; pages are few, unless their addresses contain what is unique.
 */
const PAGE_BYTES = 1000;

/** A capacity of more than this many times the records is too much; it happens after catching up. */
const ROOMY = 16;

/** What the content of commits is made of. */
export interface PendingOptions {
  readonly topic: string;
  /** Hash under the key of the sink. */
  readonly keyed: KeyedHash;
  readonly views: readonly View[];
  /** Whether raw events go into the commit. */
  readonly storeEvents: boolean;
  /** Monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Has dictionaries and batches of its own. */
  readonly runs?: RunDecoder | undefined;
  /** Bytes of texts and refused payloads after which a commit is full. */
  readonly mostTextBytes: number;
}

/**
 * Folds events as they come, and keeps refusals. Its memory is reused from commit to commit: allocating it anew would
 * keep the garbage collector busier than anything else.
 */
export class Pending {
  /** Records read: events, duplicates and refusals. */
  records = 0;
  refusals: Refusal[] = [];
  /** Time spent folding, in milliseconds. */
  foldMs = 0;
  /** Most records of a commit so far, which is its capacity. */
  #most = 0;
  /** Event times and Kafka timestamps of the stored events. */
  times = { event: new Times(), kafka: new Times() };
  #stored = 0;
  #cents = 0;
  #refusedBytes = 0;
  #textBytes = 0;
  readonly #mostTextBytes: number;
  /** Bytes of each distinct page besides its text. */
  readonly #pageBytes: number;
  readonly #words: Dictionaries;
  readonly #folds: readonly Fold[];
  #kept: Batch[] = [];
  /** Batches of earlier commits, to be reused. */
  #spare: Batch[] = [];
  readonly #keep: boolean;
  readonly #runs: RunDecoder | undefined;
  readonly #now: () => number;
  #batch: Batch;

  constructor({ topic, keyed, views, storeEvents, now, runs, mostTextBytes }: PendingOptions) {
    this.#now = now;
    this.#runs = runs;
    this.#mostTextBytes = mostTextBytes;
    this.#pageBytes = views.some(({ by }) => by.includes("pagePath")) ? PAGE_BYTES : 0;
    const wanted = wantedBy(views, storeEvents);
    this.#words = runs?.dictionaries(topic, keyed, wanted) ?? dictionaries(topic, keyed, wanted);
    this.#folds = views.map((view) => fold(view, this.#words));
    this.#keep = storeEvents;
    this.#batch = this.#newBatch(256);
  }

  /** The batch to write the next event to, at index `count`; `store` keeps it. */
  get batch(): Batch {
    return this.#batch;
  }

  /** Number of stored events. */
  get stored(): number {
    return this.#stored;
  }

  /** Keeps the events just written. */
  store(events: number): void {
    const batch = this.#batch;
    this.#stored += events;
    const { revenue, count } = batch;
    for (let i = count; i < count + events; i++) this.#cents += revenue[i]!;
    batch.keep(events);
    // Not only with a full batch: its texts could be half a gigabyte.
    this.#textBytes = (this.#runs?.textBytes(this.#words) ?? 0) + this.#words.pagePath.count * this.#pageBytes;
    if (batch.count === batch.capacity) this.#turnTimed();
  }

  /** Keeps a refusal for the commit. */
  refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    this.#refusedBytes += refusal.payload.length;
  }

  /** True when a commit must come first, because sums could become inexact, or texts or refused payloads fill the memory. */
  get full(): boolean {
    return this.#cents > MAX_PENDING_CENTS || this.#refusedBytes > MAX_REFUSED_BYTES ||
      this.#textBytes + this.#refusedBytes > this.#mostTextBytes;
  }

  /** The deltas of all stored events, and the batches if raw events are stored. Both are valid until `clear`. */
  finish(): { deltas: readonly Delta[]; batches: readonly Batch[] } {
    if (this.#batch.count > 0) this.#turnTimed();
    this.#runs?.check();
    return { deltas: this.#folds.map((fold) => fold.delta()), batches: this.#kept };
  }

  /** True if its capacity is far larger than its content: then clearing costs more than allocating anew. */
  get isOversized(): boolean {
    return this.records * ROOMY < this.#most;
  }

  /** Prepares for another commit, once what `finish` returned is not needed any more. */
  clear(): void {
    this.#most = Math.max(this.#most, this.records);
    clear(this.#words);
    for (const fold of this.#folds) fold.clear();
    this.#batch.clear();
    this.#spare.push(...this.#kept);
    this.#kept = [];
    this.refusals = [];
    this.times = { event: new Times(), kafka: new Times() };
    this.records =
      this.foldMs =
      this.#stored =
      this.#cents =
      this.#refusedBytes =
      this.#textBytes =
        0;
  }

  /** Gives back memory outside the heap. It can't be used after that. */
  free(): void {
    this.#runs?.free(this.#words, [...new Set([this.#batch, ...this.#kept, ...this.#spare])]);
  }

  #newBatch(capacity: number): Batch {
    return this.#runs?.batch(this.#words, capacity) ?? new Batch(this.#words, capacity);
  }

  #turnTimed(): void {
    const sinceMs = this.#now();
    this.#turn();
    this.foldMs += this.#now() - sinceMs;
  }

  #turn(): void {
    const full = this.#batch;
    this.times.event.take(full.time, full.count);
    this.times.kafka.take(full.kafkaTime, full.count);
    for (const fold of this.#folds) fold.add(full);
    if (this.#keep) {
      this.#kept.push(full);
      this.#batch = this.#spare.pop() ?? this.#newBatch(Math.min(BATCH_EVENTS, full.capacity * 4));
    }
    this.#batch.clear();
  }
}

/** The columns that these views read, or all if raw events are stored. */
export function wantedBy(views: readonly View[], storeEvents: boolean): Wanted {
  if (storeEvents) return EVERYTHING;
  const measures = views.flatMap((view) => Object.values(view.measures));
  const filters = [...views.map(({ where }) => where), ...measures.map(({ where }) => where)];
  return {
    ids: measures.some(({ kind }) => kind === "first" || kind === "last"),
    sessions: views.some(({ by }) => by.includes("session")) || measures.some((measure) => measure.of === "session") ||
      filters.some((filter) => filter?.session !== undefined),
    events: false,
  };
}
