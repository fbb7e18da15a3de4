/**
 * What a worker measures of a commit that is traced; it can be sent from one thread to another.
 * @module
 */
import type { StageTimings } from "../pipeline/observer.ts";

/** Names a span, as in the header `traceparent`: hexadecimal numbers of 16 and 8 bytes. */
export interface SpanName {
  readonly traceId: string;
  readonly spanId: string;
}

/** A record whose producer traced it. */
export interface RecordLink extends SpanName {
  /** Its header `tracestate`; null without one. */
  readonly state: string | null;
  readonly partition: number;
  readonly offset: number;
}

/** A statement of a commit; times are in milliseconds since the commit was sent. */
export interface TracedStatement {
  /** Such as `COPY`. */
  readonly operation: string;
  /** Null if it concerns none. */
  readonly table: string | null;
  readonly startMs: number;
  readonly endMs: number;
}

/** A commit that is over: it was applied, or it failed. */
export interface TracedCommit extends SpanName {
  /** Epoch milliseconds. */
  readonly endedAt: number;
  /** From reading its first record to sending it, in milliseconds. */
  readonly waitedMs: number;
  /** From sending it to its end, in milliseconds. */
  readonly tookMs: number;
  readonly spent: StageTimings;
  readonly partitions: readonly number[];
  readonly consumed: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly links: readonly RecordLink[];
  /** Records with a trace that were seen but are not linked, because they are too many. */
  readonly linksLeftOut: number;
  /** In the order in which they were run; the last is `COMMIT` if the commit was applied. */
  readonly statements: readonly TracedStatement[];
  /** Statements that are not listed, because they are too many. */
  readonly statementsLeftOut: number;
  /** Why it failed; null if it was applied. */
  readonly failure: { readonly kind: string; readonly message: string } | null;
}
