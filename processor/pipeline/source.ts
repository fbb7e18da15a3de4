/**
 * The log that a pipeline reads.
 * @module
 */
import type { Records, Seek } from "../records.ts";

/** A log cut into partitions. */
export interface Source {
  readonly topic: string;
  /** The partitions to read, once this member of the group has been given its share. */
  assigned(): Promise<readonly number[]>;
  /**
   * The id of the topic that is read, as of `assigned`: a topic made anew under the same name has another. Null where it
   * has none, or is not known.
   */
  topicId(): string | null;
  /**
   * Goes to these offsets; the next poll reads from there, and nothing else.
   *
   * @param committed the first offset of each partition that has not been committed: no log may end before it
   */
  seek(offsets: Seek, committed?: ReadonlyMap<number, number>): void;
  /**
   * Resolves with whatever has arrived, or with nothing after `maxWaitMs`.
   *
   * @throws {Rebalanced} when the group divides its partitions anew
   * @throws {TopicChanged} when a log ends before what has been committed
   */
  poll(maxWaitMs: number): Promise<readonly Records[]>;
  /** Tells the group how far the sink has got, for tools that show lag; what counts is the sink. */
  committed(offsets: ReadonlyMap<number, number>): Promise<void>;
  close(): Promise<void>;
}

/** The group has divided its partitions anew: forget what we know and start with the new share. */
export class Rebalanced extends Error {
  override readonly name = "Rebalanced";
}

/** How the topic is not the one that the sink has followed. */
export type TopicChange =
  /** Another topic has the name now. */
  | { readonly kind: "recreated"; readonly topic: string; readonly followed: string; readonly found: string }
  /** A partition ends before what has been read of it. */
  | {
    readonly kind: "truncated";
    readonly topic: string;
    readonly partition: number;
    /** First offset that has not been read. */
    readonly next: number;
    /** Where the partition ends now. */
    readonly end: number;
  };

/** The command that ends a `TopicChanged`. */
export const ADOPT = "clickstream adopt-topic";

/** What has changed, in words. */
export function topicChangeInWords(change: TopicChange): string {
  return change.kind === "recreated"
    ? `topic ${change.topic} was recreated: its id is ${change.found}, and the tables follow ${change.followed}. ` +
      "None of the new topic has been read."
    : `partition ${change.partition} of ${change.topic} was truncated, or the topic was recreated: it ends at offset ` +
      `${change.end}, before ${change.next}, up to which it has been read.`;
}

/**
 * The offsets that are committed are not those of the log that Kafka has now. No other try gets past it: somebody has to
 * accept the new log.
 */
export class TopicChanged extends Error {
  override readonly name = "TopicChanged";
  readonly change: TopicChange;

  constructor(change: TopicChange) {
    super(`${topicChangeInWords(change)} To go on with what Kafka has now, type: ${ADOPT}`);
    this.change = change;
  }
}

/**
 * Whether the work stands still though there is something to do, and why. A busy drain, an idle topic and a long commit
 * are no stalls.
 * @module
 */

/** What a worker knows of a partition that it reads; what no broker has said yet is null. */
export interface PartitionState {
  readonly partition: number;
  /** Where reading began. */
  readonly first: number | null;
  /** Where reading goes on. */
  readonly next: number | null;
  /** High watermark. */
  readonly end: number | null;
  /** Last stable offset: records from here on wait for a transaction to end. */
  readonly stable: number | null;
  /** How many times its leader has answered. */
  readonly answers: number;
  /** True while its leader owes an answer. */
  readonly isAsked: boolean;
}
