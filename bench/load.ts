/**
 * Fills a topic with a faster client than the simulator's.
 * @module
 */
import { Buffer } from "node:buffer";
import { type MessageToProduce, ProduceAcks, Producer } from "@platformatic/kafka";
import type { LoadedRecord } from "./clicks.ts";

/** Records in a request: many, but per partition at most a batch of 1 MB, the broker's limit. */
const REQUEST_RECORDS = 10_000;
const BATCH_RECORDS = 3_000;

/** Sends records to an existing topic, each to the partition of its key. */
export async function load(
  bootstrap: string,
  topic: string,
  partitions: number,
  records: Iterable<LoadedRecord>,
): Promise<void> {
  const producer = producerTo(bootstrap);
  const most = Math.min(REQUEST_RECORDS, BATCH_RECORDS * partitions);
  let waiting: MessageToProduce<Buffer, Buffer>[] = [];
  let underWay: Promise<unknown> = Promise.resolve();
  const send = async (): Promise<void> => {
    const messages = waiting;
    waiting = [];
    await underWay;
    underWay = producer.send({ messages });
  };
  try {
    for (const record of records) {
      waiting.push(messageOf(record, topic, partitions));
      if (waiting.length === most) await send();
    }
    await send();
    await underWay;
  } finally {
    await producer.close();
  }
}

/** A client that sends records. */
export function producerTo(bootstrap: string): Producer<Buffer, Buffer, Buffer, Buffer> {
  return new Producer({ clientId: "bench", bootstrapBrokers: [bootstrap], acks: ProduceAcks.LEADER });
}

/** A record with its partition. */
export type Message = MessageToProduce<Buffer, Buffer> & { readonly partition: number };

/** A record assigned to the partition of its key: all records of a user must be in one partition. */
export function messageOf({ key, value, timestampMs }: LoadedRecord, topic: string, partitions: number): Message {
  const partition = partitionOf(key, partitions);
  return { topic, partition, key: Buffer.from(key), value, timestamp: BigInt(timestampMs) };
}

function partitionOf(key: string, partitions: number): number {
  let sum = 0;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return (sum >>> 0) % partitions;
}
