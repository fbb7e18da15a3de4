/**
 * One membership of a consumer group: joined once, and given up for another when it is lost.
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { Consumer, FetchIsolationLevels, type GroupPartitionsAssigner } from "@platformatic/kafka";
import type { NotReadyKind } from "../pipeline/causes.ts";
import { Unavailable } from "../pipeline/commit.ts";
import type { BrokerAccess } from "./broker.ts";
import { accessOptions, closed } from "./client.ts";

/** Where and as whom a consumer reads. */
export interface ConsumerSettings extends BrokerAccess {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly groupId: string | null;
}

/** A member that is silent for this long is dropped from the group, and its partitions given to others. */
const SESSION_TIMEOUT_MS = 10_000;
/** By its heartbeat a member learns that another has come, for whose share nobody is served until all have heard. */
const HEARTBEAT_MS = 500;
const REBALANCE_TIMEOUT_MS = 20_000;
/** Joining is answered when every member has joined, so its request takes longer than a rebalance. */
const JOIN_ANSWER_MS = REBALANCE_TIMEOUT_MS + 5_000;
/** No broker needs longer for anything else. */
const ANSWER_MS = 10_000;
/** So old may be what whoever leads the group knows of its topics. */
const METADATA_AGE_MS = 10_000;

/** A membership, from its first join until it is closed. */
export class Member {
  /** True when the membership has ended, or can't be trusted any more. */
  lost = false;
  /** True while what `assigned` returned last does not hold any more. */
  reassigned = true;
  /** Why, in words and as a kind. */
  reason = "the group has not been joined yet";
  kind: NotReadyKind = "kafka_unreachable";
  /** Where this member leads the group: how many partitions of the topic it has divided; otherwise null. */
  divided: number | null = null;
  readonly #topic: string;
  readonly #consumer: Consumer;
  readonly #changed: () => void;
  #joined: Promise<unknown> | null = null;

  /** @param changed is told when the partitions have to be asked for again */
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
      // Whoever leads the group next divides the partitions that there are then.
      this.#consumer.clearMetadata();
      this.#mark("the group divides its partitions anew", "rebalancing");
    });
    this.#consumer.on("consumer:group:join", ({ isLeader, assignments }) => {
      // A single member is not asked how to divide: it has them all.
      const own = assignments?.find(({ topic }) => topic === settings.topic)?.partitions.length ?? 0;
      this.divided = isLeader === true ? counted ?? own : null;
      counted = null;
      this.#mark("the group has divided its partitions anew", "rebalancing");
    });
    this.#consumer.on("consumer:heartbeat:stalled", () => this.#lose("the group has not been heard of for too long"));
    this.#consumer.on("error", (error: Error) => this.#lose(`the group was lost: ${error.message}`));
  }

  /** The partitions of this member, once the group has divided them. */
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

  /** Tells the group how far the sink has got. */
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

  /** Where the group's coordinator is; null where nobody says. */
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

  /** Waits while a rejoin is under way. */
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

/** A client that reads; it joins its group only when told to. */
export function consumerOf(
  settings: ConsumerSettings,
  more: { readonly requestTimeout?: number; readonly partitionAssigner?: GroupPartitionsAssigner } = {},
): Consumer {
  const { groupId, clientId } = settings;
  const consumer = new Consumer({
    ...accessOptions(settings),
    clientId,
    // The client wants one, and joins it only when told to.
    groupId: groupId ?? clientId,
    autocommit: false,
    retries: 1,
    retryDelay: 100,
    requestTimeout: ANSWER_MS,
    metadataMaxAge: METADATA_AGE_MS,
    // Fetching is ours: this is for the ends of partitions, which don't wait for open transactions.
    isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    // Said here, for the client also joins by itself, when a commit finds that the group has gone on without it.
    sessionTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    heartbeatStallTimeout: SESSION_TIMEOUT_MS,
    rebalanceTimeout: REBALANCE_TIMEOUT_MS,
    ...more,
  });
  // Errors come back from the calls that met them; without a listener they would end the process besides.
  consumer.on("error", () => {});
  return consumer;
}

/** Divides each topic among those that read it; the client's own way gives everybody some of everything. */
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
