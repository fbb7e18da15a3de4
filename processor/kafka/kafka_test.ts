/** The source against a real broker: it delivers what was committed, byte for byte, with every compression. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import { Kafka, logLevel } from "kafkajs";
import { Unavailable } from "../pipeline/commit.ts";
import { type Broker, createTopic, type Mechanism, startKafka, USER } from "../../testing/servers/kafka.ts";
import { type KafkaSettings, KafkaSource } from "./source.ts";

// Both clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const TOPIC = "clickstream-events";

function settingsFor(broker: Broker, topic = TOPIC): KafkaSettings {
  return { brokers: [broker.bootstrap], topic, groupId: `group-${topic}`, clientId: "test" };
}

/** All values of a one-partition topic up to `next`, as text; null for a record without a value. */
async function readAll(settings: KafkaSettings, next: number): Promise<(string | null)[]> {
  const source = new KafkaSource(settings);
  try {
    assert.deepEqual(await source.assigned(), [0]);
    source.seek(new Map([[0, null]]));
    const values: (string | null)[] = [];
    const deadline = performance.now() + 30_000;
    let skipped = 0;
    for (let at = 0; at < next;) {
      assert.ok(performance.now() < deadline, `only offset ${at} of ${next} was reached`);
      for (const records of await source.poll(1000)) {
        assert.equal(records.next - records.count - records.skipped, at, "every offset is read or skipped");
        skipped += records.skipped;
        for (let i = 0; i < records.count; i++) {
          const [start, end] = [records.starts[i]!, records.ends[i]!];
          values.push(end < 0 ? null : Buffer.from(records.bytes.subarray(start, end)).toString());
        }
        at = records.next;
      }
    }
    assert.equal(skipped, next - values.length);
    return values;
  } finally {
    await source.close();
  }
}

const MESSAGES = Array.from(
  { length: 3000 },
  (_, i) => i % 100 === 7 ? null : i % 100 === 8 ? "" : `{"n":${i},"text":"clicks and more clicks"}`,
);

Deno.test("reads every compression that brokers write", leaky, async (t) => {
  await using broker = await startKafka();
  const client = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  const producer = client.producer();
  await admin.connect();
  await producer.connect();
  for (const codec of ["uncompressed", "gzip", "snappy", "lz4", "zstd"]) {
    await t.step(codec, async () => {
      // The broker compresses the batches again, so Kafka itself wrote what is read.
      const configEntries = [{ name: "compression.type", value: codec }];
      await createTopic(admin, { topic: codec, numPartitions: 1, configEntries });
      const messages = MESSAGES.map((value, i) => ({ key: `k${i}`, value, headers: { h: "1" } }));
      for (let i = 0; i < messages.length; i += 1000) {
        await producer.send({ topic: codec, messages: messages.slice(i, i + 1000) });
      }
      assert.deepEqual(await readAll(settingsFor(broker, codec), MESSAGES.length), MESSAGES);
    });
  }
  await producer.disconnect();
  await admin.disconnect();
});

Deno.test("reads exactly the committed transactions, in any order of their ends", leaky, async () => {
  await using broker = await startKafka();
  await broker.createTopic(TOPIC, 1);
  const producers = ["a", "b"].map((name) =>
    new Producer({
      clientId: name,
      bootstrapBrokers: [broker.bootstrap],
      transactionalId: name,
      idempotent: true,
      serializers: { value: (text?: string) => Buffer.from(text ?? "") },
    })
  );
  const expected: string[] = [];
  for (let round = 0; round < 12; round++) {
    const open = await Promise.all(producers.map((producer) => producer.beginTransaction()));
    const commits = [round % 3 !== 0, round % 2 === 0];
    for (let part = 0; part < 3; part++) {
      for (const [p, transaction] of open.entries()) {
        const value = `${round}/${part}/${p}`;
        await transaction.send({ messages: [{ topic: TOPIC, partition: 0, value }] });
        if (commits[p]) expected.push(value);
      }
    }
    for (const p of round % 2 === 0 ? [0, 1] : [1, 0]) await (commits[p] ? open[p]!.commit() : open[p]!.abort());
  }
  await Promise.all(producers.map((producer) => producer.close()));
  // Each round wrote six records and two control records.
  assert.deepEqual(await readAll(settingsFor(broker), 12 * 8), expected);
});

const SECURED: readonly (readonly [Mechanism, boolean])[] = [["PLAIN", false], ["SCRAM-SHA-256", true], [
  "SCRAM-SHA-512",
  true,
]];

for (const [mechanism, tls] of SECURED) {
  Deno.test(
    `reads with ${mechanism}${tls ? " over TLS" : ""}, and reports a wrong password`,
    leaky,
    async () => {
      await using broker = await startKafka({ secure: { tls, sasl: mechanism } });
      await broker.createTopic(TOPIC, 1);
      const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
      await producer.connect();
      await producer.send({ topic: TOPIC, messages: [{ value: "secured" }] });
      await producer.disconnect();
      const settings: KafkaSettings = {
        ...settingsFor(broker),
        brokers: [broker.secureBootstrap],
        sasl: { mechanism, ...USER },
        ...(tls ? { tlsCa: broker.caPem } : {}),
      };
      assert.deepEqual(await readAll(settings, 1), ["secured"]);
      const password = "a-wrong-password";
      const refused = new KafkaSource({ ...settings, sasl: { mechanism, ...USER, password } });
      try {
        await assert.rejects(refused.assigned(), (error) => {
          assert.ok(error instanceof Unavailable && error.kind === "kafka_unreachable", String(error));
          assert.ok(!error.message.includes(password) && error.message.includes(broker.secureBootstrap), error.message);
          return true;
        });
      } finally {
        await refused.close();
      }
    },
  );
}

Deno.test("a login with a limited lifetime is renewed before it expires", leaky, async () => {
  await using broker = await startKafka({
    secure: { tls: false, sasl: "PLAIN" },
    properties: { "connections.max.reauth.ms": "2000" },
  });
  await broker.createTopic(TOPIC, 1);
  const source = new KafkaSource({
    ...settingsFor(broker),
    brokers: [broker.secureBootstrap],
    sasl: { mechanism: "PLAIN", ...USER },
  });
  try {
    assert.deepEqual(await source.assigned(), [0]);
    source.seek(new Map([[0, null]]));
    // The broker closes a connection that sends a request after its lifetime.
    const until = performance.now() + 5000;
    while (performance.now() < until) assert.deepEqual(await source.poll(200), []);
  } finally {
    await source.close();
  }
});

Deno.test("a missing topic is waited for and reported", leaky, async () => {
  await using broker = await startKafka();
  const source = new KafkaSource(settingsFor(broker, "later"));
  try {
    await assert.rejects(source.assigned(), (error) => {
      assert.ok(error instanceof Unavailable && error.kind === "no_topic", String(error));
      assert.match(error.message, /no topic later: create it/);
      return true;
    });
    await broker.createTopic("later", 2);
    assert.deepEqual(await source.assigned(), [0, 1]);
  } finally {
    await source.close();
  }
});
