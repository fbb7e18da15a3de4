/**
 * The log that a pipeline reads.
 * @module
 */
import type { Records, Seek } from "../records.ts";
import type { Committed } from "./commit.ts";
import { ClassifiedError, type NotReadyKind, RetryableError } from "./causes.ts";

/** A log cut into partitions. */
export interface Source {
  readonly topic: string;
  /** The partitions to read, once the group has assigned them. */
  assigned(): Promise<readonly number[]>;
  /**
   * The id of the topic, as of the last `assigned`; a recreated topic has another. Null where it has none or is unknown.
   */
  topicId(): string | null;
  /**
   * Moves to these offsets: the next poll reads from there and nothing else.
   *
   * @param committed what was committed last of each partition; a log that no longer has it was truncated
   */
  seek(offsets: Seek, committed?: ReadonlyMap<number, Committed>): void;
  /**
   * Resolves with the records that have arrived, or with none after `maxWaitMs`.
   *
   * @throws {Rebalanced} when the consumer group rebalances
   * @throws {TopicChanged} when a log no longer has the record that was committed last
   */
  poll(maxWaitMs: number): Promise<readonly Records[]>;
  /** Commits offsets to the consumer group, for tools that show lag. The sink has the offsets that count. */
  committed(offsets: ReadonlyMap<number, number>): Promise<void>;
  close(): Promise<void>;
}

/** A source that passes every call on to another one; what differs is overridden. */
export class SourceAround implements Source {
  protected readonly inner: Source;

  constructor(inner: Source) {
    this.inner = inner;
  }

  get topic(): string {
    return this.inner.topic;
  }

  assigned(): Promise<readonly number[]> {
    return this.inner.assigned();
  }

  topicId(): string | null {
    return this.inner.topicId();
  }

  seek(offsets: Seek, committed?: ReadonlyMap<number, Committed>): void {
    this.inner.seek(offsets, committed);
  }

  poll(maxWaitMs: number): Promise<readonly Records[]> {
    return this.inner.poll(maxWaitMs);
  }

  committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    return this.inner.committed(offsets);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** The consumer group rebalanced: start again with the new assignment. */
export class Rebalanced extends RetryableError {
  override readonly name = "Rebalanced";
  override readonly kind: NotReadyKind;
  override readonly restartCause = "reassigned";

  /** @param kind another one where the group is not dividing, but lost */
  constructor(message: string, kind: NotReadyKind = "rebalancing") {
    super(message);
    this.kind = kind;
  }
}

/** How the topic differs from the one that the sink follows. */
export type TopicChange =
  /** Another topic has the name. */
  | { readonly kind: "recreated"; readonly topic: string; readonly followed: string; readonly found: string }
  /** A partition no longer has records that were read. */
  | {
    readonly kind: "truncated";
    readonly topic: string;
    readonly partition: number;
    /** First offset that has not been read. */
    readonly next: number;
    /** First offset that has no record any more, or another one; null if it is unknown. */
    readonly end: number | null;
    /** Whether other records are there now. */
    readonly isOverwritten: boolean;
  };

/** The command that accepts a changed topic. */
export const ADOPT = "clickstream adopt-topic";

/** A change in words. */
export function topicChangeInWords(change: TopicChange): string {
  if (change.kind === "recreated") {
    return `topic ${change.topic} was recreated: its id is ${change.found}, and the tables follow ${change.followed}. ` +
      "None of the new topic has been read.";
  }
  const { partition, topic, next, end, isOverwritten } = change;
  const where = `partition ${partition} of ${topic}`;
  return isOverwritten
    ? `${where} was truncated: it was read up to offset ${next}, and ${replacedFrom(end)} have been replaced by others.`
    : `${where} was truncated, or the topic was recreated: it was read up to offset ${next} and now ends at ${end}.`;
}

/** The records that were replaced, in words. */
export function replacedFrom(end: number | null): string {
  return end === null ? "some of these records" : `the records from offset ${end} on`;
}

/** The committed offsets belong to another log than Kafka has now. A retry does not help: somebody must accept the new log. */
export class TopicChanged extends ClassifiedError {
  override readonly name = "TopicChanged";
  override readonly kind = "topic_changed";
  readonly change: TopicChange;

  constructor(change: TopicChange) {
    super(`${topicChangeInWords(change)} To continue with the log that Kafka has now, run: ${ADOPT}`);
    this.change = change;
  }
}

/** What a worker knows of a partition that it reads; null where no broker has answered yet. */
export interface PartitionState {
  readonly partition: number;
  /** Offset where reading began. */
  readonly first: number | null;
  /** Next offset to read. */
  readonly next: number | null;
  /** High watermark. */
  readonly end: number | null;
  /** Last stable offset: records from here on wait for a transaction to end. */
  readonly stable: number | null;
  /** How many times its leader has answered. */
  readonly answers: number;
  /** True while a fetch waits for its leader. */
  readonly isAsked: boolean;
}
