/**
 * One round: a new topic and a new database, the service under load, some faults one after the other, and judgement.
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Random } from "../../generator/random.ts";
import { BINARY, clickstream } from "../servers/binary.ts";
import { using } from "../servers/postgres.ts";
import type { Cluster } from "./cluster.ts";
import { type Fault, type Notes, RECOVERS_WITHIN_MS, type World } from "./fault.ts";
import { Figures } from "./figures.ts";
import { committed, judge } from "./judge.ts";
import { Load } from "./load.ts";
import { type Pair, SERVICE } from "./pair.ts";
import { Services } from "./services.ts";

/** What a round does. */
export interface RoundOptions {
  readonly seed: number;
  readonly cluster: Cluster;
  readonly postgres: Pair;
  readonly figures: Figures;
  /** Where logs are kept. */
  readonly folder: string;
  /** Faults to draw from. */
  readonly faults: readonly Fault[];
  /** Number of faults to draw; null: each of `faults` once, in order. */
  readonly count: number | null;
  /** Records per second. */
  readonly rate: number;
  /** Workers of each process. */
  readonly workers: readonly number[];
  /** Another build of the service; null if there is none. */
  readonly otherProgram: string | null;
  readonly say: (text: string) => void;
}

const PARTITIONS = 4;
const ODD = 0.05;

/** Shortest time between two faults, in milliseconds, and how much longer it may be. */
const PAUSE_MS = 200;
const LONGER_MS = 1500;

/**
 * Runs a round.
 *
 * @throws {Error} if a fault or the judgement at the end fails
 */
export async function round(options: RoundOptions): Promise<void> {
  const { seed, cluster, postgres, figures, folder, say } = options;
  const random = new Random(seed);
  const topic = `chaos-${seed}`;
  const database = `chaos_${seed}`;
  await cluster.createTopic(topic, cluster.everywhere(PARTITIONS));
  await postgres.primary.server.createDatabase(database);
  const common = {
    ...cluster.env,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: topic,
    MEMORY_MB: "300",
    LOG_LEVEL: "info",
    LOG_FORMAT: "json",
  };
  const owner = { ...common, WORKERS: "1", DATABASE_URL: postgres.serviceUrl(database, postgres.superuser) };
  const { code, out, err } = await clickstream(["migrate"], owner);
  assert.equal(code, 0, `migrate: ${out}${err}`);
  await using(postgres.url(database), (db) => db.exec(`grant clickstream_writer to ${SERVICE.name}`));
  const env = { ...common, DATABASE_URL: postgres.serviceUrl(database) };
  const services = new Services(BINARY, env, folder, options.workers);
  const settings = { ...cluster.access, topic, partitions: PARTITIONS };
  const load = new Load(settings, { seed, rate: options.rate, odd: ODD });
  const notes: Notes = { forgotten: new Set(), replayed: false, sent: 0 };
  const consumed = () => consumedBy(postgres.url(database));
  const { otherProgram } = options;
  const parts = { random, cluster, postgres, services, load, figures, topic, database, owner, otherProgram, notes };
  const world: World = { ...parts, consumed };
  try {
    services.startAll();
    await committed(world, 100);
    for (const fault of drawn(world, options)) await strike(world, fault, say);
    await load.stop();
    await judge(world, services.envOf(0));
    assert.deepEqual(services.unasked, [], "the service ended, and nobody had asked");
  } finally {
    await load.stop().catch(() => {});
    await services.killAll();
    figures.counted.rounds++;
    figures.counted.records += load.acked;
    note(figures, postgres);
  }
  await cluster.deleteTopic(topic);
  await using(postgres.url(), (db) => db.exec(`drop database ${database} with (force)`));
}

/** Injects a fault, and measures the time until everything that was sent before its end is committed. */
async function strike(world: World, fault: Fault, say: (text: string) => void): Promise<void> {
  await setTimeout(PAUSE_MS + world.random.below(LONGER_MS));
  world.figures.injected(fault.name);
  try {
    await fault.inject(world);
    const endedMs = performance.now();
    await committed(world, world.load.acked, RECOVERS_WITHIN_MS);
    const tookMs = performance.now() - endedMs;
    world.figures.recovered(fault.name, tookMs);
    say(`  ${fault.name}: all committed after ${(tookMs / 1000).toFixed(1)} s`);
  } catch (error) {
    throw new Error(`${fault.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    world.postgres.faults.clear();
  }
}

/** The faults of a round. */
function* drawn(world: World, { faults, count }: RoundOptions): Generator<Fault, void, void> {
  let possible = faults.filter((fault) => fault.possible?.(world) ?? true);
  if (count === null) return yield* possible;
  for (let left = count; left > 0; left--) {
    const weights = possible.reduce((sum, { weight }) => sum + weight, 0);
    let at = world.random.next() * weights;
    const fault = possible.find(({ weight }) => (at -= weight) < 0) ?? possible[0]!;
    yield fault;
    // What is forgotten comes back with an older state.
    const other = fault.excludes === "forget" ? "state goes back" : "forget";
    if (fault.excludes !== undefined) possible = possible.filter(({ excludes }) => excludes !== other);
  }
}

/** Moves the counts of the proxies to the figures. */
function note({ counted }: Figures, { faults: { struck } }: Pair): void {
  for (const kind of ["swallowed", "unsent", "cut"] as const) {
    counted[kind] += struck[kind];
    struck[kind] = 0;
  }
}

async function consumedBy(url: string): Promise<number> {
  return await using(url, async (db) => {
    const { rows } = await db.query<{ n: number }>(
      "select coalesce(sum(consumed), 0)::float8 as n from clickstream.progress",
    );
    return rows[0]!.n;
  });
}
