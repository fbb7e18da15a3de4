/**
 * Hostile record batches: the walk over them is compared with a naive reader, and every offset is accounted for.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { type FetchedPartition, UNPACKED_TOGETHER, walk, type Walked } from "../../kafka/record_batch.ts";
import { MAX_UNPACKED_BYTES } from "../../kafka/unpack/unpack.ts";
import { beginOf, type Records } from "../../records.ts";
import type { Random } from "../../../generator/random.ts";
import { batchBytes, type BatchRecord, bombOf, recordBytes, sealed } from "../batches.ts";
import { mutated, mutateOnce } from "./mutate.ts";
import { type NaiveItem, naiveWalk } from "./naive_walk.ts";
import { concat, type Opened, type Target } from "./target.ts";

/** Offset of the first batch that is drawn. */
export const BASE = 1000;
const HEAD_BYTES = 61;
/** Bytes of a case before its batches: where to read from, the end of the log, the number of aborted transactions. */
const PLACE_BYTES = 4;
/** Stands for a log whose end is unknown. */
const NO_END = 0xffff;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const LOG_APPEND_TIME = 0x08;

/** A partition's bytes to records. */
export const logs: Target = {
  name: "logs",
  about: "the walk never throws, stays in its bytes, accounts for every offset, and reads what a naive reader reads",
  open: (): Opened => ({ draw, check: (input) => checked(partitionOf(input), BASE + (input[0] ?? 0) % 16) }),
};

/**
 * Walks a partition and checks all that a walk promises; returns what it found.
 *
 * @throws {AssertionError} if a promise is broken
 */
export function checked(fetched: FetchedPartition, from: number): string {
  const walked = walk(fetched, from);
  const { records, next, unpacked, lost } = walked;
  let at = from;
  for (const run of records) {
    assert.equal(beginOf(run), at, "a run does not begin where the one before ends");
    assert.ok(run.next > at || run.count > 0, "a run without offsets");
    checkRun(run, at);
    at = run.next;
  }
  assert.equal(at, next, "the runs don't end where the walk does");
  assert.ok(next >= from && (lost === null || next === from), "lost, and further on all the same");
  assert.ok(fetched.bytes.length === 0 || next > from || lost !== null, "neither progress nor a reason");
  const { lastStableOffset: stable } = fetched;
  assert.ok(stable < 0 || next <= Math.max(stable, from), `read to ${next} in a log that ends at ${stable}`);
  assert.ok(unpacked < UNPACKED_TOGETHER + MAX_UNPACKED_BYTES + 1, `unpacked ${unpacked} bytes`);
  compare(walked, fetched, from);
  if (lost !== null) return "lost";
  if (records.some(({ unreadable }) => unreadable !== undefined)) return "refused";
  return records.some(({ count }) => count > 0) ? "read" : "nothing";
}

function checkRun(run: Records, from: number): void {
  const { bytes, offsets, starts, ends, count, skipped, unreadable } = run;
  assert.ok(count >= 0 && skipped >= 0, `${count} records, ${skipped} skipped`);
  if (unreadable !== undefined) {
    const { detail, offset, to } = unreadable;
    assert.ok(
      count === 0 && offset >= from && offset < to && to === run.next,
      "a refused batch has other offsets than its run",
    );
    assert.ok(detail.length < 400 && !/out of range|undefined|NaN|not a function/.test(detail), detail);
  }
  let last = from - 1;
  for (let i = 0; i < count; i++) {
    const [start, end] = [starts[i]!, ends[i]!];
    assert.ok(offsets[i]! > last && offsets[i]! < run.next, `offset ${offsets[i]} after ${last}, before ${run.next}`);
    assert.ok(start >= 0 && (end === -1 || (end >= start && end <= bytes.length)), `bytes ${start} to ${end}`);
    last = offsets[i]!;
  }
}

/** Compares with the naive reader, as far as it can tell. */
function compare({ records }: Walked, fetched: FetchedPartition, from: number): void {
  const expected = naiveWalk(fetched, from);
  const found = records.flatMap((run): NaiveItem[] =>
    run.unreadable === undefined
      ? Array.from({ length: run.count }, (_, i) => ({
        offset: run.offsets[i]!,
        time: run.times[i]!,
        value: run.ends[i]! < 0 ? null : run.bytes.subarray(run.starts[i], run.ends[i]),
      }))
      : [{ offset: run.unreadable.offset, time: null, value: null }]
  ).filter(({ offset }) => offset < expected.until);
  assert.equal(found.length, expected.items.length, `${found.length} records, not ${expected.items.length}`);
  for (const [n, { offset, time, value }] of expected.items.entries()) {
    const own = found[n]!;
    assert.equal(own.offset, offset);
    assert.equal(own.time === null, time === null, `offset ${offset} is ${time === null ? "" : "not "}refused`);
    if (time === null) continue;
    // Times are doubles: beyond 2^53 they are rounded.
    assert.ok(Math.abs(own.time! - time) <= Math.abs(time) * 2 ** -50, `time ${own.time}, not ${time}`);
    assert.equal(own.value === null, value === null);
    if (value !== null) assert.ok(Buffer.compare(own.value!, value) === 0, `another value at ${offset}`);
  }
}

/** The partition that a case stands for. */
function partitionOf(input: Uint8Array): FetchedPartition {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.length);
  const end = bytes.length < PLACE_BYTES || bytes.readUInt16BE(1) === NO_END ? -1 : BASE + bytes.readUInt16BE(1);
  const count = Math.min(bytes[3] ?? 0, Math.floor((bytes.length - PLACE_BYTES) / 2));
  const aborted = Array.from({ length: Math.max(0, count) }, (_, n) => ({
    producerId: BigInt(bytes[PLACE_BYTES + 2 * n]! % 4),
    firstOffset: BASE + bytes[PLACE_BYTES + 2 * n + 1]!,
  }));
  const log = bytes.subarray(PLACE_BYTES + 2 * aborted.length);
  return { partition: 3, bytes: log, aborted, highWatermark: end, lastStableOffset: end };
}

function draw(random: Random): Uint8Array {
  const { bytes, end, aborted } = drawLog(random);
  const claimed = random.chance(0.2) ? NO_END : random.chance(0.1) ? random.below(40) : end - BASE;
  const head = [random.chance(0.3) ? random.below(16) : 0, claimed >> 8, claimed & 0xff, aborted.length];
  return concat([Uint8Array.from(head), ...aborted, bytes]);
}

/** Batches, mostly damaged, and the aborted transactions among them in two bytes each. */
export function drawLog(
  random: Random,
): { readonly bytes: Uint8Array; readonly end: number; readonly aborted: readonly Uint8Array[] } {
  const batches: Buffer[] = [];
  const aborted: Uint8Array[] = [];
  let base = BASE;
  for (let left = 1 + random.below(5); left > 0; left--) {
    const { batch, next } = drawBatch(random, base);
    batches.push(batch);
    if (random.chance(0.2)) aborted.push(Uint8Array.of(random.below(4), Math.min(255, base - BASE + random.below(3))));
    base = next + (random.chance(0.1) ? random.below(5) : 0);
  }
  const n = random.below(batches.length);
  if (random.chance(0.75)) batches[n] = damaged(random, batches[n]!);
  if (random.chance(0.05)) batches.splice(random.below(batches.length), 0, random.pick(batches));
  if (random.chance(0.03)) batches.reverse();
  const bytes = concat(batches);
  const isCut = random.chance(0.15);
  return { bytes: isCut ? bytes.subarray(0, random.below(bytes.length)) : bytes, end: base, aborted };
}

function drawBatch(random: Random, base: number): { readonly batch: Buffer; readonly next: number } {
  const count = random.chance(0.1) ? random.below(200) : 1 + random.below(5);
  const isTransactional = random.chance(0.3);
  const isControl = isTransactional && random.chance(0.4);
  const attributes = (isTransactional ? TRANSACTIONAL : 0) | (isControl ? CONTROL : 0) |
    (random.chance(0.1) ? LOG_APPEND_TIME : 0);
  const producer = { id: BigInt(random.below(4)), epoch: 0, sequence: 0 };
  if (isControl) {
    const key = Uint8Array.of(0, 0, 0, random.below(2));
    return { batch: batchBytes([{ key, value: new Uint8Array(6) }], { base, attributes, producer }), next: base + 1 };
  }
  let delta = 0;
  const records = Array.from({ length: count }, (): BatchRecord => {
    const record = {
      delta,
      value: random.chance(0.05) ? null : text(random),
      key: random.chance(0.5) ? null : text(random).subarray(0, 9),
      headers: random.chance(0.1) ? random.below(4) : 0,
      time: 1_700_000_000_000 + random.below(100_000) - (random.chance(0.02) ? 1e13 : 0),
    };
    // Compaction leaves holes.
    delta += random.chance(0.05) ? 1 + random.below(9) : 1;
    return record;
  });
  const lastDelta = delta - 1 + (random.chance(0.05) ? random.below(5) : 0);
  const codec = random.below(5);
  const wrong = random.chance(0.2) ? wrongBody(random, records, codec) : {};
  return {
    batch: batchBytes(records, { base, codec, attributes, lastDelta, producer, ...wrong }),
    next: base + lastDelta + 1,
  };
}

function text(random: Random): Uint8Array {
  const word = Uint8Array.from({ length: 1 + random.below(12) }, () => 97 + random.below(26));
  return concat(Array<Uint8Array>(random.chance(0.9) ? 1 + random.below(3) : 1 + random.below(40)).fill(word));
}

/** Records that are wrong inside a body that can be unpacked, or that unpacks to far more than they are. */
function wrongBody(random: Random, records: readonly BatchRecord[], codec: number): { readonly body?: Uint8Array } {
  if (codec > 0 && random.chance(0.0005)) return { body: bombOf(codec, 66 * 1024 * 1024) };
  if (codec > 0 && random.chance(0.01)) return { body: bombOf(codec, 200_000) };
  const first = records[0]?.time ?? 0;
  const plain = concat(records.map((record) => recordBytes(record, first)));
  const body = mutated(random, plain, 3);
  return codec === 0 ? { body } : codec === 1 ? { body: gzipSync(body) } : {};
}

/** The batch with wrong fields or bytes; in half of the cases its checksum is right all the same. */
function damaged(random: Random, batch: Buffer): Buffer {
  const bytes = Buffer.from(batch);
  const telling = () => random.pick([0, 1, -1, 2, 7, 13, 49, 255, 65_536, 2 ** 31 - 1, -(2 ** 31), random.below(300)]);
  switch (random.below(10)) {
    case 0:
      bytes.writeInt32BE(telling(), 8);
      break;
    case 1:
      bytes.writeInt32BE(telling(), 57);
      break;
    case 2:
      bytes.writeInt32BE(telling(), 23);
      break;
    case 3:
      bytes.writeBigInt64BE(
        random.pick([0n, -1n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, BigInt(BASE + random.below(9))]),
        0,
      );
      break;
    case 4:
      bytes[16] = random.pick([0, 1, 3, 127, 255]);
      break;
    case 5:
      bytes.writeInt16BE(random.pick([5, 6, 7, 8, 16, 32, 48, 64, -1, random.below(65_536) - 32_768]), 21);
      break;
    case 6:
      bytes.writeBigInt64BE(random.pick([-1n, 0n, 2n ** 62n, -(2n ** 63n)]), random.pick([27, 35, 43]));
      break;
    default: {
      const body = bytes.subarray(HEAD_BYTES);
      const changed = random.chance(0.7) ? mutated(random, body, 2) : mutateOnce(random, bytes);
      if (changed.length < HEAD_BYTES && random.chance(0.5)) return Buffer.from(changed);
      const whole = Buffer.concat([bytes.subarray(0, HEAD_BYTES), changed]);
      // Its length fits in most cases, so that what it holds is read.
      if (random.chance(0.8)) whole.writeInt32BE(whole.length - 12, 8);
      return random.chance(0.6) ? sealed(whole) : whole;
    }
  }
  return random.chance(0.5) ? sealed(bytes) : bytes;
}
