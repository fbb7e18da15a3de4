/**
 * Fills the topics that are drained, with their own counts of what they hold.
 * @module
 */
import { type Counts, RecordCounts } from "../generator/records.ts";
import { exists } from "../testing/servers/child.ts";
import type { Broker } from "../testing/servers/kafka.ts";
import { type LoadedRecord, recordsOf } from "./clicks.ts";
import type { Load } from "./figures.ts";
import { load } from "../testing/servers/load.ts";
import { BINARY } from "./programs.ts";

/** A filled topic and what it holds. */
export interface Topic {
  readonly topic: string;
  /** Made by the simulator, whose records are of now; otherwise they are of a past day. */
  readonly isOfNow: boolean;
  readonly counts: Counts;
}

/** The full topic, and one with the first records of the same load. */
export interface Topics {
  readonly small: Topic;
  readonly full: Topic;
}

/** Event time that the full load covers. */
const SPAN_SECONDS = 3600;

/**
 * Fills both topics.
 *
 * @param data folder that keeps Kafka's data, where a topic may still be; null without
 */
export async function fillTopics(broker: Broker, shape: Load, data: string | null): Promise<Topics> {
  return {
    small: await filled(broker, shape, shape.smallEvents, data),
    full: await filled(broker, shape, shape.events, data),
  };
}

async function filled(broker: Broker, shape: Load, events: number, data: string | null): Promise<Topic> {
  const { users, partitions, shop } = shape;
  const topic = `bench-${shop ? "shop-" : ""}${events}-of-${shape.events}-${users}-${partitions}`;
  const kept = data === null ? null : `${data}/${topic}.counts`;
  if (kept !== null && await exists(kept)) {
    return { topic, isOfNow: shop, counts: JSON.parse(await Deno.readTextFile(kept)) as Counts };
  }
  console.log(`loads ${events} events into ${partitions} partitions …`);
  const seconds = Math.round(events / shape.events * SPAN_SECONDS);
  const counts = await (shop ? byShop : byClicks)(broker, topic, { partitions, users, events, seconds });
  if (kept !== null) await Deno.writeTextFile(kept, JSON.stringify(counts));
  return { topic, isOfNow: shop, counts };
}

interface Part {
  readonly partitions: number;
  readonly users: number;
  readonly events: number;
  readonly seconds: number;
}

async function byClicks(broker: Broker, topic: string, part: Part): Promise<Counts> {
  await broker.createTopic(topic, part.partitions);
  const counts = new RecordCounts();
  function* counted(): Generator<LoadedRecord> {
    for (const record of recordsOf({ ...part, spanMs: part.seconds * 1000, late: 0.001, seed: 1 })) {
      counts.add({ ...record, kind: "event" });
      yield record;
    }
  }
  await load(broker.bootstrap, topic, part.partitions, counted());
  return counts.snapshot();
}

/** Simulated events, with refused records, late events and duplicates. */
async function byShop({ bootstrap }: Broker, topic: string, { partitions, events, seconds }: Part): Promise<Counts> {
  const args = ["generate", "--fast", "--json", `--seconds=${seconds}`, `--rate=${events / seconds}`];
  const env = { KAFKA_BROKERS: bootstrap, KAFKA_TOPIC: topic, KAFKA_PARTITIONS: String(partitions) };
  const { success, stdout, stderr } = await new Deno.Command(BINARY, { args, env }).output();
  if (!success) throw new Error(`clickstream generate failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Counts;
}
