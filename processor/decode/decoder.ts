/**
 * The interface of decoders, which turn records into columns.
 * @module
 */
import type { Batch, Dictionaries, Wanted } from "../columns/batch.ts";
import type { KeyedHash } from "../columns/keyed_hash.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";

/** Turns records into events of a batch. */
export interface Decoder {
  /**
   * Writes record `i` to index `batch.count` of the batch, and the caller then counts it; or returns why it can't be an
   * event. Refusals depend on the record alone.
   */
  decode(records: Records, i: number, batch: Batch): Refusal | null;
  /**
   * Begins to decode runs of usual records, if the decoder can; the others are left to `decode`. Each call returns
   * another one with memory of its own, because a commit that failed may still read that of the one before.
   */
  begin?(): RunDecoder;
}

/** Decodes runs of records and tells duplicates, in dictionaries, batches and tables of its own. */
export interface RunDecoder {
  /** Empty dictionaries for commits. */
  dictionaries(topic: string, keyed: KeyedHash, wanted: Wanted): Dictionaries;
  /** An empty batch with these dictionaries. */
  batch(words: Dictionaries, capacity: number): Batch;
  /** The ids of one of so many partitions, none yet. They share the memory evenly. */
  duplicates(lengths: PieceLengths, partitions: number): DuplicateFinder;
  /** Gives back the memory of dictionaries and of batches. Neither may be used after that. */
  free(words: Dictionaries, batches: readonly Batch[]): void;
  /**
   * Takes records from `i` on, and writes events that are no duplicates from index `batch.count` on; the caller then
   * counts `stored` of them. Stops at `until`, at a record that it leaves to `decode`, or earlier. Returns where it
   * stopped: `i` if it leaves that record to `decode`.
   */
  take(records: Records, i: number, until: number, batch: Batch, duplicates: DuplicateFinder): number;
  /** Numbers of events that the last `take` wrote, and of duplicates that it found. */
  readonly stored: number;
  readonly duplicated: number;
  /** Bytes of its memory that were ever in use. */
  readonly takenBytes: number;
  /** Bytes of all texts in these dictionaries. */
  textBytes(words: Dictionaries): number;
  /**
   * Checks its own memory, once for each commit.
   *
   * @throws {Error} if it was overwritten
   */
  check(): void;
  /** Only remembers the ids of records, and otherwise does the same as `take`. */
  remember(records: Records, i: number, until: number, duplicates: DuplicateFinder, keyed: KeyedHash): number;
}

/** Lengths of the pieces of a log whose ids are remembered, in offsets: see `pipeline/duplicates.ts`. */
export interface PieceLengths {
  readonly shortest: number;
  /** Limit for a piece whose minute is ahead of its records. */
  readonly wrong: number;
  readonly longest: number;
}

/** Recognises duplicates among the events of a partition. */
export interface DuplicateFinder {
  /** Notes a record, event or not, in the order of the log. */
  pass(offset: number, kafkaTime: number): void;
  /**
   * True if an event is a duplicate, by the three words of its id hash from index `at`. Call `pass` with its record first.
   */
  seen(hash: Int32Array, at: number, kafkaTime: number): boolean;
  /** Number of unchecked events since the last call. */
  takeUnchecked(): number;
  /** Offset from which reading restores the memory; `next` if it is empty. */
  replayFrom(next: number): number;
}
