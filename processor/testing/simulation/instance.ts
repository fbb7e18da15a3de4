/**
 * One instance of the service: the pipeline, the source and the retries that `clickstream run` uses, on a simulated
 * network and clock.
 * @module
 */
import type { Decoder } from "../../decode/decoder.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { KafkaSource } from "../../kafka/source.ts";
import type { RetryableError } from "../../pipeline/causes.ts";
import type { Commit, Committed, Sink } from "../../pipeline/commit.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { type Source, SourceAround } from "../../pipeline/source.ts";
import { type Clock, type Listener, supervise } from "../../pipeline/supervise.ts";
import { ReopeningSink } from "../../postgres/sink/reopening_sink.ts";
import type { Records, Seek } from "../../records.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import { SHORT_PIECES } from "../fakes/memory.ts";
import { down } from "../pipeline_harness.ts";
import { reference } from "../scenario.ts";
import { Connection, type Database } from "./database.ts";
import { Delivered } from "./judge.ts";
import type { Reading } from "./ledger.ts";
import { type Group, SimulatedNetwork } from "./network.ts";
import type { Cluster } from "./topic.ts";
import type { Owner, World } from "./world.ts";

/** Parts of the processor to replace, for a simulation that must fail. */
export interface Parts {
  readonly views?: readonly View[];
  /** The decoder of an instance; `now` is its clock. */
  decoder?(now: () => number): Decoder;
  /** Wraps the topic that an instance reads. */
  source?(source: Source): Source;
  /** Wraps the database, before replies can get lost. */
  database?(memory: Database, world: World): Sink;
  /** Wraps the database as an instance sees it. */
  sink?(sink: Sink, source: Source): Sink;
}

/** What instances share. */
export interface Site {
  readonly world: World;
  readonly cluster: Cluster;
  readonly group: Group;
  /** Whether the group divides the partitions; otherwise each instance reads all of them. */
  readonly divides: boolean;
  readonly memory: Database;
  readonly database: Sink;
  readonly views: readonly View[];
  readonly parts: Parts;
}

/** Share of the worlds with kernels; in the others all records are decoded one by one. Each start has a new kernel. */
const KERNEL_WORLDS = 0.15;

/** Megabytes of a kernel: enough for a hundred records. */
const KERNEL_MIB = 4;

/** A run of the service, from its start to its end. */
export class Instance implements Owner {
  readonly name: string;
  isAlive = true;
  /** Frozen for a time that another mishap may end. */
  isPaused = false;
  /** Frozen until it is let go. */
  isHeld = false;
  /** The commit that it has sent, until it has the reply. */
  committing: Commit | null = null;
  /** How far its clock is ahead, in milliseconds. */
  skewMs = 0;
  readonly network: SimulatedNetwork;
  readonly #site: Site;
  readonly #stop = new AbortController();
  readonly #connections: Connection[] = [];
  #reading: Reading = new Map();

  constructor(name: string, site: Site) {
    this.name = name;
    this.#site = site;
    this.network = new SimulatedNetwork(site.world, site.cluster, site.group, this);
  }

  get isFrozen(): boolean {
    return this.isPaused || this.isHeld;
  }

  /** Whether it waits for the reply to a commit. */
  get isCommitting(): boolean {
    return this.committing !== null;
  }

  /** Ends at once, wherever it is. The database still finishes what it has. */
  kill(): void {
    this.isAlive = false;
    const { membership } = this.network;
    if (membership !== null) this.#site.group.drop(membership);
  }

  /** Asks it to commit what it has and to end. */
  stop(): void {
    this.#stop.abort();
  }

  /** Breaks its connections. */
  tear(): void {
    this.network.tear();
    for (const connection of this.#connections) connection.isBroken = true;
  }

  /**
   * Runs until it was stopped.
   *
   * @throws any error that is not worth a retry
   */
  async run(): Promise<void> {
    const { world, cluster, divides, memory, database, views, parts } = this.#site;
    const random = world.randomFor(this.name);
    const kafka = new KafkaSource(
      {
        ...{ brokers: ["1:9092"], topic: cluster.name, groupId: divides ? "group" : null, clientId: this.name },
        warn: (message) => {
          if (/ partitions instead of /.test(message)) world.count("added partition is noticed");
        },
      },
      this.network,
    );
    const watched = new WatchedSource(kafka, cluster, (reading) => this.#reading = reading);
    const source = parts.source?.(watched) ?? watched;
    const reopening = new ReopeningSink(async () => {
      await world.turn(this);
      if (world.mishap(0.03, "connect to the database failed") !== null) throw down("connecting to the database");
      const connection = new Connection(world, this, memory, database, () => this.#reading);
      this.#connections.push(connection);
      return connection;
    });
    const now = () => world.nowMs + this.skewMs;
    const usesKernel = world.randomFor("kernels").chance(KERNEL_WORLDS) && random.chance(0.5);
    const pipeline = new Pipeline({
      source,
      sink: parts.sink?.(reopening, source) ?? reopening,
      views: parts.views ?? views,
      decoder: parts.decoder?.(now) ?? (usesKernel ? kernel() : reference()),
      storeEvents: true,
      now,
      commitEveryMs: random.pick([10, 100, 600]),
      commitRecords: 1 + random.below(random.pick([4, 40])),
      yieldToEventLoop: () => world.turn(this),
      observer: {
        committed: () => world.count("commit"),
        forgot: () => world.count("ids forgotten by retention"),
        started: (_, cause) => cause !== null && world.count(`start after ${cause.restartCause}`),
      },
      pieces: SHORT_PIECES,
    });
    const task = {
      start: async (cause: RetryableError | null) => {
        await reopening.open();
        await pipeline.start(cause);
      },
      step: async () => {
        await pipeline.step();
        if (random.chance(0.03)) await pipeline.flush();
      },
      flush: () => pipeline.flush(),
    };
    try {
      await supervise(task, this.#stop.signal, this.#listener(), this.#clock(now));
    } finally {
      await Promise.allSettled([source.close(), reopening.close()]);
    }
  }

  #listener(): Listener {
    const { world } = this.#site;
    return {
      ready() {},
      failed: ({ error }) => {
        world.count(`retry after ${error.restartCause}`);
        world.note(() => `${this.name} fails: ${error.message}`);
      },
      unfinished: () => world.count("stopped with uncommitted records"),
    };
  }

  #clock(now: () => number): Clock {
    const { world } = this.#site;
    const random = world.randomFor(`pauses of ${this.name}`);
    return {
      now,
      random: () => random.next(),
      pause: (ms, signal) =>
        new Promise((resolve) => {
          if (signal.aborted) return resolve();
          const cancel = world.after(this, ms, resolve);
          signal.addEventListener("abort", () => {
            cancel();
            resolve();
          }, { once: true });
        }),
    };
  }
}

function kernel(): Decoder {
  return new Kernel({ keepMs: 30 * DAY_MS, mebibytes: KERNEL_MIB });
}

/** Notes what an instance is given. */
class WatchedSource extends SourceAround {
  readonly #cluster: Cluster;
  readonly #started: (reading: Reading) => void;
  #reading = new Map<number, Delivered>();

  /** @param started called with what will be noted, at each seek */
  constructor(inner: Source, cluster: Cluster, started: (reading: Reading) => void) {
    super(inner);
    this.#cluster = cluster;
    this.#started = started;
  }

  override seek(offsets: Seek, committed?: ReadonlyMap<number, Committed>): void {
    const { partitions } = this.#cluster;
    // A partition that is gone meanwhile will deliver nothing.
    this.#reading = new Map(
      [...offsets.keys()].flatMap((p) => partitions[p] === undefined ? [] : [[p, new Delivered(partitions[p])]]),
    );
    this.#started(this.#reading);
    this.inner.seek(offsets, committed);
  }

  override async poll(maxWaitMs: number): Promise<readonly Records[]> {
    const all = await this.inner.poll(maxWaitMs);
    for (const records of all) this.#reading.get(records.partition)?.take(records);
    return all;
  }
}
