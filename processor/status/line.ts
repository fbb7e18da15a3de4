/**
 * The status in one line.
 * @module
 */
import type { Activity } from "./activity.ts";
import { withCommas } from "./text.ts";

/** Counts at one moment. */
export interface Reading {
  /** Monotonic time, in milliseconds. */
  readonly ms: number;
  readonly consumed: number;
}

/** The status line, with rates since the reading `before`. */
export function statusLine(activity: Activity, before: Reading, now: Reading): string {
  const { notReady, partitions, totals } = activity;
  if (activity.stopping) return "stopping: committing what was read";
  if (notReady !== null) return `waiting: ${notReady}`;
  const known = partitions.map(({ lag }) => lag).filter((lag) => lag !== null);
  const behind = known.length < partitions.length
    ? "not known yet"
    : withCommas(known.reduce((sum, lag) => sum + lag, 0));
  const rate = Math.round((now.consumed - before.consumed) / Math.max(1, now.ms - before.ms) * 1000);
  const of = `${partitions.length} ${partitions.length === 1 ? "partition" : "partitions"}`;
  return `${withCommas(rate)} events/s, lag ${behind}, ${of}, ${withCommas(totals.refused)} refused`;
}
