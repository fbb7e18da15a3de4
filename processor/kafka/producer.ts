/**
 * Records into a Kafka topic.
 * @module
 */
import { Buffer } from "node:buffer";
import { type MessageToProduce, ProduceAcks, Producer } from "@platformatic/kafka";
import { Admin, answering, type TopicAccess } from "./admin.ts";
import { accessOptions, closed, retrying } from "./client.ts";
import { attempt } from "./errors.ts";
import { Partitioner } from "./partitioner.ts";

/** How to reach a topic, and as whom. */
export interface KafkaSettings extends TopicAccess {
  /** Partitions of a topic that has to be created. */
  readonly partitions: number;
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

/** Retries once the brokers were there: long enough for one to be started again. */
const RETRIES = retrying(25, 300, 3000);

/** So old may be what is known of who leads a partition, in milliseconds: a request that went astray asks anew. */
const METADATA_AGE_MS = 1000;

const CLIENT_ID = "clickstream-generator";

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
  // Errors come back from the calls that met them; without a listener they would end the process besides.
  producer.on("error", () => {});
  const outbox = new Outbox(partitioner, topic, async (messages) => {
    await attempt("write to", settings, () => producer.send({ acks: ProduceAcks.ALL, messages }));
    onProgress(outbox.sent + messages.length);
  });
  const linger = setInterval(() => outbox.post(), LINGER_MS);
  try {
    await attempt("reach", settings, () => producer.initIdempotentProducer({}));
    try {
      for await (const record of records) await outbox.add(record);
    } finally {
      // Where the records end in an error, those before it are sent all the same.
      await outbox.post();
    }
    return { sent: outbox.sent, created };
  } finally {
    clearInterval(linger);
    await closed(producer);
  }
}

type Message = MessageToProduce<Buffer | null, Buffer | null>;

/** Messages for one partition that are not on their way yet. */
interface Waiting {
  messages: Message[];
  bytes: number;
}

/**
 * Records on their way: requests follow each other, and while one is under way the next ones fill. Each is for a single
 * partition, so that one that is repeated is in one place whatever broker leads it by then.
 */
class Outbox {
  /** Records that have been confirmed. */
  sent = 0;
  readonly #topic: string;
  readonly #send: (messages: Message[]) => Promise<void>;
  readonly #partitioner: Partitioner;
  readonly #waiting = new Map<number, Waiting>();
  /** The last of the requests, each of which begins when the one before it is over. */
  #last = Promise.resolve();

  constructor(partitioner: Partitioner, topic: string, send: (messages: Message[]) => Promise<void>) {
    this.#partitioner = partitioner;
    this.#topic = topic;
    this.#send = send;
  }

  /** Takes a record; where that fills a request, waits for those before it. */
  add({ key, value, timestampMs = Date.now() }: KafkaRecord): Promise<void> | undefined {
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

/** Who settles the topic's partitions, and whether it had to be created. */
async function partitionsOf(settings: KafkaSettings): Promise<{ partitioner: Partitioner; created: boolean }> {
  const { topic, partitions: wanted } = settings;
  await using admin = new Admin(settings, CLIENT_ID);
  const created = !await admin.hasTopic(topic) && await admin.createTopic(topic, wanted);
  const partitions = await admin.partitions(topic);
  const available = partitions.filter(({ leader }) => leader >= 0).map(({ partition }) => partition);
  return { partitioner: new Partitioner(partitions.length, available), created };
}
