/**
 * Fills a topic, by a client that is quicker at it than the shop's.
 * @module
 */
import { Buffer } from "node:buffer";
import { ProduceAcks, Producer } from "@platformatic/kafka";
import type { LoadedRecord } from "./clicks.ts";

const REQUEST_RECORDS = 1000;

/** Sends records to a topic that is there, each to the partition of its key. */
export async function load(
  bootstrap: string,
  topic: string,
  partitions: number,
  records: Iterable<LoadedRecord>,
): Promise<void> {
  const producer = new Producer({ clientId: "bench", bootstrapBrokers: [bootstrap], acks: ProduceAcks.LEADER });
  const waiting: LoadedRecord[][] = Array.from({ length: partitions }, () => []);
  const send = async (partition: number): Promise<void> => {
    const batch = waiting[partition]!;
    waiting[partition] = [];
    await producer.send({
      messages: batch.map(({ key, value, timestampMs }) => ({
        topic,
        partition,
        key: Buffer.from(key),
        value,
        timestamp: BigInt(timestampMs),
      })),
    });
  };
  try {
    for (const record of records) {
      const partition = partitionOf(record.key, partitions);
      if (waiting[partition]!.push(record) === REQUEST_RECORDS) await send(partition);
    }
    for (let partition = 0; partition < partitions; partition++) {
      if (waiting[partition]!.length > 0) await send(partition);
    }
  } finally {
    await producer.close();
  }
}

function partitionOf(key: string, partitions: number): number {
  let sum = 0;
  for (let i = 0; i < key.length; i++) sum = Math.imul(sum ^ key.charCodeAt(i), 0x01000193);
  return (sum >>> 0) % partitions;
}
