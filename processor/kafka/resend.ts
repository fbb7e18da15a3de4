/**
 * Sends messages to the topic, each exactly once even if the sender is killed. Each Kafka transaction also stores a
 * number, so the next sender can check whether the last transaction was committed. Uses kafkajs, because the other
 * client commits in a transaction only offsets of records that its own consumer has read.
 * @module
 */
import { Buffer } from "node:buffer";
import {
  Kafka,
  type KafkaConfig,
  logLevel,
  type Message,
  type Producer,
  type SASLOptions,
  type Transaction,
} from "kafkajs";
import type { TopicAccess } from "./admin.ts";
import { type ClusterAccess, tlsOptions } from "./client.ts";
import { attempt } from "./errors.ts";

/** A message for one partition of the topic. */
export interface Resent {
  readonly partition: number;
  readonly key: string | null;
  readonly value: Uint8Array;
}

/** How to connect to the topic, and the sender's name. */
export interface ResendSettings extends TopicAccess {
  /**
   * The transactional id, and the consumer group that stores the number as its offset: only one sender can be active.
   */
  readonly name: string;
}

/**
 * Time after which Kafka aborts the transaction of a killed sender, in milliseconds. Until then nobody can read past it
 * in the partitions that it wrote to.
 */
const TRANSACTION_TIMEOUT_MS = 10_000;

/** How long before the end of its session the sender logs in again, in milliseconds. */
const REAUTHENTICATE_MS = 2000;

/** Most bytes in one request. */
const REQUEST_BYTES = 512 * 1024;

/** Sends in transactions. Once it is open, no other sender of the same name can write any more. */
export class Resender {
  readonly #settings: ResendSettings;
  readonly #producer: Producer;
  readonly #kafka: Kafka;
  #open: Transaction | null = null;

  private constructor(settings: ResendSettings) {
    this.#settings = settings;
    this.#kafka = new Kafka(configOf(settings));
    this.#producer = this.#kafka.producer({
      transactionalId: settings.name,
      transactionTimeout: TRANSACTION_TIMEOUT_MS,
      idempotent: true,
      maxInFlightRequests: 1,
    });
  }

  /** Connects, and aborts an open transaction of a sender with the same name. */
  static async open(settings: ResendSettings): Promise<Resender> {
    const resender = new Resender(settings);
    try {
      await attempt("reach", settings, () => resender.#producer.connect());
      resender.#open = await attempt("write to", settings, () => resender.#producer.transaction());
      return resender;
    } catch (error) {
      await resender.close();
      throw error;
    }
  }

  /** The number that the last committed transaction stored; null if there was none. */
  async last(): Promise<string | null> {
    const { topic, name: groupId } = this.#settings;
    const admin = this.#kafka.admin();
    try {
      const [found] = await attempt("ask", this.#settings, async () => {
        await admin.connect();
        return await admin.fetchOffsets({ groupId, topics: [topic] });
      });
      const offset = found?.partitions.find(({ partition }) => partition === 0)?.offset ?? "-1";
      return offset === "-1" ? null : offset;
    } finally {
      await admin.disconnect();
    }
  }

  /** Sends all messages and stores the number, or does neither. */
  async send(messages: readonly Resent[], number: string): Promise<void> {
    const { topic, name } = this.#settings;
    await attempt("write to", this.#settings, async () => {
      const transaction = this.#open ?? await this.#producer.transaction();
      this.#open = null;
      try {
        for (const part of parts(messages)) await transaction.send({ topic, acks: -1, messages: part });
        await transaction.sendOffsets({
          consumerGroupId: name,
          topics: [{ topic, partitions: [{ partition: 0, offset: number }] }],
        });
        await transaction.commit();
      } catch (error) {
        if (transaction.isActive()) await transaction.abort().catch(() => {});
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#producer.disconnect().catch(() => {});
  }
}

function* parts(messages: readonly Resent[]): Generator<Message[]> {
  let part: Message[] = [];
  let bytes = 0;
  for (const { partition, key, value } of messages) {
    if (bytes > 0 && bytes + value.length > REQUEST_BYTES) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push({ partition, key, value: Buffer.from(value) });
    bytes += value.length;
  }
  if (part.length > 0) yield part;
}

/** The kafkajs configuration; its retries last long enough for a broker restart. */
export function configOf({ brokers, sasl, ...access }: ClusterAccess): KafkaConfig {
  const tls = tlsOptions(access);
  return {
    clientId: "clickstream",
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5000,
    reauthenticationThreshold: REAUTHENTICATE_MS,
    retry: { initialRetryTime: 300, maxRetryTime: 3000, retries: 25 },
    ...(tls === null ? {} : { ssl: tls }),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
  };
}

function saslOf(sasl: NonNullable<ClusterAccess["sasl"]>): SASLOptions {
  if (sasl.mechanism === "OAUTHBEARER") {
    const { token, extensions } = sasl;
    // kafkajs has no type for the extensions that it sends.
    const login = async () => ({ value: await token(), extensions });
    return { mechanism: "oauthbearer", oauthBearerProvider: login };
  }
  const { mechanism, username, password } = sasl;
  switch (mechanism) {
    case "PLAIN":
      return { mechanism: "plain", username, password };
    case "SCRAM-SHA-256":
      return { mechanism: "scram-sha-256", username, password };
    case "SCRAM-SHA-512":
      return { mechanism: "scram-sha-512", username, password };
  }
}
