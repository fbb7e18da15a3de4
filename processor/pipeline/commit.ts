/**
 * What a pipeline commits, and the sink that takes it.
 * @module
 */
import { Batch } from "../columns/batch.ts";
import type { Gap } from "../records.ts";
import type { Refusal } from "../refusal.ts";
import type { Delta } from "../views/view.ts";

/** Where a partition stands in the sink. */
export interface Position {
  /** First offset that has not been committed. */
  readonly next: number;
  /** Where to read again from after a start, so that duplicates are told apart as if there had been none. */
  readonly replay: number;
  /** Largest event time committed, less the allowed delay, epoch milliseconds; null before the first event. */
  readonly watermark: number | null;
  /** The topic that the offsets belong to; null where it isn't known. */
  readonly topicId: string | null;
}

/**
 * How far a commit moves one partition. `consumed` is `stored + duplicates + refused`, and every offset from `from`, or
 * from `first`, to `next` is consumed, skipped, or in the gap.
 */
export interface Advance extends Position {
  readonly partition: number;
  /** Where the partition stood in the sink before; null if it had never been committed. */
  readonly from: number | null;
  /** Where reading the partition began, if it had never been committed; otherwise the same as `from`. */
  readonly first: number;
  /** Offsets that held no record to judge. */
  readonly skipped: number;
  /** Offsets that were gone before they could be read; null if none were. */
  readonly gap: Gap | null;
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
}

/** Everything learnt between two positions. Applied whole or not at all; stands until it has been. */
export interface Commit {
  readonly topic: string;
  /** The topic that was read; null where it isn't known. */
  readonly topicId: string | null;
  readonly advances: readonly Advance[];
  readonly deltas: readonly Delta[];
  /** Events to store one by one; null where the raw events aren't kept. */
  readonly events: readonly Batch[] | null;
  readonly refusals: readonly Refusal[];
}

/** Where rows and offsets are kept together. */
export interface Sink {
  /** The secret of the sink, under which whatever is told apart by its hash alone is hashed: `KEY_BYTES` bytes. */
  hashKey(): Promise<Uint8Array>;
  /** Positions of those of the partitions that have been committed before. */
  positions(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, Position>>;
  /**
   * Applies a commit whole.
   *
   * @throws {PositionsMoved} having changed nothing, if an `Advance.from` is no longer current, or of another topic
   */
  commit(commit: Commit): Promise<void>;
  close(): Promise<void>;
}

/** Another instance has committed past us: forget what we know and start from what it left. */
export class PositionsMoved extends Error {
  override readonly name: string = "PositionsMoved";
}

/** The sink refuses what a commit holds, and would again: one of its records is to blame. */
export class Unstorable extends Error {
  override readonly name = "Unstorable";
}

/** The world is down, slow or refusing: worth another try after a pause. */
export class Unavailable extends Error {
  override readonly name: string = "Unavailable";
}
