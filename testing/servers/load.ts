/**
 * Fills a topic with a faster client than the simulator's.
 * @module
 */
import { Buffer } from "node:buffer";
import { type MessageToProduce, ProduceAcks, Producer } from "@platformatic/kafka";

/** A record to send: its key, its bytes (null: none) and its Kafka timestamp, epoch milliseconds. */
export interface Sendable {
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
  /** Its partition (default: that of its key). */
  readonly partition?: number;
}

/** Most records in a request. */
const REQUEST_RECORDS = 10_000;

/** Most bytes of one partition in a request, which are a batch: the broker refuses batches of more than 1 MiB. */
const BATCH_BYTES = 900_000;

/** Bytes of a record besides its value, at most. */
const RECORD_BYTES = 100;

/** How batches are written. */
export interface Batching {
  /** Most bytes of a batch before it is compressed (default: what the broker takes uncompressed). */
  readonly bytes?: number;
  /** Compresses them. */
  readonly isGzipped?: boolean;
}

/** Sends records to an existing topic, each once. */
export async function load(
  bootstrap: string,
  topic: string,
  partitions: number,
  records: Iterable<Sendable>,
  { bytes: batchBytes = BATCH_BYTES, isGzipped = false }: Batching = {},
): Promise<void> {
  const producer = exactProducerTo(bootstrap, isGzipped);
  const bytes = new Array<number>(partitions).fill(0);
  let waiting: Message[] = [];
  let underWay: Promise<unknown> = Promise.resolve();
  const send = async (): Promise<void> => {
    const messages = waiting;
    waiting = [];
    bytes.fill(0);
    await underWay;
    if (messages.length > 0) underWay = producer.send({ messages });
  };
  try {
    for (const record of records) {
      const message = messageOf(record, topic, partitions);
      const size = (record.value?.length ?? 0) + RECORD_BYTES;
      if (waiting.length === REQUEST_RECORDS || bytes[message.partition]! + size > batchBytes) await send();
      waiting.push(message);
      bytes[message.partition]! += size;
    }
    await send();
    await underWay;
  } finally {
    await producer.close();
  }
}

/** A client that sends records. */
export type Sender = Producer<Buffer, Buffer | null, Buffer, Buffer>;

/** A client that sends records; a request that is sent again may write them twice. */
export function producerTo(bootstrap: string): Sender {
  return new Producer({ clientId: "bench", bootstrapBrokers: [bootstrap], acks: ProduceAcks.LEADER });
}

/** A client that writes each record once, whatever has to be sent again. */
export function exactProducerTo(bootstrap: string, isGzipped = false): Sender {
  return new Producer({
    clientId: "load",
    bootstrapBrokers: [bootstrap],
    acks: ProduceAcks.ALL,
    idempotent: true,
    compression: isGzipped ? "gzip" : "none",
    retries: 20,
    retryDelay: 500,
  });
}

/** A record with its partition. */
export type Message = MessageToProduce<Buffer, Buffer | null> & { readonly partition: number };

/** A record with its partition: all records of a user must be in one. */
export function messageOf(record: Sendable, topic: string, partitions: number): Message {
  const { key, value, timestampMs, partition = partitionOf(key, partitions) } = record;
  const bytes = value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.length);
  return { topic, partition, key: Buffer.from(key), value: bytes, timestamp: BigInt(timestampMs) };
}

/** The partition of a key. */
export function partitionOf(key: string, partitions: number): number {
  let sum = 0;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return (sum >>> 0) % partitions;
}
