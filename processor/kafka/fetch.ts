/**
 * Kafka's Fetch request and response; the record bytes are not parsed. Uses version 13, which names the topic by its
 * id, or version 12 for a topic without an id.
 * @module
 */
import { Writer } from "@platformatic/kafka";
import { Unavailable } from "../pipeline/commit.ts";
import { type Answer, type BufferPool, Malformed, parseAnswer } from "./answer.ts";
import type { BrokerConnection } from "./broker.ts";
import { UNREACHABLE } from "./errors.ts";
import type { AbortedTransaction, FetchedPartition } from "./record_batch.ts";

const FETCH = 1;
const BY_ID = 13;
const BY_NAME = 12;
const READ_COMMITTED = 1;
const UUID_BYTES = 16;
/** Tag of the field that says since where the log is another one. */
const DIVERGING_EPOCH = 0;

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
  /** Epoch of the leader that wrote the record before each offset, where it is known: the broker compares its own. */
  readonly epochs?: ReadonlyMap<number, number>;
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
  /** First offset whose record is not the one that was read before; null if the broker has found no difference. */
  readonly divergedAt: number | null;
}

/** What to fail with, because Kafka refuses to fetch from a partition: another try may find another leader. */
export function fetchRefused(
  { partition, errorCode }: Pick<PartitionResponse, "partition" | "errorCode">,
): Unavailable {
  return new Unavailable(`Kafka answers the fetch of partition ${partition} with error ${errorCode}`, UNREACHABLE);
}

/** Sends one request over a connection and parses the response; its record bytes lie in `pool`. */
export async function fetchFrom(
  connection: BrokerConnection,
  request: FetchRequest,
  pool: BufferPool,
): Promise<readonly PartitionResponse[]> {
  const isById = request.topicId !== null;
  const bytes = await connection.request(FETCH, isById ? BY_ID : BY_NAME, written(request), true, pool);
  return parseAnswer("a fetch", bytes, (answer) => fetchedFrom(answer, isById, request.offsets));
}

/** A topic's id as Kafka prints it, from its hexadecimal form; null for the id of topics without one. */
export function topicIdOf(uuid: string): string | null {
  const hex = uuid.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/.test(hex) || /^0+$/.test(hex)) return null;
  return Uint8Array.fromHex(hex).toBase64({ alphabet: "base64url", omitPadding: true });
}

function written({ topic, topicId, offsets, maxWaitMs, maxBytes, ...more }: FetchRequest): Writer {
  const { held, epochs, partitionBytes } = more;
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
          .appendInt32(epochs?.get(partition) ?? -1) // of the last record that was read
          .appendInt64(-1n) // log start, which only replicas know
          .appendInt32(held?.has(partition) ? 0 : partitionBytes);
      });
    })
    .appendArray([], () => {}) // partitions to forget
    .appendString("") // rack
    .appendTaggedFields();
}

/**
 * The partitions of a response.
 *
 * @param isById whether the response names the topic by its id
 * @param asked the partitions that were asked for
 * @throws {Malformed} if it breaks Kafka's protocol, or has a partition that was not asked for, or one twice
 * @throws {Unavailable} if Kafka answers with an error for all of them
 */
export function fetchedFrom(
  answer: Answer,
  isById: boolean,
  asked: { has(partition: number): boolean },
): readonly PartitionResponse[] {
  answer.int32(); // throttle time
  const errorCode = answer.int16();
  answer.int32(); // session
  const partitions = answer.compactList(() => {
    if (isById) answer.skip(UUID_BYTES);
    else answer.compactText();
    const ofTopic = answer.compactList(() => partitionFrom(answer, errorCode));
    answer.tags();
    return ofTopic;
  }).flat();
  const seen = new Set<number>();
  for (const { partition } of partitions) {
    if (!asked.has(partition) || seen.has(partition)) {
      throw new Malformed(
        `it has partition ${partition}, which was ${seen.has(partition) ? "there" : "not asked for"}`,
      );
    }
    seen.add(partition);
  }
  if (errorCode !== 0 && partitions.length === 0) {
    throw new Unavailable(`Kafka answers a fetch with error ${errorCode}`, { kind: "kafka_unreachable" });
  }
  return partitions;
}

function partitionFrom(answer: Answer, responseError: number): PartitionResponse {
  const partition = answer.int32();
  const errorCode = answer.int16() || responseError;
  const highWatermark = Number(answer.int64());
  const lastStableOffset = Number(answer.int64());
  answer.int64(); // log start
  const aborted = answer.compactList((): AbortedTransaction => {
    const transaction = { producerId: answer.int64(), firstOffset: Number(answer.int64()) };
    answer.tags();
    return transaction;
  });
  answer.int32(); // preferred replica
  const bytes = answer.compactBytes();
  let divergedAt: number | null = null;
  answer.tags({
    [DIVERGING_EPOCH]: (field) => {
      field.int32(); // the last epoch before it
      divergedAt = Number(field.int64());
    },
  });
  return { partition, errorCode, aborted, highWatermark, lastStableOffset, bytes, divergedAt };
}
