/**
 * Time per stage, summed up.
 * @module
 */

/** Time per stage, summed over all workers since the process started, in milliseconds. */
export interface StageTotals {
  readonly readMs: number;
  readonly decodeMs: number;
  readonly foldMs: number;
  readonly encodeMs: number;
  /** Time in the sink. */
  readonly commitMs: number;
  readonly rows: number;
}

/** Adds up two sums. */
export function addStages(a: StageTotals, b: StageTotals): StageTotals {
  return {
    readMs: a.readMs + b.readMs,
    decodeMs: a.decodeMs + b.decodeMs,
    foldMs: a.foldMs + b.foldMs,
    encodeMs: a.encodeMs + b.encodeMs,
    commitMs: a.commitMs + b.commitMs,
    rows: a.rows + b.rows,
  };
}
