/**
 * A simulated world in which every reply is delayed and may be lost, all by seed. The next to run is drawn at random,
 * so two runs of a seed are identical in every step. Nothing waits for a timer.
 */
import type { Commit, Position, Sink } from "../../pipeline/commit.ts";
import { Rebalanced, type Source } from "../../pipeline/source.ts";
import type { Records, Seek } from "../../records.ts";
import { type LogRecord, MemorySource } from "../fakes/memory.ts";
import { Random } from "../../../generator/random.ts";
import { down } from "../pipeline_harness.ts";

/** One run of the processor, from start to crash. */
export interface Instance {
  readonly name: string;
  alive: boolean;
  paused: boolean;
  /** The partitions that it believes to be assigned, and the group generation of that assignment. */
  share: readonly number[];
  generation: number;
}

/** Number of occurrences by name. */
export type Counts = Record<string, number>;

/** The waiting operations and the random choice between them. */
export class World {
  readonly random: Random;
  readonly counts: Counts = {};
  /** From now on nothing fails. */
  calm = false;
  nowMs = 0;
  readonly #waiting: { readonly instance: Instance | null; readonly go: () => void }[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** Counts an occurrence. */
  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** Resolves when it is this instance's turn; never if it has crashed. */
  turn(instance: Instance | null): Promise<void> {
    return new Promise((go) => {
      if (instance?.alive !== false) this.#waiting.push({ instance, go });
    });
  }

  /** True with probability `p` until the world is calm; counted as `what`. */
  mishap(p: number, what: string): boolean {
    if (this.calm || !this.random.chance(p)) return false;
    this.count(what);
    return true;
  }

  /** Lets a random waiting operation continue. False if none can. */
  async next(): Promise<boolean> {
    for (let hop = 0; this.#ready().length === 0; hop++) {
      if (hop === 500) return false;
      await null;
    }
    const chosen = this.random.pick(this.#ready());
    this.#waiting.splice(this.#waiting.indexOf(chosen), 1);
    this.nowMs += this.random.below(20);
    chosen.go();
    // Run as far as possible without another turn.
    for (let hop = 0; hop < 16; hop++) await null;
    return true;
  }

  #ready() {
    return this.#waiting.filter(({ instance }) => instance === null || instance.alive && !instance.paused);
  }

  /** Drops what a crashed instance was waiting for. The database still finishes its work. */
  bury(instance: Instance): void {
    instance.alive = false;
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i]!.instance === instance) this.#waiting.splice(i, 1);
    }
  }
}

/** A group that assigns partitions to its members, who learn of it late, or all partitions to every member. */
export class Group {
  generation = 0;
  readonly #world: World;
  readonly #partitions: readonly number[];
  readonly #divides: boolean;
  #shares = new Map<Instance, readonly number[]>();

  /** @param divides whether partitions are divided; otherwise every member reads all of them */
  constructor(world: World, partitions: readonly number[], divides: boolean) {
    this.#world = world;
    this.#partitions = partitions;
    this.#divides = divides;
  }

  /** Rebalances the group. */
  rebalance(members: readonly Instance[]): void {
    const { random } = this.#world;
    this.generation++;
    const owners = this.#partitions.map(() => random.below(members.length));
    this.#shares = new Map(members.map((member, m) => [
      member,
      this.#divides ? this.#partitions.filter((_, p) => owners[p] === m) : this.#partitions,
    ]));
  }

  /** The partitions assigned to a member. */
  shareOf(member: Instance): readonly number[] {
    return this.#shares.get(member) ?? [];
  }
}

/** A topic as one instance sees it: slow, sometimes unavailable, and late with news of the group. */
export class SlowSource implements Source {
  readonly topic = "clickstream-events";
  readonly #world: World;
  readonly #group: Group;
  readonly #instance: Instance;
  readonly #log: MemorySource;

  constructor(world: World, group: Group, instance: Instance, log: LogRecord[][]) {
    this.#world = world;
    this.#group = group;
    this.#instance = instance;
    this.#log = new MemorySource(log, 1 + world.random.below(12));
  }

  async assigned(): Promise<readonly number[]> {
    await this.#reply("assigned");
    await this.#log.assigned();
    this.#instance.generation = this.#group.generation;
    return this.#instance.share = this.#group.shareOf(this.#instance);
  }

  topicId(): string | null {
    return this.#log.topicId();
  }

  seek(offsets: Seek, committed?: ReadonlyMap<number, number>): void {
    this.#log.seek(offsets, committed);
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    await this.#reply("poll");
    const { generation } = this.#instance;
    if (generation !== this.#group.generation && (this.#world.calm || this.#world.random.chance(0.3))) {
      this.#world.count("reassigned");
      throw new Rebalanced("the consumer group has rebalanced");
    }
    return await this.#log.poll(maxWaitMs);
  }

  async committed(): Promise<void> {
    await this.#reply("committed");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #reply(what: string): Promise<void> {
    await this.#world.turn(this.#instance);
    if (this.#world.mishap(0.02, `${what} failed`)) throw down(what);
  }
}

/**
 * A database as one instance sees it: commits are slow, fail, succeed without a reply, or are applied after they were
 * given up.
 */
export class SlowSink implements Sink {
  readonly #world: World;
  readonly #instance: Instance;
  readonly #database: Sink;

  constructor(world: World, instance: Instance, database: Sink) {
    this.#world = world;
    this.#instance = instance;
    this.#database = database;
  }

  hashKey(): Promise<Uint8Array> {
    return this.#database.hashKey();
  }

  async positions(topic: string, partitions: readonly number[]): Promise<ReadonlyMap<number, Position>> {
    await this.#world.turn(this.#instance);
    if (this.#world.mishap(0.03, "positions failed")) throw down("positions");
    const positions = new Map(await this.#database.positions(topic, partitions));
    await this.#world.turn(this.#instance);
    return positions;
  }

  async commit(commit: Commit): Promise<void> {
    const world = this.#world;
    await world.turn(this.#instance);
    if (world.mishap(0.06, "commit failed")) throw down("commit");
    if (world.mishap(0.06, "commit given up")) {
      // The connection is lost, but the server has the transaction and will finish it.
      void world.turn(null).then(() => this.#database.commit(commit)).catch(() => world.count("late commit refused"));
      throw down("the connection");
    }
    await this.#database.commit(commit);
    await world.turn(this.#instance);
    if (world.mishap(0.08, "reply lost")) throw down("the reply");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
