/**
 * A partition, as far as a pipeline has read it.
 * @module
 */
import { type Batch, ID_WORDS } from "../columns/batch.ts";
import type { Decoder, DuplicateFinder, RunDecoder } from "../decode/decoder.ts";
import { beginOf, type Gap, lengthOf, type Records } from "../records.ts";
import type { Advance, Position } from "./commit.ts";

/** How much later than the largest event time of its partition an event may come without being late, in milliseconds. */
export const ALLOWED_DELAY_MS = 10_000;

/** Records that are replayed at a stretch. */
const REPLAYED_AT_ONCE = 1024;

/** What is known of a partition between two commits. */
export class Reading {
  readonly partition: number;
  #next: number;
  /** Epoch of the leader that wrote the record before `next`; null if unknown. */
  #leaderEpoch: number | null;
  /** How far the partition could be read when it was read last: its last stable offset. */
  stable = 0;
  /** Records below this have been committed: they are read again only to remember their ids. */
  readonly replayUntil: number;
  readonly duplicates: DuplicateFinder;
  readonly #runs: RunDecoder | undefined;
  /** Largest event time, epoch milliseconds; null before the first event. */
  largestTime: number | null;
  skipped = 0;
  gap: Gap | null = null;
  #last = { offset: -1, leaderEpoch: null as number | null };
  stored = 0;
  duplicated = 0;
  refused = 0;
  /** Where the last commit, or the one under way, has taken the partition; null before its first. */
  #from: number | null;
  /** Where the source is to go on; null until it has shown where the log begins. */
  #at: number | null;
  /** Where the partition was first read; null until it is known. */
  #first: number | null;

  /**
   * @param position where the sink stands; null if it has nothing of the partition
   * @param duplicates has the ids of the partition
   * @param runs decodes usual records
   */
  constructor(partition: number, position: Position | null, duplicates: DuplicateFinder, runs?: RunDecoder) {
    this.partition = partition;
    this.#from = this.#first = position?.next ?? null;
    this.#at = position?.replay ?? null;
    this.#next = this.replayUntil = position?.next ?? 0;
    this.#leaderEpoch = position?.leaderEpoch ?? null;
    this.largestTime = position?.watermark == null ? null : position.watermark + ALLOWED_DELAY_MS;
    this.#runs = runs;
    this.duplicates = duplicates;
  }

  /**
   * Goes on with a run of records.
   *
   * @throws {Error} if it does not begin where the one before it ended
   */
  reach(records: Records): void {
    const { next, count, skipped, gap } = records;
    const from = beginOf(records);
    this.#at ??= from;
    if (from < this.#at) throw new Error(`offset ${from} of partition ${this.partition} was read twice`);
    if (from > this.#at || (gap !== null && gap.from !== from)) {
      throw new Error(
        `not conserved: reading partition ${this.partition} goes on at offset ${this.#at}, and the run up to ${next} ` +
          `has ${count} records, ${skipped} offsets without one and a gap of ${
            lengthOf(gap)
          }; nothing of it is committed`,
      );
    }
    this.#at = next;
    if (this.#first === null) this.#first = this.#next = from;
  }

  /** First offset that was not taken. */
  get next(): number {
    return this.#next;
  }

  /** The last record that was taken. */
  get last(): Readonly<{ offset: number; leaderEpoch: number | null }> {
    return this.#last;
  }

  /** Has taken the record at this offset, which is in this run. */
  took(offset: number, { leaderEpoch }: Pick<Records, "leaderEpoch">): void {
    this.#last.offset = offset;
    this.#last.leaderEpoch = leaderEpoch;
  }

  /** Has taken what lies before this offset, of which the last is in this run. */
  moveTo(next: number, { leaderEpoch }: Pick<Records, "leaderEpoch">): void {
    this.#next = next;
    this.#leaderEpoch = leaderEpoch;
  }

  /** True if there is a record `i`, and it has been committed before. */
  isReplayed({ count, offsets }: Records, i: number): boolean {
    return i < count && offsets[i]! < this.replayUntil;
  }

  /**
   * Remembers the ids of records from `from` on that have been committed before; returns where it stopped.
   *
   * @param scratch has room for one event, and is not kept
   */
  replay(decoder: Decoder, records: Records, from: number, scratch: Batch): number {
    let until = from;
    while (until < from + REPLAYED_AT_ONCE && this.isReplayed(records, until)) until++;
    let i = from;
    while (i < until) {
      const known = this.#runs?.remember(records, i, until, this.duplicates, scratch.words.keyed) ?? i;
      if (known > i) {
        i = known;
        continue;
      }
      const refusal = decoder.decode(records, i, scratch);
      this.duplicates.pass(records.offsets[i]!, records.times[i]!);
      if (refusal === null) this.repeats(scratch, records.times[i]!);
      i++;
    }
    this.duplicates.takeUnchecked();
    return i;
  }

  /** True if the event at place `batch.count` repeats the id of an earlier one. */
  repeats({ count, idHash }: Batch, kafkaTime: number): boolean {
    const at = count * ID_WORDS;
    // An event without an id has no hash, and repeats none.
    const hasId = (idHash[at]! | idHash[at + 1]! | idHash[at + 2]!) !== 0;
    return hasId && this.duplicates.seen(idHash, at, kafkaTime);
  }

  /** How far the next commit moves the partition, from where the last one left it; null if it does not. */
  advance(topicId: string | null): Advance | null {
    const { partition, next, largestTime, stored, duplicated: duplicates, refused, skipped, gap } = this;
    const from = this.#from;
    const first = from ?? this.#first ?? next;
    if (next === first) return null;
    const watermark = largestTime === null ? null : largestTime - ALLOWED_DELAY_MS;
    const consumed = stored + duplicates + refused;
    const replay = this.duplicates.replayFrom(next);
    this.#from = next;
    this.stored =
      this.duplicated =
      this.refused =
      this.skipped =
        0;
    this.gap = null;
    const counts = { consumed, stored, duplicates, refused, skipped };
    const leaderEpoch = this.#leaderEpoch;
    return { partition, topicId, from, first, next, leaderEpoch, replay, watermark, gap, ...counts };
  }
}
