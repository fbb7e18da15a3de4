/**
 * What a cluster is asked, and told, beside reading and writing records: topics, where they begin and end, settings,
 * groups.
 * @module
 */
import { Admin as Client, ConfigResourceTypes, FindCoordinatorKeyTypes } from "@platformatic/kafka";
import { answeringBrokers } from "./bootstrap.ts";
import { BrokerConnection } from "./broker.ts";
import { accessOptions, closed, type ClusterAccess, type Retries, retrying } from "./client.ts";
import { attempt, isAnswer } from "./errors.ts";
import { describeGroup, type Group, GroupNotDescribed } from "./group.ts";

/** A topic, and how to reach it. */
export interface TopicAccess extends ClusterAccess {
  readonly topic: string;
  /** Is told which brokers don't answer, while others do. */
  readonly warn?: (message: string) => void;
}

/** A partition's first offset, and the one after its last. */
export interface Bounds {
  readonly partition: number;
  readonly begin: number;
  readonly end: number;
}

/** A partition, and the brokers that have it. */
export interface Partition {
  readonly partition: number;
  /** -1 where it has none at the moment. */
  readonly leader: number;
  readonly replicas: readonly number[];
  /** Those of `replicas` that are up to date. */
  readonly isr: readonly number[];
}

/** What is wrong is to be known in seconds. */
const RETRIES = retrying(4, 200, 3000);
/** No broker needs longer for an answer, in milliseconds. */
const ANSWER_MS = 10_000;
/** A topic that was created has its leaders within this time, in milliseconds. */
const LEADERS_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 100;

/** So long brokers that are just starting are waited for, and with such a pause between, in milliseconds. */
const ANSWERS_WITHIN_MS = 3000;
const ASK_EVERY_MS = 300;
/** A broker that has just started, or a group that is new, is asked so often, with a pause between. */
const GROUP_TRIES = 10;
const GROUP_PAUSE_MS = 300;

const EARLIEST = -2n;
const LATEST = -1n;

/** A client that asks and tells. To be closed. */
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
    // Errors come back from the calls that met them; without a listener they would end the process besides.
    this.#client.on("error", () => {});
  }

  /** Connects and logs in. */
  async connect(): Promise<void> {
    await this.#client.metadata({ topics: [], forceUpdate: true });
  }

  /** The latest version of a request, by its number, that the brokers answer; 0 if they answer none. */
  async latestVersion(request: number): Promise<number> {
    return (await this.#client.listApis()).find(({ apiKey }) => apiKey === request)?.maxVersion ?? 0;
  }

  /** Whether there is such a topic, and it is shown to us. */
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

  /** Creates a topic, with as many copies as the brokers make of their own; false if it was there already. */
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
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    return true;
  }

  /** The bounds of every partition. */
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

  /** The first offset of each partition whose record has a timestamp of this time or later; its end if there is none. */
  async offsetsAt(topic: string, timeMs: number): Promise<ReadonlyMap<number, number>> {
    const partitions = await this.partitions(topic);
    const found = await this.#offsets(topic, partitions, BigInt(Math.max(0, timeMs)));
    if (![...found.values()].includes(-1)) return found;
    const ends = await this.#offsets(topic, partitions, LATEST);
    return new Map([...found].map(([partition, offset]) => [partition, offset < 0 ? ends.get(partition)! : offset]));
  }

  /** The settings of a topic; null if we may not know them. */
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

  /** A consumer group, as its coordinator describes it, once it is ready to. */
  async group(groupId: string): Promise<Group> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#group(groupId);
      } catch (error) {
        if (tries === GROUP_TRIES || !isNotReady(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, GROUP_PAUSE_MS));
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

  /** Whether a group is known to the cluster, whatever protocol its members speak. */
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
 * The same with the brokers that answer. The client itself waits long for a broker that takes connections and never
 * answers, and does not say what is wrong with a certificate.
 *
 * @throws {Error} with the reason of each broker, if none answers for 3 s
 */
export async function answering<Access extends TopicAccess>(access: Access): Promise<Access> {
  const { brokers, warn = () => {} } = access;
  for (const deadline = Date.now() + ANSWERS_WITHIN_MS;;) {
    try {
      return { ...access, brokers: await answeringBrokers(brokers, access, warn) };
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  }
}

/** The bounds of every partition of the topic. */
export async function boundsOf(access: TopicAccess): Promise<readonly Bounds[]> {
  return await asked(access, (admin) => admin.bounds(access.topic));
}

/** The first offset of each partition whose record has a timestamp of this time or later; the end if there is none. */
export async function offsetsAt(access: TopicAccess, timeMs: number): Promise<ReadonlyMap<number, number>> {
  return await asked(access, (admin) => admin.offsetsAt(access.topic, timeMs));
}

/** Kafka timestamp of the earliest first record of any partition, to the second; null where the topic is empty. */
export async function beginningOf(access: TopicAccess): Promise<number | null> {
  return await asked(access, async (admin) => {
    const bounds = new Map((await admin.bounds(access.topic)).map((each) => [each.partition, each]));
    if ([...bounds.values()].every(({ begin, end }) => begin === end)) return null;
    // The log can be asked where a time begins, and not when an offset was: the latest time at which nothing is left out.
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
