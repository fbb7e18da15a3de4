/**
 * Fetches records from the leaders of a topic's partitions while the records of the previous fetch are processed. A
 * client provides metadata and offsets; this module fetches and walks the records itself.
 * @module
 */
import type { PartitionState } from "../pipeline/source.ts";
import type { Records, Seek } from "../records.ts";
import { type Committed, Unavailable } from "../pipeline/commit.ts";
import type { BrokerAccess } from "./broker.ts";
import { CORRUPT, type Lost, pastDamage } from "./damaged.ts";
import { UNREACHABLE } from "./errors.ts";
import { BufferPool } from "./answer.ts";
import { fetchRefused, type FetchRequest, type PartitionResponse } from "./fetch.ts";
import type { Leader, Metadata, Network, TopicClient } from "./network.ts";
import { Positions } from "./positions.ts";
import { PARTITION_BYTES, ROUND_BYTES, roundBytesAfter, Turns } from "./turns.ts";
import { UNPACKED_TOGETHER, walk, type Walked } from "./record_batch.ts";
import { NO_RECORDS } from "./unreadable.ts";

/** What to fetch, and as which client. */
export interface FetcherSettings extends BrokerAccess {
  readonly topic: string;
  /** Called with the number of record bytes received, as they were sent. */
  readonly fetched?: (bytes: number) => void;
}

/** Kafka's error codes that are handled here. */
const OFFSET_OUT_OF_RANGE = 1;
const CORRUPT_MESSAGE = 2;
const UNKNOWN_TOPIC_ID = 100;
const EARLIEST = -2n;
const LATEST = -1n;

/** How long the broker waits for data before it answers a fetch, in milliseconds. */
const FETCH_WAIT_MS = 250;
/** After a smaller response the next request waits a moment, because each request costs the same. */
const SMALL_BYTES = 64 * 1024;
const MOMENT_MS = 10;

/** Fetches ahead: one round of fetches is in flight while the records of the previous one are processed. */
export class Fetcher {
  readonly #settings: FetcherSettings;
  readonly #network: Network;
  readonly #changed: () => void;
  /** Knows the brokers and the leaders of partitions. */
  #client: TopicClient | null = null;
  /** Id of the topic when the client was set. */
  #topicId: string | null = null;
  /** Connections for fetching, by broker. */
  readonly #connections = new Map<number, Leader>();
  readonly #positions: Positions;
  readonly #turns = new Turns();
  /** Number of seeks: what was fetched before the last one is dropped. */
  #seeks = 0;
  #underWay: Promise<void> | null = null;
  /** Bytes received in the last round of fetches. */
  #lastBytes = 0;
  #ready: Records[] = [];
  /** Bytes that the round of fetches in flight may still decompress to. */
  #unpackable = UNPACKED_TOGETHER;
  /** Bytes to fetch in the round in flight. */
  #roundBytes = ROUND_BYTES;
  /** Memory of the round of fetches in flight, and of the previous one, whose records are still being processed. */
  #pools: [BufferPool, BufferPool] = [new BufferPool(), new BufferPool()];
  #failure: { readonly error: unknown } | null = null;

  /** @param changed called when a round of fetches ends */
  constructor(settings: FetcherSettings, network: Network, changed: () => void) {
    this.#settings = settings;
    this.#network = network;
    this.#positions = new Positions(settings.topic);
    this.#changed = changed;
  }

  /** The current state of each partition that is read. */
  get states(): readonly PartitionState[] {
    return this.#positions.states;
  }

  /** Whether `take` has records to return or an error to throw. */
  get isReady(): boolean {
    return this.#ready.length > 0 || this.#failure !== null;
  }

  /** From now on asks `client` for brokers and offsets, and reads the topic `topicId`. */
  use(client: TopicClient, topicId: string | null): void {
    this.#client = client;
    this.#topicId = topicId;
  }

  /** Reads these partitions from these offsets, and drops what was fetched before. */
  seek(offsets: Seek, committed: ReadonlyMap<number, Committed>): void {
    this.#seeks++;
    this.#positions.seek(offsets, committed);
    this.#turns.clear();
    this.#ready = [];
    this.#failure = null;
  }

  /**
   * The records that have arrived, while more are fetched; empty if there are none.
   *
   * @throws the error of a failed fetch
   */
  take(): readonly Records[] {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
    const ready = this.#ready;
    this.#ready = [];
    this.fetchAhead();
    return ready;
  }

  /** Closes the connections, and stops using the client. */
  hangUp(): void {
    this.#client = null;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** Stops reading all partitions, and closes the connections. */
  close(): void {
    this.#seeks++;
    this.#positions.clear();
    this.hangUp();
  }

  /** Starts the next round of fetches, unless one is in flight or its records have not been taken. */
  fetchAhead(): void {
    if (this.#underWay !== null || this.#ready.length > 0 || this.#failure !== null) return;
    if (this.#positions.next.size === 0) return;
    const seeks = this.#seeks;
    this.#underWay = this.#fetchRound(seeks).catch((error) => {
      if (seeks === this.#seeks) this.#failure = { error };
    }).finally(() => {
      this.#underWay = null;
      this.#changed();
      if (seeks !== this.#seeks) this.fetchAhead();
    });
  }

  /** Sends one fetch to each leader, all in parallel. */
  async #fetchRound(seeks: number): Promise<void> {
    const client = this.#client!;
    if (this.#lastBytes > 0 && this.#lastBytes < SMALL_BYTES) {
      await new Promise<void>((resolve) => this.#network.after(MOMENT_MS, resolve));
      if (seeks !== this.#seeks) return;
    }
    this.#roundBytes = roundBytesAfter(this.#roundBytes, this.#unpackable / UNPACKED_TOGETHER);
    this.#lastBytes = 0;
    const { next } = this.#positions;
    for (const partition of next.keys()) this.#positions.note(partition, { isAsked: true });
    const metadata = await client.metadata({ topics: [this.#settings.topic], autocreateTopics: false });
    await this.#findEarliest(client, seeks);
    if (seeks !== this.#seeks) return;
    const shares = new Map<number, Map<number, number>>();
    const held = this.#turns.ahead(this.#positions.behind);
    for (const partition of this.#turns.inTurn(next.keys(), held)) {
      const leader = metadata.topics.get(this.#settings.topic)?.partitions[partition]?.leader ?? -1;
      if (leader < 0) {
        throw new Unavailable(
          `partition ${partition} of ${this.#settings.topic} has no leader at the moment`,
          UNREACHABLE,
        );
      }
      const share = shares.get(leader) ?? new Map<number, number>();
      shares.set(leader, share.set(partition, next.get(partition)!));
    }
    const [before, pool] = this.#pools;
    this.#pools = [pool, before];
    pool.clear();
    this.#unpackable = UNPACKED_TOGETHER;
    await Promise.all([...shares].map(async ([leader, offsets]) => {
      const connection = await this.#connection(client, leader, metadata);
      const maxBytes = Math.max(PARTITION_BYTES, Math.floor(this.#roundBytes / shares.size));
      const responses = await this.#fetch(connection, offsets, pool, {
        maxBytes,
        held,
        epochs: this.#positions.epochs,
      });
      const size = responses.reduce((sum, { bytes }) => sum + bytes.length, 0);
      this.#lastBytes += size;
      if (size > 0) this.#settings.fetched?.(size);
      if (seeks === this.#seeks) await this.#take(client, connection, responses, { offsets, held }, seeks);
    }));
  }

  async #connection(client: TopicClient, leader: number, { brokers }: Metadata): Promise<Leader> {
    const known = this.#connections.get(leader);
    if (known !== undefined && !known.isStale) return known;
    known?.close();
    this.#connections.delete(leader);
    const broker = brokers.get(leader);
    if (broker === undefined) throw new Unavailable(`Kafka does not say where its broker ${leader} is`, UNREACHABLE);
    const connection = await this.#network.connect(broker.host, broker.port, this.#settings);
    if (this.#client !== client) {
      connection.close();
      throw new Unavailable("the connections to Kafka have been closed", UNREACHABLE);
    }
    this.#connections.set(leader, connection);
    return connection;
  }

  async #fetch(
    connection: Leader,
    offsets: ReadonlyMap<number, number>,
    pool: BufferPool,
    limits: Partial<FetchRequest> = {},
  ): Promise<readonly PartitionResponse[]> {
    const request = {
      topic: this.#settings.topic,
      topicId: this.#topicId,
      offsets,
      maxWaitMs: FETCH_WAIT_MS,
      maxBytes: PARTITION_BYTES,
      partitionBytes: PARTITION_BYTES,
      ...limits,
    };
    return await connection.fetch(request, pool);
  }

  async #take(
    client: TopicClient,
    connection: Leader,
    responses: readonly PartitionResponse[],
    { offsets, held }: { readonly offsets: ReadonlyMap<number, number>; readonly held: ReadonlySet<number> },
    seeks: number,
  ): Promise<void> {
    // Kafka always sends data of the first partition in the list that has any.
    const next = [...offsets].find(([partition, from]) =>
      !held.has(partition) &&
      responses.some((r) => r.partition === partition && r.errorCode === 0 && r.lastStableOffset > from)
    )?.[0];
    for (const response of responses) {
      // A seek may have moved all partitions while the bounds of one were requested.
      if (seeks !== this.#seeks) return;
      const { partition, errorCode, highWatermark: end } = response;
      const from = offsets.get(partition)!;
      if (errorCode === 0) this.#positions.answered(from, response);
      if (errorCode === OFFSET_OUT_OF_RANGE) {
        await this.#passGap(client, partition, from, seeks);
      } else if (errorCode === UNKNOWN_TOPIC_ID) {
        // The next start then learns whether another topic has this name.
        client.clearMetadata();
        const reason = `Kafka no longer has the topic ${this.#settings.topic} with the id ${this.#topicId}`;
        throw new Unavailable(reason, { kind: "no_topic" });
      } else if (errorCode === CORRUPT_MESSAGE) {
        await this.#passLost(client, connection, response, from, CORRUPT, seeks);
      } else if (errorCode !== 0) {
        client.clearMetadata();
        throw fetchRefused({ partition, errorCode });
      } else {
        // After a leader change the new leader may report an earlier end for a moment; a fetch beyond it waits for the
        // right one.
        if (end < this.#positions.committedUpTo(partition)) {
          this.#positions.mustReach(partition, await this.#offset(client, partition, LATEST));
          if (seeks !== this.#seeks) return;
        }
        // Data beyond the memory limit is fetched again.
        if (this.#unpackable <= 0) continue;
        const isMissing = partition === next && response.bytes.length === 0;
        const walked = walk(response, from, this.#unpackable);
        const lost = isMissing ? { why: "the broker does not find it", bytes: response.bytes } : walked.lost;
        if (lost !== null) await this.#passLost(client, connection, response, from, lost, seeks);
        else if (walked.next > from) await this.#deliver(connection, partition, walked, seeks);
      }
    }
  }

  /** Makes walked records available, and notes where to continue. */
  async #deliver(
    connection: Leader,
    partition: number,
    { records, next, unpacked }: Walked,
    seeks: number,
  ): Promise<void> {
    await this.#mustHaveCommitted(connection, partition, records);
    if (seeks !== this.#seeks) return;
    this.#unpackable -= unpacked;
    this.#positions.reach(partition, next, records.at(-1)!.leaderEpoch);
    const last = records.findLast(({ count }) => count > 0);
    const first = records.find(({ count }) => count > 0);
    if (last !== undefined) this.#turns.reached(partition, first!.times[0]!, last.times[last.count - 1]!);
    this.#ready.push(...records);
  }

  /** Skips unreadable data at `from`. */
  async #passLost(
    client: TopicClient,
    connection: Leader,
    { partition, highWatermark, lastStableOffset }: PartitionResponse,
    from: number,
    lost: Lost,
    seeks: number,
  ): Promise<void> {
    const end = lastStableOffset > from ? lastStableOffset : await this.#offset(client, partition, LATEST);
    const place = { partition, end: Math.max(highWatermark, end), stable: end };
    const { base, run, response } = await pastDamage(
      place,
      from,
      lost,
      (offset) => this.#fetchAlone(connection, partition, offset),
    );
    if (seeks !== this.#seeks) return;
    if (run !== null) {
      await this.#deliver(connection, partition, { records: [run], next: base, unpacked: 0, lost: null }, seeks);
    }
    // The broker found the batch by an offset inside it, which may not be its first.
    if (response !== null) {
      const walked = walk(response, base, this.#unpackable);
      if (walked.next > base) await this.#deliver(connection, partition, walked, seeks);
    }
  }

  /** Fetches this partition alone; null if the broker reports data but sends none. */
  async #fetchAlone(
    connection: Leader,
    partition: number,
    offset: number,
  ): Promise<PartitionResponse | null> {
    const [response] = await this.#fetch(connection, new Map([[partition, offset]]), new BufferPool(), {
      maxWaitMs: 0,
    });
    if (response === undefined) {
      throw new Unavailable(`Kafka's answer to a fetch of partition ${partition} does not have it`, UNREACHABLE);
    }
    const { errorCode, bytes, lastStableOffset } = response;
    if (errorCode === CORRUPT_MESSAGE || (errorCode === 0 && bytes.length === 0 && offset < lastStableOffset)) {
      return null;
    }
    if (errorCode === 0) return response;
    throw fetchRefused({ partition, errorCode });
  }

  async #findEarliest(client: TopicClient, seeks: number): Promise<void> {
    const unknown = [...this.#positions.next].filter(([, offset]) => offset === null).map(([partition]) => partition);
    for (const partition of unknown) {
      const earliest = await this.#offset(client, partition, EARLIEST);
      if (seeks !== this.#seeks) return;
      this.#positions.begin(partition, earliest);
    }
  }

  /** Fails if these records pass the committed offset, and the log no longer has the record that was committed last. */
  async #mustHaveCommitted(connection: Leader, partition: number, records: readonly Records[]): Promise<void> {
    const committed = this.#positions.doubtedBy(partition, records);
    if (committed === null) return;
    const { next, leaderEpoch } = committed;
    const [response] = await this.#fetch(connection, new Map([[partition, next]]), new BufferPool(), {
      ...{ maxWaitMs: 0, partitionBytes: 0, epochs: new Map([[partition, leaderEpoch]]) },
    });
    const { errorCode = -1, divergedAt = null, highWatermark = -1 } = response ?? {};
    if (errorCode === 0 && divergedAt === null) return;
    // Out of range: the log does not have the epoch, unless retention has just deleted the record.
    const client = errorCode === OFFSET_OUT_OF_RANGE ? this.#client : null;
    const begin = client === null ? next : await this.#offset(client, partition, EARLIEST);
    if (errorCode === 0 || begin < next) throw this.#positions.replaced(partition, next, divergedAt, highWatermark);
    throw fetchRefused({ partition, errorCode });
  }

  /** The log no longer has this offset: continues at the log's first offset; the records in between are lost. */
  async #passGap(client: TopicClient, partition: number, from: number, seeks: number): Promise<void> {
    const earliest = await this.#offset(client, partition, EARLIEST);
    const latest = await this.#offset(client, partition, LATEST);
    if (seeks !== this.#seeks) return;
    this.#positions.mustReach(partition, latest);
    if (earliest <= from) {
      // Kafka says this too of an epoch that its log does not have, such as that of a record that is no longer in it.
      const isKnown = this.#positions.epochs.has(partition);
      if (isKnown && earliest < from) throw this.#positions.replaced(partition, from, null, latest);
      if (isKnown) return this.#positions.forgetEpoch(partition);
      throw new Unavailable(`Kafka says that partition ${partition} has no offset ${from}`, UNREACHABLE);
    }
    const gap = { from, to: earliest };
    this.#ready.push({
      ...NO_RECORDS,
      ...{ partition, bytes: new Uint8Array(), leaderEpoch: null },
      ...{ next: earliest, end: latest, stable: latest, skipped: 0, gap },
    });
    this.#positions.reach(partition, earliest, null);
  }

  async #offset(client: TopicClient, partition: number, timestamp: bigint): Promise<number> {
    const offsets = await client.listOffsets({
      topics: [this.#settings.topic],
      partitions: { [this.#settings.topic]: [partition] },
      timestamp,
    });
    return Number(offsets.get(this.#settings.topic)![partition]!);
  }
}
