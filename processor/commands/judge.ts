/**
 * Judges records like the service, as if they were sent now.
 * @module
 */
import { Batch, clear, dictionaries } from "../columns/batch.ts";
import { JsonDecoder } from "../decode/json.ts";
import { KeyedHash, NO_KEY } from "../columns/keyed_hash.ts";
import type { Refusal } from "../refusal.ts";
import { DAY_MS } from "../views/view.ts";

/** Number of records after which the decoder's dictionaries are cleared. */
const REMEMBERED = 1000;

/**
 * Returns a function that judges a record's value as if it were written to the topic now: its refusal, or null if it is
 * an event.
 */
export function judge(keepDays: number): (value: Uint8Array) => Refusal | null {
  const decoder = new JsonDecoder(keepDays * DAY_MS);
  const batch = new Batch(dictionaries("", new KeyedHash(NO_KEY)), 1);
  let judged = 0;
  return (value) => {
    if (++judged % REMEMBERED === 0) clear(batch.words);
    const record = {
      ...{ partition: 0, count: 1, bytes: value, offsets: Float64Array.of(0), times: Float64Array.of(Date.now()) },
      ...{
        starts: Int32Array.of(0),
        ends: Int32Array.of(value.length),
        next: 1,
        end: 1,
        stable: 1,
        skipped: 0,
        gap: null,
        leaderEpoch: null,
      },
    };
    return decoder.decode(record, 0, batch);
  };
}
