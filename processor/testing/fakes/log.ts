import { setTimeout as sleep } from "node:timers/promises";
import { type Admin, type EachBatchPayload, Kafka, type KafkaConfig, type KafkaJSError, logLevel } from "kafkajs";
import type { OracleLog } from "../../oracle/oracle.ts";
import type { OracleRecord } from "../../oracle/reference_decoder.ts";

/** Where the topic is, and a time limit for reading. */
export interface ReadOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Gives up after this time without a record (default: 30 s), in milliseconds. */
  readonly patienceMs?: number;
  /** TLS and SASL in kafkajs' format. */
  readonly security?: Pick<KafkaConfig, "ssl" | "sasl">;
}

/** A record before it is sent. */
export interface Unsent {
  readonly key: string;
  readonly value: Uint8Array | null;
  /** Its Kafka timestamp, epoch milliseconds. */
  readonly timestampMs: number;
}

/** Returns the log of these records with this many partitions; all records of a key are in one, in order. */
export function logOfRecords(records: Iterable<Unsent>, topic: string, partitions: number): OracleLog {
  const log: OracleRecord[][] = Array.from({ length: partitions }, () => []);
  for (const { key, value, timestampMs } of records) {
    const sum = Array.from(key, (character) => character.codePointAt(0)!).reduce((sum, code) => sum * 31 + code | 0, 0);
    const partition = log[(sum >>> 0) % partitions]!;
    partition.push({ offset: partition.length, value, time: timestampMs });
  }
  return { topic, partitions: log };
}

/** A partition and its end when reading began. */
interface Reading {
  readonly end: number;
  readonly records: OracleRecord[];
  next: number;
}

/** First and next offsets of a partition. */
export interface PartitionOffsets {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The offsets of a topic's partitions. Waits up to 30 s for leaders: a broker may not know yet that it leads a
 * partition that is new, or that it led before it was frozen.
 */
export async function offsetsOf(admin: Admin, topic: string): Promise<PartitionOffsets[]> {
  const deadline = performance.now() + 30_000;
  while (true) {
    try {
      const offsets = await admin.fetchTopicOffsets(topic);
      return offsets.map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }));
    } catch (error) {
      if ((error as Partial<KafkaJSError>).retriable !== true || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** Number of records that were ever written to a topic, control records included. */
export async function writtenTo(brokers: readonly string[], topic: string): Promise<number> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return (await offsetsOf(admin, topic)).reduce((sum, { high }) => sum + high, 0);
  } finally {
    await admin.disconnect();
  }
}

/**
 * Reads every committed record of a topic, each partition to its end when reading began, with a client and code that
 * the processor doesn't share. Supports uncompressed and gzip values. Leaves no consumer group behind.
 */
export async function readTopic(options: ReadOptions): Promise<OracleLog> {
  const kafka = new Kafka({
    ...options.security,
    clientId: "clickstream-oracle",
    brokers: [...options.brokers],
    logLevel: logLevel.ERROR,
  });
  const admin = kafka.admin();
  await admin.connect();
  try {
    const readings = new Map<number, Reading>();
    for (const { partition, low, high } of await offsetsOf(admin, options.topic)) {
      readings.set(partition, { end: high, records: [], next: low });
    }
    const groupId = `clickstream-oracle-${crypto.randomUUID()}`;
    if (!isDone(readings)) {
      await readTo(kafka, groupId, options, readings);
      await admin.deleteGroups([groupId]);
    }
    const partitions = Array.from({ length: readings.size }, (_, partition) => readings.get(partition)!.records);
    return { topic: options.topic, partitions };
  } finally {
    await admin.disconnect();
  }
}

async function readTo(
  kafka: Kafka,
  groupId: string,
  options: ReadOptions,
  readings: Map<number, Reading>,
): Promise<void> {
  const patienceMs = options.patienceMs ?? 30_000;
  const consumer = kafka.consumer({ groupId, readUncommitted: false, retry: { retries: 5 } });
  const done = Promise.withResolvers<void>();
  const giveUp = () => done.reject(new Error(stuck(options.topic, patienceMs, readings)));
  let timer = setTimeout(giveUp, patienceMs);
  // Batches with only control records or aborted records are reported here, and to no handler.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const reading = readings.get(payload.partition)!;
    reading.next = Math.max(reading.next, Number(payload.lastOffset) + 1);
    clearTimeout(timer);
    timer = setTimeout(giveUp, patienceMs);
    if (isDone(readings)) done.resolve();
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) done.reject(new Error(`reading ${options.topic} failed`, { cause: payload.error }));
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
    const eachBatch = ({ batch }: EachBatchPayload) => {
      keep(readings.get(batch.partition)!, batch.messages);
      return Promise.resolve();
    };
    await consumer.run({ autoCommit: false, eachBatch });
    await done.promise;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
}

function keep(reading: Reading, messages: EachBatchPayload["batch"]["messages"]): void {
  for (const { offset, value, timestamp } of messages) {
    const at = Number(offset);
    // A rebalance may deliver records twice; skip also those written after reading began.
    if (at < reading.end && at > (reading.records.at(-1)?.offset ?? -1)) {
      reading.records.push({ offset: at, value, time: Number(timestamp) });
    }
  }
}

function isDone(readings: Map<number, Reading>): boolean {
  return [...readings.values()].every((reading) => reading.next >= reading.end);
}

function stuck(topic: string, patienceMs: number, readings: Map<number, Reading>): string {
  const left = [...readings].filter(([, { next, end }]) => next < end);
  const where = left.map(([partition, { next, end }]) => `partition ${partition} at ${next} of ${end}`).join(", ");
  return `reading ${topic}: nothing arrived for ${patienceMs} ms with ${where}; is the broker up?`;
}
