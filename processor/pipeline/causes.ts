/**
 * Errors that say by a constant what they mean to whoever looks from outside: metrics, pages and alerts depend on these
 * constants, never on the name of a class or on what an error says.
 * @module
 */

/** Kinds of reasons for which a worker is not ready. */
export const NOT_READY_KINDS = [
  "starting",
  /** The group has not said yet which partitions are whose. */
  "rebalancing",
  /** Somebody else has changed the same rows or positions; starting again gets past it. */
  "conflict",
  "postgres_unreachable",
  /** PostgreSQL is there, and does not take a statement. */
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
  /** What decides. */
  readonly kind: NotReadyKind;
  /** The same in words, for people only. */
  readonly reason: string;
}

/** Why a pipeline starts again; also the values of the label `cause` of `clickstream_restarts_total`. */
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

/** What a classified error is made of, besides its message. */
export interface Classification extends ErrorOptions {
  readonly kind: NotReadyKind;
}

/** An error that says why the work can't go on. */
export abstract class ClassifiedError extends Error {
  /** Why a worker that met this error is not ready. */
  abstract readonly kind: NotReadyKind;
}

/** An error that is worth a retry; any other is a bug, or needs somebody to act. */
export abstract class RetryableError extends ClassifiedError {
  /** What a restart because of this error is counted as. */
  abstract readonly restartCause: RestartCause;
}

/** Why a worker that met this error is not ready. */
export function kindOf(error: unknown): NotReadyKind {
  return error instanceof ClassifiedError ? error.kind : "internal";
}
