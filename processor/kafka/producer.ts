/**
 * Records into a Kafka topic.
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type Admin,
  Kafka,
  type KafkaConfig,
  logLevel,
  type Message,
  Partitioners,
  type PartitionMetadata,
  type RetryOptions,
  type SASLOptions,
} from "kafkajs";
import { answeringBrokers } from "./bootstrap.ts";
import type { KafkaAccess } from "./broker.ts";
import { attempt } from "./errors.ts";

/** How to reach a topic, and as whom. */
export interface KafkaSettings extends KafkaAccess {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Partitions of a topic that has to be created. */
  readonly partitions: number;
  /** Is told which brokers don't answer, while others do. */
  readonly warn?: (message: string) => void;
}

/** What is sent: the time of sending stands in for a timestamp that is left out. */
export interface KafkaRecord {
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly timestampMs?: number;
}

/** What was done. */
export interface Produced {
  /** Records that the brokers have confirmed, each of them written once. */
  readonly sent: number;
  /** True if the topic was missing and has been created. */
  readonly created: boolean;
}

/** A request holds no more records than this; and no more bytes, unless a single record does. */
const REQUEST_RECORDS = 1000;
const REQUEST_BYTES = 512 * 1024;

/** A record doesn't wait for company for longer than this. */
const LINGER_MS = 50;

/** Retries to find the brokers at first: what is wrong is to be known in seconds. */
export const FIRST_RETRIES = { initialRetryTime: 200, retries: 4 };

/** Retries once the brokers were there: long enough for one to be started again. */
export const LATER_RETRIES = { initialRetryTime: 300, maxRetryTime: 3000, retries: 25 };

/**
 * Sends records, those of a key in their order, each written once even if a request has to be repeated. Creates the
 * topic if it is missing. While the brokers are slower than the records, no more of these are asked for.
 *
 * @param onProgress is told after each request how many records have been confirmed so far
 * @throws {Error} naming the brokers and what to do, if they can't be reached or refuse
 */
export async function produce(
  records: AsyncIterable<KafkaRecord> | Iterable<KafkaRecord>,
  given: KafkaSettings,
  onProgress: (sent: number) => void = () => {},
): Promise<Produced> {
  const settings = { ...given, brokers: await answering(given) };
  const { topic } = settings;
  const admin = new Kafka(configOf(settings, FIRST_RETRIES)).admin();
  const { partitions, created } = await attempt("reach", settings, () => partitionsOf(admin, settings));
  const producer = new Kafka(configOf(settings, LATER_RETRIES)).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  const outbox = new Outbox(partitions, topic, async (messages) => {
    await attempt("write to", settings, () => producer.send({ topic, acks: -1, messages }));
    onProgress(outbox.sent + messages.length);
  });
  const linger = setInterval(() => outbox.post(), LINGER_MS);
  try {
    await attempt("reach", settings, () => producer.connect());
    try {
      for await (const record of records) await outbox.add(record);
    } finally {
      // Where the records end in an error, those before it are sent all the same.
      await outbox.post();
    }
    return { sent: outbox.sent, created };
  } finally {
    clearInterval(linger);
    await producer.disconnect().catch(() => {});
  }
}

/** Messages for one partition that are not on their way yet. */
interface Waiting {
  messages: Message[];
  bytes: number;
}

/**
 * Records on their way: requests follow each other, and while one is under way the next ones fill. Each is for a single
 * partition, which is settled here: kafkajs settles it anew when it repeats a request, which may send a record without a
 * key elsewhere, and of a request for several partitions it forgets one that moves to a broker that has confirmed another.
 */
class Outbox {
  /** Records that have been confirmed. */
  sent = 0;
  readonly #topic: string;
  readonly #send: (messages: Message[]) => Promise<void>;
  readonly #partitionOf = Partitioners.DefaultPartitioner();
  readonly #partitions: PartitionMetadata[];
  readonly #waiting = new Map<number, Waiting>();
  /** The last of the requests, each of which begins when the one before it is over. */
  #last = Promise.resolve();

  constructor(partitions: PartitionMetadata[], topic: string, send: (messages: Message[]) => Promise<void>) {
    this.#partitions = partitions;
    this.#topic = topic;
    this.#send = send;
  }

  /** Takes a record; where that fills a request, waits for those before it. */
  add({ key, value, timestampMs }: KafkaRecord): Promise<void> | undefined {
    const message: Message = {
      key,
      value: value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
      ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
    };
    const partition = this.#partitionOf({ topic: this.#topic, partitionMetadata: this.#partitions, message });
    message.partition = partition;
    let waiting = this.#waiting.get(partition);
    if (waiting === undefined) this.#waiting.set(partition, waiting = { messages: [], bytes: 0 });
    waiting.messages.push(message);
    waiting.bytes += value?.length ?? 0;
    if (waiting.messages.length < REQUEST_RECORDS && waiting.bytes < REQUEST_BYTES) return undefined;
    const before = this.#last;
    this.#waiting.delete(partition);
    this.#request(waiting.messages);
    return before;
  }

  /** Sends what there is; resolves when all has been confirmed. */
  post(): Promise<void> {
    for (const { messages } of this.#waiting.values()) this.#request(messages);
    this.#waiting.clear();
    return this.#last;
  }

  #request(messages: Message[]): void {
    this.#last = this.#last.then(async () => {
      await this.#send(messages);
      this.sent += messages.length;
    });
    // Who fills the next request, or waits for the last, gets to know of a failure.
    this.#last.catch(() => {});
  }
}

/** The topic's partitions, and whether it had to be created. */
async function partitionsOf(
  admin: Admin,
  { topic, partitions }: KafkaSettings,
): Promise<{ partitions: PartitionMetadata[]; created: boolean }> {
  try {
    await admin.connect();
    // As many copies as the brokers make when nobody says otherwise.
    const wanted = { topic, numPartitions: partitions, replicationFactor: -1 };
    const missing = !(await admin.listTopics()).includes(topic);
    const created = missing && await admin.createTopics({ topics: [wanted], waitForLeaders: true });
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return { partitions: topics[0]!.partitions, created };
  } finally {
    await admin.disconnect();
  }
}

/**
 * The brokers that answer; all of them where none does, for the client then says why. The client itself waits for half a
 * minute for a broker that takes connections and never answers.
 */
export async function answering(settings: Omit<KafkaSettings, "topic" | "partitions">): Promise<readonly string[]> {
  const { brokers, warn = () => {} } = settings;
  return await answeringBrokers(brokers, settings, warn).catch(() => brokers);
}

/** How kafkajs reaches the brokers. */
export function configOf(
  { brokers, tlsCa, tls, sasl }: Omit<KafkaSettings, "topic" | "partitions">,
  retry: RetryOptions,
): KafkaConfig {
  return {
    clientId: "clickstream-generator",
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5000,
    retry,
    ...(tlsCa !== undefined ? { ssl: { ca: [tlsCa] } } : tls ? { ssl: true } : {}),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
  };
}

function saslOf({ mechanism, username, password }: NonNullable<KafkaSettings["sasl"]>): SASLOptions {
  switch (mechanism) {
    case "PLAIN":
      return { mechanism: "plain", username, password };
    case "SCRAM-SHA-256":
      return { mechanism: "scram-sha-256", username, password };
    case "SCRAM-SHA-512":
      return { mechanism: "scram-sha-512", username, password };
  }
}
