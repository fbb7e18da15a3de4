/**
 * Several processors, one database, and every failure between them, by seed. At the end every table must equal the
 * result of one straight pass over the log.
 * @module
 */
import assert from "node:assert/strict";
import type { Decoder } from "../../decode/decoder.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { PositionsMoved, type Sink, Unavailable } from "../../pipeline/commit.ts";
import type { Source } from "../../pipeline/source.ts";
import type { View } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import { partitioned, randomLog } from "../clicks.ts";
import { type LogRecord, MemorySink, SHORT_PIECES } from "../fakes/memory.ts";
import { Random } from "../../../generator/random.ts";
import { decoder } from "../scenario.ts";
import { harness } from "../pipeline_harness.ts";
import { placesOf, type Tables, tablesOf } from "../fakes/tables.ts";
import { type Counts, Group, type Instance, SlowSink, SlowSource, World } from "./world.ts";

/** Parts of the processor to replace, for a simulation that must fail. */
export interface Parts {
  readonly views?: readonly View[];
  /** The decoder of an instance; `now` is the simulated clock. */
  decoder?(now: () => number): Decoder;
  /** Wraps the topic that an instance reads. */
  source?(source: Source): Source;
  /** Wraps the database, before replies can get lost. */
  database?(memory: MemorySink, random: Random): Sink;
  /** Wraps the database as an instance sees it. */
  sink?(sink: Sink, source: Source): Sink;
}

/** Result of a simulation. */
export interface Outcome {
  /** What differs from a straight pass, or the error; null if nothing. */
  readonly failure: string | null;
  readonly counts: Counts;
}

const MOST_TURNS = 6000;
const INSTANCES = 3;

/** Simulates a seed. The same seed gives the same run. */
export async function simulate(seed: number, parts: Parts = {}): Promise<Outcome> {
  const simulation = new Simulation(seed, parts);
  try {
    await simulation.run();
    return { failure: null, counts: simulation.world.counts };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { failure: `seed ${seed}: ${reason}`, counts: simulation.world.counts };
  }
}

class Simulation {
  readonly world: World;
  readonly #parts: Parts;
  readonly #log: LogRecord[][];
  readonly #total: number;
  readonly #group: Group;
  readonly #memory = new MemorySink();
  readonly #database: Sink;
  readonly #instances: Instance[] = [];
  #broken: unknown = null;
  #started = 0;

  constructor(seed: number, parts: Parts) {
    const world = this.world = new World(seed);
    const { random } = world;
    this.#parts = parts;
    const spanMs = random.pick([9, 25, 60]) * 60_000;
    const sent = randomLog(seed, { events: 40 + random.below(60), spanMs, anonymous: true });
    this.#log = partitioned(sent, 1 + random.below(4));
    this.#total = sent.length;
    this.#database = parts.database?.(this.#memory, new Random(seed + 1)) ?? this.#memory;
    this.#group = new Group(world, [...this.#log.keys()], random.chance(0.6));
  }

  async run(): Promise<void> {
    const { world } = this;
    for (let n = 0; n < INSTANCES; n++) this.#start();
    for (let turn = 0; turn < MOST_TURNS && this.#consumed() < this.#total; turn++) {
      this.#meddle();
      await world.next();
      this.#check();
    }
    // A new instance finishes alone, without failures.
    for (const instance of [...this.#instances]) this.#crash(instance);
    world.calm = true;
    this.#start();
    for (let turn = 0; this.#consumed() < this.#total || turn < 50; turn++) {
      assert.ok(turn < MOST_TURNS, `${this.#consumed()} of ${this.#total} records are consumed, and no more`);
      assert.ok(await world.next(), "the last instance waits for nothing");
      this.#check();
    }
    const straight = await straightPass(this.#log);
    const [ours, theirs] = [tablesOf(this.#memory), tablesOf(straight)];
    const totals = (tables: Tables) => Object.entries(tables.totals).map(([name, n]) => `${name}: ${n}`);
    assertSame("refusals", ours.refusals, theirs.refusals);
    assertSame("totals", totals(ours), totals(theirs));
    assertSame("events", ours.events, theirs.events);
    assertSame("rows", ours.rows, theirs.rows);
    assertSame("places", placesOf(this.#memory), placesOf(straight));
  }

  #meddle(): void {
    const { world } = this;
    const { random } = world;
    const instance = random.pick(this.#instances);
    if (world.mishap(0.008, "crash")) {
      this.#crash(instance);
      this.#start();
    } else if (world.mishap(0.015, "rebalance")) {
      this.#group.rebalance(this.#instances);
    } else if (random.chance(0.03)) {
      if (!instance.paused) world.count("pause");
      instance.paused = !instance.paused;
    }
    if (this.#instances.every(({ paused }) => paused)) instance.paused = false;
  }

  #start(): void {
    const instance: Instance = { name: `i${++this.#started}`, alive: true, paused: false, share: [], generation: -1 };
    this.#instances.push(instance);
    this.#group.rebalance(this.#instances);
    void this.#live(instance).catch((error) => this.#broken ??= error);
  }

  #crash(instance: Instance): void {
    this.world.bury(instance);
    this.#instances.splice(this.#instances.indexOf(instance), 1);
  }

  async #live(instance: Instance): Promise<void> {
    const { world } = this;
    const { random } = world;
    const slow = new SlowSource(world, this.#group, instance, this.#log);
    const source = this.#parts.source?.(slow) ?? slow;
    const sink = new SlowSink(world, instance, this.#database);
    const now = () => world.nowMs;
    const pipeline = new Pipeline({
      source,
      sink: this.#parts.sink?.(sink, source) ?? sink,
      views: this.#parts.views ?? VIEWS,
      decoder: this.#parts.decoder?.(now) ?? decoder(),
      storeEvents: true,
      now,
      commitEveryMs: random.pick([0, 30, 200]),
      commitRecords: 1 + random.below(40),
      observer: {
        committed: () => world.count("commit"),
        started: (_, cause) => cause instanceof PositionsMoved && world.count("positions moved"),
      },
      pieces: SHORT_PIECES,
    });
    while (instance.alive) {
      try {
        await pipeline.step();
        if (random.chance(0.05)) await pipeline.flush();
      } catch (error) {
        if (!(error instanceof Unavailable || error instanceof PositionsMoved)) throw error;
      }
    }
  }

  #consumed(): number {
    return [...this.#memory.progress.values()].reduce((sum, progress) => sum + progress.consumed, 0);
  }

  /** Invariants after every step. */
  #check(): void {
    if (this.#broken !== null) throw this.#broken;
    let stored = 0;
    for (const [partition, progress] of this.#memory.progress) {
      const { next, consumed, duplicates, refused } = progress;
      stored += progress.stored;
      assert.equal(consumed, progress.stored + duplicates + refused, `partition ${partition} is not conserved`);
      assert.equal(consumed, next, `partition ${partition} is at ${next}, and ${consumed} records are consumed`);
      const { first, skipped, gaps } = progress;
      assert.equal(next - first, consumed + skipped + gaps, `partition ${partition} is not accounted for`);
    }
    assert.equal(this.#memory.events.length, stored, "as many events are stored as progress says");
  }
}

/** Asserts that sorted lines are as expected; the error names what differs, and shows the first of each. */
function assertSame(what: string, lines: readonly string[], expected: readonly string[]): void {
  const missing = without(expected, lines);
  const surplus = without(lines, expected);
  if (missing.length + surplus.length === 0) return;
  throw new Error(
    `${what} differ: ${missing.length} are missing, ${surplus.length} should not be` +
      `; missing: ${missing[0] ?? "-"}; surplus: ${surplus[0] ?? "-"}`,
  );
}

/** The lines of a list that occur less often in another. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const n = left.get(line) ?? 0;
    left.set(line, n - 1);
    return n <= 0;
  });
}

/** Reads everything in one commit. */
async function straightPass(log: LogRecord[][]): Promise<MemorySink> {
  const { pipeline, sink } = harness(log, { limit: 10_000, commitRecords: 10_000 });
  await pipeline.step();
  await pipeline.flush();
  return sink;
}
