/**
 * Constants that classify errors. Metrics, pages and alerts depend on them, never on the name of a class or on the text of
 * an error.
 * @module
 */

/** Kinds of reasons for which a worker is not ready. */
export const NOT_READY_KINDS = [
  "starting",
  /** The consumer group has not assigned the partitions yet. */
  "rebalancing",
  /** Another writer changed the same rows or positions; a restart solves it. */
  "conflict",
  "postgres_unreachable",
  /** PostgreSQL answers and refuses a statement. */
  "postgres_refuses",
  "kafka_unreachable",
  "no_topic",
  /** A member of the consumer group does not read the topic. */
  "foreign_group_member",
  /** The topic is not the one that the tables follow. */
  "topic_changed",
  /** Anything else. */
  "internal",
] as const;

/** One of `NOT_READY_KINDS`. */
export type NotReadyKind = typeof NOT_READY_KINDS[number];

/** Why a worker is not ready. */
export interface NotReady {
  /** The kind, which decides. */
  readonly kind: NotReadyKind;
  /** The same in words, for people. */
  readonly reason: string;
}

/** Causes of restarts: the values of the label `cause` of `clickstream_restarts_total`. */
export const RESTART_CAUSES = [
  "positions_moved",
  "user_forgotten",
  "reassigned",
  "unavailable",
  "database_unavailable",
  "unstorable",
] as const;

/** One of `RESTART_CAUSES`. */
export type RestartCause = typeof RESTART_CAUSES[number];

/** Options of a classified error. */
export interface Classification extends ErrorOptions {
  readonly kind: NotReadyKind;
}

/** An error with a kind. */
export abstract class ClassifiedError extends Error {
  /** Why a worker with this error is not ready. */
  abstract readonly kind: NotReadyKind;
}

/** An error that is worth a retry; any other is a bug, or needs somebody to act. */
export abstract class RetryableError extends ClassifiedError {
  /** The cause under which its restart is counted. */
  abstract readonly restartCause: RestartCause;
}

/** Why a worker with this error is not ready. */
export function kindOf(error: unknown): NotReadyKind {
  return error instanceof ClassifiedError ? error.kind : "internal";
}
