/**
 * What a pipeline reports about its work.
 * @module
 */
import type { RetryableError } from "./causes.ts";
import type { Commit, Position } from "./commit.ts";
import type { Times } from "./distribution.ts";
import type { Gap, Records } from "../records.ts";

/** Time per stage between two commits, in milliseconds. Measured per batch: a single event is too short to be timed. */
export interface StageTimings {
  /** Waiting for the source while it had more records. */
  readonly readMs: number;
  readonly decodeMs: number;
  readonly foldMs: number;
  /** Turning folded values into deltas. */
  readonly encodeMs: number;
  /** Oldest Kafka timestamp of the records, epoch milliseconds; null if none has one. */
  readonly oldest: number | null;
}

/** Adds up the time per stage between two commits. */
export class SpentTime {
  /** Waiting for the source, in milliseconds. */
  readMs = 0;
  #decodeMs = 0;
  #oldest = Infinity;

  /** Adds the time of decoding records, the first with this Kafka timestamp. */
  decode(ms: number, kafkaTime: number): void {
    this.#decodeMs += ms;
    if (kafkaTime >= 0) this.#oldest = Math.min(this.#oldest, kafkaTime);
  }

  /** The sums so far, with the time of folding and encoding. */
  timings(foldMs: number, encodeMs: number): StageTimings {
    const oldest = this.#oldest === Infinity ? null : this.#oldest;
    return { readMs: this.readMs, decodeMs: this.#decodeMs, foldMs, encodeMs, oldest };
  }

  /** Starts again from zero. */
  clear(): void {
    this.readMs = this.#decodeMs = 0;
    this.#oldest = Infinity;
  }
}

/** How long a commit took, and how old its events are. */
export interface Timing {
  /** From reading its first record to sending it to the sink, in milliseconds. */
  readonly waitedMs: number;
  /** Time in the sink, in milliseconds. */
  readonly tookMs: number;
  /** Event times and Kafka timestamps of its stored events. */
  readonly times: { readonly event: Times; readonly kafka: Times };
  /** Events that may be duplicates of forgotten ones: see `Duplicates`. */
  readonly unchecked: number;
}

/** Receives what a pipeline reports. Must not throw. */
export interface Observer {
  /** A commit is about to be sent. */
  onBatchReady?(timings: StageTimings): void;
  /** A commit was applied. */
  committed?(commit: Commit, timing: Timing): void;
  /** A commit failed with this error; the pipeline will start again, or end. */
  commitFailed?(commit: Commit, error: unknown): void;
  /** The pipeline started, or restarted because of `cause`. */
  started?(partitions: ReadonlyMap<number, Position | null>, cause: RetryableError | null): void;
  /** An event came `latenessMs` after the event-time watermark. */
  late?(latenessMs: number): void;
  /** Next offset and high watermark of a partition. */
  read?(partition: number, next: number, end: number): void;
  /** Records from index `from` on were decoded for the first time; valid until this returns. */
  decoded?(records: Records, from: number): void;
  /** Committing offsets to the consumer group failed. */
  groupCommitFailed?(error: unknown): void;
  /**
   * Committed records that were to be read again for their ids are deleted: nothing is lost, but duplicates of these
   * events are not recognised.
   */
  forgot?(partition: number, gap: Gap): void;
}
