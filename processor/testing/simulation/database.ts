/**
 * PostgreSQL as the instances see it: connections that are slow, fail, break, and lose replies. A commit may be applied
 * without a reply, or long after it was given up.
 * @module
 */
import { type Commit, type Positions, type Sink } from "../../pipeline/commit.ts";
import { adoptInMemory } from "../contracts/adoption.ts";
import { MemorySink } from "../fakes/memory.ts";
import { down } from "../pipeline_harness.ts";
import { POISON } from "./judge.ts";
import type { Ledger, Reading } from "./ledger.ts";
import type { Cluster } from "./topic.ts";
import type { Owner, World } from "./world.ts";

/** The database; tells the ledger of each commit that it applies. */
export class Database extends MemorySink {
  readonly #ledger: Ledger;
  /** What the instance that commits now was given. */
  reading: Reading = new Map();
  /** What a commit held that does not follow from what its instance was given. */
  wrong: unknown = null;
  /** Commits that were given up and may still be applied. */
  late = 0;
  /** Until when no connection works, in milliseconds. */
  downUntilMs = -Infinity;

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
    this.poison = POISON;
  }

  override apply(commit: Commit): void {
    super.apply(commit);
    try {
      this.#ledger.applied(commit, this.reading);
    } catch (error) {
      this.wrong ??= error;
    }
  }

  /** Makes the tables follow the topic that the cluster has now. Returns how many partitions are read from another offset. */
  follow({ name: topic, topic: now, partitions }: Cluster): number {
    const id = now?.id ?? null;
    const bounds = partitions.map(({ begin, end }, partition) => ({ partition, begin, end }));
    const truncated = new Map([...this.progress].flatMap(([partition, { next, leaderEpoch }]) => {
      const from = leaderEpoch === null ? undefined : partitions[partition]?.divergence(next, leaderEpoch);
      return typeof from === "number" ? [[partition, from] as const] : [];
    }));
    const adoptions = adoptInMemory(this, { topic, id, partitions: bounds, truncated });
    for (const { partition } of adoptions) this.#ledger.adopt(partition, this.progress.get(partition) ?? null);
    return adoptions.length;
  }
}

/** A connection of an instance. */
export class Connection implements Sink {
  readonly #world: World;
  readonly #owner: Owner & { committing: Commit | null };
  readonly #memory: Database;
  readonly #database: Sink;
  readonly #readingNow: () => Reading;
  isBroken = false;

  /**
   * @param database the database, or what a planted fault makes of it
   * @param readingNow what the instance was given so far
   */
  constructor(
    world: World,
    owner: Owner & { committing: Commit | null },
    memory: Database,
    database: Sink,
    readingNow: () => Reading,
  ) {
    this.#world = world;
    this.#owner = owner;
    this.#memory = memory;
    this.#database = database;
    this.#readingNow = readingNow;
  }

  hashKey(): Promise<Uint8Array> {
    return this.#database.hashKey();
  }

  async positions(topic: string, partitions: readonly number[]): Promise<Positions> {
    await this.#arrives("positions failed");
    const positions = await this.#database.positions(topic, partitions);
    await this.#world.turn(this.#owner);
    this.#mustWork("positions");
    return positions;
  }

  async commit(commit: Commit): Promise<void> {
    const reading = this.#readingNow();
    this.#owner.committing = commit;
    try {
      await this.#arrives("commit failed");
      const late = this.#world.mishap(0.04, "commit given up");
      if (late !== null) {
        void this.#applyLater(commit, reading, late.below(1_500));
        throw down("the connection, in a commit");
      }
      await this.#apply(commit, reading);
      await this.#world.turn(this.#owner);
      if (this.#world.mishap(0.05, "commit unknown") !== null) throw down("the reply to a commit");
      this.#mustWork("the reply to a commit");
    } finally {
      this.#owner.committing = null;
    }
  }

  close(): Promise<void> {
    this.isBroken = true;
    return Promise.resolve();
  }

  /** The request reaches the database. */
  async #arrives(what: string): Promise<void> {
    await this.#world.turn(this.#owner);
    this.#mustWork(what);
    if (this.#world.mishap(0.02, what) !== null) throw down(what);
  }

  #mustWork(what: string): void {
    if (this.isBroken || this.#memory.downUntilMs > this.#world.nowMs && !this.#world.isCalm) throw down(what);
  }

  async #apply(commit: Commit, reading: Reading): Promise<void> {
    const { advances } = commit;
    this.#memory.reading = reading;
    await this.#database.commit(commit);
    this.#world.note(() =>
      `${this.#owner.name} commits ${advances.map(({ partition, from, next }) => `${partition}: ${from}→${next}`)}`
    );
  }

  /** The server has the transaction, although its client is gone. */
  async #applyLater(commit: Commit, reading: Reading, ms: number): Promise<void> {
    this.#memory.late++;
    await this.#world.pause(null, ms);
    try {
      await this.#apply(commit, reading);
      this.#world.count("late commit applied");
    } catch {
      this.#world.count("late commit refused");
    } finally {
      this.#memory.late--;
    }
  }
}
