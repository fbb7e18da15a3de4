/**
 * How a running processor is, in one line.
 * @module
 */
import type { Activity } from "./activity.ts";
import { withCommas } from "./text.ts";

/** What was counted at some moment. */
export interface Reading {
  /** Milliseconds on a clock that only goes forward. */
  readonly ms: number;
  readonly consumed: number;
}

/** The line, for the time since the reading `before`. */
export function statusLine(activity: Activity, before: Reading, now: Reading): string {
  const { notReady, partitions, totals } = activity;
  if (notReady !== null) return notReady === "stopping" ? "stopping: commits what it has" : `waits: ${notReady}`;
  const known = partitions.map(({ lag }) => lag).filter((lag) => lag !== null);
  const behind = known.length < partitions.length
    ? "not known yet"
    : withCommas(known.reduce((sum, lag) => sum + lag, 0));
  const rate = Math.round((now.consumed - before.consumed) / Math.max(1, now.ms - before.ms) * 1000);
  const of = `${partitions.length} ${partitions.length === 1 ? "partition" : "partitions"}`;
  return `${withCommas(rate)} events/s, lag ${behind}, ${of}, ${withCommas(totals.refused)} refused`;
}
