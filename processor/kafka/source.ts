/**
 * Reads a Kafka topic: manages the assignment of partitions and its changes. `@platformatic/kafka` provides metadata
 * and the consumer group.
 * @module
 */
import { type PartitionState, Rebalanced, type Source, TopicChanged } from "../pipeline/source.ts";
import type { Records, Seek } from "../records.ts";
import { type Committed, Unavailable } from "../pipeline/commit.ts";
import { BrokerConnection } from "./broker.ts";
import { closed } from "./client.ts";
import { isAnswer, isUnknownTopic, UNREACHABLE, withCauses } from "./errors.ts";
import { topicIdOf } from "./fetch.ts";
import { Fetcher, type FetcherSettings } from "./fetcher.ts";
import { describeGroup, leaveFor, memberInWords, strangersTo } from "./group.ts";
import { type Membership, NETWORK, type Network, type TopicClient } from "./network.ts";

/** How to connect to Kafka, and as which client and group. */
export interface KafkaSettings extends FetcherSettings {
  readonly brokers: readonly string[];
  /** Members of a consumer group share the partitions; without a group, this source reads all of them. */
  readonly groupId: string | null;
  /**
   * Whether no other process has this client id. Then other members with it are what a killed process left behind, and
   * are removed from the group, which would wait for them until their session times out (default: false).
   */
  readonly isOnly?: boolean;
  /** Called with a description of each problem that resolves itself. */
  readonly warn?: (message: string) => void;
  /** Called when Kafka answers and the join of the consumer group begins. */
  readonly joining?: () => void;
  /** Called at each start with the topic's number of partitions. */
  readonly counted?: (partitions: number) => void;
  /** Called with the reason if a fault left this member without partitions; null if there is no fault. */
  readonly noShare?: (reason: string | null) => void;
}

/** How often the number of partitions is checked. */
const COUNT_EVERY_MS = 5000;
/** The group leader acts on added partitions at once; other members act after this many checks, in case it doesn't. */
const LOOKS_OF_OTHERS = 3;

/** A topic of a Kafka cluster, read as a member of a group. */
export class KafkaSource implements Source {
  readonly topic: string;
  readonly #settings: KafkaSettings;
  readonly #network: Network;
  /** Member of the group; its connections carry heartbeats, which a fetch must not delay. */
  #member: Membership | null = null;
  /** Client for the number of partitions. */
  #client: TopicClient | null = null;
  readonly #fetcher: Fetcher;
  /** Id of the topic at the last assignment. */
  #topicId: string | null = null;
  /** Number of partitions at the last start. */
  #count = 0;
  /** Cancels the next check of the number of partitions. */
  #counter: (() => void) | null = null;
  #isCounting = false;
  /** Consecutive checks that found another number of partitions. */
  #looks = 0;
  /** Why a new assignment is needed although the group has not noticed; null if none is needed. */
  #repartitioned: string | null = null;
  /** Brokers that don't answer; each is reported once. */
  readonly #silent = new Set<string>();
  /** Whether this source has joined the group before. */
  #hasJoined = false;
  /** Wakes a waiting poll. */
  #wake: () => void = () => {};

  constructor(settings: KafkaSettings, network: Network = NETWORK) {
    this.#settings = settings;
    this.#network = network;
    this.topic = settings.topic;
    this.#fetcher = new Fetcher(settings, network, () => this.#wake());
  }

  /** The current state of each partition that is read. */
  get states(): readonly PartitionState[] {
    return this.#fetcher.states;
  }

  async assigned(): Promise<readonly number[]> {
    return await this.#attempt("join the group", async () => {
      let known: Promise<KafkaSettings> | null = null;
      const answering = () => known ??= this.#answering();
      this.#client ??= this.#network.client(await answering());
      const { count, id } = await this.#topicNow(this.#client);
      this.#count = count;
      this.#topicId = id;
      this.#fetcher.use(this.#client, id);
      this.#settings.counted?.(count);
      const isLost = this.#member?.lost !== false || this.#repartitioned !== null;
      this.#looks = 0;
      this.#repartitioned = null;
      if (this.#counter === null) this.#lookLater();
      if (this.#settings.groupId === null) return Array.from({ length: count }, (_, partition) => partition);
      if (isLost) {
        await this.#member?.close();
        this.#member = this.#network.member(await answering(), () => this.#wake());
        await this.#removePredecessors(this.#member);
      }
      const member = this.#member!;
      if (member.reassigned) this.#settings.joining?.();
      const partitions = await member.assigned().catch(async (error) => {
        throw await this.#notTaken(member, error);
      });
      const strangers = partitions.length > 0 ? null : await this.#strangers(member);
      this.#settings.noShare?.(strangers && `${strangers}; the group leader assigned no partition to this process`);
      return partitions;
    });
  }

  topicId(): string | null {
    return this.#topicId;
  }

  seek(offsets: Seek, committed: ReadonlyMap<number, Committed> = new Map()): void {
    this.#fetcher.seek(offsets, committed);
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    this.#throwIfReassigned();
    this.#fetcher.fetchAhead();
    if (!this.#fetcher.isReady && maxWaitMs > 0) await this.#somethingHappens(maxWaitMs);
    this.#throwIfReassigned();
    try {
      return this.#fetcher.take();
    } catch (error) {
      throw await this.#broken(error);
    }
  }

  async committed(offsets: ReadonlyMap<number, number>): Promise<void> {
    await this.#member?.commit(offsets);
  }

  async close(): Promise<void> {
    this.#counter?.();
    this.#counter = null;
    const [member, client] = [this.#member, this.#client];
    this.#member = this.#client = null;
    this.#fetcher.close();
    await Promise.all([member?.close(), client && closed(client)]);
  }

  #throwIfReassigned(): void {
    if (this.#repartitioned !== null) throw new Rebalanced(this.#repartitioned);
    const member = this.#member;
    if (this.#settings.groupId === null) return;
    if (member === null) throw new Unavailable("not a member of a Kafka group yet", UNREACHABLE);
    if (member.lost || member.reassigned) throw new Rebalanced(member.reason, member.kind);
  }

  /** The topic's number of partitions and its id; null if topics have no ids. */
  async #topicNow(client: TopicClient): Promise<{ readonly count: number; readonly id: string | null }> {
    try {
      const metadata = await client.metadata({ topics: [this.topic], autocreateTopics: false, forceUpdate: true });
      const topic = metadata.topics.get(this.topic);
      const count = topic?.partitionsCount ?? 0;
      if (count > 0) return { count, id: topicIdOf(topic?.id ?? "") };
    } catch (error) {
      if (!isUnknownTopic(error)) throw error;
    }
    const reason = `Kafka has no topic ${this.topic}: create it, or let \`clickstream produce\` make it`;
    throw new Unavailable(reason, { kind: "no_topic" });
  }

  /** The settings with only the brokers that answer. */
  async #answering(): Promise<KafkaSettings> {
    const { brokers, warn } = this.#settings;
    const answering = await this.#network.answering(brokers, this.#settings, (message, broker) => {
      if (!this.#silent.has(broker)) warn?.(message);
      this.#silent.add(broker);
    }).catch((error) => {
      throw new Unavailable(error.message, { ...UNREACHABLE, cause: error });
    });
    for (const broker of answering) this.#silent.delete(broker);
    return { ...this.#settings, brokers: answering };
  }

  /** Looks for partitions again and again, until the source is closed. */
  #lookLater(): void {
    this.#counter = this.#network.after(COUNT_EVERY_MS, () => {
      this.#lookLater();
      void this.#lookForPartitions();
    });
  }

  /**
   * Checks whether partitions were added or the topic was recreated. The group itself does not notice: its leader
   * assigned the partitions that it knew, and has to do it again.
   */
  async #lookForPartitions(): Promise<void> {
    const client = this.#client;
    if (client === null || this.#isCounting || this.#repartitioned !== null) return;
    this.#isCounting = true;
    // Fetches report errors, so this check ignores them.
    const topic = await this.#topicNow(client).catch(() => null).finally(() => this.#isCounting = false);
    const member = this.#member;
    if (topic === null || client !== this.#client || member?.reassigned) return;
    const { count, id } = topic;
    if (id !== this.#topicId) {
      this.#repartitioned = `${this.topic} now has the id ${id}, not ${this.#topicId}`;
      return this.#wake();
    }
    const before = member?.divided ?? this.#count;
    this.#looks = count === before ? 0 : this.#looks + 1;
    if (count === before || (member?.divided === null && this.#looks < LOOKS_OF_OTHERS)) return;
    this.#repartitioned = `${this.topic} now has ${count} partitions instead of ${before}; they are assigned again`;
    this.#settings.warn?.(
      `${this.#repartitioned}. Events of a user whose key moved to another partition are all counted, but a duplicate ` +
        "is recognised only within one partition: an event resent after the change is counted twice",
    );
    this.#wake();
  }

  /** Why joining failed: other members may use another protocol, or read a topic that does not exist. */
  async #notTaken(member: Membership, error: unknown): Promise<Error> {
    const said = explained(error, "join the group", this.#settings);
    // This check includes every possible unknown topic; the next one finds out whether a member causes it.
    const mayBeMember = withCauses(error).some(isUnknownTopic);
    if (!mayBeMember && !isAnswer(error, "INCONSISTENT_GROUP_PROTOCOL")) return said;
    const strangers = await this.#strangers(member);
    if (strangers === null) return said;
    return new Unavailable(`${strangers}: ${said.message}`, { kind: "foreign_group_member", cause: said });
  }

  /**
   * The group's members that don't read our topic, as text; null if there are none or the coordinator doesn't answer.
   */
  async #strangers(member: Membership): Promise<string | null> {
    const { groupId, topic } = this.#settings;
    try {
      const group = await this.#atCoordinator(member, describeGroup);
      if (group === null) return null;
      const strangers = strangersTo(topic, group);
      if (strangers.length === 0) return null;
      const how = group.protocol === "" ? "" : ` (the group's assignment strategy is ${group.protocol})`;
      return `the consumer group ${groupId} has a member that does not read ${topic}: ${
        strangers.map(memberInWords).join("; ")
      }${how}. End it, or give it or this program another KAFKA_GROUP_ID`;
    } catch {
      return null;
    }
  }

  /** Removes the members that a killed process has left behind. Without an answer, they stay until they time out. */
  async #removePredecessors(member: Membership): Promise<void> {
    if (this.#settings.isOnly !== true || this.#hasJoined) return;
    // Only once: if another process has this client id nevertheless, they must not remove each other forever.
    this.#hasJoined = true;
    await this.#atCoordinator(member, async (connection, groupId) => {
      const { members } = await describeGroup(connection, groupId);
      const left = members.filter(({ clientId }) => clientId === this.#settings.clientId);
      for (const { id } of left) await leaveFor(connection, groupId, id);
    }).catch(() => {});
  }

  /** Asks the group's coordinator; null if it is unknown. */
  async #atCoordinator<T>(
    member: Membership,
    ask: (connection: BrokerConnection, groupId: string) => Promise<T>,
  ): Promise<T | null> {
    const coordinator = await member.coordinator();
    const { groupId } = this.#settings;
    if (coordinator === null || groupId === null) return null;
    const connection = await BrokerConnection.open(coordinator.host, coordinator.port, this.#settings);
    return await ask(connection, groupId).finally(() => connection.close());
  }

  async #somethingHappens(maxWaitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#network.after(maxWaitMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = () => {};
  }

  /** Closes the connections after an error, so that new ones are opened; returns the error to throw. */
  async #broken(error: unknown): Promise<Error> {
    const client = this.#client;
    this.#client = null;
    this.#fetcher.hangUp();
    if (client !== null) await closed(client);
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
 * The topic's current id in Kafka; null if topics have no ids.
 *
 * @throws {Unavailable} if Kafka can't be reached or has no such topic
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

/** The error with what was attempted and where. All except our own errors are retryable. */
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
  const reason = `could not ${what} at ${brokers.join(", ")}: ${[...messages].join(" ")}`;
  return new Unavailable(reason, { ...UNREACHABLE, cause: error });
}
