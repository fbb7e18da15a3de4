/**
 * Runs without records, for batches that can't be read.
 * @module
 */
import type { Buffer } from "node:buffer";
import { MAX_EVENT_BYTES } from "../event.ts";
import type { Records, Unreadable } from "../records.ts";

/** The partition of a run, and where the partition ends. */
export type Place = Pick<Records, "partition" | "end" | "stable">;

/** A run of no records. */
export const NO_RECORDS = {
  count: 0,
  offsets: new Float64Array(),
  times: new Float64Array(),
  starts: new Int32Array(),
  ends: new Int32Array(),
} as const;

/** What is known of a batch, readable or not. */
export interface BatchPlace {
  readonly base: number;
  /** Records with smaller offsets are skipped. */
  readonly floor: number;
  /** The offset after its last. */
  readonly after: number;
  /** Number of records; null if unknown. */
  readonly count: number | null;
  /** Epoch of the leader that wrote it; null if unknown. */
  readonly leaderEpoch: number | null;
  /** Its bytes in the log. */
  readonly raw: Buffer;
}

/** A run without records, for offsets that can't be read. */
export function unreadableRun(
  place: Place,
  { base, floor, after, count, leaderEpoch, raw }: BatchPlace,
  why: string,
): Records {
  const records = count === null ? "an unknown number of records" : count === 1 ? "1 record" : `${count} records`;
  const unreadable: Unreadable = {
    offset: Math.max(base, floor),
    from: base,
    to: after,
    detail: `batch of offsets ${base} to ${after - 1}, ${records}: ${why}`,
    bytes: raw.subarray(0, MAX_EVENT_BYTES),
  };
  const skipped = after - unreadable.offset - 1;
  return { ...place, leaderEpoch, next: after, bytes: raw, ...NO_RECORDS, unreadable, skipped, gap: null };
}
