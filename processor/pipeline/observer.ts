/**
 * What a pipeline tells about its work.
 * @module
 */
import type { Commit, Position } from "./commit.ts";
import type { Times } from "./distribution.ts";
import type { Gap, Records } from "../records.ts";

/** Where the time went between two commits, in milliseconds. Taken per batch, for an event is too short to be timed. */
export interface StageTimings {
  /** Waiting for the source, while it was known to have more. */
  readonly readMs: number;
  readonly decodeMs: number;
  readonly foldMs: number;
  /** Making rows of what was folded. */
  readonly encodeMs: number;
  /** Kafka timestamp of the record that has waited longest, epoch milliseconds; null if none has one. */
  readonly oldest: number | null;
}

/** Adds up where the time goes between two commits. */
export class SpentTime {
  /** Waiting for the source, in milliseconds. */
  readMs = 0;
  #decodeMs = 0;
  #oldest = Infinity;

  /** Counts the time of decoding records, the first of them with this Kafka timestamp. */
  decode(ms: number, kafkaTime: number): void {
    this.#decodeMs += ms;
    if (kafkaTime >= 0) this.#oldest = Math.min(this.#oldest, kafkaTime);
  }

  /** The sums so far, and what folding and encoding took. */
  timings(foldMs: number, encodeMs: number): StageTimings {
    const oldest = this.#oldest === Infinity ? null : this.#oldest;
    return { readMs: this.readMs, decodeMs: this.#decodeMs, foldMs, encodeMs, oldest };
  }

  /** Begins again. */
  clear(): void {
    this.readMs = this.#decodeMs = 0;
    this.#oldest = Infinity;
  }
}

/** What a commit took, and how old its events are. */
export interface Timing {
  /** From the first of its records being read to its being sent to the sink, in milliseconds. */
  readonly waitedMs: number;
  /** The sink's part, in milliseconds. */
  readonly tookMs: number;
  /** Of its stored events: when they happened, and when Kafka got them. */
  readonly times: { readonly event: Times; readonly kafka: Times };
  /** Of its events those that may repeat one that lies too far back to be remembered: see `Duplicates`. */
  readonly unchecked: number;
}

/** Is told what happens, to show it. Must not throw. */
export interface Observer {
  /** A commit is sent off, and this is what it took to get there. */
  onBatchReady?(timings: StageTimings): void;
  /** A commit was applied. */
  committed?(commit: Commit, timing: Timing): void;
  /** The pipeline has started, or started again because of `cause`. */
  started?(partitions: ReadonlyMap<number, Position | null>, cause: unknown): void;
  /** An event came `latenessMs` after the watermark. */
  late?(latenessMs: number): void;
  /** What is known of a partition: `end`, its high watermark, less `next` is how many records are still to be read. */
  read?(partition: number, next: number, end: number): void;
  /** Records were decoded for the first time, from place `from` on; they can be looked at until this returns. */
  decoded?(records: Records, from: number): void;
  /** The group could not be told how far the sink has got. */
  groupCommitFailed?(error: unknown): void;
  /**
   * Committed records that are read again for their ids were deleted: nothing is lost, but repeats of these events can't
   * be recognised.
   */
  forgot?(partition: number, gap: Gap): void;
}
