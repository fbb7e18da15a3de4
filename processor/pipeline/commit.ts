/**
 * What a pipeline commits, and the sink that takes it.
 * @module
 */
import { Batch } from "../columns/batch.ts";
import type { Gap } from "../records.ts";
import type { Refusal } from "../refusal.ts";
import type { Delta } from "../views/view.ts";
import { type Classification, type NotReadyKind, type RestartCause, RetryableError } from "./causes.ts";

/** What was committed last of a partition. */
export interface Committed {
  /** Next offset: the first that is not committed. */
  readonly next: number;
  /**
   * Epoch of the leader that wrote the record before `next`: with its offset, it tells this record from any other that a
   * later leader may have written there. Null if unknown.
   */
  readonly leaderEpoch: number | null;
}

/** Where a partition stands in the sink. */
export interface Position extends Committed {
  /** Offset to read from after a restart, so that duplicates are recognised as if there had been none. */
  readonly replay: number;
  /** Event-time watermark: largest event time − allowed delay, epoch milliseconds; null before the first event. */
  readonly watermark: number | null;
  /** Id of the topic of the offsets; null where it is unknown. */
  readonly topicId: string | null;
}

/** What a sink knows of a topic. */
export interface Positions {
  /**
   * How many positions of the topic `adopt-topic` has replaced so far. With it, an offset from before an adoption differs
   * from the same offset after it, which another record may have.
   */
  readonly adoptions: number;
  /** Positions of the partitions that have been committed before. */
  readonly byPartition: ReadonlyMap<number, Position>;
}

/**
 * How far a commit moves one partition. `consumed = stored + duplicates + refused`, and every offset from `first` to
 * `next` is consumed, skipped, or in the gap.
 */
export interface Advance extends Position {
  readonly partition: number;
  /** Next offset in the sink before the commit; null if the partition was never committed. */
  readonly from: number | null;
  /** The same as `from`, or where reading began if the partition was never committed. */
  readonly first: number;
  /** Offsets without a record to decode. */
  readonly skipped: number;
  /** Offsets that Kafka deleted before they were read; null if none. */
  readonly gap: Gap | null;
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
}

/** Everything between two positions. Applied as a whole or not at all; not changed until it has been applied. */
export interface Commit {
  readonly topic: string;
  /** Id of the topic that was read; null where it is unknown. */
  readonly topicId: string | null;
  /** `Positions.adoptions` when reading began. */
  readonly adoptions: number;
  readonly advances: readonly Advance[];
  readonly deltas: readonly Delta[];
  /** Raw events to store; null where they are not kept. */
  readonly events: readonly Batch[] | null;
  readonly refusals: readonly Refusal[];
}

/** Stores rows and offsets together. */
export interface Sink {
  /** The secret key of the sink for all hashes that stand for ids, `KEY_BYTES` bytes. */
  hashKey(): Promise<Uint8Array>;
  /** Positions of these partitions, from one snapshot. */
  positions(topic: string, partitions: readonly number[]): Promise<Positions>;
  /**
   * Applies a commit as a whole.
   *
   * @throws {PositionsMoved} and changes nothing, if an `Advance.from` is not the current offset, the topic is another, or
   * `adopt-topic` has replaced a position since reading began
   */
  commit(commit: Commit): Promise<void>;
  close(): Promise<void>;
}

/** Another instance has committed these partitions, or `adopt-topic` has replaced them: start again from the sink. */
export class PositionsMoved extends RetryableError {
  override readonly name: string = "PositionsMoved";
  override readonly kind = "conflict";
  override readonly restartCause: RestartCause = "positions_moved";
}

/** The sink rejects a commit and would reject it again, because of one of its records. */
export class Unstorable extends RetryableError {
  override readonly name = "Unstorable";
  override readonly kind = "postgres_refuses";
  override readonly restartCause = "unstorable";
}

/** Kafka or PostgreSQL is down, slow or refuses: worth a retry after a pause. */
export class Unavailable extends RetryableError {
  override readonly name: string = "Unavailable";
  override readonly kind: NotReadyKind;
  override readonly restartCause: RestartCause = "unavailable";

  constructor(message: string, { kind, ...options }: Classification) {
    super(message, options);
    this.kind = kind;
  }
}
