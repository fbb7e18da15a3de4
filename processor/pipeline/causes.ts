/**
 * Errors that say by a constant what they mean to whoever looks from outside: metrics, pages and alerts depend on these
 * constants, never on the name of a class or on what an error says.
 * @module
 */

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

/** An error that is worth a retry; any other is a bug, or needs somebody to act. */
export abstract class RetryableError extends Error {
  /** What a restart because of this error is counted as. */
  abstract readonly restartCause: RestartCause;
}
