/**
 * Records as a source hands them over: runs of one partition, and the gaps between them.
 * @module
 */

/**
 * A run of consecutive records of one partition, not copied: record `i` is `bytes[starts[i], ends[i])`. Valid until the
 * next poll. Lists only data records of committed transactions; `next` lies behind the others too.
 */
export interface Records {
  readonly partition: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly offsets: Float64Array;
  /** Kafka timestamps, epoch milliseconds; -1 where a record has none. */
  readonly times: Float64Array;
  readonly starts: Int32Array;
  /** Ends of the values, exclusive; -1 where a record has no value. */
  readonly ends: Int32Array;
  /** Offset after the run. The run begins at `next - count - skipped`, less the length of `gap`. */
  readonly next: number;
  /**
   * Offsets of this run without a record to decode: control records, aborted transactions, compacted offsets, all but the
   * first offset of an unreadable batch. Counted from the headers of the batches.
   */
  readonly skipped: number;
  /** Offsets that Kafka deleted before they were read, at the start of the run; null if none. */
  readonly gap: Gap | null;
  /** High watermark, as last known: lag = high watermark − next offset. */
  readonly end: number;
  /** Last stable offset: records from here on wait for a transaction to end. */
  readonly stable: number;
  /** Epoch of the leader that wrote all of this run, as in its batches; null if unknown. */
  readonly leaderEpoch: number | null;
  /** Set where the run stands for an unreadable batch: it then has no records, and `next` lies behind the batch. */
  readonly unreadable?: Unreadable;
}

/** A batch that cannot be read: it is damaged, or cannot be decompressed. */
export interface Unreadable {
  /** First offset that was asked for. */
  readonly offset: number;
  /** First offset of the batch. */
  readonly from: number;
  /** Offset after its last. */
  readonly to: number;
  /** Which offsets, how many records, and why, in words. */
  readonly detail: string;
  /** Its first 64 KiB, as in the log; valid as long as the records. */
  readonly bytes: Uint8Array;
}

/** First offset of a run. */
export function beginOf({ next, count, skipped, gap, unreadable }: Records): number {
  return next - count - skipped - lengthOf(gap) - (unreadable === undefined ? 0 : 1);
}

/** Consecutive offsets of a partition. */
export interface Gap {
  readonly from: number;
  /** Offset after the last of them. */
  readonly to: number;
}

/** Offset to read each partition from; null is the earliest offset of the log. */
export type Seek = ReadonlyMap<number, number | null>;

/** Number of offsets in a gap. */
export function lengthOf(gap: Gap | null): number {
  return gap === null ? 0 : gap.to - gap.from;
}

/** The part of a run below offset `limit`; empty if the run begins there or later. */
export function cutAt(records: Records, limit: number): Records[] {
  if (records.next <= limit) return [records];
  const { offsets, times, starts, ends, unreadable } = records;
  const from = beginOf(records);
  if (from >= limit) return [];
  // An unreadable batch cannot be cut.
  if (unreadable !== undefined) return [records];
  const gap = records.gap === null ? null : { from, to: Math.min(limit, records.gap.to) };
  let count = 0;
  while (count < records.count && offsets[count]! < limit) count++;
  return [{
    ...records,
    count,
    gap,
    skipped: limit - from - count - lengthOf(gap),
    offsets: offsets.subarray(0, count),
    times: times.subarray(0, count),
    starts: starts.subarray(0, count),
    ends: ends.subarray(0, count),
    next: limit,
  }];
}
