/**
 * Kafka as one instance sees it: slow, sometimes unavailable, late with news. What reads it is the service's own source.
 * @module
 */
import { Buffer } from "node:buffer";
import type { Leader, Membership, Metadata, Network, TopicClient } from "../../kafka/network.ts";
import type { FetchRequest, PartitionResponse } from "../../kafka/fetch.ts";
import type { Random } from "../../../generator/random.ts";
import type { NotReadyKind } from "../../pipeline/causes.ts";
import { down } from "../pipeline_harness.ts";
import type { Cluster } from "./topic.ts";
import type { Owner, World } from "./world.ts";

/** Kafka's error codes. */
const OUT_OF_RANGE = 1;
const CORRUPT = 2;
const UNKNOWN_TOPIC = 3;
const NOT_LEADER = 6;
const UNKNOWN_ID = 100;

/** Most batches of a partition in a response. */
const MOST_BATCHES = 4;

/** A consumer group that divides the partitions; its members learn of it late. */
export class Group {
  readonly members: SimulatedMember[] = [];
  generation = 0;
  readonly #world: World;
  readonly #cluster: Cluster;

  constructor(world: World, cluster: Cluster) {
    this.#world = world;
    this.#cluster = cluster;
  }

  /** Divides all partitions that exist now. */
  rebalance(): void {
    const { members } = this;
    this.generation++;
    this.#world.note(() => `group: generation ${this.generation} with ${members.map(({ owner }) => owner.name)}`);
    const random = this.#world.randomFor(`rebalance ${this.generation}`);
    const count = this.#cluster.partitions.length;
    const owners = Array.from({ length: count }, () => random.below(members.length));
    for (const [m, member] of members.entries()) {
      member.take(owners.flatMap((owner, p) => owner === m ? [p] : []), m === 0 ? count : null);
      void this.#world.turn(member.owner).then(() => member.mark());
    }
  }

  /** Adds a member. */
  join(member: SimulatedMember): void {
    this.members.push(member);
    this.rebalance();
  }

  /** Drops a member. It learns of it late, if at all. */
  drop(member: SimulatedMember): void {
    const index = this.members.indexOf(member);
    if (index < 0) return;
    this.members.splice(index, 1);
    void this.#world.turn(member.owner).then(() => member.lose());
    if (this.members.length > 0) this.rebalance();
  }
}

/** A membership of the group. */
export class SimulatedMember implements Membership {
  lost = false;
  reassigned = true;
  reason = "not joined yet";
  kind: NotReadyKind = "kafka_unreachable";
  divided: number | null = null;
  readonly owner: Owner;
  readonly #world: World;
  readonly #group: Group;
  readonly #changed: () => void;
  #share: readonly number[] = [];

  constructor(world: World, group: Group, owner: Owner, changed: () => void) {
    this.#world = world;
    this.#group = group;
    this.owner = owner;
    this.#changed = changed;
  }

  async assigned(): Promise<readonly number[]> {
    await this.#world.turn(this.owner);
    if (this.#world.mishap(0.02, "join failed") !== null) throw down("joining the group");
    if (this.lost) throw down("the group");
    if (!this.#group.members.includes(this)) this.#group.join(this);
    for (let generation = -1; generation !== this.#group.generation;) {
      generation = this.#group.generation;
      await this.#world.turn(this.owner);
    }
    this.reassigned = false;
    return this.#share;
  }

  async commit(): Promise<void> {
    await this.#world.turn(this.owner);
    if (this.#world.mishap(0.05, "group commit failed") !== null) throw down("committing to the group");
  }

  coordinator(): Promise<null> {
    return Promise.resolve(null);
  }

  close(): Promise<void> {
    this.lost = true;
    this.#group.drop(this);
    return Promise.resolve();
  }

  /** Its share in the current generation; `divided` as in `Membership`. */
  take(share: readonly number[], divided: number | null): void {
    this.#share = share;
    this.divided = divided;
  }

  /** Learns of a rebalance. */
  mark(): void {
    this.reassigned = true;
    this.reason = "the consumer group has rebalanced";
    this.kind = "rebalancing";
    this.#changed();
  }

  /** Learns that it was dropped. */
  lose(): void {
    this.lost = true;
    this.mark();
  }
}

/** The network of one instance. */
export class SimulatedNetwork implements Network {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #group: Group;
  readonly #owner: Owner;
  readonly #sizes: Random;
  /** Raised when all connections are torn. */
  #torn = 0;
  /** The membership that it has or had last. */
  membership: SimulatedMember | null = null;

  constructor(world: World, cluster: Cluster, group: Group, owner: Owner) {
    this.#world = world;
    this.#cluster = cluster;
    this.#group = group;
    this.#owner = owner;
    this.#sizes = world.randomFor(`fetches of ${owner.name}`);
  }

  /** Breaks all open connections: what waits for a reply fails. */
  tear(): void {
    this.#torn++;
  }

  async answering<B>(brokers: B): Promise<B> {
    await this.#world.turn(this.#owner);
    if (this.#world.mishap(0.02, "no broker answers") !== null) throw new Error("no broker answers");
    return brokers;
  }

  member(_settings: unknown, changed: () => void): Membership {
    return this.membership = new SimulatedMember(this.#world, this.#group, this.#owner, changed);
  }

  after(ms: number, body: () => void): () => void {
    return this.#world.after(this.#owner, ms, body);
  }

  client(): TopicClient {
    let known: Metadata | null = null;
    return {
      metadata: async ({ forceUpdate }) => {
        if (known !== null && forceUpdate !== true) return known;
        await this.#reply("metadata");
        return known = this.#metadata();
      },
      listOffsets: async ({ partitions, timestamp }) => {
        await this.#reply("list offsets");
        const { name } = this.#cluster;
        const offsets: bigint[] = [];
        for (const p of partitions[name]!) offsets[p] = BigInt(this.#bound(p, timestamp));
        await this.#world.turn(this.#owner);
        return new Map([[name, offsets]]);
      },
      clearMetadata: () => void (known = null),
      close: () => Promise.resolve(),
    };
  }

  async connect(host: string): Promise<Leader> {
    await this.#reply("connect");
    const torn = this.#torn;
    let isClosed = false;
    const mustBeOpen = () => {
      if (isClosed || torn !== this.#torn) throw down("the connection");
    };
    return {
      isStale: false,
      fetch: async (request) => {
        mustBeOpen();
        await this.#reply("fetch");
        mustBeOpen();
        let responses = this.#responses(Number(host), request);
        if (request.maxWaitMs > 0 && responses.every(({ bytes, errorCode }) => bytes.length + errorCode === 0)) {
          await new Promise<void>((resolve) => this.after(request.maxWaitMs, resolve));
          responses = this.#responses(Number(host), request);
        }
        await this.#world.turn(this.#owner);
        mustBeOpen();
        return responses;
      },
      close: () => void (isClosed = true),
    };
  }

  async #reply(what: string): Promise<void> {
    await this.#world.turn(this.#owner);
    if (this.#world.mishap(0.008, `${what} failed`) !== null) throw down(what);
  }

  #metadata(): Metadata {
    const { topic, name, brokers } = this.#cluster;
    const topics = topic === null ? [] : [
      [name, {
        id: topic.uuid,
        partitionsCount: topic.partitions.length,
        partitions: topic.partitions.map(({ leader }) => ({ leader })),
      }] as const,
    ];
    return { brokers: new Map(brokers.map((id) => [id, { host: String(id), port: 9092 }])), topics: new Map(topics) };
  }

  /** The first offset of a partition, or its end. */
  #bound(p: number, timestamp: bigint): number {
    const partition = this.#cluster.partitions[p];
    if (partition === undefined) throw down(`partition ${p}, which does not exist`);
    if (timestamp === -2n) return partition.begin;
    // Kafka does not tell the end before the new leader is sure of it; here it may be told while fetches still show less.
    const isSure = partition.reportedEnd(this.#world.nowMs) === partition.end;
    if (!isSure && this.#sizes.chance(0.5)) throw down("OFFSET_NOT_AVAILABLE");
    return partition.end;
  }

  #responses(broker: number, request: FetchRequest): readonly PartitionResponse[] {
    const { topic } = this.#cluster;
    const unknown = request.topicId === null
      ? topic === null ? UNKNOWN_TOPIC : 0
      : topic === null || topic.id !== request.topicId
      ? UNKNOWN_ID
      : 0;
    return [...request.offsets].map(([partition, from]) =>
      unknown > 0 ? failed(partition, unknown) : this.#response(broker, partition, from, request)
    );
  }

  #response(broker: number, p: number, from: number, { held, epochs }: FetchRequest): PartitionResponse {
    const partition = this.#cluster.partitions[p];
    if (partition === undefined) return failed(p, UNKNOWN_TOPIC);
    if (partition.leader !== broker) return failed(p, NOT_LEADER);
    const end = partition.reportedEnd(this.#world.nowMs);
    const empty = { ...failed(p, 0), highWatermark: end, lastStableOffset: end };
    const epoch = epochs?.get(p);
    const divergedAt = epoch === undefined ? undefined : partition.divergence(from, epoch);
    if (typeof divergedAt === "number") return { ...empty, divergedAt };
    if (divergedAt === "unknown" || from < partition.begin || from > partition.end) return failed(p, OUT_OF_RANGE);
    const most = 1 + this.#sizes.below(MOST_BATCHES);
    const batches = held?.has(p) === true ? [] : partition.read(from, end, most);
    if (batches[0]?.flaw === "corrupt") return { ...empty, errorCode: CORRUPT };
    const corrupt = batches.findIndex(({ flaw }) => flaw === "corrupt");
    const readable = corrupt < 0 ? batches : batches.slice(0, corrupt);
    const bytes = readable.length === 1 ? readable[0]!.bytes : Buffer.concat(readable.map((batch) => batch.bytes));
    return { ...empty, bytes };
  }
}

function failed(partition: number, errorCode: number): PartitionResponse {
  const nothing = { aborted: [], highWatermark: -1, lastStableOffset: -1, bytes: Buffer.alloc(0), divergedAt: null };
  return { partition, errorCode, ...nothing };
}
