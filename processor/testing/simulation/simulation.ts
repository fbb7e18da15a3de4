/**
 * Several processors, one database, a Kafka cluster, and every failure between them, by seed. What a reader sees must
 * follow from the records before the positions at each moment, and at the end all that can be read must have been.
 * @module
 */
import type { Random } from "../../../generator/random.ts";
import type { Sink } from "../../pipeline/commit.ts";
import { TopicChanged } from "../../pipeline/source.ts";
import type { View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import { Database } from "./database.ts";
import { Feed } from "./feed.ts";
import { Instance, type Parts, type Site } from "./instance.ts";
import { Ledger } from "./ledger.ts";
import { meddle, type Scene } from "./mishaps.ts";
import { Group } from "./network.ts";
import { Cluster } from "./topic.ts";
import type { Variant } from "./variant.ts";
import { type Counts, World } from "./world.ts";

/** Result of a simulation. */
export interface Outcome {
  /** What differs from what must be, or the error; null if nothing. */
  readonly failure: string | null;
  readonly counts: Counts;
  /** The mishaps that happened, in the form of `Variant.only`. */
  readonly happened: readonly string[];
  readonly turns: number;
}

/** Most turns with mishaps, and then most until everything is read. */
const MOST_TURNS = 1_500;
const MOST_CALM_TURNS = 10_000;

/** Probabilities, in each turn, of records that are sent and of a reader that compares each row. */
const SENDS = 0.06;
const READS = 0.002;

/** Simulates a variant; `trace` receives what happens, in words. */
export async function simulate(variant: Variant, parts: Parts = {}, trace: string[] | null = null): Promise<Outcome> {
  const simulation = new Simulation(variant, parts, trace);
  const { world } = simulation;
  let failure: string | null = null;
  try {
    await simulation.run();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  return { failure, counts: world.counts, happened: world.happened, turns: world.turns };
}

class Simulation implements Scene, Site {
  readonly world: World;
  readonly cluster: Cluster;
  readonly group: Group;
  readonly divides: boolean;
  readonly views: readonly View[];
  readonly memory: Database;
  readonly database: Sink;
  readonly parts: Parts;
  readonly instances: Instance[] = [];
  readonly most: number;
  readonly #ledger: Ledger;
  readonly #feed: Feed;
  readonly #chance: Random;
  #broken: unknown = null;
  #started = 0;
  #checked = 0;
  /** The last change of the topic that an instance has reported; null if there is none to act on. */
  #reported: TopicChanged | null = null;
  /** When the operator will act. */
  #actsAt = 0;

  constructor(variant: Variant, parts: Parts, trace: string[] | null) {
    const world = this.world = new World(variant, trace);
    const setup = world.randomFor("setup");
    this.parts = parts;
    this.#chance = world.randomFor("turns");
    this.divides = setup.chance(0.7);
    this.most = Math.min(variant.instances, 1 + setup.below(3));
    this.views = viewsOf(setup);
    this.cluster = new Cluster(1 + setup.below(4), setup.chance(0.85));
    this.group = new Group(world, this.cluster);
    this.#ledger = new Ledger(this.cluster.name, this.views);
    this.memory = new Database(this.#ledger);
    this.database = parts.database?.(this.memory, world) ?? this.memory;
    this.#feed = new Feed(world, this.cluster, variant.seed, variant.events);
    for (let sent = setup.pick([0, 3, 1000]); sent > 0 && this.#feed.left > 0; sent--) this.#feed.send();
  }

  async run(): Promise<void> {
    const { world } = this;
    for (let n = 0; n < this.most; n++) this.start();
    while (world.turns < MOST_TURNS && !this.#isDone()) {
      meddle(this);
      if (this.#chance.chance(SENDS)) this.#feed.send();
      this.#operate();
      await world.next();
      this.#check();
      if (this.#chance.chance(READS)) this.#read();
    }
    // A new instance finishes alone, without failures. It starts when all late commits are there, because an instance
    // that has nothing to read does not look whether another one has moved its positions.
    world.note(() => "calm from here on");
    world.isCalm = true;
    this.#killAll();
    const until = world.turns + MOST_CALM_TURNS;
    while (!this.#isDone()) {
      if (world.turns >= until) throw new Error(`it does not finish: ${this.#position()}`);
      this.#feed.send();
      this.#operate();
      const isAlone = this.instances.length === 0 && this.memory.late === 0;
      if (isAlone && this.#reported === null && this.#actsAt === 0) this.start();
      await world.next();
      this.#check();
    }
    this.#read();
  }

  start(): void {
    const { world } = this;
    const instance = new Instance(`i${++this.#started}`, this);
    world.note(() => `${instance.name} starts`);
    this.instances.push(instance);
    void instance.run().then(() => null, (error: unknown) => error).then((error) => {
      if (!instance.isAlive) return;
      world.note(() => `${instance.name} ends${error instanceof Error ? `: ${error.message}` : ""}`);
      instance.kill();
      this.instances.splice(this.instances.indexOf(instance), 1);
      if (error instanceof TopicChanged) {
        world.count(`${error.change.kind} topic is reported`);
        this.#reported = error;
        const { kind } = error.change;
        // Offsets are asked for by the name of the topic, so another topic of this name may look like a truncated one.
        const mayBe = kind === "truncated" ? ["truncation", "topic recreated"] : ["topic recreated"];
        if (mayBe.every((what) => world.counts[what] === undefined)) {
          this.#broken ??= new Error(`${kind}: the topic is said to have changed, and has not`);
        }
      } else if (error !== null) this.#broken ??= error;
      else if (!world.isCalm) this.start();
    });
  }

  /** Does what operators do once an instance has reported that the topic was recreated or has lost records. */
  #operate(): void {
    const { world, cluster, memory } = this;
    if (this.#reported === null) return;
    if (this.#actsAt === 0) this.#actsAt = world.turns + 20 + this.#chance.below(100);
    if (world.turns < this.#actsAt || cluster.topic === null) return;
    // What was read and is lost must be reported by the service itself.
    const adopted = memory.follow(cluster);
    world.note(() => `the operator adopts ${adopted} partitions`);
    if (adopted > 0) world.count("topic adopted");
    this.#reported = null;
    this.#actsAt = 0;
    while (!world.isCalm && this.instances.length < this.most) this.start();
  }

  #killAll(): void {
    for (const instance of this.instances.splice(0)) instance.kill();
  }

  /** Whether everything was sent and is committed. */
  #isDone(): boolean {
    const { topic, partitions } = this.cluster;
    if (this.#feed.left > 0 || topic === null || this.#reported !== null) return false;
    const { id } = topic;
    return partitions.every((partition, p) => {
      const { begin, end } = partition;
      const { next, leaderEpoch, topicId } = this.memory.progress.get(p) ??
        { next: begin, leaderEpoch: null, topicId: id };
      // A commit of the former topic that came late is noticed with the first record of the new one.
      if (topicId !== id) return begin === end;
      // An instance has to notice that the last record was replaced.
      return next === end && isSame(leaderEpoch, partition.epochAt(next - 1));
    });
  }

  #position(): string {
    const at = this.cluster.partitions.map(({ end }, p) =>
      `${p}: ${this.memory.progress.get(p)?.next ?? "-"} of ${end}`
    );
    return `${this.#feed.left} records are not sent, partitions ${at.join(", ")}`;
  }

  /** What must hold after each turn. */
  #check(): void {
    if (this.#broken !== null) throw this.#broken;
    const { memory } = this;
    if (memory.wrong !== null) throw memory.wrong;
    if (memory.commits === this.#checked) return;
    this.#checked = memory.commits;
    this.#ledger.check(memory);
  }

  /** A reader looks at everything. */
  #read(): void {
    this.world.count("read");
    this.#ledger.compare(this.memory);
  }
}

/** The views of a world: all of them cost most of the time, so most worlds have two. */
function viewsOf(random: Random): readonly View[] {
  if (random.chance(0.25)) return VIEWS;
  const chosen = random.shuffled(VIEWS.keys()).slice(0, 2);
  return VIEWS.filter((view, n) => chosen.includes(n) || view.name === "sessions");
}

/** Whether these may be the epochs of one record; null for one that is unknown. */
function isSame(one: number | null, other: number | null): boolean {
  return one === null || other === null || one === other;
}
