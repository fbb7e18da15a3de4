/**
 * What is known of the partitions of a worker.
 * @module
 */

/** What is known of a partition; null if not known. */
export interface Standing {
  next: number | null;
  /** Offset where reading began. */
  first: number | null;
  end: number | null;
  stable: number | null;
  watermark: number | null;
  committedAt: number | null;
}

/** Lag of a partition, in records, as far as known. */
function waiting({ next, first, end }: Standing): number {
  return Math.max(0, (end ?? 0) - (next ?? first ?? 0));
}

/** Lag of several partitions, in records; null if no high watermark is known. */
export function lagOf(standings: readonly Standing[]): number | null {
  const known = standings.filter(({ end }) => end !== null);
  return known.length === 0 ? null : known.reduce((sum, standing) => sum + waiting(standing), 0);
}
