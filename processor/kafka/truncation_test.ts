/** What real brokers say of a log that another leader has written since, to the source and to the operator's commands. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Kafka, logLevel } from "kafkajs";
import { type Broker, startKafka } from "../../testing/servers/kafka.ts";
import type { Committed } from "../pipeline/commit.ts";
import { TopicChanged } from "../pipeline/source.ts";
import type { Records } from "../records.ts";
import { truncatedOf } from "./admin.ts";
import { KafkaSource } from "./source.ts";

const TOPIC = "clicks";

/** Writes ten records, with a leader of another epoch than before: a restart of the broker elects it anew. */
async function writeTen(broker: Broker, isRestarted: boolean): Promise<void> {
  if (isRestarted) await broker.restart();
  const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  const messages = Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: Buffer.from(`{"n":${i}}`) }));
  await producer.send({ topic: TOPIC, messages });
  await producer.disconnect();
}

/** Reads from an offset to the end of the log, twenty records in all. */
async function read(source: KafkaSource, from: number | null, committed?: Committed): Promise<Records[]> {
  source.seek(new Map([[0, from]]), new Map(committed === undefined ? [] : [[0, committed]]));
  const all: Records[] = [];
  const nextOf = () => all.at(-1)?.next ?? from;
  for (const endMs = Date.now() + 20_000; Date.now() < endMs && nextOf() !== 20;) all.push(...await source.poll(300));
  // The end is asked for once more, with the epoch of the last record.
  all.push(...await source.poll(600));
  assert.equal(nextOf(), 20);
  return all;
}

Deno.test({
  name: "a log in which another leader wrote over records that were read is noticed, whether read again or not",
  // The clients leave timers behind.
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using broker = await startKafka();
  await broker.createTopic(TOPIC, 1);
  await writeTen(broker, false);
  await writeTen(broker, true);
  const access = { brokers: [broker.bootstrap], topic: TOPIC, clientId: "test" };
  const source = new KafkaSource({ ...access, groupId: null });
  try {
    await source.assigned();
    const runs = await read(source, null);
    const epochs = runs.map(({ next, leaderEpoch }) => [next, leaderEpoch] as const);
    assert.deepEqual(epochs.map(([next]) => next), [10, 20], "a run never has records of two leaders");
    const [first, second] = epochs.map(([, epoch]) => epoch!);
    assert.ok(first! >= 0 && second! > first!, `${first}, ${second}`);
    for (const [next, leaderEpoch] of [[10, first!], [4, first!], [20, second!], [12, second!]] as const) {
      for (const from of [next, next - 3]) {
        await read(source, from, { next, leaderEpoch });
      }
      assert.deepEqual(await truncatedOf(access, new Map([[0, { next, leaderEpoch }]])), new Map());
    }
    // As if the records from 10 on had been read from another leader, and from one of an epoch that Kafka does not know.
    for (const [leaderEpoch, end] of [[first!, 10], [second! + 1, null]] as const) {
      const committed = { next: 15, leaderEpoch };
      assert.deepEqual(await truncatedOf(access, new Map([[0, committed]])), new Map([[0, end]]));
      for (const from of [15, 12, 3]) {
        if (end === null && from < 15) continue;
        await assert.rejects(read(source, from, committed), (error) => {
          assert.ok(error instanceof TopicChanged, `${error}`);
          const where = { topic: TOPIC, partition: 0, next: 15, end };
          assert.deepEqual(error.change, { kind: "truncated", ...where, isOverwritten: true });
          assert.match(
            error.message,
            /read up to offset 15, and .* have been replaced by others.*clickstream adopt-topic/,
          );
          return true;
        });
        await source.assigned();
      }
    }
  } finally {
    await source.close();
  }
});
