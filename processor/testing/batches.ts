/**
 * Builds record batches byte by byte (Kafka's message format 2), valid and invalid ones, and makes a broker append them
 * unchanged.
 * @module
 */
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { compressionsAlgorithms, Reader, Writer } from "@platformatic/kafka";
import { crc32c } from "../kernel/checksum.ts";
import type { BrokerConnection } from "../kafka/broker.ts";
import { BufferPool } from "../kafka/answer.ts";

/** A record of a batch. */
export interface BatchRecord {
  readonly key?: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly time?: number;
  /** Its headers, or how many it has of some that mean nothing. */
  readonly headers?: number | readonly (readonly [name: string, value: string])[];
  /** Offset relative to the batch (default: its index in the batch). */
  readonly delta?: number;
}

/** Header fields of a batch that differ from its records. */
export interface BatchOptions {
  readonly base?: number;
  /** Epoch of the leader that wrote it; -1 if unknown, as in a batch that a producer sends (default). */
  readonly leaderEpoch?: number;
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; for other values nothing is compressed. */
  readonly codec?: number;
  /** Replaces the encoded records, compressed or not; the records are then only counted. */
  readonly body?: Uint8Array;
  readonly attributes?: number;
  readonly count?: number;
  readonly lastDelta?: number;
  readonly producer?: { readonly id: bigint; readonly epoch: number; readonly sequence: number };
  readonly time?: number;
}

/** A zig-zag varint, as in records. */
export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  if (typeof value === "number" && Math.abs(value) < 2 ** 30) {
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    for (; rest > 0x7f; rest >>>= 7) bytes.push(rest & 0x7f | 0x80);
    bytes.push(rest);
    return bytes;
  }
  let rest = BigInt(value) < 0n ? -BigInt(value) * 2n - 1n : BigInt(value) * 2n;
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
}

const utf8 = new TextEncoder();

/** Encodes a record of a batch. */
export function recordBytes({ key = null, value, time = 0, headers = 0, delta = 0 }: BatchRecord, first = 0): Buffer {
  const start = [0, ...varint(time - first), ...varint(delta), ...varint(key?.length ?? -1)];
  const middle = varint(value?.length ?? -1);
  const all = typeof headers === "number" ? Array.from({ length: headers }, () => ["h", "1"]) : headers;
  const sized = (text: string) => [...varint(utf8.encode(text).length), ...utf8.encode(text)];
  const end = [...varint(all.length), ...all.flat().flatMap(sized)];
  const length = varint(start.length + (key?.length ?? 0) + middle.length + (value?.length ?? 0) + end.length);
  const parts = [length, start, key ?? [], middle, value ?? [], end];
  const bytes = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Encodes a batch of these records. */
export function batchBytes(records: readonly BatchRecord[], options: BatchOptions = {}): Buffer {
  const { base = 0, codec = 0, attributes = 0, producer } = options;
  const time = options.time ?? records[0]?.time ?? 0;
  const plain = Buffer.concat(records.map((record, i) => recordBytes({ delta: i, ...record }, time)));
  const body = options.body ?? packed(codec, plain);
  const head = Buffer.alloc(61);
  head.writeBigInt64BE(BigInt(base), 0);
  head.writeInt32BE(49 + body.length, 8);
  head.writeInt32BE(options.leaderEpoch ?? -1, 12);
  head[16] = 2;
  head.writeInt16BE(attributes | codec, 21);
  head.writeInt32BE(options.lastDelta ?? (records.at(-1)?.delta ?? records.length - 1), 23);
  head.writeBigInt64BE(BigInt(time), 27);
  head.writeBigInt64BE(BigInt(Math.max(time, ...records.map((record) => record.time ?? 0))), 35);
  head.writeBigInt64BE(producer?.id ?? -1n, 43);
  head.writeInt16BE(producer?.epoch ?? -1, 51);
  head.writeInt32BE(producer?.sequence ?? -1, 53);
  head.writeInt32BE(options.count ?? records.length, 57);
  return sealed(Buffer.concat([head, body]));
}

/** Fills in the checksum of the batch. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function packed(codec: number, plain: Buffer): Uint8Array {
  if (codec === 1) return gzipSync(plain);
  if (codec === 2) return compressionsAlgorithms.snappy.compressSync(plain) as Buffer;
  if (codec === 3) return compressionsAlgorithms.lz4.compressSync(plain) as Buffer;
  return codec === 4 ? zstdOf([plain]) : plain;
}

/** A Zstandard frame of these uncompressed pieces; a number stands for that many zero bytes. */
export function zstdOf(pieces: readonly (Uint8Array | number)[]): Buffer {
  const blocks: Buffer[] = [];
  const add = (kind: number, size: number, bytes: Uint8Array) => {
    const head = Buffer.alloc(3);
    head.writeUIntLE(size << 3 | kind << 1, 0, 3);
    blocks.push(Buffer.concat([head, bytes]));
  };
  for (const piece of pieces) {
    const length = typeof piece === "number" ? piece : piece.length;
    for (let at = 0; at < length; at += 128 * 1024) {
      const size = Math.min(128 * 1024, length - at);
      if (typeof piece === "number") add(1, size, Uint8Array.of(0));
      else add(0, size, piece.subarray(at, at + size));
    }
  }
  add(0, 0, new Uint8Array());
  blocks.at(-1)![0]! |= 1;
  // Magic, flags, and a window of 1 MB.
  return Buffer.concat([Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3), ...blocks]);
}

/** Compressed data that unpacks to a record of this many zero bytes, for each codec but none. */
export function bombOf(codec: number, bytes: number): Uint8Array {
  const record = recordBytes({ value: new Uint8Array(0) });
  // Like the empty record, except for the two lengths that count the zeros.
  const body = [0, 0, 0, ...varint(-1), ...varint(bytes)];
  const head = Uint8Array.of(...varint(body.length + bytes + 1), ...body);
  const tail = Uint8Array.of(record.at(-1)!);
  if (codec === 4) return zstdOf([head, bytes, tail]);
  if (codec === 1) return gzipSync(Buffer.concat([head, Buffer.alloc(bytes), tail]), { level: 9 });
  if (codec === 3) return lz4Bomb(head, bytes, tail);
  return snappyBomb(head, bytes, tail);
}

/** LZ4: a first zero, and matches with it in blocks of 4 MiB. */
function lz4Bomb(head: Uint8Array, zeros: number, tail: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = [];
  const block = (bytes: Uint8Array, isPlain: boolean) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE((bytes.length | (isPlain ? 0x80000000 : 0)) >>> 0);
    blocks.push(length, bytes);
  };
  block(head, true);
  for (let left = zeros; left > 0;) {
    const size = Math.min(left, 4 * 1024 * 1024);
    if (size < 64) block(new Uint8Array(size), true);
    else {
      const match = size - 1 - 5;
      const more = match - 4 - 15;
      block(
        Uint8Array.of(
          ...[0x1f, 0, 1, 0],
          ...Array<number>(Math.floor(more / 255)).fill(255),
          more % 255,
          ...[0x50, 0, 0, 0, 0, 0],
        ),
        false,
      );
    }
    left -= size;
  }
  block(tail, true);
  // Version 1, independent blocks of up to 4 MiB; the checksum of the header is a constant.
  return Buffer.concat([Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73), ...blocks, new Uint8Array(4)]);
}

/** Snappy: a first zero, and copies of 64 bytes from one byte back. */
function snappyBomb(head: Uint8Array, zeros: number, tail: Uint8Array): Uint8Array {
  const size: number[] = [];
  for (let rest = head.length + zeros + tail.length; rest > 0; rest = Math.floor(rest / 128)) {
    size.push(rest % 128 + (rest > 127 ? 128 : 0));
  }
  const literal = (bytes: Uint8Array) => Buffer.concat([Uint8Array.of(bytes.length - 1 << 2), bytes]);
  const copies = Buffer.alloc(Math.ceil((zeros - 1) / 64) * 3);
  for (let i = 0, left = zeros - 1; i < copies.length; i += 3, left -= 64) {
    copies[i] = Math.min(64, left) - 1 << 2 | 2;
    copies[i + 1] = 1;
  }
  return Buffer.concat([Uint8Array.from(size), literal(head), literal(new Uint8Array(1)), copies, literal(tail)]);
}

const PRODUCE = 0;
const PRODUCE_VERSION = 9;

/**
 * Makes the leader of a partition append batches unchanged, except for their offsets.
 *
 * @returns the offset of the first record, or Kafka's error code if it refuses them
 */
export async function produce(
  connection: BrokerConnection,
  topic: string,
  partition: number,
  batches: Uint8Array,
): Promise<{ readonly offset: number; readonly errorCode: number }> {
  const name = utf8.encode(topic);
  const unsigned = (n: number): number[] => n > 0x7f ? [n & 0x7f | 0x80, ...unsigned(n >>> 7)] : [n];
  const int32 = (n: number) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];
  // No transaction; acks from all replicas within 30 s; one topic with one partition.
  const body = Buffer.concat([
    Uint8Array.of(0, 0xff, 0xff, ...int32(30_000), 2, ...unsigned(name.length + 1)),
    name,
    Uint8Array.of(2, ...int32(partition), ...unsigned(batches.length + 1)),
    batches,
    Uint8Array.of(0, 0, 0),
  ]);
  const response = await connection.request(
    PRODUCE,
    PRODUCE_VERSION,
    Writer.create().append(body),
    true,
    new BufferPool(),
  );
  const reader = Reader.from(response);
  let result = { offset: -1, errorCode: -1 };
  reader.readArray((topics) => {
    topics.readString();
    topics.readArray((r) => {
      r.readInt32();
      const errorCode = r.readInt16();
      result = { errorCode, offset: Number(r.readInt64()) };
      r.readInt64(); // append time
      r.readInt64(); // log start
      r.readArray((errors) => {
        errors.readInt32();
        errors.readNullableString();
      });
      r.readNullableString();
    });
  });
  return result;
}
