/**
 * Follows how far the service has committed each partition, and how long records waited for it.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Database } from "../../processor/postgres/database.ts";

/** Interval between queries, in milliseconds: a wait is overstated by at most this and the query's own time. */
const LOOK_EVERY_MS = 20;

/** The send times of the records of a partition, from an offset on. */
export interface SentTimes {
  readonly base: number;
  /** By offset - `base`, on the process's clock. */
  readonly ms: number[];
}

/** Watches the committed offsets until it is stopped. */
export class Watch {
  /** Committed offset by partition. */
  next = new Map<number, number>();
  /** Longest wait of a record of these partitions so far, in milliseconds, one that still waits included. */
  longestMs = 0;
  /** How often the committed offset of each of these partitions was seen to have moved. */
  readonly turns = new Map<number, number>();
  /** Waits of all records of these partitions that were committed, in milliseconds. */
  waitsMs: number[] = [];
  readonly #db: Database;
  readonly #topic: string;
  readonly #sent: ReadonlyMap<number, SentTimes>;
  readonly #seen = new Map<number, number>();
  readonly #over = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** When the first commit was seen: what waits for the start is not measured. */
  #firstMs: number | null = null;

  /** @param sent partitions whose records' waits are measured, from the first commit on */
  constructor(db: Database, topic: string, sent: ReadonlyMap<number, SentTimes>) {
    this.#db = db;
    this.#topic = topic;
    this.#sent = sent;
  }

  /** Records that are committed. */
  get consumed(): number {
    return this.next.values().reduce((sum, next) => sum + next, 0);
  }

  start(): void {
    this.#running = (async () => {
      while (!this.#over.signal.aborted) {
        await this.look();
        await setTimeout(LOOK_EVERY_MS, undefined, { signal: this.#over.signal }).catch(() => {});
      }
    })();
    // Reported by `stop`.
    this.#running.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  async look(): Promise<void> {
    const { rows } = await this.#db.query<{ partition: string; next: string }>(
      "select partition::text, next_offset::text as next from clickstream.progress where topic = $1::text",
      [this.#topic],
    );
    if (rows.length === 0) return;
    const nowMs = performance.now();
    const firstMs = this.#firstMs ??= nowMs;
    this.next = new Map(rows.map(({ partition, next }) => [Number(partition), Number(next)]));
    for (const [partition, { base, ms }] of this.#sent) {
      const next = this.next.get(partition) ?? 0;
      const seen = this.#seen.get(partition) ?? base;
      let at = seen;
      const waited = () => nowMs - Math.max(firstMs, ms[at - base]!);
      for (; at < next && at - base < ms.length; at++) {
        this.waitsMs.push(waited());
        this.longestMs = Math.max(this.longestMs, waited());
      }
      if (at - base < ms.length) this.longestMs = Math.max(this.longestMs, waited());
      if (at > seen) this.turns.set(partition, (this.turns.get(partition) ?? 0) + 1);
      this.#seen.set(partition, at);
    }
  }
}

/** A share of the waits, in milliseconds: 0.5 is the median. */
export function percentile(waitsMs: readonly number[], share: number): number {
  const sorted = waitsMs.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
