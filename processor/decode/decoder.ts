/**
 * What turns records into columns.
 * @module
 */
import type { Batch, Dictionaries } from "../columns/batch.ts";
import type { Records } from "../records.ts";
import type { Refusal } from "../refusal.ts";

/** Turns records into events of a batch. */
export interface Decoder {
  /**
   * Writes record `i` to place `batch.count` of the batch, which the caller then counts, or says why it can't be an
   * event. What is refused depends on the record alone.
   */
  decode(records: Records, i: number, batch: Batch): Refusal | null;
  /**
   * Has a first look at the records from `i` on that are decoded next, so that what they need of memory is waited for
   * once and not by each; says how many they are. Asked for before each record, it is 0 for those looked at already.
   *
   * @param ids takes the first word of the hash of each one's `eventId`, anything for those without; it has room for
   *   `MOST_AHEAD`
   */
  lookAhead?(records: Records, i: number, words: Dictionaries, ids: Int32Array): number;
}

/** Most records that a decoder looks at ahead: they, and what is known of them, stay in the nearest memory. */
export const MOST_AHEAD = 64;
