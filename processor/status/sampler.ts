/**
 * Samples of decoded events for the status page: a bounded number per second, and few unless a client is connected.
 * @module
 */
import { Batch, dictionaries } from "../columns/batch.ts";
import { JsonDecoder } from "../decode/json.ts";
import { KeyedHash, NO_KEY } from "../columns/keyed_hash.ts";
import type { Reason } from "../event.ts";
import type { Records } from "../records.ts";

/** A record as shown: an event or a refusal. Texts are cut. */
export interface Sample {
  readonly partition: number;
  readonly offset: number;
  /** Event time, or Kafka timestamp of a refused record, epoch milliseconds; null if it has none. */
  readonly time: number | null;
  readonly type: string | null;
  readonly user: string | null;
  readonly page: string | null;
  readonly device: string | null;
  readonly region: string | null;
  /** Revenue of a purchase; otherwise 0. */
  readonly revenueCents: number;
  /** Reason of a refusal; null for an event. */
  readonly reason: Reason | null;
  readonly detail: string | null;
}

/** Most samples of one worker per second, while a client is connected. */
export const SAMPLES_PER_SECOND = 50;

/**
 * Samples come in portions, so that they are not all of one moment: this often while a client is connected, and once a
 * second otherwise.
 */
const PORTIONS_PER_SECOND = 5;
const PORTION = SAMPLES_PER_SECOND / PORTIONS_PER_SECOND;

/** Number of samples that are kept for clients that come later. */
export const RECENT = 50;

/** Longest text shown, in UTF-16 code units. */
const SHOWN = 120;

/** Whether a client of the status page is connected; shared by all workers of a process. */
export class Watching {
  readonly #listeners = new Set<(on: boolean) => void>();
  #on = false;

  get on(): boolean {
    return this.#on;
  }

  set on(on: boolean) {
    if (on === this.#on) return;
    this.#on = on;
    for (const listener of this.#listeners) listener(on);
  }

  /** Reports every change until the signal is aborted. */
  tell(listener: (on: boolean) => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener));
  }
}

/** Chooses samples. */
export class Sampler {
  readonly #topic: string;
  readonly #decoder: JsonDecoder;
  readonly #keyed = new KeyedHash(NO_KEY);
  readonly #now: () => number;
  #portionNo = -1;
  #left = 0;

  /**
   * @param keepMs how much older than its Kafka timestamp an event may be, in milliseconds
   * @param now monotonic clock, in milliseconds
   */
  constructor(topic: string, keepMs: number, now: () => number) {
    this.#topic = topic;
    this.#decoder = new JsonDecoder(keepMs);
    this.#now = now;
  }

  /** Some of these records from index `from` on, evenly spread; fewer if no client is connected. */
  take(records: Records, from: number, isWatched: boolean): Sample[] {
    const portionNo = Math.floor(this.#now() * (isWatched ? PORTIONS_PER_SECOND : 1) / 1000);
    if (portionNo !== this.#portionNo) this.#left = PORTION;
    this.#portionNo = portionNo;
    const count = Math.min(this.#left, records.count - from);
    this.#left -= count;
    const step = (records.count - from) / count;
    try {
      return Array.from({ length: count }, (_, i) => this.#sample(records, from + Math.floor(i * step)));
    } catch {
      // Sampling must not stop counting.
      return [];
    }
  }

  #sample(records: Records, i: number): Sample {
    const batch = new Batch(dictionaries(this.#topic, this.#keyed), 1);
    const refusal = this.#decoder.decode(records, i, batch);
    const { partition } = records;
    const offset = records.offsets[i]!;
    const kafkaTime = records.times[i]! < 0 ? null : records.times[i]!;
    if (refusal !== null) {
      const { reason, detail } = refusal;
      const nothing = { type: null, user: null, page: null, device: null, region: null, revenueCents: 0 };
      return { partition, offset, time: kafkaTime, ...nothing, reason, detail: cut(detail) };
    }
    const text = (column: "type" | "user" | "page" | "device" | "region") => cut(batch.text(column, 0));
    return {
      partition,
      offset,
      time: batch.time[0]!,
      type: text("type"),
      user: text("user"),
      page: text("page"),
      device: text("device"),
      region: text("region"),
      revenueCents: batch.revenue[0]!,
      reason: null,
      detail: null,
    };
  }
}

/** The latest samples. A record that is read again is kept once. */
export class RecentSamples {
  readonly #samples = new Map<string, Sample>();

  /** The samples, oldest first. */
  get all(): readonly Sample[] {
    return [...this.#samples.values()];
  }

  add(samples: readonly Sample[]): void {
    for (const sample of samples) {
      const key = `${sample.partition}/${sample.offset}`;
      if (!this.#samples.has(key)) this.#samples.set(key, sample);
    }
    for (const key of this.#samples.keys()) {
      if (this.#samples.size <= RECENT) break;
      this.#samples.delete(key);
    }
  }

  /** Drops samples below these offsets; returns whether there were any. */
  dropBelow(offsets: readonly (readonly [partition: number, below: number])[]): boolean {
    const before = this.#samples.size;
    const limits = new Map(offsets);
    for (const [key, { partition, offset }] of this.#samples) {
      if (offset < (limits.get(partition) ?? 0)) this.#samples.delete(key);
    }
    return this.#samples.size < before;
  }

  clear(): void {
    this.#samples.clear();
  }
}

function cut(text: string | null): string | null {
  return text === null || text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1).toWellFormed()}…`;
}
