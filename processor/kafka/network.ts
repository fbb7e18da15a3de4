/**
 * What a source uses of Kafka's clients, of the network and of time. The simulation replaces it; everything else uses
 * `NETWORK`.
 * @module
 */
import { answeringBrokers } from "./bootstrap.ts";
import { type BrokerAccess, BrokerConnection } from "./broker.ts";
import type { BufferPool } from "./answer.ts";
import { fetchFrom, type FetchRequest, type PartitionResponse } from "./fetch.ts";
import { consumerOf, type ConsumerSettings, Member } from "./member.ts";

/** What is known of the brokers, and of topics by name. */
export interface Metadata {
  readonly brokers: ReadonlyMap<number, { readonly host: string; readonly port: number }>;
  readonly topics: ReadonlyMap<string, {
    readonly id?: string;
    readonly partitionsCount: number;
    /** The leader of each partition; negative if it has none. */
    readonly partitions: { readonly [partition: number]: { readonly leader: number } };
  }>;
}

/** A client that knows brokers, topics and the bounds of partitions. */
export interface TopicClient {
  metadata(
    options: { topics: string[]; autocreateTopics?: boolean; forceUpdate?: boolean },
  ): Promise<Metadata>;
  /** The offset of each partition at a time; -1 is the end, -2 the first offset. */
  listOffsets(
    options: { topics: string[]; partitions: Record<string, number[]>; timestamp: bigint },
  ): Promise<ReadonlyMap<string, readonly bigint[]>>;
  /** Makes the next `metadata` ask a broker. */
  clearMetadata(): void;
  close(force: true): Promise<unknown>;
}

/** A connection to a broker that leads partitions. */
export interface Leader {
  /** True if another connection should be opened soon. */
  readonly isStale: boolean;
  /** Sends one request; the record bytes of the response lie in `pool`. */
  fetch(request: FetchRequest, pool: BufferPool): Promise<readonly PartitionResponse[]>;
  close(): void;
}

/** A membership of a consumer group. */
export type Membership = Pick<Member, keyof Member>;

/** Kafka and time, as a source uses them. */
export interface Network {
  /** The brokers that answer; `silent` is called for each other one, with the reason. */
  answering: typeof answeringBrokers;
  client(settings: ConsumerSettings): TopicClient;
  /** A membership that is not joined yet; `changed` is called when partitions have to be assigned again. */
  member(settings: ConsumerSettings, changed: () => void): Membership;
  /** @throws {Unavailable} if the broker can't be reached or refuses the login */
  connect(host: string, port: number, access: BrokerAccess): Promise<Leader>;
  /** Calls `body` after `ms`, unless the function that it returns is called before. */
  after(ms: number, body: () => void): () => void;
}

/** The real network. */
export const NETWORK: Network = {
  answering: answeringBrokers,
  client: consumerOf,
  member: (settings, changed) => new Member(settings, changed),
  async connect(host, port, access) {
    const connection = await BrokerConnection.open(host, port, access);
    return {
      get isStale() {
        return connection.isStale;
      },
      fetch: (request, pool) => fetchFrom(connection, request, pool),
      close: () => connection.close(),
    };
  },
  after(ms, body) {
    const timer = setTimeout(body, ms);
    return () => clearTimeout(timer);
  },
};
