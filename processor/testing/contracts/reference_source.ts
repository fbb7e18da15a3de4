/**
 * Reads a topic with `@platformatic/kafka` itself, one object per record: slow, but maintained by others, so it checks
 * our own walk over batches. Not for transactions: it delivers aborted records. Not for topics with broker timestamps:
 * it delivers the producers' timestamps.
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import {
  compressionsAlgorithms,
  Consumer,
  type Message,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
} from "@platformatic/kafka";
import { decompress as unpackZstd } from "fzstd";
import type { KafkaSettings } from "../../kafka/source.ts";
import { Rebalanced, type Source } from "../../pipeline/source.ts";
import type { Records, Seek } from "../../records.ts";
import { recordsOf } from "../fakes/memory.ts";

// The client uses Zstandard from Node, which Deno 2.6 lacks.
Object.assign(compressionsAlgorithms.zstd, {
  decompressSync: (packed: Uint8Array) => Buffer.from(unpackZstd(packed)),
  available: true,
});

/** Records to buffer before the client is paused. */
const READY = 20_000;

type Stream = Awaited<ReturnType<Consumer["consume"]>>;

/** A topic of a Kafka cluster, read with the client's stream. */
export class ReferenceSource implements Source {
  readonly topic: string;
  readonly #consumer: Consumer;
  #joined: Promise<unknown> | null = null;
  #reassigned = false;
  /** Where to continue reading. A stream cannot seek, so each seek opens another. */
  #sought: Seek | null = null;
  #seeks = 0;
  #partitions: readonly number[] = [];
  #stream: Stream | null = null;
  #ready: Message[] = [];
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => {};

  constructor({ topic, groupId, clientId, brokers }: KafkaSettings & { readonly groupId: string }) {
    this.topic = topic;
    this.#consumer = new Consumer({ groupId, clientId, bootstrapBrokers: [...brokers], autocommit: false });
    this.#consumer.on("consumer:group:rebalance", () => this.#reassign());
    this.#consumer.on("consumer:group:join", () => this.#reassign());
    this.#consumer.on("error", (error: Error) => this.#fail(error));
  }

  async assigned(): Promise<readonly number[]> {
    if (this.#joined === null) {
      this.#consumer.topics.track(this.topic);
      this.#joined = this.#consumer.joinGroup();
    }
    await this.#joined;
    if (!this.#consumer.isActive()) await once(this.#consumer, "consumer:group:join");
    this.#reassigned = false;
    return this.#consumer.assignments?.find(({ topic }) => topic === this.topic)?.partitions ?? [];
  }

  topicId(): null {
    return null;
  }

  seek(offsets: Seek): void {
    this.#seeks++;
    this.#sought = offsets;
    this.#ready = [];
    this.#failure = null;
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    const seeks = this.#seeks;
    if (this.#sought !== null) await this.#go(this.#sought);
    if (seeks === this.#seeks && this.#ready.length === 0 && !this.#reassigned) await this.#something(maxWaitMs);
    if (this.#reassigned) throw new Rebalanced("the consumer group is rebalancing");
    if (seeks !== this.#seeks) return [];
    if (this.#failure !== null) throw this.#failure.error;
    const messages = this.#ready;
    this.#ready = [];
    if (this.#stream?.isPaused()) this.#stream.resume();
    return messages.length === 0 ? [] : await this.#recordsOf(messages);
  }

  async committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    await this.#consumer.commit({
      offsets: [...offsets].map(([partition, offset]) => ({
        topic: this.topic,
        partition,
        offset: BigInt(offset),
        leaderEpoch: -1,
      })),
    });
  }

  async close(): Promise<void> {
    this.#seeks++;
    this.#wake();
    await this.#stream?.close();
    this.#stream = null;
    await this.#consumer.close(true);
  }

  async #go(sought: Seek): Promise<void> {
    const stream = this.#stream;
    this.#stream = null;
    await stream?.close();
    if (sought.size === 0) {
      this.#sought = null;
      return;
    }
    const earliest = await this.#offsets([...sought.keys()], -2n);
    const next = await this.#consumer.consume({
      topics: [this.topic],
      mode: MessagesStreamModes.MANUAL,
      fallbackMode: MessagesStreamFallbackModes.EARLIEST,
      offsets: [...sought].map(([partition, offset]) => ({
        topic: this.topic,
        partition,
        offset: offset === null ? earliest.get(partition)! : BigInt(offset),
      })),
      maxWaitTime: 100,
    });
    if (sought !== this.#sought) return await next.close();
    this.#sought = null;
    this.#stream = next;
    this.#partitions = [...sought.keys()];
    next.on("error", (error: Error) => this.#fail(error));
    next.on("data", (message: Message) => {
      if (next !== this.#stream || this.#sought !== null || !this.#partitions.includes(message.partition)) return;
      this.#ready.push(message);
      if (this.#ready.length >= READY) next.pause();
      this.#wake();
    });
  }

  async #recordsOf(messages: readonly Message[]): Promise<Records[]> {
    const byPartition = Map.groupBy(messages, ({ partition }) => partition);
    const ends = await this.#offsets([...byPartition.keys()], -1n);
    return [...byPartition].map(([partition, of]) => {
      const log = of.map(({ value, timestamp }) => ({ value: value ?? null, time: Number(timestamp) }));
      const offsets = Float64Array.from(of, ({ offset }) => Number(offset));
      return {
        ...recordsOf(partition, 0, log),
        offsets,
        next: offsets[offsets.length - 1]! + 1,
        end: Number(ends.get(partition)),
        stable: Number(ends.get(partition)),
      };
    });
  }

  async #offsets(partitions: number[], timestamp: bigint): Promise<ReadonlyMap<number, bigint>> {
    const listed = await this.#consumer.listOffsets({
      topics: [this.topic],
      partitions: { [this.topic]: partitions },
      timestamp,
    });
    return new Map(partitions.map((partition) => [partition, listed.get(this.topic)![partition]!]));
  }

  async #something(maxWaitMs: number): Promise<void> {
    const woken = Promise.withResolvers<void>();
    const timer = setTimeout(woken.resolve, maxWaitMs);
    this.#wake = woken.resolve;
    await woken.promise;
    clearTimeout(timer);
  }

  #reassign(): void {
    this.#reassigned = true;
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }
}
