/**
 * Kafka's Fetch request and response, version 12, with the records left as they lie.
 * @module
 */
import { type Connection, type Reader, Writer } from "@platformatic/kafka";
import type { AbortedTransaction, FetchedPartition } from "./record_batch.ts";
import type { Room } from "./room.ts";

const FETCH = 1;
const VERSION = 12;
const READ_COMMITTED = 1;

/** What to fetch, and how much at most. */
export interface FetchRequest {
  readonly topic: string;
  /** Where to read each partition from. */
  readonly offsets: ReadonlyMap<number, number>;
  /** How long the broker may wait for something to arrive. */
  readonly maxWaitMs: number;
  readonly maxBytes: number;
  readonly maxPartitionBytes: number;
}

/** A partition in a response: its records, or Kafka's error code. */
export interface PartitionResponse extends FetchedPartition {
  readonly errorCode: number;
}

/** Sends one request over a connection, and parses the response, whose records are put into `room`. */
export function fetchFrom(
  connection: Connection,
  request: FetchRequest,
  room: Room,
): Promise<readonly PartitionResponse[]> {
  return new Promise((resolve, reject) => {
    connection.send(
      FETCH,
      VERSION,
      () => written(request),
      (_correlationId, _apiKey, _apiVersion, reader) => parsed(reader, room),
      true,
      true,
      (error: Error | null, response?: readonly PartitionResponse[]) => {
        if (error !== null) reject(error);
        else resolve(response!);
      },
    );
  });
}

function written({ topic, offsets, maxWaitMs, maxBytes, maxPartitionBytes }: FetchRequest): Writer {
  return Writer.create()
    .appendInt32(-1) // replica: a consumer
    .appendInt32(maxWaitMs)
    .appendInt32(1) // least bytes to wait for
    .appendInt32(maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(0) // no fetch session
    .appendInt32(-1)
    .appendArray([topic], (writer, name) => {
      writer.appendString(name).appendArray([...offsets], (w, [partition, offset]) => {
        w.appendInt32(partition)
          .appendInt32(-1) // leader epoch, unknown
          .appendInt64(BigInt(offset))
          .appendInt32(-1)
          .appendInt64(-1n) // log start, which only replicas know
          .appendInt32(maxPartitionBytes);
      });
    })
    .appendArray([], () => {}) // partitions to forget
    .appendString("") // rack
    .appendTaggedFields();
}

function parsed(reader: Reader, room: Room): readonly PartitionResponse[] {
  reader.readInt32(); // throttle time
  const errorCode = reader.readInt16();
  reader.readInt32(); // session
  const partitions: PartitionResponse[] = [];
  reader.readArray((topic) => {
    topic.readString();
    topic.readArray(
      (r) => {
        partitions.push(partitionFrom(r, errorCode, room));
      },
      true,
      false,
    );
  });
  return partitions;
}

function partitionFrom(r: Reader, responseError: number, room: Room): PartitionResponse {
  const partition = r.readInt32();
  const errorCode = r.readInt16() || responseError;
  r.readInt64(); // high watermark
  const lastStableOffset = Number(r.readInt64());
  r.readInt64(); // log start
  const aborted = r.readNullableArray((a): AbortedTransaction => {
    const producerId = a.readInt64();
    return { producerId, firstOffset: Number(a.readInt64()) };
  }) ?? [];
  r.readInt32(); // preferred replica
  const size = Math.max(0, r.readUnsignedVarInt() - 1);
  const slice = r.buffer.subarray(r.position, r.position + size) as Uint8Array | { readonly buffers: Uint8Array[] };
  const bytes = room.join(slice instanceof Uint8Array ? [slice] : slice.buffers, size);
  r.skip(size);
  r.readTaggedFields();
  return { partition, errorCode, aborted, lastStableOffset, bytes };
}
