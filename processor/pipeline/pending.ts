/**
 * What has been read since the last commit, on its way into the next.
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
import type { Refusal } from "../refusal.ts";
import type { Delta, View } from "../views/view.ts";

/**
 * Most cents that are added up before a commit: sums of more than 2^53 would no longer be exact, and one event adds at
 * most `MAX_CENTS`.
 */
const MAX_PENDING_CENTS = 8e15;

/** Room for as many times the records of a commit is too much, as it is after much was caught up with. */
const ROOMY = 16;

/**
 * Events, folded as they come, and refusals. Its memory is as large as a commit's, and serves one commit after the other:
 * taking it anew each time would keep the garbage collector busier than anything else.
 */
export class Pending {
  /** Records taken: events, duplicates and refusals. */
  records = 0;
  refusals: Refusal[] = [];
  /** Time that folding has taken, in milliseconds. */
  foldMs = 0;
  /** Most records that it has held for a commit so far, which is what it has room for. */
  #most = 0;
  /** When the stored events happened, and when Kafka got them. */
  times = { event: new Times(), kafka: new Times() };
  #stored = 0;
  #cents = 0;
  #refusedBytes = 0;
  readonly #words: Dictionaries;
  readonly #folds: readonly Fold[];
  #kept: Batch[] = [];
  /** Batches that have been kept for a commit before. */
  #spare: Batch[] = [];
  readonly #keep: boolean;
  readonly #now: () => number;
  #batch: Batch;

  /**
   * @param keyed hashes under the key of the sink that the commit is for
   * @param storeEvents whether the events themselves go into the commit
   * @param now milliseconds on a clock that only goes forward
   */
  constructor(topic: string, keyed: KeyedHash, views: readonly View[], storeEvents: boolean, now: () => number) {
    this.#now = now;
    this.#words = dictionaries(topic, keyed, wantedBy(views, storeEvents));
    this.#folds = views.map((view) => fold(view, this.#words));
    this.#keep = storeEvents;
    this.#batch = new Batch(this.#words, 256);
  }

  /** Where the next event is to be written, at place `count`; `store` makes it count. */
  get batch(): Batch {
    return this.#batch;
  }

  /** Number of events stored. */
  get stored(): number {
    return this.#stored;
  }

  /** Counts the event just written. */
  store(): void {
    const batch = this.#batch;
    this.#stored++;
    this.#cents += batch.revenue[batch.count]!;
    batch.keep();
    if (batch.count === batch.capacity) this.#turnTimed();
  }

  /** Keeps a refusal for the commit. */
  refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    this.#refusedBytes += refusal.payload.length;
  }

  /** True when a commit must come first: sums could become inexact, or refused payloads fill the memory. */
  get full(): boolean {
    return this.#cents > MAX_PENDING_CENTS || this.#refusedBytes > 32 * 1024 * 1024;
  }

  /** The deltas of everything stored, and the batches if they were kept. Both stand until `clear`. */
  finish(): { deltas: readonly Delta[]; batches: readonly Batch[] } {
    if (this.#batch.count > 0) this.#turnTimed();
    return { deltas: this.#folds.map((fold) => fold.delta()), batches: this.#kept };
  }

  /** True if it has room for far more than it holds: then clearing it costs more than making another does. */
  get isOversized(): boolean {
    return this.records * ROOMY < this.#most;
  }

  /** Makes room for another commit, once what `finish` returned is no longer needed. */
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
        0;
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
      this.#batch = this.#spare.pop() ?? new Batch(this.#words, Math.min(BATCH_EVENTS, full.capacity * 4));
    }
    this.#batch.clear();
  }
}

/** What these views look at of each event, and the raw events if they are stored. */
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
