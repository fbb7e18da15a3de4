/**
 * The topic in Kafka as a source: who reads which partitions, and when that changes. Metadata and the group are
 * `@platformatic/kafka`'s.
 * @module
 */
import type { Consumer } from "@platformatic/kafka";
import { type PartitionState, Rebalanced, type Source, TopicChanged } from "../pipeline/source.ts";
import type { Records, Seek } from "../records.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { answeringBrokers } from "./bootstrap.ts";
import { BrokerConnection } from "./broker.ts";
import { closed } from "./client.ts";
import { isAnswer, isUnknownTopic, UNREACHABLE, withCauses } from "./errors.ts";
import { topicIdOf } from "./fetch.ts";
import { Fetcher, type FetcherSettings } from "./fetcher.ts";
import { describeGroup, memberInWords, strangersTo } from "./group.ts";
import { consumerOf, Member } from "./member.ts";

/** How to reach Kafka, and as whom. */
export interface KafkaSettings extends FetcherSettings {
  readonly brokers: readonly string[];
  /** Members of a group share the partitions; who is in none reads them all. */
  readonly groupId: string | null;
  /** Is told, in words, what goes wrong and is mended by itself. */
  readonly warn?: (message: string) => void;
  /** Is told that Kafka answers, and that the group is waited for. */
  readonly joining?: () => void;
  /** Is told how many partitions the topic has, at each start. */
  readonly counted?: (partitions: number) => void;
  /** Is told why the group has given us no partition, where that is a fault; null where it is none. */
  readonly noShare?: (reason: string | null) => void;
}

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
  /** Knows how many partitions there are. */
  #client: Consumer | null = null;
  readonly #fetcher: Fetcher;
  /** The topic as it was when partitions were assigned last. */
  #topicId: string | null = null;
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
    this.#fetcher = new Fetcher(settings, () => this.#wake());
  }

  /** What is known of each partition that is read, at this moment. */
  get states(): readonly PartitionState[] {
    return this.#fetcher.states;
  }

  async assigned(): Promise<readonly number[]> {
    return await this.#attempt("join the group", async () => {
      let known: Promise<KafkaSettings> | null = null;
      const answering = () => known ??= this.#answering();
      this.#client ??= consumerOf(await answering());
      const { count, id } = await this.#topicNow(this.#client);
      this.#count = count;
      this.#topicId = id;
      this.#fetcher.use(this.#client, id);
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
        throw await this.#notTaken(member, error);
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
    if (this.#counter !== null) clearInterval(this.#counter);
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

  /** How many partitions the topic has, and its id; null where topics have none. */
  async #topicNow(consumer: Consumer): Promise<{ readonly count: number; readonly id: string | null }> {
    try {
      const metadata = await consumer.metadata({ topics: [this.topic], autocreateTopics: false, forceUpdate: true });
      const topic = metadata.topics.get(this.topic);
      const count = topic?.partitionsCount ?? 0;
      if (count > 0) return { count, id: topicIdOf(topic?.id ?? "") };
    } catch (error) {
      if (!isUnknownTopic(error)) throw error;
    }
    const reason = `Kafka has no topic ${this.topic}: create it, or let \`clickstream produce\` make it`;
    throw new Unavailable(reason, { kind: "no_topic" });
  }

  /** The settings, with those of the brokers that answer. */
  async #answering(): Promise<KafkaSettings> {
    const { brokers, warn } = this.#settings;
    const answering = await answeringBrokers(brokers, this.#settings, (message, broker) => {
      if (!this.#silent.has(broker)) warn?.(message);
      this.#silent.add(broker);
    }).catch((error) => {
      throw new Unavailable(error.message, { ...UNREACHABLE, cause: error });
    });
    for (const broker of answering) this.#silent.delete(broker);
    return { ...this.#settings, brokers: answering };
  }

  /**
   * Looks whether partitions have been added, or the topic is another under the same name. Whoever leads the group has
   * divided those that it knew of, and has to do it again; the group itself doesn't notice.
   */
  async #lookForPartitions(): Promise<void> {
    const client = this.#client;
    if (client === null || this.#isCounting || this.#repartitioned !== null) return;
    this.#isCounting = true;
    // What is wrong is found out, and said, by whoever fetches.
    const topic = await this.#topicNow(client).catch(() => null).finally(() => this.#isCounting = false);
    const member = this.#member;
    if (topic === null || client !== this.#client || member?.reassigned) return;
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

  /** Why the group does not take us: its members may speak another protocol, or read what is not there. */
  async #notTaken(member: Member, error: unknown): Promise<Error> {
    const said = explained(error, "join the group", this.#settings);
    // Whether a member is to blame is asked next, so any error is looked at that may mean an unknown topic.
    const mayBeMember = withCauses(error).some(isUnknownTopic);
    if (!mayBeMember && !isAnswer(error, "INCONSISTENT_GROUP_PROTOCOL")) return said;
    const strangers = await this.#strangers(member);
    if (strangers === null) return said;
    return new Unavailable(`${strangers}: ${said.message}`, { kind: "foreign_group_member", cause: said });
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
  const reason = `could not ${what} at ${brokers.join(", ")}: ${[...messages].join(" ")}`;
  return new Unavailable(reason, { ...UNREACHABLE, cause: error });
}
