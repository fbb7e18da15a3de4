/**
 * The interface of decoders, which turn records into columns.
 * @module
 */
import type { Batch, Dictionaries } from "../columns/batch.ts";
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
   * Scans the next records from `i` and prefetches the memory that they need, so that their cache misses overlap.
   * Returns how many it scanned; called before each record, it returns 0 for those scanned already.
   *
   * @param ids receives the first word of each record's `eventId` hash, any value without an `eventId`; it holds
   * `MOST_AHEAD`
   */
  lookAhead?(records: Records, i: number, words: Dictionaries, ids: Int32Array): number;
}

/** Most records that a decoder scans ahead: few enough that they and their results stay in the CPU cache. */
export const MOST_AHEAD = 64;
