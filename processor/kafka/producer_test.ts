import assert from "node:assert/strict";
import { rootCertificates } from "node:tls";
import { Kafka, logLevel } from "kafkajs";
import { freePort } from "../../testing/servers/child.ts";
import { type Broker, startKafka, USER } from "../../testing/servers/kafka.ts";
import { type KafkaRecord, type KafkaSettings, produce } from "./producer.ts";
import { MAX_LINE_BYTES } from "../../generator/ndjson.ts";
import { Simulator } from "../../generator/simulator.ts";
import { writtenTo } from "../testing/fakes/log.ts";

// kafkajs leaves timers behind when it disconnects.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const bytes = (text: string) => new TextEncoder().encode(text);

/** A record as a broker returns it. */
interface Kept {
  readonly partition: number;
  readonly key: string | null;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
}

/** All records of a topic, by partition and then by offset. */
async function read(bootstrap: string, topic: string): Promise<Kept[]> {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
  let missing = await writtenTo([bootstrap], topic);
  const kept: Kept[] = [];
  const consumer = kafka.consumer({ groupId: crypto.randomUUID() });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const all = Promise.withResolvers<void>();
  if (missing === 0) all.resolve();
  await consumer.run({
    eachMessage: ({ partition, message: { key, value, timestamp } }) => {
      kept.push({ partition, key: key?.toString() ?? null, value, timestampMs: Number(timestamp) });
      if (--missing === 0) all.resolve();
      return Promise.resolve();
    },
  });
  await all.promise;
  await consumer.disconnect();
  return kept.sort((a, b) => a.partition - b.partition);
}

const shown = ({ key, value, timestampMs }: KafkaRecord) =>
  `${key} ${timestampMs} ${value === null ? "-" : new TextDecoder().decode(value)}`;

/** Fails unless the topic holds exactly these records, with each key in one partition and in order. */
async function holds(bootstrap: string, topic: string, records: readonly KafkaRecord[]): Promise<void> {
  const kept = await read(bootstrap, topic);
  assert.equal(kept.length, records.length);
  const byKey = (all: readonly KafkaRecord[]) => [...Map.groupBy(all, ({ key }) => key)].sort();
  const told = (all: readonly KafkaRecord[]) => byKey(all).map(([key, of]) => [key, of.map(shown)]);
  assert.deepEqual(told(kept), told(records));
  for (const [, of] of Map.groupBy(kept, ({ key }) => key)) {
    assert.equal(new Set(of.map(({ partition }) => partition)).size, 1);
  }
}

Deno.test("records into a topic", leaky, async (t) => {
  await using broker = await startKafka({ secure: { tls: true, sasl: "SCRAM-SHA-512" } });
  const settings = (topic: string): KafkaSettings => ({ brokers: [broker.bootstrap], topic, partitions: 3 });

  await t.step(
    "a missing topic is created and holds the simulator's records with keys, order and timestamps",
    async () => {
      const fromMs = Date.now() - 60_000;
      const records = [
        ...new Simulator({ seed: 1, fromMs, toMs: fromMs + 10_000, rate: 500, bad: 0.1, duplicates: 0.1 }),
      ];
      const progress: number[] = [];
      const done = await produce(records, settings("shop"), (sent) => progress.push(sent));
      assert.deepEqual(done, { sent: records.length, created: true });
      assert.equal(progress.at(-1), records.length);
      assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
      await holds(broker.bootstrap, "shop", records);
      assert.deepEqual(await partitionsOf(broker, "shop"), 3);
      assert.deepEqual(await produce([], { ...settings("shop"), partitions: 9 }), { sent: 0, created: false });
      assert.deepEqual(await partitionsOf(broker, "shop"), 3);
    },
  );

  await t.step(
    "a missing timestamp becomes the time of sending; a missing key or value is allowed",
    async () => {
      const startMs = Date.now();
      const records = [{ key: null, value: bytes("a") }, { key: "k", value: null }, { key: "", value: bytes("") }];
      await produce(records, settings("bare"));
      const kept = await read(broker.bootstrap, "bare");
      assert.deepEqual(
        new Set(kept.map(({ key, value }) => `${key} ${value?.length}`)),
        new Set(["null 1", "k undefined", " 0"]),
      );
      for (const { timestampMs } of kept) assert.ok(timestampMs >= startMs && timestampMs <= Date.now());
    },
  );

  await t.step("a slow source's records don't wait for a full batch", async () => {
    const confirmed = Promise.withResolvers<void>();
    async function* slow() {
      yield { key: "a", value: bytes("1") };
      await confirmed.promise;
      yield { key: "a", value: bytes("2") };
    }
    assert.equal((await produce(slow(), settings("slow"), () => confirmed.resolve())).sent, 2);
  });

  await t.step("the largest line is accepted; a larger record is refused with advice", async () => {
    await produce([{ key: "k".repeat(128), value: new Uint8Array(MAX_LINE_BYTES) }], settings("large"));
    await assert.rejects(
      () => produce([{ key: null, value: new Uint8Array(1.5 * 1024 * 1024) }], settings("large")),
      { message: /^can't write to Kafka at 127\.0\.0\.1:\d+, topic large: .*; leave out records of a MiB and more/ },
    );
  });

  await t.step("if the records end in an error, those before it are sent", async () => {
    async function* failing() {
      yield { key: "a", value: bytes("1") };
      await Promise.resolve();
      throw new Error("no more");
    }
    await assert.rejects(() => produce(failing(), settings("failing")), { message: "no more" });
    assert.equal((await read(broker.bootstrap, "failing")).length, 1);
  });

  await t.step("over TLS and SASL; a wrong password is reported but not printed", async () => {
    const sasl = { mechanism: "SCRAM-SHA-512", ...USER } as const;
    const secure = { ...settings("secure"), brokers: [broker.secureBootstrap], tlsCa: broker.caPem };
    assert.equal((await produce([{ key: "k", value: bytes("v") }], { ...secure, sasl })).sent, 1);
    await assert.rejects(() => produce([], { ...secure, sasl: { ...sasl, password: "wrong-secret" } }), (error) => {
      assert.match(String(error), /^Error: can't reach Kafka at localhost:\d+, .*; check KAFKA_SASL_MECHANISM and /);
      assert.doesNotMatch(Deno.inspect(error), /wrong-secret/);
      return true;
    });
    await assert.rejects(() => produce([], { ...secure, sasl, tlsCa: rootCertificates[0]! }), {
      message: /certificate/i,
    });
  });

  await t.step("each record is written once across a broker restart", async () => {
    const records = Array.from(
      { length: 6000 },
      (_, i) => ({ key: `k${i % 7}`, value: bytes(`${i}`), timestampMs: 1e12 + i }),
    );
    let restarted = false;
    let up: Promise<void> | undefined;
    const sending = produce(records, settings("restarted"), () => {
      if (restarted) return;
      restarted = true;
      up = broker.stop("SIGKILL").then(() => broker.start());
    });
    try {
      assert.equal((await sending).sent, records.length);
    } finally {
      await up;
    }
    await holds(broker.bootstrap, "restarted", records);
  });
});

Deno.test("an error names the brokers that can't be reached and says what to do", leaky, async () => {
  const brokers = [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`];
  await assert.rejects(() => produce([], { brokers, topic: "t", partitions: 1 }), (error) => {
    const message = String(error);
    assert.ok(message.startsWith(`Error: can't reach Kafka at ${brokers.join(",")}, topic t: `), message);
    assert.match(message, /ECONNREFUSED.*; see that it runs, and check KAFKA_BROKERS, /);
    return true;
  });
});

async function partitionsOf(broker: Broker, topic: string): Promise<number> {
  const admin = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  await admin.disconnect();
  return topics[0]!.partitions.length;
}
