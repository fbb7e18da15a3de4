/**
 * The topic in Kafka as a source: metadata and the group are `@platformatic/kafka`'s, what is fetched is read and walked
 * by ourselves.
 * @module
 */
import { Buffer } from "node:buffer";
import type { ClusterMetadata, Consumer } from "@platformatic/kafka";
import { type PartitionState, Rebalanced, type Source, TopicChanged } from "../pipeline/source.ts";
import type { Records, Seek } from "../records.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { answeringBrokers } from "./bootstrap.ts";
import { type BrokerAccess, BrokerConnection } from "./broker.ts";
import { fetchFrom, type PartitionResponse, topicIdOf } from "./fetch.ts";
import { describeGroup, memberInWords, strangersTo } from "./group.ts";
import { closed, consumerOf, Member } from "./member.ts";
import { NO_RECORDS, UNPACKED_TOGETHER, unreadableRun, walk, type Walked } from "./record_batch.ts";
import { BufferPool } from "./buffer_pool.ts";

/** How to reach Kafka, and as whom. */
export interface KafkaSettings extends BrokerAccess {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Members of a group share the partitions; who is in none reads them all. */
  readonly groupId: string | null;
  /** Is told, in words, what goes wrong and is mended by itself. */
  readonly warn?: (message: string) => void;
  /** Is told that Kafka answers, and that the group is waited for. */
  readonly joining?: () => void;
  /** Is told how many bytes of records have come, as they were sent. */
  readonly fetched?: (bytes: number) => void;
  /** Is told how many partitions the topic has, at each start. */
  readonly counted?: (partitions: number) => void;
  /** Is told why the group has given us no partition, where that is a fault; null where it is none. */
  readonly noShare?: (reason: string | null) => void;
}

/** Kafka's error codes that are worth a name here. */
const OFFSET_OUT_OF_RANGE = 1;
const CORRUPT_MESSAGE = 2;
const UNKNOWN_TOPIC_ID = 100;
const EARLIEST = -2n;
const LATEST = -1n;

/** The broker answers a fetch after this much time, if nothing arrives. */
const FETCH_WAIT_MS = 250;
/** Much enough to be worth the way, little enough that partitions advance side by side. */
const RESPONSE_BYTES = 512 * 1024;
/** After a response of fewer bytes the next is asked for a moment later, for each costs the same however little it has. */
const SMALL_BYTES = 64 * 1024;
const MOMENT_MS = 10;
/** How often the number of partitions is looked at. */
const COUNT_EVERY_MS = 5000;
/** Whoever leads the group sees to partitions that were added; others do after so many looks, should it not. */
const LOOKS_OF_OTHERS = 3;

/** A topic of a Kafka cluster, read as a member of a group. */
export class KafkaSource implements Source {
  readonly topic: string;
  readonly #settings: KafkaSettings;
  /** Member of the group; its connections carry heartbeats, which a fetch must not hold up. */
  #member: Member | null = null;
  /** Knows the brokers, and who leads which partition. */
  #fetcher: Consumer | null = null;
  /** Fetching, by broker. */
  readonly #connections = new Map<number, BrokerConnection>();
  /** Next offset of each partition, the one that was read last at the end; null where it is the earliest there is. */
  #next = new Map<number, number | null>();
  /** Up to where each partition has been committed. */
  #committed: ReadonlyMap<number, number> = new Map();
  /** The topic as it was when partitions were assigned last. */
  #topicId: string | null = null;
  /** Kafka timestamp of the last record that was read of each partition. */
  readonly #times = new Map<number, number>();
  /** Counts seeks: what was fetched before the last one is thrown away. */
  #seeks = 0;
  #underWay: Promise<void> | null = null;
  /** Bytes that the last round of fetches brought. */
  #lastBytes = 0;
  #ready: Records[] = [];
  /** Bytes that the round of fetches under way may still unpack. */
  #unpackable = UNPACKED_TOGETHER;
  /** For the round of fetches under way, and for the one before, whose records are still being looked at. */
  #pools: [BufferPool, BufferPool] = [new BufferPool(), new BufferPool()];
  #failure: { readonly error: unknown } | null = null;
  /** What is known of the partitions that are read. */
  #states = new Map<number, PartitionState>();
  /** How many partitions there were at the last start. */
  #count = 0;
  #counter: number | null = null;
  #isCounting = false;
  /** Looks in a row that found another number. */
  #looks = 0;
  /** Why the partitions have to be divided anew, though the group has not said so; null where they need not. */
  #repartitioned: string | null = null;
  /** Brokers that are known not to answer: it is said once of each. */
  readonly #silent = new Set<string>();
  /** Wakes a poll that waits. */
  #wake: () => void = () => {};

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
    this.topic = settings.topic;
  }

  /** What is known of each partition that is read, at this moment. */
  get states(): readonly PartitionState[] {
    return [...this.#states.values()].map((state) => ({ ...state, next: this.#next.get(state.partition) ?? null }));
  }

  async assigned(): Promise<readonly number[]> {
    return await this.#attempt("join the group", async () => {
      let known: Promise<KafkaSettings> | null = null;
      const answering = () => known ??= this.#answering();
      this.#fetcher ??= consumerOf(await answering());
      const { count, id } = await this.#topicNow(this.#fetcher);
      this.#count = count;
      this.#topicId = id;
      this.#settings.counted?.(count);
      const isLost = this.#member?.lost !== false || this.#repartitioned !== null;
      this.#looks = 0;
      this.#repartitioned = null;
      this.#counter ??= setInterval(() => void this.#lookForPartitions(), COUNT_EVERY_MS);
      if (this.#settings.groupId === null) return Array.from({ length: count }, (_, partition) => partition);
      if (isLost) {
        await this.#member?.close();
        this.#member = new Member(await answering(), () => this.#wake());
      }
      const member = this.#member!;
      if (member.reassigned) this.#settings.joining?.();
      const partitions = await member.assigned().catch(async (error) => {
        throw await this.#notTaken(member, explained(error, "join the group", this.#settings));
      });
      const strangers = partitions.length > 0 ? null : await this.#strangers(member);
      this.#settings.noShare?.(strangers && `${strangers}; whoever leads it gave us no partition`);
      return partitions;
    });
  }

  topicId(): string | null {
    return this.#topicId;
  }

  seek(offsets: Seek, committed: ReadonlyMap<number, number> = new Map()): void {
    this.#seeks++;
    this.#next = new Map(offsets);
    this.#committed = committed;
    const before = this.#states;
    const unknown = { first: null, next: null, end: null, stable: null, answers: 0, isAsked: false };
    this.#states = new Map(
      [...offsets].map(([partition, first]) => [partition, { ...before.get(partition) ?? unknown, partition, first }]),
    );
    this.#times.clear();
    this.#ready = [];
    this.#failure = null;
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    this.#throwIfReassigned();
    this.#fetchAhead();
    if (this.#ready.length === 0 && this.#failure === null && maxWaitMs > 0) await this.#somethingHappens(maxWaitMs);
    this.#throwIfReassigned();
    const { error } = this.#failure ?? { error: null };
    this.#failure = null;
    if (error !== null) throw await this.#broken(error);
    const ready = this.#ready;
    this.#ready = [];
    this.#fetchAhead();
    return ready;
  }

  async committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    await this.#member?.commit(offsets);
  }

  async close(): Promise<void> {
    this.#seeks++;
    this.#next.clear();
    if (this.#counter !== null) clearInterval(this.#counter);
    this.#counter = null;
    const [member, fetcher] = [this.#member, this.#fetcher];
    this.#member = this.#fetcher = null;
    this.#hangUp();
    await Promise.all([member?.close(), fetcher && closed(fetcher)]);
  }

  #throwIfReassigned(): void {
    if (this.#repartitioned !== null) throw new Rebalanced(this.#repartitioned);
    const member = this.#member;
    if (this.#settings.groupId === null) return;
    if (member === null) throw new Unavailable("not a member of a Kafka group yet");
    if (member.lost || member.reassigned) throw new Rebalanced(member.reason);
  }

  /** How many partitions the topic has, and its id; null where topics have none. */
  async #topicNow(consumer: Consumer): Promise<{ readonly count: number; readonly id: string | null }> {
    try {
      const metadata = await consumer.metadata({ topics: [this.topic], autocreateTopics: false, forceUpdate: true });
      const topic = metadata.topics.get(this.topic);
      const count = topic?.partitionsCount ?? 0;
      if (count > 0) return { count, id: topicIdOf(topic?.id ?? "") };
    } catch (error) {
      if (!/unknown topic/i.test(String(error))) throw error;
    }
    throw new Unavailable(`Kafka has no topic ${this.topic}: create it, or let \`clickstream produce\` make it`);
  }

  /** The settings, with those of the brokers that answer. */
  async #answering(): Promise<KafkaSettings> {
    const { brokers, warn } = this.#settings;
    const answering = await answeringBrokers(brokers, this.#settings, (message, broker) => {
      if (!this.#silent.has(broker)) warn?.(message);
      this.#silent.add(broker);
    }).catch((error) => {
      throw new Unavailable(error.message, { cause: error });
    });
    for (const broker of answering) this.#silent.delete(broker);
    return { ...this.#settings, brokers: answering };
  }

  /**
   * Looks whether partitions have been added, or the topic is another under the same name. Whoever leads the group has
   * divided those that it knew of, and has to do it again; the group itself doesn't notice.
   */
  async #lookForPartitions(): Promise<void> {
    const fetcher = this.#fetcher;
    if (fetcher === null || this.#isCounting || this.#repartitioned !== null) return;
    this.#isCounting = true;
    // What is wrong is found out, and said, by whoever fetches.
    const topic = await this.#topicNow(fetcher).catch(() => null).finally(() => this.#isCounting = false);
    const member = this.#member;
    if (topic === null || fetcher !== this.#fetcher || member?.reassigned) return;
    const { count, id } = topic;
    if (id !== this.#topicId) {
      this.#repartitioned = `${this.topic} has the id ${id}, and had ${this.#topicId}`;
      return this.#wake();
    }
    const before = member?.divided ?? this.#count;
    this.#looks = count === before ? 0 : this.#looks + 1;
    if (count === before || (member?.divided === null && this.#looks < LOOKS_OF_OTHERS)) return;
    this.#repartitioned = `${this.topic} has ${count} partitions, and had ${before}: they are divided anew`;
    this.#settings.warn?.(
      `${this.#repartitioned}. Events of a user whose key moved to another partition are all counted, but a duplicate ` +
        "is told only within one partition: repeats sent across the change are counted twice",
    );
    this.#wake();
  }

  /** Starts the next round of fetches, unless one is under way or what it brought has not been taken. */
  #fetchAhead(): void {
    if (this.#underWay !== null || this.#ready.length > 0 || this.#failure !== null || this.#next.size === 0) return;
    const seeks = this.#seeks;
    this.#underWay = this.#fetchRound(seeks).catch((error) => {
      if (seeks === this.#seeks) this.#failure = { error };
    }).finally(() => {
      this.#underWay = null;
      this.#wake();
      if (seeks !== this.#seeks) this.#fetchAhead();
    });
  }

  /** One fetch from each leader, side by side. */
  async #fetchRound(seeks: number): Promise<void> {
    const fetcher = this.#fetcher!;
    if (this.#lastBytes > 0 && this.#lastBytes < SMALL_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, MOMENT_MS));
      if (seeks !== this.#seeks) return;
    }
    this.#lastBytes = 0;
    for (const partition of this.#next.keys()) this.#note(partition, { isAsked: true });
    const metadata = await fetcher.metadata({ topics: [this.topic], autocreateTopics: false });
    await this.#findEarliest(fetcher, seeks);
    if (seeks !== this.#seeks) return;
    const shares = new Map<number, Map<number, number>>();
    for (const [partition, offset] of this.#inTurn()) {
      const leader = metadata.topics.get(this.topic)?.partitions[partition]?.leader ?? -1;
      if (leader < 0) throw new Unavailable(`partition ${partition} of ${this.topic} has no leader at the moment`);
      const share = shares.get(leader) ?? new Map<number, number>();
      shares.set(leader, share.set(partition, offset!));
    }
    const [before, pool] = this.#pools;
    this.#pools = [pool, before];
    pool.clear();
    this.#unpackable = UNPACKED_TOGETHER;
    await Promise.all([...shares].map(async ([leader, offsets]) => {
      const connection = await this.#connection(fetcher, leader, metadata);
      const responses = await this.#fetch(connection, offsets, pool);
      const size = responses.reduce((sum, { bytes }) => sum + bytes.length, 0);
      this.#lastBytes += size;
      if (size > 0) this.#settings.fetched?.(size);
      if (seeks === this.#seeks) await this.#take(fetcher, connection, responses, offsets, seeks);
    }));
  }

  /**
   * The partitions in the order of asking: while there is much to read, a response has room for the first alone. That is
   * the one whose log has been read up to the earliest time, so that all come to the same time together and a commit has
   * few windows; of several, the one that waits longest.
   */
  #inTurn(): [number, number | null][] {
    const timeOf = (partition: number) => this.#times.get(partition) ?? -1;
    return [...this.#next].sort(([a], [b]) => timeOf(a) - timeOf(b));
  }

  async #connection(fetcher: Consumer, leader: number, { brokers }: ClusterMetadata): Promise<BrokerConnection> {
    const known = this.#connections.get(leader);
    if (known !== undefined && !known.isStale) return known;
    known?.close();
    this.#connections.delete(leader);
    const broker = brokers.get(leader);
    if (broker === undefined) throw new Unavailable(`Kafka does not say where its broker ${leader} is`);
    const connection = await BrokerConnection.open(broker.host, broker.port, this.#settings);
    if (this.#fetcher !== fetcher) {
      connection.close();
      throw new Unavailable("the connections to Kafka have been closed");
    }
    this.#connections.set(leader, connection);
    return connection;
  }

  #hangUp(): void {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  async #fetch(
    connection: BrokerConnection,
    offsets: ReadonlyMap<number, number>,
    pool: BufferPool,
    maxWaitMs: number = FETCH_WAIT_MS,
  ): Promise<readonly PartitionResponse[]> {
    const request = {
      topic: this.topic,
      topicId: this.#topicId,
      offsets,
      maxWaitMs,
      maxBytes: RESPONSE_BYTES,
    };
    return await fetchFrom(connection, request, pool);
  }

  async #take(
    fetcher: Consumer,
    connection: BrokerConnection,
    responses: readonly PartitionResponse[],
    offsets: ReadonlyMap<number, number>,
    seeks: number,
  ): Promise<void> {
    // Of the first in order that has anything left, Kafka always sends something.
    const next = [...offsets].find(([partition, from]) =>
      responses.some((r) => r.partition === partition && r.errorCode === 0 && r.lastStableOffset > from)
    )?.[0];
    for (const response of responses) {
      // While the bounds of one partition were asked for, all may have been sent elsewhere.
      if (seeks !== this.#seeks) return;
      const { partition, errorCode, highWatermark: end, lastStableOffset: stable } = response;
      const from = offsets.get(partition)!;
      const answers = (this.#states.get(partition)?.answers ?? 0) + 1;
      if (errorCode === 0) this.#note(partition, { end, stable, answers, isAsked: false });
      if (errorCode === OFFSET_OUT_OF_RANGE) {
        await this.#passGap(fetcher, partition, from, seeks);
      } else if (errorCode === UNKNOWN_TOPIC_ID) {
        // Whoever starts again learns whether another topic has the name now.
        fetcher.clearMetadata();
        throw new Unavailable(`Kafka no longer has the topic ${this.topic} with the id ${this.#topicId}`);
      } else if (errorCode === CORRUPT_MESSAGE) {
        await this.#passLost(fetcher, connection, response, from, CORRUPT, seeks);
      } else if (errorCode !== 0) {
        fetcher.clearMetadata();
        throw new Unavailable(`Kafka answers the fetch of partition ${partition} with error ${errorCode}`);
      } else {
        // A new leader may know of an earlier end for a moment; when it is asked for it, it waits until it knows.
        if (response.highWatermark < (this.#committed.get(partition) ?? 0)) {
          this.#mustReach(partition, await this.#offset(fetcher, partition, LATEST));
          if (seeks !== this.#seeks) return;
        }
        // What there is no memory for is fetched again.
        if (this.#unpackable <= 0) continue;
        const isMissing = partition === next && response.bytes.length === 0;
        const walked = walk(response, from, this.#unpackable);
        const lost = isMissing ? { why: "the broker does not find it", bytes: response.bytes } : walked.lost;
        if (lost !== null) await this.#passLost(fetcher, connection, response, from, lost, seeks);
        else if (walked.next > from) this.#deliver(partition, walked);
      }
    }
  }

  /** Why the group does not take us: its members may speak another protocol, or read what is not there. */
  async #notTaken(member: Member, error: Error): Promise<Error> {
    if (!/protocols are incompatible|unknown topic/i.test(error.message)) return error;
    const strangers = await this.#strangers(member);
    return strangers === null ? error : new Unavailable(`${strangers}: ${error.message}`, { cause: error });
  }

  /** The members of the group that don't read our topic, in words; null where there are none, or nobody says. */
  async #strangers(member: Member): Promise<string | null> {
    const { groupId, topic } = this.#settings;
    try {
      const coordinator = await member.coordinator();
      if (coordinator === null || groupId === null) return null;
      const connection = await BrokerConnection.open(coordinator.host, coordinator.port, this.#settings);
      const group = await describeGroup(connection, groupId).finally(() => connection.close());
      const strangers = strangersTo(topic, group);
      if (strangers.length === 0) return null;
      const how = group.protocol === "" ? "" : ` (the group divides by ${group.protocol})`;
      return `the consumer group ${groupId} has a member that does not read ${topic}: ${
        strangers.map(memberInWords).join("; ")
      }${how}. End it, or give it or this program another KAFKA_GROUP_ID`;
    } catch {
      return null;
    }
  }

  /** Takes note of what is new of a partition. */
  #note(partition: number, news: Partial<PartitionState>): void {
    const state = this.#states.get(partition);
    if (state !== undefined) this.#states.set(partition, { ...state, ...news });
  }

  /** Hands over what was walked, and notes where to go on. */
  #deliver(partition: number, { records, next, unpacked }: Walked): void {
    this.#unpackable -= unpacked;
    this.#next.delete(partition);
    this.#next.set(partition, next);
    const last = records.findLast(({ count }) => count > 0);
    if (last !== undefined) this.#times.set(partition, last.times[last.count - 1]!);
    this.#ready.push(...records);
  }

  /**
   * Passes what lies at `from` and does not tell where it ends, which takes a damaged disk: looks for the next batch that
   * can be read.
   */
  async #passLost(
    fetcher: Consumer,
    connection: BrokerConnection,
    { partition, highWatermark, lastStableOffset }: PartitionResponse,
    from: number,
    { why, bytes }: NonNullable<Walked["lost"]>,
    seeks: number,
  ): Promise<void> {
    const end = lastStableOffset > from ? lastStableOffset : await this.#offset(fetcher, partition, LATEST);
    const last: { response: PartitionResponse | null } = { response: null };
    const base = await nextReadable(from, end, async (offset) => {
      const found = await this.#fetchAlone(connection, partition, offset);
      // One batch is enough; whatever it holds, it begins here.
      const isThere = found !== null && (found.bytes.length === 0 || walk(found, offset, 0).next > offset);
      if (!isThere) return null;
      last.response = found;
      return found.bytes.length === 0 ? offset : Math.max(from, Number(found.bytes.readBigInt64BE(0)));
    });
    const { response } = last;
    if (seeks !== this.#seeks) return;
    if (base > from) {
      const batch = { base: from, floor: from, after: base, count: null, raw: bytes };
      const place = { partition, end: Math.max(highWatermark, end), stable: end };
      const run = unreadableRun(place, batch, why);
      this.#deliver(partition, { records: [run], next: base, unpacked: 0, lost: null });
    }
    // The broker finds it by an offset in it, and perhaps not by its first.
    if (response !== null) {
      const walked = walk(response, base, this.#unpackable);
      if (walked.next > base) this.#deliver(partition, walked);
    }
  }

  /** What a fetch of this partition alone brings; null if the broker says that there is something, and brings nothing. */
  async #fetchAlone(
    connection: BrokerConnection,
    partition: number,
    offset: number,
  ): Promise<PartitionResponse | null> {
    const [response] = await this.#fetch(connection, new Map([[partition, offset]]), new BufferPool(), 0);
    const { errorCode, bytes, lastStableOffset } = response!;
    if (errorCode === CORRUPT_MESSAGE || (errorCode === 0 && bytes.length === 0 && offset < lastStableOffset)) {
      return null;
    }
    if (errorCode === 0) return response!;
    throw new Unavailable(`Kafka answers the fetch of partition ${partition} with error ${errorCode}`);
  }

  async #findEarliest(fetcher: Consumer, seeks: number): Promise<void> {
    const unknown = [...this.#next].filter(([, offset]) => offset === null).map(([partition]) => partition);
    for (const partition of unknown) {
      const earliest = await this.#offset(fetcher, partition, EARLIEST);
      if (seeks !== this.#seeks) return;
      this.#next.set(partition, earliest);
      this.#note(partition, { first: earliest });
    }
  }

  /** Fails if a partition ends before what has been committed of it. */
  #mustReach(partition: number, end: number): void {
    const next = Math.max(this.#committed.get(partition) ?? 0, this.#next.get(partition) ?? 0);
    if (end < next) throw new TopicChanged({ kind: "truncated", topic: this.topic, partition, next, end });
  }

  /** The log no longer has an offset: goes on where it begins; records in between are gone. */
  async #passGap(fetcher: Consumer, partition: number, from: number, seeks: number): Promise<void> {
    const earliest = await this.#offset(fetcher, partition, EARLIEST);
    const latest = await this.#offset(fetcher, partition, LATEST);
    if (seeks !== this.#seeks) return;
    this.#mustReach(partition, latest);
    if (earliest <= from) throw new Unavailable(`Kafka says that partition ${partition} has no offset ${from}`);
    const gap = { from, to: earliest };
    this.#ready.push({
      ...NO_RECORDS,
      ...{ partition, bytes: new Uint8Array(), next: earliest, end: latest, stable: latest, skipped: 0, gap },
    });
    this.#next.set(partition, earliest);
  }

  async #offset(fetcher: Consumer, partition: number, timestamp: bigint): Promise<number> {
    const offsets = await fetcher.listOffsets({
      topics: [this.topic],
      partitions: { [this.topic]: [partition] },
      timestamp,
    });
    return Number(offsets.get(this.topic)![partition]!);
  }

  async #somethingHappens(maxWaitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, maxWaitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }

  /** After an error the connections are made anew; what there is to say of it, as an error of ours. */
  async #broken(error: unknown): Promise<Error> {
    const fetcher = this.#fetcher;
    this.#fetcher = null;
    this.#hangUp();
    if (fetcher !== null) await closed(fetcher);
    return explained(error, "read from Kafka", this.#settings);
  }

  async #attempt<T>(what: string, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      await this.#member?.close();
      this.#member = null;
      throw await this.#broken(error).then((broken) =>
        error instanceof Unavailable ? broken : explained(error, what, this.#settings)
      );
    }
  }
}

/**
 * The id that Kafka has for the topic now; null where topics have none.
 *
 * @throws {Unavailable} if Kafka can't be reached, or has no such topic
 */
export async function currentTopicId(settings: KafkaSettings): Promise<string | null> {
  const source = new KafkaSource({ ...settings, groupId: null });
  try {
    await source.assigned();
    return source.topicId();
  } finally {
    await source.close();
  }
}

/** What is known of a batch that the broker itself can't read. */
const CORRUPT = { why: "the broker says that it is corrupt", bytes: Buffer.alloc(0) };

/**
 * The first offset after `from` that can be read, or `from` itself.
 *
 * @param readableFrom the first offset from the one given on that can be read, null if none can
 * @param end where the log ends, from where on it can be read for certain
 */
export async function nextReadable(
  from: number,
  end: number,
  readableFrom: (offset: number) => Promise<number | null>,
): Promise<number> {
  if (await readableFrom(from) !== null) return from;
  let bad = from;
  let good = end;
  let found = end;
  const look = async (offset: number) => {
    const readable = await readableFrom(offset);
    if (readable === null) bad = offset;
    else [good, found] = [offset, readable];
    return readable !== null;
  };
  for (let step = 1; from + step < end && !await look(from + step);) step *= 2;
  while (good - bad > 1) await look(bad + Math.floor((good - bad) / 2));
  return found;
}

/** The error as one that says what was attempted and where; all but our own complaints are worth another try. */
function explained(error: unknown, what: string, { brokers }: KafkaSettings): Error {
  if (error instanceof Unavailable || error instanceof Rebalanced || error instanceof TopicChanged) return error;
  const messages = new Set<string>();
  const collect = (cause: unknown): void => {
    if (!(cause instanceof Error)) return;
    if (cause.message !== "") messages.add(cause.message);
    collect(cause.cause);
    if ("errors" in cause && Array.isArray(cause.errors)) cause.errors.forEach(collect);
  };
  collect(error);
  const isOurs = error instanceof Error && error.constructor === Error;
  if (isOurs) return error;
  return new Unavailable(`could not ${what} at ${brokers.join(", ")}: ${[...messages].join(" ")}`, { cause: error });
}
