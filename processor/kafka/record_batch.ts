/**
 * Walks the record batches of a fetch response (Kafka's message format 2) without an object for each record.
 * @module
 */
import { Buffer } from "node:buffer";
import { HEAD_BYTES, headAt, offsetAt } from "./batch_head.ts";
import type { Records } from "../records.ts";
import { type BatchPlace, NO_RECORDS, type Place, unreadableRun } from "./unreadable.ts";
import { CODECS, MAX_UNPACKED_BYTES, unpack } from "./unpack/unpack.ts";

/** An aborted transaction: its records are ignored, from `firstOffset` to its control record. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** One partition of a fetch response. */
export interface FetchedPartition {
  readonly partition: number;
  /** Consecutive record batches; the last may be cut off. */
  readonly bytes: Buffer;
  readonly aborted: readonly AbortedTransaction[];
  /** High watermark: where the partition ends; -1 with an error. */
  readonly highWatermark: number;
  /** Last stable offset: records from here on may belong to open transactions and must not be read yet. */
  readonly lastStableOffset: number;
}

/** Smallest record: six one-byte numbers, and its attributes. */
const LEAST_RECORD_BYTES = 7;

const COMPRESSION = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** Most records in one run, unless a single batch has more. */
const MOST_TOGETHER = 512;

/**
 * After this many decompressed bytes, the rest of the response is fetched again later. This bounds the memory of many
 * small batches that decompress to large ones.
 */
export const UNPACKED_TOGETHER = 16 * 1024 * 1024;

/** The records found, and where reading continues. */
export interface Walked {
  readonly records: Records[];
  readonly next: number;
  /** Bytes of the decompressed batches. */
  readonly unpacked: number;
  /** Why there is no progress: it is unknown where the first batch ends. Null with progress or without any bytes. */
  readonly lost: { readonly why: string; readonly bytes: Buffer } | null;
}

/**
 * The records of a partition from offset `from`, and where reading continues. A batch that can't be read becomes a run
 * without records that says so (`unreadable`). Never throws, and trusts no length or count that goes beyond the bytes.
 *
 * @param unpackable bytes that may be decompressed; the batch that exceeds them is the last
 */
export function walk(fetched: FetchedPartition, from: number, unpackable: number = UNPACKED_TOGETHER): Walked {
  const { partition, bytes, highWatermark: end, lastStableOffset: stable } = fetched;
  const place: Place = { partition, end, stable };
  const aborted = new AbortedProducers(fetched.aborted);
  const records: Run[] = [];
  const open: OpenBatch[] = [];
  let next = from;
  let last: number | null = null;
  let unpacked = 0;
  let lost: Walked["lost"] = null;
  const refuse = (batch: BatchPlace, why: string) => {
    flush(open, records, place);
    records.push(unreadableRun(place, batch, why));
  };
  for (let at = 0; at < bytes.length;) {
    const head = headAt(bytes, at, next, stable);
    if (typeof head === "string") {
      // A batch that is cut off, or follows other batches, is fetched again.
      if (next === from) lost = { why: head, bytes: bytes.subarray(at) };
      break;
    }
    const { base, after, count, leaderEpoch, state } = head;
    if (after <= next) {
      at = head.end;
      continue;
    }
    const batch = { base, floor: next, after, count, leaderEpoch, raw: bytes.subarray(at, head.end) };
    next = after;
    last = leaderEpoch;
    if (state !== "sound") refuse(batch, head.why);
    // This batch may have ended a transaction: fetch again to learn which ones are open.
    if (state === "damaged") break;
    if (state === "sound") {
      const attributes = bytes.readInt16BE(at + 21);
      try {
        if (!aborted.leavesOut(batch.raw, after - 1, attributes)) {
          const plain = opened(bytes, at, head.end, attributes, count ?? 0);
          if (plain.bytes !== bytes) unpacked += plain.bytes.length;
          open.push({ ...batch, ...plain });
        }
      } catch (error) {
        refuse(batch, whyOf(error));
        // It may have taken as much memory as is allowed.
        if ((attributes & COMPRESSION) !== 0) unpacked += MAX_UNPACKED_BYTES;
      }
    }
    at = head.end;
    if (unpacked >= unpackable) break;
  }
  flush(open, records, place);
  if (next === from && bytes.length > 0) lost ??= { why: `only offsets before ${from} came`, bytes };
  // Offsets without a record also advance the partition.
  if ((records.at(-1)?.next ?? from) < next) records.push({ ...place, ...NO_RECORDS, leaderEpoch: last, bytes, next });
  return { records: counted(records, from), next, unpacked, lost };
}

/** A run before its offsets without records are counted. */
type Run = Omit<Records, "skipped" | "gap">;

/** Consecutive runs from an offset, with the number of their offsets that hold no record for us. */
function counted(runs: readonly Run[], from: number): Records[] {
  let at = from;
  return runs.map((run) => {
    const skipped = run.next - at - run.count - (run.unreadable === undefined ? 0 : 1);
    at = run.next;
    return { ...run, skipped, gap: null };
  });
}

/** A batch with readable records: where they are, and what its header says. */
interface OpenBatch extends BatchPlace {
  readonly bytes: Buffer;
  /** Where its records begin and end. */
  readonly at: number;
  readonly end: number;
  readonly firstTime: number;
  /** The time of all its records, if the broker set it. */
  readonly logTime: number | null;
}

function opened(
  bytes: Buffer,
  from: number,
  end: number,
  attributes: number,
  count: number,
): Pick<OpenBatch, "bytes" | "at" | "end" | "firstTime" | "logTime"> {
  const head = {
    firstTime: offsetAt(bytes, from + 27),
    logTime: (attributes & LOG_APPEND_TIME) === 0 ? null : offsetAt(bytes, from + 35),
  };
  const codec = attributes & COMPRESSION;
  const plain = codec === 0 ? bytes : unpacked(codec, bytes.subarray(from + HEAD_BYTES, end));
  const records = codec === 0 ? { at: from + HEAD_BYTES, end } : { at: 0, end: plain.length };
  const size = records.end - records.at;
  if (count < 0 || count * LEAST_RECORD_BYTES > size) {
    throw new Error(`it says that it has ${count} records, in ${size} bytes`);
  }
  return { ...head, bytes: plain, ...records };
}

function unpacked(codec: number, packed: Buffer): Buffer {
  try {
    return unpack(codec, packed);
  } catch (error) {
    throw new Error(`it can't be unpacked (${CODECS[codec] ?? `codec ${codec}`}): ${whyOf(error)}`);
  }
}

/** Lists the records of the batches, and empties the list of batches. */
function flush(open: OpenBatch[], records: Run[], place: Place): void {
  for (let from = 0; from < open.length;) {
    let count = 0;
    let to = from;
    const { bytes, leaderEpoch } = open[from]!;
    // Joins batches of a leader that are adjacent in the same bytes, up to a number of records: single batches can be
    // very small.
    for (; to < open.length; to++) {
      const more = open[to]!.count!;
      const isAlike = open[to]!.bytes === bytes && open[to]!.leaderEpoch === leaderEpoch;
      if (to > from && (!isAlike || count + more > MOST_TOGETHER)) break;
      count += more;
    }
    from += list(open.slice(from, to), count, records, place);
  }
  open.length = 0;
}

/**
 * Lists the records of batches that lie in the same memory as one run, up to the first batch that can't be read.
 * Returns how many batches it handled.
 */
function list(run: readonly OpenBatch[], most: number, all: Run[], place: Place): number {
  const { bytes, leaderEpoch } = run[0]!;
  const listed = arrays(most);
  let count = 0;
  for (const [n, batch] of run.entries()) {
    try {
      count = listBatch(batch, listed, count);
    } catch (error) {
      if (count > 0) all.push({ ...place, leaderEpoch, bytes, next: run[n - 1]!.after, ...cut(listed, count), count });
      all.push(unreadableRun(place, batch, whyOf(error)));
      return n + 1;
    }
  }
  if (count > 0) all.push({ ...place, leaderEpoch, bytes, next: run.at(-1)!.after, ...cut(listed, count), count });
  return run.length;
}

type Listed = Pick<Records, "offsets" | "times" | "starts" | "ends">;

function arrays(count: number): Listed {
  return {
    offsets: new Float64Array(count),
    times: new Float64Array(count),
    starts: new Int32Array(count),
    ends: new Int32Array(count),
  };
}

function cut({ offsets, times, starts, ends }: Listed, count: number): Listed {
  return {
    offsets: offsets.subarray(0, count),
    times: times.subarray(0, count),
    starts: starts.subarray(0, count),
    ends: ends.subarray(0, count),
  };
}

/**
 * Lists a batch's records from index `n`; returns the index after the last.
 *
 * @throws {Error} if a record goes beyond the batch
 */
function listBatch(batch: OpenBatch, { offsets, times, starts, ends }: Listed, n: number): number {
  const { at, end: limit, base, floor, after, firstTime, logTime } = batch;
  const count = batch.count!;
  const cursor = new Cursor(batch.bytes, at);
  let last = base - 1;
  for (let i = 0; i < count; i++) {
    const length = cursor.varint();
    const end = cursor.at + length;
    if (length < LEAST_RECORD_BYTES - 1 || end > limit) {
      throw new Error(`record ${i + 1} says that it is ${length} bytes long`);
    }
    cursor.at++; // attributes, which are unused
    const time = firstTime + cursor.varlong();
    const offset = base + cursor.varint();
    const keyLength = cursor.varint();
    if (keyLength > 0) cursor.at += keyLength;
    const valueLength = cursor.varint();
    const valueEnd = cursor.at + Math.max(0, valueLength);
    if (valueEnd > end) throw new Error(`key and value of record ${i + 1} go beyond it`);
    if (offset <= last || offset >= after) throw new Error(`record ${i + 1} says that it has offset ${offset}`);
    last = offset;
    if (offset >= floor) {
      offsets[n] = offset;
      times[n] = logTime ?? time;
      starts[n] = cursor.at;
      ends[n] = valueLength < 0 ? -1 : valueEnd;
      n++;
    }
    cursor.at = end;
  }
  if (cursor.at !== limit) throw new Error(`${limit - cursor.at} bytes are left after its last record`);
  return n;
}

function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
      if (shift > 28) throw new Error("one of its numbers is longer than a number can be");
      byte = bytes[this.at++]!;
      value |= (byte & 0x7f) << shift;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  /** An integer of up to 64 bits, rounded to a double. */
  varlong(): number {
    const start = this.at;
    while (this.#bytes[this.at++]! > 0x7f);
    if (this.at - start <= 4) {
      this.at = start;
      return this.varint();
    }
    if (this.at - start > 10) throw new Error("one of its numbers is longer than a number can be");
    let value = 0;
    for (let i = this.at - 1; i >= start; i--) value = value * 128 + (this.#bytes[i]! & 0x7f);
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

/** The producers with an aborted transaction at a position in the log. */
class AbortedProducers {
  readonly #waiting: readonly AbortedTransaction[];
  /** How many of them have begun. */
  #begun = 0;
  readonly #open = new Set<bigint>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#waiting = [...transactions].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** True for a batch to ignore: control records, and records of aborted transactions. */
  leavesOut(batch: Buffer, lastOffset: number, attributes: number): boolean {
    while (this.#begun < this.#waiting.length && this.#waiting[this.#begun]!.firstOffset <= lastOffset) {
      this.#open.add(this.#waiting[this.#begun++]!.producerId);
    }
    if ((attributes & TRANSACTIONAL) === 0) return (attributes & CONTROL) !== 0;
    const producerId = batch.readBigInt64BE(43);
    if ((attributes & CONTROL) === 0) return this.#open.has(producerId);
    if (isAbort(batch)) this.#open.delete(producerId);
    return true;
  }
}

/** True if a control batch aborts its transaction: the key of its record is 0 for abort, 1 for commit. */
function isAbort(batch: Buffer): boolean {
  const cursor = new Cursor(batch, HEAD_BYTES);
  cursor.varint();
  cursor.at++;
  cursor.varlong();
  cursor.varint();
  cursor.varint();
  if (cursor.at + 4 > batch.length) throw new Error("its control record is cut off");
  return batch.readInt16BE(cursor.at + 2) === 0;
}
