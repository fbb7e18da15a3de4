/**
 * Kafka's Fetch request and response; the record bytes are not parsed. Uses version 13, which names the topic by its
 * id, or version 12 for a topic without an id.
 * @module
 */
import { Reader, Writer } from "@platformatic/kafka";
import type { Buffer } from "node:buffer";
import { Unavailable } from "../pipeline/commit.ts";
import type { BrokerConnection } from "./broker.ts";
import type { AbortedTransaction, FetchedPartition } from "./record_batch.ts";
import type { BufferPool } from "./buffer_pool.ts";

const FETCH = 1;
const BY_ID = 13;
const BY_NAME = 12;
const READ_COMMITTED = 1;
const UUID_BYTES = 16;

/** What to fetch, and the limits. */
export interface FetchRequest {
  readonly topic: string;
  /**
   * The topic's id as Kafka prints it, so that a recreated topic of the same name is not read instead. Null if the
   * topic has no id.
   */
  readonly topicId: string | null;
  /** First offset to read of each partition. */
  readonly offsets: ReadonlyMap<number, number>;
  /** Partitions of which only the state is wanted, and no records. */
  readonly held?: ReadonlySet<number>;
  /** How long the broker may wait for data. */
  readonly maxWaitMs: number;
  /** Most bytes of the response, and of each partition in it; a first batch may be larger. */
  readonly maxBytes: number;
  readonly partitionBytes: number;
}

/** A partition in a response: its records, or Kafka's error code. */
export interface PartitionResponse extends FetchedPartition {
  readonly errorCode: number;
  /** The high watermark: where the partition ends. */
  readonly highWatermark: number;
}

/** Sends one request over a connection and parses the response; its record bytes lie in `pool`. */
export async function fetchFrom(
  connection: BrokerConnection,
  request: FetchRequest,
  pool: BufferPool,
): Promise<readonly PartitionResponse[]> {
  const version = request.topicId === null ? BY_NAME : BY_ID;
  return parsed(await connection.request(FETCH, version, written(request), true, pool), version === BY_ID);
}

/** A topic's id as Kafka prints it, from its hexadecimal form; null for the id of topics without one. */
export function topicIdOf(uuid: string): string | null {
  const hex = uuid.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/.test(hex) || /^0+$/.test(hex)) return null;
  return Uint8Array.fromHex(hex).toBase64({ alphabet: "base64url", omitPadding: true });
}

function written({ topic, topicId, offsets, maxWaitMs, maxBytes, ...more }: FetchRequest): Writer {
  const { held, partitionBytes } = more;
  return Writer.create()
    .appendInt32(-1) // replica id: a consumer
    .appendInt32(maxWaitMs)
    .appendInt32(1) // least bytes to wait for
    .appendInt32(maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(0) // no fetch session
    .appendInt32(-1)
    .appendArray([topic], (writer, name) => {
      if (topicId === null) writer.appendString(name);
      else writer.appendUUID(Uint8Array.fromBase64(topicId, { alphabet: "base64url" }).toHex());
      writer.appendArray([...offsets], (w, [partition, offset]) => {
        w.appendInt32(partition)
          .appendInt32(-1) // leader epoch, unknown
          .appendInt64(BigInt(offset))
          .appendInt32(-1)
          .appendInt64(-1n) // log start, which only replicas know
          .appendInt32(held?.has(partition) ? 0 : partitionBytes);
      });
    })
    .appendArray([], () => {}) // partitions to forget
    .appendString("") // rack
    .appendTaggedFields();
}

function parsed(response: Buffer, isById: boolean): readonly PartitionResponse[] {
  const reader = Reader.from(response);
  reader.readInt32(); // throttle time
  const errorCode = reader.readInt16();
  reader.readInt32(); // session
  const partitions: PartitionResponse[] = [];
  reader.readArray((topic) => {
    // Not read: the client would format all of the response to get this id.
    if (isById) topic.skip(UUID_BYTES);
    else topic.readString();
    topic.readArray(
      (r) => {
        partitions.push(partitionFrom(r, errorCode, response));
      },
      true,
      false,
    );
  });
  if (errorCode !== 0 && partitions.length === 0) {
    throw new Unavailable(`Kafka answers a fetch with error ${errorCode}`, { kind: "kafka_unreachable" });
  }
  return partitions;
}

function partitionFrom(r: Reader, responseError: number, response: Buffer): PartitionResponse {
  const partition = r.readInt32();
  const errorCode = r.readInt16() || responseError;
  const highWatermark = Number(r.readInt64());
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
  return { partition, errorCode, aborted, highWatermark, lastStableOffset, bytes };
}
