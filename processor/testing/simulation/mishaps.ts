/**
 * What happens to the processors, the brokers and the log between two turns.
 * @module
 */
import type { Random } from "../../../generator/random.ts";
import type { Database } from "./database.ts";
import type { Instance } from "./instance.ts";
import type { Group } from "./network.ts";
import { type Cluster, isReadable, type Partition } from "./topic.ts";
import type { World } from "./world.ts";

/** What mishaps change. */
export interface Scene {
  readonly world: World;
  readonly cluster: Cluster;
  readonly group: Group;
  readonly divides: boolean;
  readonly memory: Database;
  /** The instances that run. */
  readonly instances: Instance[];
  /** Most instances at a time, besides zombies. */
  readonly most: number;
  start(): void;
}

/** A kind of mishap: its probability in a turn of the usual world, and what it does. */
interface Mishap {
  readonly p: number;
  /** Whether it may happen in each world; many others happen in some. */
  readonly isEverywhere?: true;
  /** Whether it can happen now. */
  readonly can?: (scene: Scene) => boolean;
  readonly does: (scene: Scene, random: Random) => void;
}

/** A commit in flight of records that may be lost. */
interface LostCommit {
  readonly partition: number;
  readonly from: number;
}

/** Most batches that a partition loses at a time. */
const MOST_LOST = 4;

/** Each kind by its name. */
const KINDS: Readonly<Record<string, Mishap>> = {
  "crash": {
    p: 0.002,
    isEverywhere: true,
    does(scene, random) {
      const instance = random.pick(scene.instances);
      scene.world.note(() => `${instance.name} dies`);
      scene.instances.splice(scene.instances.indexOf(instance), 1);
      instance.kill();
      scene.start();
    },
  },
  "asked to stop": { p: 0.001, does: ({ instances }, random) => random.pick(instances).stop() },
  "rebalance": {
    p: 0.003,
    isEverywhere: true,
    can: ({ divides, group }) => divides && group.members.length > 0,
    does({ world, group, instances }) {
      if (instances.some(({ isCommitting }) => isCommitting)) world.count("rebalance during a commit");
      group.rebalance();
    },
  },
  "frozen": {
    p: 0.004,
    isEverywhere: true,
    does({ world, instances }, random) {
      freeze(world, random.pick(instances), random.below(2_000));
    },
  },
  "zombie": {
    p: 0.002,
    can: ({ instances }) => instances.some(({ isFrozen }) => !isFrozen),
    does(scene, random) {
      sleepLong(scene, random.pick(scene.instances.filter(({ isFrozen }) => !isFrozen)), random);
    },
  },
  "clock jump": {
    p: 0.003,
    does({ instances }, random) {
      random.pick(instances).skewMs += random.pick([-1, 1]) * random.pick([50, 1_000, 60_000, 3_600_000]);
    },
  },
  "connections torn": { p: 0.003, does: ({ instances }, random) => random.pick(instances).tear() },
  "database down": {
    p: 0.001,
    can: ({ memory, world }) => memory.downUntilMs < world.nowMs,
    does: ({ memory, world }, random) => void (memory.downUntilMs = world.nowMs + 200 + random.below(3_000)),
  },
  "leader change": {
    p: 0.003,
    can: hasPartitions,
    does({ cluster, world }, random) {
      const partition = random.pick(cluster.partitions);
      partition.elect(random.pick(cluster.brokers.filter((id) => id !== partition.leader)));
      const earlier = partition.batches.at(-1 - random.below(3));
      if (earlier === undefined || random.chance(0.4)) return;
      world.count("new leader reports an earlier end");
      partition.lagging = { end: earlier.from, untilMs: world.nowMs + 100 + random.below(1_500) };
    },
  },
  "retention": {
    p: 0.002,
    can: hasPartitions,
    does({ cluster, memory, world }, random) {
      const p = random.below(cluster.partitions.length);
      const partition = cluster.partitions[p]!;
      partition.deleteBelow(partition.begin + random.below(partition.end - partition.begin + 1));
      const at = memory.progress.get(p);
      world.note(() => `partition ${p} now begins at ${partition.begin}`);
      if (at === undefined) return;
      if (partition.begin > at.next) world.count("retention passes the committed offset");
      else if (partition.begin > at.replay) world.count("retention passes the replay offset");
    },
  },
  "partition added": {
    p: 0.0008,
    can: ({ cluster }) => hasPartitions({ cluster }) && cluster.partitions.length < 5,
    does: ({ cluster }) => cluster.addPartition(),
  },
  "truncation": {
    p: 0.0008,
    can: ({ cluster }) => cluster.partitions.some((partition) => losable(partition) > 0),
    does({ cluster, world }, random) {
      const partition = random.pick(cluster.partitions.filter((partition) => losable(partition) > 0));
      partition.truncate(partition.batches.length - 1 - random.below(losable(partition)));
      world.note(() => `partition ${cluster.partitions.indexOf(partition)} loses records from ${partition.end} on`);
    },
  },
  "zombie while its partition is truncated": {
    p: 0.03,
    can: (scene) => scene.instances.some((instance) => losesNext(scene, instance) !== null),
    does(scene, random) {
      const zombie = random.pick(scene.instances.filter((instance) => losesNext(scene, instance) !== null));
      void truncateBelow(scene, zombie, losesNext(scene, zombie)!, random);
    },
  },
  "topic recreated": {
    p: 0.0003,
    can: ({ cluster }) => cluster.hasIds && cluster.topic !== null,
    does: (scene, random) => recreate(scene, random),
  },
  "zombie while the topic is recreated": {
    p: 0.005,
    can: ({ cluster, instances }) =>
      cluster.hasIds && cluster.topic !== null &&
      instances.some(({ isCommitting, isFrozen }) => isCommitting && !isFrozen),
    does(scene, random) {
      // It wakes up with a commit of the former topic.
      const zombie = scene.instances.find(({ isCommitting, isFrozen }) => isCommitting && !isFrozen)!;
      sleepLong(scene, zombie, random);
      scene.world.count("topic recreated");
      recreate(scene, random);
    },
  },
};

const ALL_KINDS = Object.entries(KINDS);

/** Lets happen what happens before the next turn. */
export function meddle(scene: Scene): void {
  for (const [name, { p, isEverywhere, can, does }] of ALL_KINDS) {
    if (scene.instances.length === 0 || can?.(scene) === false) continue;
    const random = scene.world.mishap(p, name, isEverywhere);
    if (random !== null) does(scene, random);
  }
}

function freeze(world: World, instance: Instance, ms: number): void {
  instance.isPaused = true;
  void world.pause(null, ms).then(() => {
    world.note(() => `${instance.name} wakes up`);
    instance.isPaused = false;
  });
}

/** Freezes an instance for so long that the group gives its partitions to others; it goes on where it was. */
function sleepLong(scene: Scene, zombie: Instance, random: Random): void {
  freeze(scene.world, zombie, 2_000 + random.below(15_000));
  replace(scene, zombie);
}

/** Lets others have the partitions of a frozen instance. */
function replace(scene: Scene, zombie: Instance): void {
  if (zombie.isCommitting) scene.world.count("zombie with a commit");
  const { membership } = zombie.network;
  if (membership !== null) scene.group.drop(membership);
  if (scene.instances.length <= scene.most) scene.start();
}

/** What a running instance is about to commit, if it is of one partition, which may lose all records that it has. */
function losesNext({ cluster, memory }: Scene, { committing, isFrozen }: Instance): LostCommit | null {
  const [advance, ...others] = committing?.advances ?? [];
  if (isFrozen || advance === undefined || others.length > 0 || advance.from === null) return null;
  const { partition: p, from } = advance;
  const partition = cluster.partitions[p];
  // Otherwise it waits for the reply alone.
  const isAhead = memory.progress.get(p)?.next === from;
  return isAhead && partition !== undefined && keptBelow(partition, from) !== null ? { partition: p, from } : null;
}

/** How many batches a partition keeps if it loses all records from an offset on; null if it can't lose exactly these. */
function keptBelow(partition: Partition, from: number): number | null {
  const keep = partition.batches.findIndex((batch) => batch.from === from);
  return keep < 0 || partition.batches.length - keep > losable(partition) ? null : keep;
}

/**
 * Freezes an instance with a commit, truncates the partition once others have committed the same records, and lets the
 * instance go on soon after the topic was adopted, when the position is where its commit begins.
 */
async function truncateBelow(scene: Scene, zombie: Instance, { partition: p, from }: LostCommit, random: Random) {
  const { cluster, memory, world } = scene;
  const { topic } = cluster;
  const lateMs = random.below(200);
  zombie.isHeld = true;
  replace(scene, zombie);
  const isOver = () => world.isCalm || cluster.topic !== topic;
  const isCommitted = () => (memory.progress.get(p)?.next ?? 0) > from;
  await until(world, 10_000, () => isOver() || isCommitted());
  const keep = isOver() || !isCommitted() ? null : keptBelow(cluster.partitions[p]!, from);
  if (keep !== null) {
    cluster.partitions[p]!.truncate(keep);
    world.count("truncation");
    world.note(() => `partition ${p} loses records from ${from} on`);
    const { adoptions } = memory;
    await until(world, 15_000, () => isOver() || memory.adoptions > adoptions);
    if (memory.adoptions > adoptions) world.count("zombie wakes after an adoption");
  }
  await world.pause(null, lateMs);
  world.note(() => `${zombie.name} wakes up`);
  zombie.isHeld = false;
}

/** Waits until something is so, and at most so long. */
async function until(world: World, mostMs: number, isSo: () => boolean): Promise<void> {
  for (const endMs = world.nowMs + mostMs; world.nowMs < endMs && !isSo();) await world.pause(null, 20);
}

function recreate({ cluster, world }: Scene, random: Random): void {
  const partitions = 1 + random.below(4);
  cluster.topic = null;
  void world.pause(null, random.below(2_000)).then(() => {
    cluster.recreate(partitions);
    world.note(() => `the topic exists again, with ${partitions} partitions`);
  });
}

function hasPartitions({ cluster }: Pick<Scene, "cluster">): boolean {
  return cluster.partitions.length > 0;
}

/**
 * How many batches at its end a partition may lose. Damaged ones stay, because the epoch of their leader is unknown: who
 * has read one cannot notice that the log is another one since.
 */
function losable({ batches, begin }: Partition): number {
  const kept = batches.findLastIndex(({ from, flaw }) => from < begin || !isReadable(flaw));
  return Math.min(MOST_LOST, batches.length - 1 - Math.max(0, kept));
}
