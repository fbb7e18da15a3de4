/**
 * Walks the record batches of a fetch response (Kafka's message format 2) without an object for each record.
 * @module
 */
import { Buffer } from "node:buffer";
import { compressionsAlgorithmsByBitmask } from "@platformatic/kafka";
import { decompress as unpackZstd } from "fzstd";
import { crc32c } from "../crc32c.ts";
import type { Records } from "../pipeline.ts";

/** A transaction that was aborted: its records count for nothing, from `firstOffset` to its control record. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** What a fetch response says of one partition. */
export interface FetchedPartition {
  readonly partition: number;
  /** Record batches one after the other; the last may be cut off. */
  readonly bytes: Buffer;
  readonly aborted: readonly AbortedTransaction[];
  /** Where the partition ends; -1 with an error. */
  readonly highWatermark: number;
  /** Where committed transactions end: nothing from here on may be read yet. */
  readonly lastStableOffset: number;
}

/** Bytes of a batch before its length counts, and before its records begin. */
const LENGTH_END = 12;
const HEAD_BYTES = 61;

const COMPRESSION = 0x07;
const ZSTD = 4;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** Most records that are listed together, unless one batch has more. */
const MOST_TOGETHER = 512;

/** Most bytes that one batch may unpack to. */
const MAX_UNPACKED_BYTES = 512 * 1024 * 1024;

/**
 * The records of a partition from offset `from` on, and where reading goes on after them.
 *
 * @throws {Error} naming partition and offset of a batch that is damaged or of a format that is not read
 */
export function walk(fetched: FetchedPartition, from: number): { records: Records[]; next: number } {
  const { partition, bytes, highWatermark: end, lastStableOffset: stable } = fetched;
  const aborted = new AbortedProducers(fetched.aborted);
  const open: OpenBatch[] = [];
  let next = from;
  /** Where the last batch that is open ends. */
  let read = from;
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const end = at + LENGTH_END + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const base = offsetAt(bytes, at);
    const after = base + bytes.readInt32BE(at + 23) + 1;
    if (after > next) {
      verify(bytes, at, end, partition, base);
      const attributes = bytes.readInt16BE(at + 21);
      const left = aborted.leavesOut(bytes, at, after - 1, attributes);
      if (!left) {
        // What lies between was left out, or removed by compaction.
        open.push({ ...opened(bytes, at, end, attributes, partition, base), base, after, passed: base - read });
        read = after;
      }
      next = after;
    }
    at = end;
  }
  const about = { partition, end, stable, gap: null };
  const records: Records[] = together(open).map((batches) => ({ ...about, ...recordsIn(batches, from) }));
  // Offsets without a record still move the partition on.
  if (next > read) records.push({ ...about, ...NO_RECORDS, bytes, next, skipped: next - read });
  return { records, next };
}

/** A run of no records. */
export const NO_RECORDS = {
  count: 0,
  offsets: new Float64Array(),
  times: new Float64Array(),
  starts: new Int32Array(),
  ends: new Int32Array(),
} as const;

/** A batch whose records can be read: where they are, and what its head says. */
interface OpenBatch {
  readonly bytes: Buffer;
  readonly at: number;
  readonly count: number;
  readonly base: number;
  /** The offset after its last. */
  readonly after: number;
  /** Offsets between the open batch before and this one; less than 0 where reading begins amid its records. */
  readonly passed: number;
  readonly firstTime: number;
  /** The time of all its records, if the broker gave it. */
  readonly logTime: number | null;
}

/** Batches that follow each other in the same bytes, up to some records: one by one they can be very small. */
function together(batches: readonly OpenBatch[]): OpenBatch[][] {
  const runs: OpenBatch[][] = [];
  let count = 0;
  for (const batch of batches) {
    count += batch.count;
    const run = runs.at(-1);
    if (run !== undefined && run[0]!.bytes === batch.bytes && count <= MOST_TOGETHER) run.push(batch);
    else {
      runs.push([batch]);
      count = batch.count;
    }
  }
  return runs;
}

function verify(bytes: Buffer, at: number, end: number, partition: number, base: number): void {
  const where = `the record batch at offset ${base} of partition ${partition}`;
  const magic = bytes[at + 16];
  if (magic !== 2) throw new Error(`${where} has message format ${magic}; only 2 (Kafka 0.11 and later) is read`);
  const expected = bytes.readUInt32BE(at + 17);
  const found = crc32c(bytes.subarray(at + 21, end));
  if (found !== expected) throw new Error(`${where} is damaged: its checksum is ${found}, it says ${expected}`);
}

function opened(
  bytes: Buffer,
  at: number,
  end: number,
  attributes: number,
  partition: number,
  base: number,
): Omit<OpenBatch, "base" | "after" | "passed"> {
  const head = {
    count: bytes.readInt32BE(at + 57),
    firstTime: offsetAt(bytes, at + 27),
    logTime: (attributes & LOG_APPEND_TIME) === 0 ? null : offsetAt(bytes, at + 35),
  };
  const codec = attributes & COMPRESSION;
  if (codec === 0) return { ...head, bytes, at: at + HEAD_BYTES };
  const where = `the record batch at offset ${base} of partition ${partition}`;
  const packed = bytes.subarray(at + HEAD_BYTES, end);
  try {
    // Deno 2.6 has no Zstandard of its own.
    const plain = codec === ZSTD ? unpackZstd(packed) : compressionsAlgorithmsByBitmask[codec]!.decompressSync(packed);
    if (plain.length > MAX_UNPACKED_BYTES) throw new RangeError(`it unpacks to ${plain.length} bytes`);
    return { ...head, bytes: Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength), at: 0 };
  } catch (error) {
    throw new Error(`${where} can't be decompressed: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

/** Where the records of some batches lie, which are in the same bytes; those below `from` are passed over. */
function recordsIn(batches: readonly OpenBatch[], from: number): Omit<Records, "partition" | "end" | "stable" | "gap"> {
  const { bytes } = batches[0]!;
  const most = batches.reduce((sum, { count }) => sum + count, 0);
  const offsets = new Float64Array(most);
  const times = new Float64Array(most);
  const starts = new Int32Array(most);
  const ends = new Int32Array(most);
  let n = 0;
  let skipped = 0;
  for (const { at, count, base, after, passed, firstTime, logTime } of batches) {
    const before = n;
    const cursor = new Cursor(bytes, at);
    for (let i = 0; i < count; i++) {
      const length = cursor.varint();
      const end = cursor.at + length;
      cursor.at++; // attributes, which are unused
      const time = firstTime + cursor.varlong();
      const offset = base + cursor.varint();
      const keyLength = cursor.varint();
      if (keyLength > 0) cursor.at += keyLength;
      const valueLength = cursor.varint();
      if (offset >= from) {
        offsets[n] = offset;
        times[n] = logTime ?? time;
        starts[n] = cursor.at;
        ends[n] = valueLength < 0 ? -1 : cursor.at + valueLength;
        n++;
      }
      cursor.at = end;
    }
    skipped += passed + (after - base) - (n - before);
  }
  return { count: n, bytes, offsets, times, starts, ends, next: batches.at(-1)!.after, skipped };
}

/** Reads zig-zag integers of variable length. */
class Cursor {
  at: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** An integer of up to 32 bits. */
  varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at++]!;
    let value = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = bytes[this.at++]!;
      value |= (byte & 0x7f) << shift;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  /** An integer of up to 64 bits, as far as doubles are exact. */
  varlong(): number {
    const start = this.at;
    while (this.#bytes[this.at++]! > 0x7f);
    if (this.at - start <= 4) {
      this.at = start;
      return this.varint();
    }
    let value = 0;
    for (let i = this.at - 1; i >= start; i--) value = value * 128 + (this.#bytes[i]! & 0x7f);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** Which producers are in a transaction that was aborted, at a place in the log. */
class AbortedProducers {
  readonly #waiting: AbortedTransaction[];
  readonly #open = new Set<bigint>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#waiting = [...transactions].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** True for a batch whose records count for nothing: control records, and those of aborted transactions. */
  leavesOut(bytes: Buffer, at: number, lastOffset: number, attributes: number): boolean {
    while (this.#waiting.length > 0 && this.#waiting[0]!.firstOffset <= lastOffset) {
      this.#open.add(this.#waiting.shift()!.producerId);
    }
    if ((attributes & TRANSACTIONAL) === 0) return (attributes & CONTROL) !== 0;
    const producerId = bytes.readBigInt64BE(at + 43);
    if ((attributes & CONTROL) === 0) return this.#open.has(producerId);
    if (isAbort(bytes, at)) this.#open.delete(producerId);
    return true;
  }
}

/** True if a control batch ends its transaction by aborting it: the key of its record says 0 for that, 1 for commit. */
function isAbort(bytes: Buffer, at: number): boolean {
  const cursor = new Cursor(bytes, at + HEAD_BYTES);
  cursor.varint();
  cursor.at++;
  cursor.varlong();
  cursor.varint();
  cursor.varint();
  return bytes.readInt16BE(cursor.at + 2) === 0;
}

function offsetAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at));
}
