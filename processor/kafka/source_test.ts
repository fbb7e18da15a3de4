/** The source, and the Kafka client that it uses, against one real broker. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  Admin,
  ConfigResourceTypes,
  consumerGroupChannel,
  consumerOffsetsChannel,
  IncrementalAlterConfigOperationTypes,
} from "@platformatic/kafka";
import { Kafka, logLevel, type Producer } from "kafkajs";
import type { Gap, Records } from "../records.ts";
import { Rebalanced, type Source, TopicChanged } from "../pipeline/source.ts";
import { Unavailable } from "../pipeline/commit.ts";
import { until } from "../../testing/servers/child.ts";
import { type Broker, startKafka } from "../../testing/servers/kafka.ts";
import { ReferenceSource } from "../testing/contracts/reference_source.ts";
import { sourceContract } from "../testing/contracts/source_contract.ts";
import { type AppendedRecord, Reading, type TopicUnderTest, WatchedTopic } from "../testing/source_reading.ts";
import { BrokerConnection } from "./broker.ts";
import { BufferPool } from "./answer.ts";
import { fetchFrom } from "./fetch.ts";
import { type KafkaSettings, KafkaSource } from "./source.ts";

// The clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Shared by all tests of this file: a broker, and how to write to it and configure it. */
interface Stand {
  readonly broker: Broker;
  readonly admin: Admin;
  readonly producer: Producer;
}

let stand: Stand;
let topics = 0;

Deno.test.beforeAll(async () => {
  // Accept records of any time.
  const properties = { "log.message.timestamp.after.max.ms": String(2n ** 63n - 1n) };
  const broker = await startKafka({ properties });
  const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  stand = { broker, producer, admin: new Admin({ clientId: "test", bootstrapBrokers: [broker.bootstrap] }) };
});

Deno.test.afterAll(async () => {
  await stand.producer.disconnect();
  await stand.admin.close();
  await stand.broker[Symbol.asyncDispose]();
});

/** Settings of a member of a group. */
type MemberSettings = KafkaSettings & { readonly groupId: string };

/** Settings for a new and empty topic with a new group. */
async function newTopic(partitions: number): Promise<MemberSettings> {
  const topic = `topic-${++topics}`;
  await stand.broker.createTopic(topic, partitions);
  return { brokers: [stand.broker.bootstrap], topic, groupId: `group-${topic}`, clientId: "test" };
}

/** Writes records in one batch. */
async function write(topic: string, partition: number, records: readonly AppendedRecord[]): Promise<void> {
  if (records.length === 0) return;
  const messages = records.map(({ key, value, time }) => ({
    partition,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp: String(time),
  }));
  await stand.producer.send({ topic, messages });
}

async function deleteBelow(topic: string, partition: number, offset: number): Promise<void> {
  await stand.admin.deleteRecords({
    topics: [{ name: topic, partitions: [{ partition, offset: BigInt(offset) }] }],
  });
}

async function underTest(partitions: number, open: (settings: MemberSettings) => Source): Promise<TopicUnderTest> {
  const settings = await newTopic(partitions);
  const { topic, groupId } = settings;
  return {
    open: () => open(settings),
    append: (partition, records) => write(topic, partition, records),
    trim: (partition, before) => deleteBelow(topic, partition, before),
    async groupOffset(partition) {
      const [group] = await stand.admin.listConsumerGroupOffsets({ groups: [groupId] });
      const all = group?.topics.find(({ name }) => name === topic)?.partitions ?? [];
      const offset = all.find(({ partitionIndex }) => partitionIndex === partition)?.committedOffset ?? -1n;
      return offset < 0n ? null : Number(offset);
    },
    close: () => Promise.resolve(),
  };
}

const contract = { ...leaky, trims: true };
sourceContract("Kafka", (partitions) => underTest(partitions, (settings) => new KafkaSource(settings)), contract);
sourceContract(
  "reference client",
  (partitions) => underTest(partitions, (settings) => new ReferenceSource(settings)),
  contract,
);

/** The codec of every batch in a fetch of a partition, in order, as Kafka's codec number. */
async function codecsOf({ topic, clientId }: KafkaSettings): Promise<number[]> {
  const connection = await BrokerConnection.open("127.0.0.1", stand.broker.port, { clientId });
  try {
    const bytes = 10_000_000;
    const request = {
      topic,
      topicId: null,
      offsets: new Map([[0, 0]]),
      maxWaitMs: 0,
      maxBytes: bytes,
      partitionBytes: bytes,
    };
    const [response] = await fetchFrom(connection, request, new BufferPool());
    const batches = response!.bytes;
    const codecs: number[] = [];
    for (let at = 0; at < batches.length; at += 12 + batches.readInt32BE(at + 8)) {
      codecs.push(batches.readInt16BE(at + 21) & 7);
    }
    return codecs;
  } finally {
    connection.close();
  }
}

/** The error code of a fetch by topic id, and the number of record bytes. */
async function fetched(topic: string, topicId: string | null): Promise<number[]> {
  const connection = await BrokerConnection.open("127.0.0.1", stand.broker.port, { clientId: "test" });
  try {
    const request = { topic, topicId, offsets: new Map([[0, 0]]), maxWaitMs: 0, maxBytes: 1e5, partitionBytes: 1e5 };
    const responses = await fetchFrom(connection, request, new BufferPool());
    return responses.flatMap(({ errorCode, bytes }) => [errorCode, bytes.length]);
  } finally {
    connection.close();
  }
}

/** Sets a property of a topic; the broker applies it a little later. */
async function configure(resourceName: string, name: string, value: string): Promise<void> {
  const configs = [{ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }];
  await stand.admin.incrementalAlterConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName, configs }],
  });
}

/** A topic and its source. */
async function opened(
  partitions: number,
  more: Partial<MemberSettings> = {},
): Promise<{ settings: MemberSettings; topic: WatchedTopic; source: KafkaSource; reading: Reading }> {
  const settings = { ...await newTopic(partitions), ...more };
  const source = new KafkaSource(settings);
  const topic = new WatchedTopic(
    {
      open: () => source,
      append: (partition, records) => write(settings.topic, partition, records),
      trim: (partition, before) => deleteBelow(settings.topic, partition, before),
      close: () => source.close(),
    },
    partitions,
  );
  return { settings, topic, source, reading: new Reading(source, topic) };
}

function numbered(count: number, from = 0): AppendedRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `user-${i % 5}`,
    value: i % 9 === 4 ? null : Buffer.from(`record ${from + i} of many that are much alike`),
    time: Date.UTC(2026, 10, 1) + from + i,
  }));
}

Deno.test("Kafka and the reference client deliver the same from batches of every compression", leaky, async () => {
  const { settings, topic, reading, source } = await opened(1);
  const reference = new ReferenceSource({ ...settings, groupId: "reference" });
  try {
    // The broker compresses batches again, as Kafka's own programs write them.
    for (const [number, codec] of ["uncompressed", "gzip", "snappy", "lz4", "zstd", "uncompressed"].entries()) {
      await configure(settings.topic, "compression.type", codec);
      do await topic.append(0, numbered(200, topic.log[0]!.length)); while (
        (await codecsOf(settings)).at(-1) !== number % 5
      );
    }
    assert.deepEqual([...new Set(await codecsOf(settings))].sort(), [0, 1, 2, 3, 4]);
    const readings = [reading, new Reading(reference, topic)];
    for (const each of readings) {
      await each.source.assigned();
      for (const from of [null, 333, 777]) {
        each.seek([0, from]);
        await each.drain();
      }
    }
  } finally {
    await source.close();
    await reference.close();
  }
});

Deno.test("timestamps set by the broker replace those of the producers", leaky, async () => {
  const { settings, source } = await opened(1);
  try {
    await configure(settings.topic, "message.timestamp.type", "LogAppendTime");
    await source.assigned();
    source.seek(new Map([[0, null]]));
    const fromMs = Date.now();
    for (let time = -1, next = 0; time < fromMs;) {
      await write(settings.topic, 0, numbered(3));
      const toMs = Date.now();
      for (const records of await arrived(source)) {
        next = records.next;
        time = records.times[0]!;
        // Until the broker applies the setting, records keep the times that were sent.
        if (time >= fromMs) assert.ok(records.times.every((each) => each === time && each <= toMs), `up to ${next}`);
      }
    }
  } finally {
    await source.close();
  }
});

/** Polls until records arrive. */
async function arrived(source: Source): Promise<readonly Records[]> {
  for (;;) {
    const polled = await source.poll(1000);
    if (polled.length > 0) return polled;
  }
}

Deno.test("records that Kafka deleted before they were read are skipped and reported", leaky, async () => {
  const { topic, source, reading } = await opened(2);
  const gaps: (Gap & { partition: number })[] = [];
  const drained = async () => {
    while (reading.lag() > 0) {
      for (const { partition, gap } of await reading.poll()) if (gap !== null) gaps.push({ partition, ...gap });
    }
    return gaps.splice(0);
  };
  try {
    await source.assigned();
    for (const partition of [0, 1]) {
      for (let written = 0; written < 100; written += 20) await topic.append(partition, numbered(20, written));
    }
    await topic.trim(0, 60);
    reading.seek([0, 60], [1, 0]);
    assert.deepEqual(await drained(), []);
    reading.seek([0, null], [1, null]);
    assert.deepEqual(await drained(), []);
    reading.seek([0, 10], [1, 5]);
    assert.deepEqual(await drained(), [{ partition: 0, from: 10, to: 60 }]);
    await topic.append(0, numbered(5));
    await topic.trim(0, 105);
    reading.seek([0, 100], [1, 100]);
    let polled = await reading.poll();
    while (polled.length === 0) polled = await reading.poll();
    const [passed] = polled;
    assert.deepEqual([passed?.count, passed?.next, passed?.gap], [0, 105, { from: 100, to: 105 }]);
    await topic.append(0, numbered(1));
    assert.deepEqual(await drained(), []);
  } finally {
    await source.close();
  }
});

Deno.test("a recreated topic is not read instead of the old one, whether shorter or longer", leaky, async () => {
  for (const written of [2, 30]) {
    const { settings: { topic }, source } = await opened(1);
    try {
      await write(topic, 0, numbered(10));
      await source.assigned();
      const before = source.topicId();
      assert.match(before ?? "", /^[\w-]{22}$/);
      source.seek(new Map([[0, 10]]), new Map([[0, { next: 10, leaderEpoch: null }]]));
      assert.deepEqual(await source.poll(100), []);
      await stand.admin.deleteTopics({ topics: [topic] });
      const made = () => stand.admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
      await until("the topic is recreated", () => made().then(() => true, () => false));
      await write(topic, 0, numbered(written));
      await assert.rejects(async () => {
        for (const endMs = Date.now() + 20_000; Date.now() < endMs;) assert.deepEqual(await source.poll(300), []);
      }, Unavailable);
      await source.assigned();
      assert.notEqual(source.topicId(), before);
      // A fetch by the old id gets an error, and no records of the new topic.
      assert.deepEqual(await fetched(topic, before), [100, 0]);
      assert.ok((await fetched(topic, source.topicId()))[1]! > 0);
    } finally {
      await source.close();
    }
  }
});

Deno.test("a log that ends before the committed offset is refused, wherever reading starts", leaky, async () => {
  const { settings: { topic }, source } = await opened(2);
  try {
    await write(topic, 0, numbered(10));
    await source.assigned();
    for (const from of [4, 10, 20]) {
      source.seek(new Map([[0, from], [1, 0]]), new Map([[0, { next: 20, leaderEpoch: null }]]));
      await assert.rejects(async () => {
        for (const endMs = Date.now() + 20_000; Date.now() < endMs;) await source.poll(300);
      }, (error) => {
        assert.ok(error instanceof TopicChanged, `${error}`);
        assert.deepEqual(error.change, {
          kind: "truncated",
          topic,
          partition: 0,
          next: 20,
          end: 10,
          isOverwritten: false,
        });
        for (const said of [topic, "partition 0", "10", "20", "clickstream adopt-topic"]) {
          assert.ok(error.message.includes(said), `${said}: ${error.message}`);
        }
        return true;
      });
      await source.assigned();
    }
  } finally {
    await source.close();
  }
});

/** Polls until the group rebalances. */
async function reassigned(source: Source): Promise<readonly number[]> {
  const deadline = performance.now() + 30_000;
  await assert.rejects(async () => {
    while (performance.now() < deadline) await source.poll(300);
  }, Rebalanced);
  return await source.assigned();
}

Deno.test("partitions of different size advance through event time together", leaky, async () => {
  const settings = await newTopic(2);
  const value = new TextEncoder().encode("x".repeat(1000));
  // 8 MB in one and 2 MB in the other: if read at the same byte rate, the second would end with the first at a quarter.
  const seconds = 2000;
  for (let from = 0; from < seconds; from += 50) {
    const times = Array.from({ length: 50 }, (_, i) => (from + i) * 1000);
    const records = times.map((time) => ({ key: null, value, time }));
    await write(settings.topic, 0, [...records, ...records, ...records, ...records].sort((a, b) => a.time - b.time));
    await write(settings.topic, 1, records);
  }
  const source = new KafkaSource({ ...settings, groupId: null });
  try {
    source.seek(new Map((await source.assigned()).map((partition) => [partition, null])));
    const reached = [0, 0];
    let apart = 0;
    while (Math.min(...reached) < (seconds - 1) * 1000) {
      for (const { partition, times, count } of await source.poll(1000)) reached[partition] = times[count - 1]!;
      apart = Math.max(apart, Math.abs(reached[0]! - reached[1]!));
    }
    // One round fetches at most 512 KiB of each, which is as many seconds of the second.
    assert.ok(apart <= 600_000, `they were ${apart / 1000} s apart`);
  } finally {
    await source.close();
  }
});

Deno.test("members of a group share the partitions, and take over those of a member that leaves", leaky, async () => {
  const { settings, topic, source: first, reading } = await opened(5);
  const second = new KafkaSource(settings);
  try {
    const all = [0, 1, 2, 3, 4];
    assert.deepEqual(await first.assigned(), all);
    first.seek(new Map(all.map((partition) => [partition, null])));
    const [share, others] = await Promise.all([reassigned(first), second.assigned()]);
    assert.ok(share.length >= 2 && others.length >= 2, `${share} and ${others}`);
    assert.deepEqual([...share, ...others].sort(), all);
    for (const partition of all) await topic.append(partition, numbered(10));
    for (const [source, partitions] of [[first, share], [second, others]] as const) {
      const half = new Reading(source, topic);
      half.seek(...partitions.map((partition) => [partition, null] as const));
      await half.drain();
    }
    const [rest] = await Promise.all([reassigned(first), second.close()]);
    assert.deepEqual(rest, all);
    reading.seekAll();
    await reading.drain();
  } finally {
    await second.close();
    await first.close();
  }
});

Deno.test("added partitions are noticed on an idle topic, with and without a group", leaky, async () => {
  const settings = await newTopic(2);
  const sources = [new KafkaSource(settings), new KafkaSource({ ...settings, groupId: null })];
  try {
    for (const source of sources) {
      source.seek(new Map((await source.assigned()).map((partition) => [partition, null])));
    }
    const topics = [{ name: settings.topic, count: 5, assignments: null }];
    await stand.admin.createPartitions({ topics, validateOnly: false });
    assert.deepEqual(await Promise.all(sources.map(reassigned)), sources.map(() => [0, 1, 2, 3, 4]));
  } finally {
    for (const source of sources) await source.close();
  }
});

Deno.test("members of one group that read different topics each get all partitions of their topic", leaky, async () => {
  const settings = await newTopic(3);
  const first = new KafkaSource(settings);
  const second = new KafkaSource({ ...await newTopic(2), groupId: settings.groupId });
  try {
    first.seek(new Map((await first.assigned()).map((partition) => [partition, null])));
    assert.deepEqual(await Promise.all([reassigned(first), second.assigned()]), [[0, 1, 2], [0, 1]]);
  } finally {
    await second.close();
    await first.close();
  }
});

Deno.test("a seek during the handling of deleted records drops the rest of that fetch", leaky, async () => {
  const { topic, source, reading } = await opened(2);
  const goElsewhere = () => {
    consumerOffsetsChannel.start.unsubscribe(goElsewhere);
    reading.seek([0, 70], [1, 20]);
  };
  try {
    await source.assigned();
    for (const partition of [0, 1]) await topic.append(partition, numbered(100));
    await topic.trim(0, 60);
    reading.seek([0, 10], [1, 80]);
    // The fetch has returned records of partition 1, and that offset 10 of partition 0 no longer exists.
    consumerOffsetsChannel.start.subscribe(goElsewhere);
    await reading.drain();
    assert.equal(consumerOffsetsChannel.start.hasSubscribers, false, "nothing was looked for");
  } finally {
    consumerOffsetsChannel.start.unsubscribe(goElsewhere);
    await source.close();
  }
});

Deno.test("a member that was removed from the group rejoins with the same settings", leaky, async () => {
  const { settings, source } = await opened(1);
  const joins: unknown[] = [];
  const note = (message: unknown) => {
    const { operation, options } = message as { readonly operation: string; readonly options: unknown };
    if (operation === "joinGroup") joins.push(structuredClone(options));
  };
  consumerGroupChannel.start.subscribe(note);
  try {
    await source.assigned();
    source.seek(new Map([[0, null]]));
    await stand.admin.removeMembersFromConsumerGroup({ groupId: settings.groupId });
    // A commit is the first to notice, and makes the client rejoin by itself.
    await source.committed(new Map([[0, 0]]));
    assert.deepEqual(await reassigned(source), [0]);
    assert.equal(joins.length, 2);
    assert.deepEqual(joins[1], joins[0], "with other limits it would be missed much later when it dies");
  } finally {
    consumerGroupChannel.start.unsubscribe(note);
    await source.close();
  }
});
