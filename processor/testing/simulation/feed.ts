/**
 * The producers: append records to the simulated topic, some of them twice, some of them damaged, some that the
 * database refuses.
 * @module
 */
import { randomLog, type Sent } from "../clicks.ts";
import type { LogRecord } from "../fakes/memory.ts";
import { record } from "../scenario.ts";
import type { Random } from "../../../generator/random.ts";
import { isUsual, POISON } from "./judge.ts";
import type { Cluster, Flaw, Partition } from "./topic.ts";
import type { World } from "./world.ts";

/** Most records in a batch. */
const MOST_RECORDS = 8;

/** Later than this, an id that comes again is another event. */
const LATER_MS = 11 * 60_000;

/** Sends the records of a random log, batch by batch. */
export class Feed {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #unsent: Sent[];
  readonly #sizes: Random;
  readonly #sent: Sent[] = [];
  #poisons = 0;

  /** @param most most records to send */
  constructor(world: World, cluster: Cluster, seed: number, most: number) {
    this.#world = world;
    this.#cluster = cluster;
    this.#sizes = world.randomFor("batches");
    const setup = world.randomFor("log");
    const spanMs = setup.pick([9, 25, 60]) * 60_000;
    this.#unsent = randomLog(seed, { events: 30 + setup.below(60), spanMs, anonymous: true }).slice(0, most);
  }

  /** Number of records that are still to be sent. */
  get left(): number {
    return this.#unsent.length;
  }

  /** Sends the next few records, if the topic takes records now. */
  send(): void {
    const { partitions } = this.#cluster;
    if (partitions.length === 0) return;
    const some = this.#unsent.slice(0, 1 + this.#sizes.below(MOST_RECORDS));
    const byPartition = Map.groupBy(some, ({ user }) => partitions[Number(user.slice(1)) % partitions.length]!);
    this.#unsent.splice(0, some.length);
    for (const [partition, sent] of byPartition) this.#append(partition, sent);
  }

  #append(partition: Partition, sent: readonly Sent[]): void {
    const world = this.#world;
    const records = sent.map((each) => each.record);
    const append = (records: readonly LogRecord[], flaw: Flaw = "none") => {
      partition.append(records, flaw);
      world.note(() =>
        `${records.length} records are appended to ${this.#cluster.partitions.indexOf(partition)}` +
        `, up to ${partition.end}${flaw === "none" ? "" : `: ${flaw}`}`
      );
    };
    this.#sent.push(...sent);
    append(records, this.#flaw(partition));
    if (world.mishap(0.06, "batch sent twice") !== null) append(records);
    if (world.mishap(0.05, "control batch") !== null) partition.appendControl();
    const again = world.mishap(0.06, "id sent again much later");
    if (again !== null) {
      const usual = this.#sent.filter((each) => isUsual(each.record) && this.#partitionOf(each) === partition);
      const earlier = usual.length === 0 ? undefined : again.pick(usual).record;
      if (earlier !== undefined) {
        append([{ value: earlier.value, time: earlier.time + LATER_MS + again.below(30) * 60_000 }]);
      }
    }
    if (world.mishap(0.05, "poison") !== null) {
      const { user, record: { time } } = sent[0]!;
      const event = { eventId: `${POISON}-${++this.#poisons}`, userId: user, eventType: "page_view", page: "/" };
      append([record({ ...event, timestamp: time }, time)]);
    }
  }

  #partitionOf({ user }: Sent): Partition {
    const { partitions } = this.#cluster;
    return partitions[Number(user.slice(1)) % partitions.length]!;
  }

  /** What is wrong with the next batch. Two damaged ones in a row may be reported as one. */
  #flaw(partition: Partition): Flaw {
    const world = this.#world;
    const last = partition.batches.at(-1)?.slots.at(-1);
    const isAfterDamage = typeof last === "object" && "damagedFrom" in last;
    if (world.mishap(0.05, "compacted batch") !== null) return "holes";
    if (isAfterDamage) return "none";
    if (world.mishap(0.04, "damaged batch") !== null) return "damaged";
    return world.mishap(0.03, "batch the broker cannot read") !== null ? "corrupt" : "none";
  }
}
