/**
 * One membership of a consumer group: it joins once; if it is lost, the source replaces it.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { Consumer, FetchIsolationLevels, type GroupPartitionsAssigner } from "@platformatic/kafka";
import type { NotReadyKind } from "../pipeline/causes.ts";
import { Unavailable } from "../pipeline/commit.ts";
import type { BrokerAccess } from "./broker.ts";
import { accessOptions, closed, quiet } from "./client.ts";

/** Which cluster and topic a consumer reads, and as which client and group. */
export interface ConsumerSettings extends BrokerAccess {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly groupId: string | null;
}

/** The group drops a member that is silent for this long, and assigns its partitions to others. */
const SESSION_TIMEOUT_MS = 10_000;
/**
 * Short: members learn of a rebalance by their heartbeats, and until all have rejoined, some partitions have no reader.
 */
const HEARTBEAT_MS = 500;
const REBALANCE_TIMEOUT_MS = 20_000;
/** The answer to a join waits until every member has joined, so this request takes longer than a rebalance. */
const JOIN_ANSWER_MS = REBALANCE_TIMEOUT_MS + 5_000;
/** Longest time that a broker needs for any other answer. */
const ANSWER_MS = 10_000;
/** Maximum age of the group leader's topic metadata. */
const METADATA_AGE_MS = 10_000;

/** Client ids of the service begin so. */
const CLIENT_ID = "clickstream";

/** A client id of a worker: the same after a restart, if the service has a port of its own on its machine. */
export function workerClientId(machine: string, port: number, worker: string): string {
  return port === 0 ? CLIENT_ID : `${CLIENT_ID}-${machine}-${port}-${worker}`;
}

/** Whether a client id is one of the service's workers. */
export function isWorkerClientId(clientId: string): boolean {
  return /^clickstream(-.+-\d+-\d+)?$/.test(clientId);
}

/** A membership, from its first join until it is closed. */
export class Member {
  /** True when the membership has ended or can't be trusted any more. */
  lost = false;
  /** True while the last result of `assigned` is no longer valid. */
  reassigned = true;
  /** Why, as text and as a kind. */
  reason = "the consumer group has not been joined yet";
  kind: NotReadyKind = "kafka_unreachable";
  /** If this member leads the group: for how many partitions of the topic it made the assignment; otherwise null. */
  divided: number | null = null;
  readonly #topic: string;
  readonly #consumer: Consumer;
  readonly #changed: () => void;
  #joined: Promise<unknown> | null = null;

  /** @param changed called when `assigned` has to be called again */
  constructor(settings: ConsumerSettings, changed: () => void) {
    this.#topic = settings.topic;
    this.#changed = changed;
    let counted: number | null = null;
    this.#consumer = consumerOf(settings, {
      requestTimeout: JOIN_ANSWER_MS,
      partitionAssigner: (self, members, topics, metadata) => {
        counted = metadata.topics.get(settings.topic)?.partitionsCount ?? null;
        return bySubscription(self, members, topics, metadata);
      },
    });
    this.#consumer.on("consumer:group:rebalance", () => {
      // The next group leader then assigns all partitions that exist at that time.
      this.#consumer.clearMetadata();
      this.#mark("the consumer group is rebalancing", "rebalancing");
    });
    this.#consumer.on("consumer:group:join", ({ isLeader, assignments }) => {
      // The assigner is not called for a single member, which gets all partitions.
      const own = assignments?.find(({ topic }) => topic === settings.topic)?.partitions.length ?? 0;
      this.divided = isLeader === true ? counted ?? own : null;
      counted = null;
      this.#mark("the consumer group has rebalanced", "rebalancing");
    });
    this.#consumer.on(
      "consumer:heartbeat:stalled",
      () => this.#lose("the consumer group has not answered heartbeats for too long"),
    );
    this.#consumer.on("error", (error: Error) => this.#lose(`lost the consumer group: ${error.message}`));
  }

  /** The partitions assigned to this member; waits for the assignment. */
  async assigned(): Promise<readonly number[]> {
    if (this.#joined === null) {
      this.#consumer.topics.track(this.#topic);
      this.#joined = this.#consumer.joinGroup();
    }
    await this.#joined;
    await this.#settled();
    this.reassigned = false;
    return this.#consumer.assignments?.find(({ topic }) => topic === this.#topic)?.partitions.toSorted((a, b) =>
      a - b
    ) ?? [];
  }

  /** Commits the sink's offsets to the group. */
  async commit(offsets: ReadonlyMap<number, number>): Promise<void> {
    if (this.lost || this.reassigned || !this.#consumer.isActive()) return;
    await this.#consumer.commit({
      offsets: [...offsets].map(([partition, offset]) => ({
        topic: this.#topic,
        partition,
        offset: BigInt(offset),
        leaderEpoch: -1,
      })),
    });
  }

  /** Address of the group's coordinator; null if unknown. */
  async coordinator(): Promise<{ readonly host: string; readonly port: number } | null> {
    const id = await this.#consumer.findGroupCoordinator();
    const { brokers } = await this.#consumer.metadata({ topics: [] });
    return brokers.get(id) ?? null;
  }

  /** Leaves the group. */
  async close(): Promise<void> {
    this.lost = true;
    await closed(this.#consumer);
  }

  /** Waits until a rejoin has ended. */
  async #settled(): Promise<void> {
    const deadline = Date.now() + REBALANCE_TIMEOUT_MS + SESSION_TIMEOUT_MS;
    while (!this.#consumer.isActive()) {
      if (this.lost || Date.now() > deadline) throw new Unavailable(this.reason, { kind: this.kind });
      await pause(50);
    }
  }

  #mark(reason: string, kind: NotReadyKind): void {
    this.reassigned = true;
    this.reason = reason;
    this.kind = kind;
    this.#changed();
  }

  #lose(reason: string): void {
    this.lost = true;
    this.#mark(reason, "kafka_unreachable");
  }
}

/** A consumer; it joins its group only when `joinGroup` is called. */
export function consumerOf(
  settings: ConsumerSettings,
  more: { readonly requestTimeout?: number; readonly partitionAssigner?: GroupPartitionsAssigner } = {},
): Consumer {
  const { groupId, clientId } = settings;
  const consumer = new Consumer({
    ...accessOptions(settings),
    clientId,
    // The client requires a group id, but joins the group only on request.
    groupId: groupId ?? clientId,
    autocommit: false,
    retries: 1,
    retryDelay: 100,
    requestTimeout: ANSWER_MS,
    metadataMaxAge: METADATA_AGE_MS,
    // Used for the ends of partitions, which must not wait for open transactions; this source fetches records itself.
    isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    // Set here because the client also joins by itself, when a commit finds that the group has rebalanced without it.
    sessionTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    heartbeatStallTimeout: SESSION_TIMEOUT_MS,
    rebalanceTimeout: REBALANCE_TIMEOUT_MS,
    ...more,
  });
  quiet(consumer);
  return consumer;
}

/** Assigns each topic's partitions to the members that read it; the client's own assigner ignores subscriptions. */
const bySubscription: GroupPartitionsAssigner = (_self, members, _topics, metadata) => {
  const shares = [...members.keys()].map((memberId) => ({
    memberId,
    assignments: new Map<string, { topic: string; partitions: number[] }>(),
  }));
  for (const [topic, { partitionsCount }] of metadata.topics) {
    const readers = shares.filter(({ memberId }) => members.get(memberId)!.topics?.includes(topic));
    if (readers.length === 0) continue;
    for (let partition = 0; partition < partitionsCount; partition++) {
      const { assignments } = readers[partition % readers.length]!;
      const share = assignments.get(topic) ?? { topic, partitions: [] };
      share.partitions.push(partition);
      assignments.set(topic, share);
    }
  }
  return shares;
};
