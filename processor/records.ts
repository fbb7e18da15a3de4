/**
 * What a log holds, as it is handed over: runs of records, and what is missing between them.
 * @module
 */

/**
 * Consecutive records of one partition, walked and not copied: record `i` is `bytes[starts[i], ends[i])`. Valid until
 * the next poll. Only data records of committed transactions are listed; `next` passes the others too.
 */
export interface Records {
  readonly partition: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly offsets: Float64Array;
  /** Kafka timestamps, epoch milliseconds; -1 where a record has none. */
  readonly times: Float64Array;
  readonly starts: Int32Array;
  /** Ends of the values, excluded; -1 where a record has no value at all. */
  readonly ends: Int32Array;
  /** Where reading goes on after these. A run begins at `next - count - skipped`, less the length of `gap`. */
  readonly next: number;
  /**
   * Offsets passed in this run that hold no record to judge: control records, aborted transactions, offsets removed by
   * compaction, all but the first of a batch that can't be read. Counted from the heads of the batches.
   */
  readonly skipped: number;
  /** Offsets that were gone before they could be read, with which this run begins; null if none were. */
  readonly gap: Gap | null;
  /** High watermark of the partition, as far as known: lag = high watermark − next offset. */
  readonly end: number;
  /** Last stable offset: where committed transactions end. Nothing from here on can be read yet. */
  readonly stable: number;
  /** Set where the run stands for a batch that can't be read; then it has no records, and `next` is after the batch. */
  readonly unreadable?: Unreadable;
}

/** Offsets of a log whose records can't be read: a batch that is damaged, or can't be unpacked. */
export interface Unreadable {
  /** The first of them that was asked for. */
  readonly offset: number;
  /** The first offset of the batch. */
  readonly from: number;
  /** The offset after its last. */
  readonly to: number;
  /** In words: which offsets, how many records, and why. */
  readonly detail: string;
  /** Its first 64 KiB, as they lie in the log; valid as long as the records are. */
  readonly bytes: Uint8Array;
}

/** The offset that a run begins with. */
export function beginOf({ next, count, skipped, gap, unreadable }: Records): number {
  return next - count - skipped - lengthOf(gap) - (unreadable === undefined ? 0 : 1);
}

/** Consecutive offsets of a partition. */
export interface Gap {
  readonly from: number;
  /** The first offset after them. */
  readonly to: number;
}

/** Where to read a partition from; null is the earliest record that the log still has. */
export type Seek = ReadonlyMap<number, number | null>;

/** How many offsets a gap has. */
export function lengthOf(gap: Gap | null): number {
  return gap === null ? 0 : gap.to - gap.from;
}

/** The part of a run below an offset; nothing if it begins there or later. */
export function cutAt(records: Records, limit: number): Records[] {
  if (records.next <= limit) return [records];
  const { offsets, times, starts, ends, unreadable } = records;
  const from = beginOf(records);
  if (from >= limit) return [];
  // What can't be read can't be cut either.
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
