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
  type Dimension,
  EVERYTHING,
  type Wanted,
} from "../columns/batch.ts";
import { Times } from "./distribution.ts";
import { type Fold, fold } from "./fold.ts";
import { NONE } from "../columns/strings.ts";
import type { KeyedHash } from "../columns/keyed_hash.ts";
import type { RunDecoder } from "../decode/decoder.ts";
import { BatchConversion } from "./conversion.ts";
import type { Conversion } from "../currency.ts";
import { BotList } from "../measures/bot_list.ts";
import { CodeTable } from "../measures/measure.ts";
import type { Refusal } from "../refusal.ts";
import type { Delta, View } from "../views/view.ts";

/**
 * Most minor units in one commit: sums above 2^53 are not exact, and the few events that are stored at once add at most
 * `mostMinor` each.
 */
const MAX_PENDING_CENTS = 8e15;

/** Most bytes of refused payloads in one commit, however much memory there is for texts. */
const MAX_REFUSED_BYTES = 32 * 1024 * 1024;

/**
 * What a row of a view or of a rollup takes, and what the rows of a user take in all views by user, in bytes. They are
 * few for each record, unless addresses contain what is unique, or nearly each record is of another user.
 */
const ROW_BYTES = 500;
const USER_BYTES = 400;

/** What a distinct user agent takes besides its text, in bytes: it is looked up in the list of bots as a string. */
const AGENT_BYTES = 1000;

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
  /** Converts purchases to the shop's currency; without it, each counts as it was sent. */
  readonly conversion?: Conversion | undefined;
  /** Monotonic clock, in milliseconds. */
  readonly now: () => number;
  /** Has dictionaries and batches of its own. */
  readonly runs?: RunDecoder | undefined;
  /** Bytes of texts and refused payloads after which a commit is full. */
  readonly mostTextBytes: number;
}

/** Capacity of the first batch; after a full one comes one of four times its capacity, up to `BATCH_EVENTS`. */
const FIRST_EVENTS = 256;

/** What the events of a commit are written and folded to. */
interface Memory {
  readonly words: Dictionaries;
  readonly folds: readonly Fold[];
  readonly conversion: BatchConversion | null;
  /** By code of a user agent: 1 if it is on the list of bots. */
  readonly listed: CodeTable;
  /** Null until the next event. */
  batch: Batch | null;
  /** Capacity of the next batch that is made. */
  capacity: number;
}

/**
 * Folds events as they come, and keeps refusals. Its memory is reused from commit to commit: allocating it anew would
 * keep the garbage collector busier than anything else. Before the first event it has none.
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
  /** Bytes of each distinct text besides itself, by dimension. */
  readonly #besides: readonly (readonly [Dimension, number])[];
  readonly #options: PendingOptions;
  readonly #bots = new BotList();
  #memory: Memory | null = null;
  #kept: Batch[] = [];
  /** Batches of earlier commits, to be reused. */
  #spare: Batch[] = [];

  constructor(options: PendingOptions) {
    this.#options = options;
    this.#besides = besides(options.views);
  }

  /** The batch to write the next event to, at index `count`; `store` keeps it. */
  get batch(): Batch {
    const memory = this.#memory ??= this.#allocated();
    return memory.batch ?? this.#nextBatch(memory);
  }

  /** Number of stored events. */
  get stored(): number {
    return this.#stored;
  }

  /** Keeps the events just written. */
  store(events: number): void {
    const { words, conversion } = this.#memory!;
    const { batch } = this;
    this.#stored += events;
    const { revenue, count } = batch;
    conversion?.convert(batch, count, count + events);
    for (let i = count; i < count + events; i++) this.#cents += revenue[i]!;
    batch.keep(events);
    // Not only with a full batch: its texts could be half a gigabyte.
    let bytes = (this.#options.runs?.textBytes(words) ?? 0) + words.userAgent.count * AGENT_BYTES;
    for (const [dimension, each] of this.#besides) bytes += words[dimension].count * each;
    this.#textBytes = bytes;
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
      this.#textBytes + this.#refusedBytes > this.#options.mostTextBytes;
  }

  /** The deltas of all stored events, and the batches if raw events are stored. Both are valid until `clear`. */
  finish(): { deltas: readonly Delta[]; batches: readonly Batch[] } {
    const memory = this.#memory;
    if (memory !== null && memory.batch !== null && memory.batch.count > 0) this.#turnTimed();
    this.#options.runs?.check();
    return { deltas: memory?.folds.map((fold) => fold.delta()) ?? [], batches: this.#kept };
  }

  /** True if its capacity is far larger than its content: then clearing costs more than allocating anew. */
  get isOversized(): boolean {
    return this.records * ROOMY < this.#most;
  }

  /** Prepares for another commit, once what `finish` returned is not needed any more. */
  clear(): void {
    this.#most = Math.max(this.#most, this.records);
    if (this.#memory !== null) {
      const { words, folds, batch } = this.#memory;
      clear(words);
      for (const fold of folds) fold.clear();
      batch?.clear();
    }
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
    const memory = this.#memory;
    if (memory === null) return;
    const batches = new Set([...memory.batch === null ? [] : [memory.batch], ...this.#kept, ...this.#spare]);
    this.#options.runs?.free(memory.words, [...batches]);
  }

  #allocated(): Memory {
    const { topic, keyed, views, storeEvents, conversion, runs } = this.#options;
    const wanted = wantedBy(views, storeEvents || conversion !== undefined);
    const words = runs?.dictionaries(topic, keyed, wanted) ?? dictionaries(topic, keyed, wanted);
    return {
      words,
      folds: views.map((view) => fold(view, words)),
      conversion: conversion === undefined ? null : new BatchConversion(conversion, words),
      listed: new CodeTable(words.userAgent, (userAgent) => this.#bots.has(userAgent) ? 1 : 0),
      batch: null,
      capacity: FIRST_EVENTS,
    };
  }

  #nextBatch(memory: Memory): Batch {
    const { words, capacity } = memory;
    const batch = this.#spare.pop() ?? this.#options.runs?.batch(words, capacity) ?? new Batch(words, capacity);
    batch.clear();
    return memory.batch = batch;
  }

  #turnTimed(): void {
    const { now } = this.#options;
    const sinceMs = now();
    this.#turn(this.#memory!);
    this.foldMs += now() - sinceMs;
  }

  #turn(memory: Memory): void {
    const { folds } = memory;
    const full = memory.batch!;
    this.times.event.take(full.time, full.count);
    this.times.kafka.take(full.kafkaTime, full.count);
    if (memory.words.wanted.agents) markBots(full, memory.listed);
    for (const fold of folds) fold.add(full);
    if (!this.#options.storeEvents) return full.clear();
    if (full.count === full.capacity) memory.capacity = Math.min(BATCH_EVENTS, full.capacity * 4);
    this.#kept.push(full);
    memory.batch = null;
  }
}

/** Bytes of the rows of each distinct text, by dimension: one in each window that an event is in, and in each rollup. */
function besides(views: readonly View[]): (readonly [Dimension, number])[] {
  const bytes = new Map<Dimension, number>();
  for (const { by, window, rollups = [] } of views) {
    const rows = (window.kind === "hopping" ? window.widthMs / window.everyMs : 1) + rollups.length;
    for (const dimension of by) bytes.set(dimension, (bytes.get(dimension) ?? 0) + rows * ROW_BYTES);
  }
  if (bytes.has("user")) bytes.set("user", USER_BYTES);
  return [...bytes];
}

/**
 * Marks the events whose user agent is on the list of bots.
 *
 * @param listed by code of a user agent: 1 if it is on the list
 */
export function markBots({ count, codes: { userAgent, bot } }: Batch, listed: CodeTable): void {
  const flags = listed.values();
  for (let i = 0; i < count; i++) {
    const code = userAgent[i]!;
    bot[i] = code === NONE ? 0 : flags[code]!;
  }
}

/** The columns that these views read, or all if raw events need them. */
export function wantedBy(views: readonly View[], allFields: boolean): Wanted {
  const measures = views.flatMap((view) => Object.values(view.measures));
  const read = new Set<string>([
    ...views.flatMap(({ by, where = {} }) => [...by, ...Object.keys(where)]),
    ...measures.flatMap(({ of, where, steps = [] }) => [
      ...of === undefined ? [] : [of],
      ...[where, ...steps].flatMap((filter) => Object.keys(filter)),
    ]),
  ]);
  // An acquisition reads the page as it was sent, the referrer and the campaign.
  const isOfEvents = ["product", "campaign", "currency"].some((field) => read.has(field)) ||
    measures.some(({ kind }) => kind === "acquisition");
  if (allFields || isOfEvents) return EVERYTHING;
  return {
    ids: measures.some(({ kind }) => kind === "first" || kind === "last"),
    sessions: read.has("session"),
    agents: read.has("bot") || measures.some(({ kind }) => kind === "bot"),
    events: false,
  };
}
