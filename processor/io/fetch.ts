/**
 * Kafka's Fetch request and response, version 12, with the records left as they lie.
 * @module
 */
import { Reader, Writer } from "@platformatic/kafka";
import type { Buffer } from "node:buffer";
import type { BrokerConnection } from "./broker.ts";
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
}

/** A partition in a response: its records, or Kafka's error code. */
export interface PartitionResponse extends FetchedPartition {
  readonly errorCode: number;
}

/** Sends one request over a connection, and parses the response, whose records lie in `room`. */
export async function fetchFrom(
  connection: BrokerConnection,
  request: FetchRequest,
  room: Room,
): Promise<readonly PartitionResponse[]> {
  return parsed(await connection.request(FETCH, VERSION, written(request), true, room));
}

function written({ topic, offsets, maxWaitMs, maxBytes }: FetchRequest): Writer {
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
          .appendInt32(maxBytes);
      });
    })
    .appendArray([], () => {}) // partitions to forget
    .appendString("") // rack
    .appendTaggedFields();
}

function parsed(response: Buffer): readonly PartitionResponse[] {
  const reader = Reader.from(response);
  reader.readInt32(); // throttle time
  const errorCode = reader.readInt16();
  reader.readInt32(); // session
  const partitions: PartitionResponse[] = [];
  reader.readArray((topic) => {
    topic.readString();
    topic.readArray(
      (r) => {
        partitions.push(partitionFrom(r, errorCode, response));
      },
      true,
      false,
    );
  });
  return partitions;
}

function partitionFrom(r: Reader, responseError: number, response: Buffer): PartitionResponse {
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
  const bytes = response.subarray(r.position, r.position + size);
  r.skip(size);
  r.readTaggedFields();
  return { partition, errorCode, aborted, lastStableOffset, bytes };
}
