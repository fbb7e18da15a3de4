/**
 * Where the topic begins and ends.
 * @module
 */
import { type Admin, Kafka } from "kafkajs";
import { answering, configOf, FIRST_RETRIES, type KafkaSettings } from "./producer.ts";
import { attempt } from "./errors.ts";

/** A partition's first offset, and the one after its last. */
export interface Bounds {
  readonly partition: number;
  readonly begin: number;
  readonly end: number;
}

/** The topic, to be asked. */
export type Asked = Omit<KafkaSettings, "partitions">;

/** The bounds of every partition. */
export async function boundsOf(settings: Asked): Promise<readonly Bounds[]> {
  return await asked(
    settings,
    async (admin) =>
      (await admin.fetchTopicOffsets(settings.topic)).map(({ partition, low, high }) => ({
        partition,
        begin: Number(low),
        end: Number(high),
      })),
  );
}

/** The first offset of each partition whose record has a timestamp of this time or later; the end if there is none. */
export async function offsetsAt(settings: Asked, timeMs: number): Promise<ReadonlyMap<number, number>> {
  return await asked(settings, async (admin) => {
    const found = await admin.fetchTopicOffsetsByTimestamp(settings.topic, Math.max(0, timeMs));
    return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]));
  });
}

/** Kafka timestamp of the earliest first record of any partition, to the second; null where the topic is empty. */
export async function beginningOf(settings: Asked): Promise<number | null> {
  return await asked(settings, async (admin) => {
    const bounds = new Map((await admin.fetchTopicOffsets(settings.topic)).map((each) => [each.partition, each]));
    if ([...bounds.values()].every(({ low, high }) => low === high)) return null;
    // The log can be asked where a time begins, and not when an offset was: the latest time at which nothing is left out.
    let [leastS, mostS] = [0, Math.ceil(Date.now() / 1000) + 86_400];
    while (mostS - leastS > 1) {
      const middleS = Math.floor((leastS + mostS) / 2);
      const found = await admin.fetchTopicOffsetsByTimestamp(settings.topic, middleS * 1000);
      if (found.every(({ partition, offset }) => offset === (bounds.get(partition)?.low ?? offset))) leastS = middleS;
      else mostS = middleS;
    }
    return leastS * 1000;
  });
}

async function asked<T>(settings: Asked, body: (admin: Admin) => Promise<T>): Promise<T> {
  const reachable = { ...settings, brokers: await answering(settings) };
  const admin = new Kafka({ ...configOf(reachable, FIRST_RETRIES), clientId: "clickstream" }).admin();
  try {
    return await attempt("ask", settings, async () => {
      await admin.connect();
      return await body(admin);
    });
  } finally {
    await admin.disconnect();
  }
}
