import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32c } from "../kernel/checksum.ts";
import { walk } from "./record_batch.ts";

const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** A batch from offset `base` to `last`, with records at some of these offsets. */
function batch(base: number, last: number, offsets: readonly number[], attributes = 0): Buffer {
  const zigzag = (n: number) => Buffer.of(n < 0 ? -2 * n - 1 : 2 * n);
  const records = offsets.map((offset) => {
    // No key and no value, except for a control record, which says that its transaction was aborted.
    const key = (attributes & CONTROL) === 0 ? [zigzag(-1)] : [zigzag(4), Buffer.alloc(4)];
    const body = Buffer.concat([Buffer.of(0, 0), zigzag(offset - base), ...key, zigzag(-1), Buffer.of(0)]);
    return Buffer.concat([zigzag(body.length), body]);
  });
  const bytes = Buffer.concat([Buffer.alloc(61), ...records]);
  bytes.writeBigInt64BE(BigInt(base), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt16BE(attributes, 21);
  bytes.writeInt32BE(last - base, 23);
  bytes.writeBigInt64BE(7n, 43);
  bytes.writeInt32BE(offsets.length, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

interface Case {
  readonly what: string;
  readonly batches: readonly Buffer[];
  readonly from: number;
  readonly abortedFrom?: number;
  /** Runs: offsets read, number of offsets skipped, and where reading continues. */
  readonly runs: readonly (readonly [offsets: readonly number[], skipped: number, next: number])[];
}

const CASES: readonly Case[] = [
  { what: "nothing", batches: [], from: 5, runs: [] },
  { what: "a whole batch", batches: [batch(5, 7, [5, 6, 7])], from: 5, runs: [[[5, 6, 7], 0, 8]] },
  { what: "the rest of a batch", batches: [batch(5, 7, [5, 6, 7])], from: 7, runs: [[[7], 0, 8]] },
  { what: "a batch with holes", batches: [batch(5, 12, [6, 9])], from: 5, runs: [[[6, 9], 6, 13]] },
  { what: "the rest of one, from a hole on", batches: [batch(5, 12, [6, 9])], from: 8, runs: [[[9], 4, 13]] },
  { what: "what is left behind the last record", batches: [batch(5, 12, [6, 9])], from: 10, runs: [[[], 3, 13]] },
  { what: "a batch without records", batches: [batch(5, 12, [])], from: 5, runs: [[[], 8, 13]] },
  {
    what: "batches with a hole between them",
    batches: [batch(5, 5, [5]), batch(9, 9, [9])],
    from: 3,
    runs: [[[5, 9], 5, 10]],
  },
  {
    what: "a control batch at the end",
    batches: [batch(5, 5, [5], TRANSACTIONAL), batch(6, 6, [6], TRANSACTIONAL | CONTROL)],
    from: 5,
    runs: [[[5], 0, 6], [[], 1, 7]],
  },
  {
    what: "an aborted transaction with its control batch, between others",
    batches: [
      batch(5, 5, [5]),
      batch(6, 8, [6, 7, 8], TRANSACTIONAL),
      batch(9, 9, [9], TRANSACTIONAL | CONTROL),
      batch(10, 10, [10]),
    ],
    from: 5,
    abortedFrom: 6,
    runs: [[[5, 10], 4, 11]],
  },
];

Deno.test("offsets without a record are counted at any position", () => {
  for (const { what, batches, from, abortedFrom, runs } of CASES) {
    const aborted = abortedFrom === undefined ? [] : [{ producerId: 7n, firstOffset: abortedFrom }];
    const fetched = { partition: 0, bytes: Buffer.concat(batches), aborted, highWatermark: 99, lastStableOffset: 99 };
    const { records, next } = walk(fetched, from);
    const read = records.map((run) => [[...run.offsets.subarray(0, run.count)], run.skipped, run.next]);
    assert.deepEqual(read, runs, what);
    assert.equal(next, runs.at(-1)?.[2] ?? from, what);
  }
});
