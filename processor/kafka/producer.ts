/**
 * Writes records to a Kafka topic.
 * @module
 */
import { Buffer } from "node:buffer";
import { type MessageToProduce, ProduceAcks, Producer } from "@platformatic/kafka";
import { Admin, answering, type TopicAccess } from "./admin.ts";
import { accessOptions, closed, quiet, retrying } from "./client.ts";
import { attempt } from "./errors.ts";

/** Which topic to write to, and how to connect. */
export interface KafkaSettings extends TopicAccess {
  /** Partitions of a topic that has to be created. */
  readonly partitions: number;
}

/** A record to send; a missing timestamp means the time of sending. */
export interface KafkaRecord {
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly timestampMs?: number;
}

/** The result of producing. */
export interface Produced {
  /** Records that the brokers have confirmed, each written once. */
  readonly sent: number;
  /** True if the topic was missing and has been created. */
  readonly created: boolean;
}

/** Most records in one request, and most bytes unless a single record is larger. */
const REQUEST_RECORDS = 1000;
const REQUEST_BYTES = 512 * 1024;

/** Longest time that a record waits for others to share its request. */
const LINGER_MS = 50;

/** Retries after the first connection: enough for a broker restart. */
const RETRIES = retrying(25, 300, 3000);

/** Maximum age of what is known of the partitions' leaders, in milliseconds: a retry asks for the new leader. */
const METADATA_AGE_MS = 1000;

const CLIENT_ID = "clickstream-generator";

/**
 * Sends records, in order for each key; each is written once even if a request is retried. Creates the topic if it is
 * missing. Reads no more records while the brokers are slower than their source.
 *
 * @param onProgress called after each request with the number of records confirmed so far
 * @throws {Error} naming the brokers and what to do, if they can't be reached or refuse
 */
export async function produce(
  records: AsyncIterable<KafkaRecord> | Iterable<KafkaRecord>,
  given: KafkaSettings,
  onProgress: (sent: number) => void = () => {},
): Promise<Produced> {
  const { topic } = given;
  const settings = await attempt("reach", given, () => answering(given));
  const { partitioner, created } = await attempt("reach", settings, () => partitionsOf(settings));
  const producer = new Producer<Buffer | null, Buffer | null>({
    ...accessOptions(settings),
    ...RETRIES,
    clientId: CLIENT_ID,
    idempotent: true,
    autocreateTopics: false,
    metadataMaxAge: METADATA_AGE_MS,
  });
  quiet(producer);
  const outbox = new Outbox(partitioner, topic, async (messages) => {
    await attempt("write to", settings, () => producer.send({ acks: ProduceAcks.ALL, messages }));
    onProgress(outbox.sent + messages.length);
  });
  const linger = setInterval(() => outbox.tick(), LINGER_MS);
  try {
    await attempt("reach", settings, () => producer.initIdempotentProducer({}));
    try {
      for await (const record of records) await outbox.add(record);
    } finally {
      // If the records end in an error, those before it are still sent.
      await outbox.post();
    }
    return { sent: outbox.sent, created };
  } finally {
    clearInterval(linger);
    await closed(producer);
  }
}

type Message = MessageToProduce<Buffer | null, Buffer | null>;

/** Messages for one partition that have not been sent yet. */
interface Waiting {
  messages: Message[];
  bytes: number;
}

/**
 * Sends requests one after the other; the next ones fill while one is in flight. Each request is for a single
 * partition, so a retried request stays in its partition when the leader changes.
 */
export class Outbox {
  /** Records that have been confirmed. */
  sent = 0;
  /** Requests that have not ended yet. */
  #open = 0;
  #hasFailed = false;
  readonly #topic: string;
  readonly #send: (messages: Message[]) => Promise<void>;
  readonly #partitioner: Partitioner;
  readonly #waiting = new Map<number, Waiting>();
  /** The last request; each request starts when the one before has ended. */
  #last = Promise.resolve();

  constructor(partitioner: Partitioner, topic: string, send: (messages: Message[]) => Promise<void>) {
    this.#partitioner = partitioner;
    this.#topic = topic;
    this.#send = send;
  }

  /**
   * Adds a record; if that fills a request, waits for the requests before it.
   *
   * @throws {Error} what a request before has failed with
   */
  add({ key, value, timestampMs = Date.now() }: KafkaRecord): Promise<void> | undefined {
    if (this.#hasFailed) return this.#last;
    const keyBytes = key === null ? null : Buffer.from(key);
    const partition = this.#partitioner.partitionOf(keyBytes);
    let waiting = this.#waiting.get(partition);
    if (waiting === undefined) this.#waiting.set(partition, waiting = { messages: [], bytes: 0 });
    waiting.messages.push({
      topic: this.#topic,
      partition,
      key: keyBytes,
      value: value === null ? null : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
      timestamp: BigInt(timestampMs),
    });
    waiting.bytes += value?.length ?? 0;
    if (waiting.messages.length < REQUEST_RECORDS && waiting.bytes < REQUEST_BYTES) return undefined;
    const before = this.#last;
    this.#waiting.delete(partition);
    this.#request(waiting.messages);
    return before;
  }

  /**
   * Sends what waits, unless requests are still under way: brokers that are slower than the ticks get larger requests,
   * instead of more and more small ones.
   */
  tick(): void {
    if (this.#open === 0) void this.post();
  }

  /** Sends all remaining records; resolves when all are confirmed. */
  post(): Promise<void> {
    for (const { messages } of this.#waiting.values()) this.#request(messages);
    this.#waiting.clear();
    return this.#last;
  }

  #request(messages: Message[]): void {
    this.#open++;
    this.#last = this.#last.then(async () => {
      await this.#send(messages);
      this.sent += messages.length;
      this.#open--;
    });
    // The caller that adds the next record or waits for the last request gets the error.
    this.#last.catch(() => this.#hasFailed = true);
  }
}

/** The topic's partitioner, and whether the topic had to be created. */
async function partitionsOf(settings: KafkaSettings): Promise<{ partitioner: Partitioner; created: boolean }> {
  const { topic, partitions: wanted } = settings;
  await using admin = new Admin(settings, CLIENT_ID);
  const created = !await admin.hasTopic(topic) && await admin.createTopic(topic, wanted);
  const partitions = await admin.partitions(topic);
  const available = partitions.filter(({ leader }) => leader >= 0).map(({ partition }) => partition);
  return { partitioner: new Partitioner(partitions.length, available), created };
}

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;

/**
 * Chooses partitions of one topic: by key, or round robin without a key. Kafka's own producers do the same, so all
 * producers send a user's events to the same partition.
 */
export class Partitioner {
  readonly #count: number;
  readonly #available: readonly number[];
  #turn = Math.floor(Math.random() * 2 ** 31);

  /**
   * @param count number of the topic's partitions
   * @param available partitions that have a leader, for records without a key
   */
  constructor(count: number, available: readonly number[]) {
    this.#count = count;
    this.#available = available.length > 0 ? available : Array.from({ length: count }, (_, partition) => partition);
  }

  /** The partition of a record with this key. */
  partitionOf(key: Buffer | null): number {
    if (key !== null) return (murmur2(key) & 0x7fffffff) % this.#count;
    this.#turn = (this.#turn + 1) & 0x7fffffff;
    return this.#available[this.#turn % this.#available.length]!;
  }
}

/** MurmurHash2 with the seed of Kafka's producers, as a signed 32-bit number. */
export function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  let hash = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), M);
    word = Math.imul(word ^ (word >>> 24), M);
    hash = Math.imul(hash, M) ^ word;
  }
  const rest = length - at;
  if (rest === 3) hash ^= bytes[at + 2]! << 16;
  if (rest >= 2) hash ^= bytes[at + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[at]!, M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}
