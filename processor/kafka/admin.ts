/**
 * Administers a cluster: topics, their offsets and settings, and consumer groups.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { Admin as Client, ConfigResourceTypes, FindCoordinatorKeyTypes } from "@platformatic/kafka";
import { answeringBrokers } from "./bootstrap.ts";
import { BrokerConnection } from "./broker.ts";
import { accessOptions, closed, type ClusterAccess, quiet, type Retries, retrying } from "./client.ts";
import type { Committed } from "../pipeline/commit.ts";
import { attempt, isAnswer } from "./errors.ts";
import { BufferPool } from "./answer.ts";
import { fetchFrom, type PartitionResponse, topicIdOf } from "./fetch.ts";
import { describeGroup, type Group, GroupNotDescribed } from "./group.ts";

/** A topic, and how to reach it. */
export interface TopicAccess extends ClusterAccess {
  readonly topic: string;
  /** Called with the brokers that don't answer while others do. */
  readonly warn?: (message: string) => void;
}

/** A partition's first offset, and the offset after its last. */
export interface Bounds {
  readonly partition: number;
  readonly begin: number;
  readonly end: number;
}

/** A partition, and the brokers that hold its replicas. */
export interface Partition {
  readonly partition: number;
  /** -1 while there is no leader. */
  readonly leader: number;
  readonly replicas: readonly number[];
  /** The replicas that are in sync. */
  readonly isr: readonly number[];
}

/** Few, so that a problem is reported within seconds. */
const RETRIES = retrying(4, 200, 3000);
/** Longest time that a broker needs for an answer, in milliseconds. */
const ANSWER_MS = 10_000;
/** Time within which a new topic has its leaders, in milliseconds. */
const LEADERS_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 100;

/** How long brokers that are just starting are waited for, and the pause between two attempts, in milliseconds. */
const ANSWERS_WITHIN_MS = 3000;
const ASK_EVERY_MS = 300;
/** Attempts to ask a broker that has just started or about a new group, and the pause between them. */
const GROUP_TRIES = 10;
const GROUP_PAUSE_MS = 300;

const OFFSET_OUT_OF_RANGE = 1;
const EARLIEST = -2n;
const LATEST = -1n;

/** An administrative client. The caller closes it. */
export class Admin implements AsyncDisposable {
  readonly #client: Client;
  readonly #access: ClusterAccess & { readonly clientId: string };

  constructor(access: ClusterAccess, clientId: string, retries: Retries = RETRIES) {
    this.#access = { ...access, clientId };
    this.#client = new Client({
      ...accessOptions(access),
      ...retries,
      clientId,
      requestTimeout: ANSWER_MS,
      timeout: ANSWER_MS,
    });
    quiet(this.#client);
  }

  /** Connects and logs in. */
  async connect(): Promise<void> {
    await this.#client.metadata({ topics: [], forceUpdate: true });
  }

  /** The latest version of a request, by its API key, that the brokers support; 0 if they support none. */
  async latestVersion(request: number): Promise<number> {
    return (await this.#client.listApis()).find(({ apiKey }) => apiKey === request)?.maxVersion ?? 0;
  }

  /** Whether the topic exists and we may see it. */
  async hasTopic(topic: string): Promise<boolean> {
    return (await this.#client.listTopics()).includes(topic);
  }

  /** The partitions of a topic, in order. */
  async partitions(topic: string): Promise<readonly Partition[]> {
    const { topics } = await this.#client.metadata({ topics: [topic], forceUpdate: true });
    return topics.get(topic)!.partitions.map(({ leader, replicas, isr }, partition) => (
      { partition, leader, replicas, isr }
    ));
  }

  /** Creates a topic with the brokers' default replication factor; false if it already existed. */
  async createTopic(topic: string, partitions: number): Promise<boolean> {
    try {
      await this.#client.createTopics({ topics: [topic], partitions, replicas: -1 });
    } catch (error) {
      if (isAnswer(error, "TOPIC_ALREADY_EXISTS")) return false;
      throw error;
    }
    for (const deadline = Date.now() + LEADERS_WITHIN_MS; Date.now() < deadline;) {
      const found = await this.partitions(topic).catch(() => []);
      if (found.length === partitions && found.every(({ leader }) => leader >= 0)) break;
      await setTimeout(LOOK_EVERY_MS);
    }
    return true;
  }

  /** The first and end offsets of every partition. */
  async bounds(topic: string): Promise<readonly Bounds[]> {
    const partitions = await this.partitions(topic);
    const [begins, ends] = [
      await this.#offsets(topic, partitions, EARLIEST),
      await this.#offsets(topic, partitions, LATEST),
    ];
    return partitions.map(({ partition }) => (
      { partition, begin: Number(begins.get(partition)), end: Number(ends.get(partition)) }
    ));
  }

  /** In each partition, the first offset with a timestamp of this time or later; its end if there is none. */
  async offsetsAt(topic: string, timeMs: number): Promise<ReadonlyMap<number, number>> {
    const partitions = await this.partitions(topic);
    const found = await this.#offsets(topic, partitions, BigInt(Math.max(0, timeMs)));
    if (![...found.values()].includes(-1)) return found;
    const ends = await this.#offsets(topic, partitions, LATEST);
    return new Map([...found].map(([partition, offset]) => [partition, offset < 0 ? ends.get(partition)! : offset]));
  }

  /**
   * In each partition that no longer has the record that was committed last, the first offset that differs from what was
   * read; null if it is unknown. Partitions of which no leader epoch is known are left out.
   */
  async truncated(
    topic: string,
    committed: ReadonlyMap<number, Committed>,
  ): Promise<ReadonlyMap<number, number | null>> {
    const metadata = await this.#client.metadata({ topics: [topic], forceUpdate: true });
    const { id, partitions } = metadata.topics.get(topic)!;
    const known = [...committed].filter(([partition, { leaderEpoch }]) =>
      leaderEpoch !== null && partition < partitions.length
    );
    const truncated = new Map<number, number | null>();
    for (const [leader, share] of Map.groupBy(known, ([partition]) => partitions[partition]!.leader)) {
      const broker = metadata.brokers.get(leader);
      if (broker === undefined) throw new Error(`partition ${share[0]![0]} of ${topic} has no leader at the moment`);
      const connection = await BrokerConnection.open(broker.host, broker.port, this.#access);
      try {
        const responses = await fetchFrom(connection, {
          ...{ topic, topicId: topicIdOf(id), maxWaitMs: 0, maxBytes: 1, partitionBytes: 0 },
          offsets: new Map(share.map(([partition, { next }]) => [partition, next])),
          epochs: new Map(share.map(([partition, { leaderEpoch }]) => [partition, leaderEpoch!])),
        }, new BufferPool());
        for (const response of responses) {
          const from = await this.#truncatedFrom(topic, response, committed.get(response.partition)!.next);
          if (from !== undefined) truncated.set(response.partition, from);
        }
      } finally {
        connection.close();
      }
    }
    return truncated;
  }

  /** As in `truncated`; undefined if the partition still has the record before `next`, or has deleted it. */
  async #truncatedFrom(
    topic: string,
    { partition, errorCode, divergedAt }: PartitionResponse,
    next: number,
  ): Promise<number | null | undefined> {
    if (errorCode === 0) return divergedAt ?? undefined;
    if (errorCode !== OFFSET_OUT_OF_RANGE) {
      throw new Error(`Kafka answers the fetch of partition ${partition} of ${topic} with error ${errorCode}`);
    }
    // Kafka says this too of an epoch that its log does not have.
    const { begin, end } = (await this.bounds(topic)).find((each) => each.partition === partition)!;
    return begin < next && next <= end ? null : undefined;
  }

  /** The settings of a topic; null if we are not allowed to read them. */
  async topicSettings(topic: string): Promise<ReadonlyMap<string, string | null> | null> {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic };
    try {
      const [described] = await this.#client.describeConfigs({ resources: [resource] });
      return new Map(described!.configs.map(({ name, value }) => [name, value ?? null]));
    } catch (error) {
      if (isAnswer(error, "TOPIC_AUTHORIZATION_FAILED")) return null;
      throw error;
    }
  }

  /** A consumer group as its coordinator describes it; waits until the coordinator is ready. */
  async group(groupId: string): Promise<Group> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#group(groupId);
      } catch (error) {
        if (tries === GROUP_TRIES || !isNotReady(error)) throw error;
        await setTimeout(GROUP_PAUSE_MS);
      }
    }
  }

  async #group(groupId: string): Promise<Group> {
    const [coordinator] = await this.#client.findCoordinator({
      keyType: FindCoordinatorKeyTypes.GROUP,
      keys: [groupId],
    });
    const connection = await BrokerConnection.open(coordinator!.host, coordinator!.port, this.#access);
    return await describeGroup(connection, groupId).finally(() => connection.close());
  }

  /** Whether the cluster knows a group, with any protocol. */
  async hasGroup(groupId: string): Promise<boolean> {
    return (await this.#client.listGroups({ types: [] })).has(groupId);
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await closed({ close: () => this.#client.close() });
  }

  async #offsets(
    topic: string,
    partitions: readonly Partition[],
    timestamp: bigint,
  ): Promise<ReadonlyMap<number, number>> {
    const asked = partitions.map(({ partition }) => ({ partitionIndex: partition, timestamp }));
    const [listed] = await this.#client.listOffsets({ topics: [{ name: topic, partitions: asked }] });
    return new Map(listed?.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]));
  }
}

/**
 * The same access with only the brokers that answer. The client itself waits long for a broker that accepts connections
 * but never answers, and does not report what is wrong with a certificate.
 *
 * @throws {Error} with the reason of each broker, if none answers within 3 s
 */
export async function answering<Access extends TopicAccess>(access: Access): Promise<Access> {
  const { brokers, warn = () => {} } = access;
  for (const deadline = Date.now() + ANSWERS_WITHIN_MS;;) {
    try {
      return { ...access, brokers: await answeringBrokers(brokers, access, warn) };
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await setTimeout(ASK_EVERY_MS);
    }
  }
}

/** The first and end offsets of every partition of the topic. */
export async function boundsOf(access: TopicAccess): Promise<readonly Bounds[]> {
  return await asked(access, (admin) => admin.bounds(access.topic));
}

/** `Admin.truncated` of the topic. */
export async function truncatedOf(
  access: TopicAccess,
  committed: ReadonlyMap<number, Committed>,
): Promise<ReadonlyMap<number, number | null>> {
  return await asked(access, (admin) => admin.truncated(access.topic, committed));
}

/** In each partition, the first offset with a timestamp of this time or later; its end if there is none. */
export async function offsetsAt(access: TopicAccess, timeMs: number): Promise<ReadonlyMap<number, number>> {
  return await asked(access, (admin) => admin.offsetsAt(access.topic, timeMs));
}

/**
 * Kafka timestamp of the earliest first record of any partition, rounded down to seconds; null if the topic is empty.
 */
export async function beginningOf(access: TopicAccess): Promise<number | null> {
  return await asked(access, async (admin) => {
    const bounds = new Map((await admin.bounds(access.topic)).map((each) => [each.partition, each]));
    if ([...bounds.values()].every(({ begin, end }) => begin === end)) return null;
    // Kafka finds the offset of a time, but not the time of an offset: search for the latest time that skips no record.
    let [leastS, mostS] = [0, Math.ceil(Date.now() / 1000) + 86_400];
    while (mostS - leastS > 1) {
      const middleS = Math.floor((leastS + mostS) / 2);
      const found = await admin.offsetsAt(access.topic, middleS * 1000);
      if ([...found].every(([partition, offset]) => offset === (bounds.get(partition)?.begin ?? offset))) {
        leastS = middleS;
      } else mostS = middleS;
    }
    return leastS * 1000;
  });
}

function isNotReady(error: unknown): boolean {
  if (error instanceof GroupNotDescribed) return error.isNotReady;
  return isAnswer(error, "COORDINATOR_NOT_AVAILABLE") || isAnswer(error, "COORDINATOR_LOAD_IN_PROGRESS");
}

async function asked<T>(access: TopicAccess, body: (admin: Admin) => Promise<T>): Promise<T> {
  return await attempt("ask", access, async () => {
    await using admin = new Admin(await answering(access), "clickstream");
    return await body(admin);
  });
}
