/**
 * Reads record batches as Kafka's documentation describes them, one byte after another. It is slow and shares nothing
 * with the walk that it judges but the decompression.
 * @module
 */
import type { Buffer } from "node:buffer";
import type { FetchedPartition } from "../../kafka/record_batch.ts";
import { unpack } from "../../kafka/unpack/unpack.ts";

/** A record, or where a batch is refused: then without a time. */
export interface NaiveItem {
  readonly offset: number;
  readonly time: number | null;
  readonly value: Uint8Array | null;
}

/** What lies before offset `until`; from there on, this reader can't tell. */
export interface NaivelyRead {
  readonly items: readonly NaiveItem[];
  readonly until: number;
}

/** A batch can't be read. */
class Wrong extends Error {}

/** Reads a partition from an offset up to the first batch whose header can't be believed. */
export function naiveWalk({ bytes, aborted, lastStableOffset: stable }: FetchedPartition, from: number): NaivelyRead {
  const items: NaiveItem[] = [];
  const left = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const open = new Set<bigint>();
  let until = from;
  for (let at = 0; at + 61 <= bytes.length;) {
    const end = at + 12 + bytes.readInt32BE(at + 8);
    const base = bytes.readBigInt64BE(at);
    const after = base + BigInt(bytes.readInt32BE(at + 23)) + 1n;
    if (end - at < 61 || end > bytes.length || bytes[at + 16] !== 2) break;
    if (crcOf(bytes.subarray(at + 21, end)) !== bytes.readUInt32BE(at + 17)) break;
    if (base < 0n || after <= base || after > 2n ** 53n || (stable >= 0 && after > BigInt(stable))) break;
    const batch = bytes.subarray(at, end);
    at = end;
    if (Number(after) <= until) continue;
    const floor = until;
    until = Number(after);
    const attributes = batch.readInt16BE(21);
    while (left.length > 0 && left[0]!.firstOffset < Number(after)) open.add(left.shift()!.producerId);
    const isControl = (attributes & 0x20) !== 0;
    const producer = batch.readBigInt64BE(43);
    try {
      if ((attributes & 0x10) !== 0 && isControl) {
        if (isAbort(batch)) open.delete(producer);
        continue;
      }
      if (isControl || ((attributes & 0x10) !== 0 && open.has(producer))) continue;
      const plain = (attributes & 7) === 0 ? batch.subarray(61) : unpackOrWrong(attributes & 7, batch.subarray(61));
      // Many unpacked bytes end a walk.
      if ((attributes & 7) !== 0 && plain.length > 1e6) return { items, until: floor };
      items.push(...readRecords(batch, plain, Number(base), floor, Number(after)));
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      items.push({ offset: Math.max(Number(base), floor), time: null, value: null });
      // Data that can't be unpacked ends a walk too.
      if ((attributes & 7) !== 0) break;
    }
  }
  return { items, until };
}

function unpackOrWrong(codec: number, packed: Buffer): Buffer {
  try {
    return unpack(codec, packed);
  } catch {
    throw new Wrong();
  }
}

function readRecords(batch: Buffer, plain: Buffer, base: number, floor: number, after: number): NaiveItem[] {
  const isLogTime = (batch.readInt16BE(21) & 8) !== 0;
  const firstTime = batch.readBigInt64BE(27);
  const items: NaiveItem[] = [];
  let at = 0;
  let last = base - 1;
  for (let n = batch.readInt32BE(57); n !== 0; n--) {
    if (n < 0) throw new Wrong();
    const length = varint(plain, at, 5);
    const end = length.at + length.value;
    if (length.value < 6 || end > plain.length) throw new Wrong();
    const time = varint(plain, length.at + 1, 10);
    const delta = varint(plain, time.at, 5);
    const key = varint(plain, delta.at, 5);
    const value = varint(plain, key.at + Math.max(0, key.value), 5);
    const valueEnd = value.at + Math.max(0, value.value);
    const offset = base + delta.value;
    if (valueEnd > end || offset <= last || offset >= after) throw new Wrong();
    last = offset;
    if (offset >= floor) {
      items.push({
        offset,
        time: isLogTime ? Number(batch.readBigInt64BE(35)) : Number(firstTime + time.exact),
        value: value.value < 0 ? null : plain.subarray(value.at, valueEnd),
      });
    }
    at = end;
  }
  if (at !== plain.length) throw new Wrong();
  return items;
}

/** A zig-zag number of at most so many bytes; behind the end there are zeros. */
function varint(bytes: Buffer, from: number, most: number): { value: number; exact: bigint; at: number } {
  let number = 0n;
  for (let n = 0;; n++) {
    if (n === most) throw new Wrong();
    const byte = bytes[from + n] ?? 0;
    number |= BigInt(byte & 0x7f) << BigInt(7 * n);
    if (byte > 0x7f) continue;
    // A number of 32 bits has no more of them, as in Kafka's own client.
    if (most === 5) number = BigInt.asUintN(32, number);
    const exact = (number >> 1n) ^ -(number & 1n);
    return { value: Number(exact), exact, at: from + n + 1 };
  }
}

function isAbort(batch: Buffer): boolean {
  let { at } = varint(batch, 61, 5);
  at = varint(batch, at + 1, 10).at;
  at = varint(batch, at, 5).at;
  at = varint(batch, at, 5).at;
  if (at + 4 > batch.length) throw new Wrong();
  return batch.readInt16BE(at + 2) === 0;
}

/** CRC-32C, bit by bit. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ crc >>> 8;
  return ~crc >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? n >>> 1 ^ 0x82f63b78 : n >>> 1;
  return n >>> 0;
});
