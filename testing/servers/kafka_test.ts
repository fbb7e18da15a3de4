import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Kafka, logLevel, type SASLOptions } from "kafkajs";
import { until } from "./child.ts";
import { type Broker, type Mechanism, startKafka, USER } from "./kafka.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

// kafkajs leaves timers behind when it disconnects.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** kafkajs waits one second for a broker, which is short on a busy machine. */
const PATIENT = { connectionTimeout: 15_000, authenticationTimeout: 15_000 };

function openTo(broker: Broker): Kafka {
  return new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING, ...PATIENT });
}

function securelyTo(broker: Broker, sasl: SASLOptions, ca = broker.caPem): Kafka {
  return new Kafka({
    brokers: [broker.secureBootstrap],
    ...ca !== "" && { ssl: { ca: [ca] } },
    sasl,
    logLevel: logLevel.NOTHING,
    ...PATIENT,
    // A rejected client must not retry for long.
    ...(ca === "" && { retry: { retries: 0 } }),
  });
}

async function produce(client: Kafka, value: string): Promise<void> {
  const producer = client.producer();
  await producer.connect();
  await producer.send({ topic: "t", messages: [{ key: "k", value }] });
  await producer.disconnect();
}

/** The first `n` records of the topic, as a new group reads them. */
async function consume(client: Kafka, groupId: string, n: number): Promise<string[]> {
  const consumer = client.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topics: ["t"], fromBeginning: true });
  const values: string[] = [];
  await consumer.run({ eachMessage: ({ message }) => Promise.resolve(void values.push(String(message.value))) });
  try {
    await until(`${n} messages`, () => values.length >= n);
  } finally {
    await consumer.disconnect();
  }
  return values;
}

/** Whether the process runs; a zombie has an empty command line. */
async function runs(pid: number): Promise<boolean> {
  return await Deno.readTextFile(`/proc/${pid}/cmdline`).then((command) => command !== "", () => false);
}

Deno.test("a broker keeps its records after any end, and leaves no process behind", leaky, async () => {
  const pids: number[] = [];
  {
    await using broker = await startKafka();
    await broker.createTopic("t", 1);
    await produce(openTo(broker), "first");
    assert.deepEqual(await consume(openTo(broker), "before", 1), ["first"]);
    pids.push(broker.pid);
    await broker.restart();
    await produce(openTo(broker), "second");
    pids.push(broker.pid);
    await broker.kill();
    await broker.start();
    pids.push(broker.pid);
    assert.deepEqual(await consume(openTo(broker), "after", 2), ["first", "second"]);
    assert.deepEqual(await Promise.all(pids.map(runs)), [false, false, true]);
  }
  assert.deepEqual(await Promise.all(pids.map(runs)), [false, false, false]);
});

const WAYS: readonly { readonly tls: boolean; readonly sasl: Mechanism }[] = [
  { tls: true, sasl: "PLAIN" },
  { tls: false, sasl: "SCRAM-SHA-256" },
  { tls: true, sasl: "SCRAM-SHA-512" },
];

for (const secure of WAYS) {
  const mechanism = secure.sasl.toLowerCase() as "plain" | "scram-sha-256" | "scram-sha-512";
  Deno.test(`a broker lets in who proves it by ${mechanism}${secure.tls ? " over TLS" : ""} alone`, leaky, async () => {
    await using broker = await startKafka({ secure });
    await broker.createTopic("t", 1);
    await produce(securelyTo(broker, { mechanism, ...USER }), "secret");
    assert.deepEqual(await consume(openTo(broker), "g", 1), ["secret"]);
    const wrong = { mechanism, ...USER, password: "guess" };
    await assert.rejects(produce(securelyTo(broker, wrong), "no"), /[Aa]uthentication/);
    if (secure.tls) await assert.rejects(produce(securelyTo(broker, { mechanism, ...USER }, ""), "no"));
  });
}

Deno.test("the next broker can use a broker's folder", leaky, async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "clickstream-kafka-kept-" });
  try {
    {
      await using broker = await startKafka({ dataDir });
      await broker.createTopic("t", 1);
      await produce(openTo(broker), "kept");
      await broker.stop();
    }
    await using broker = await startKafka({ dataDir });
    assert.deepEqual(await consume(openTo(broker), "g", 1), ["kept"]);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("a broker that can't start reports why", leaky, async () => {
  await assert.rejects(startKafka({ properties: { "log.retention.hours": "soon" } }), /soon/);
});

Deno.test("a broker ends with the program that started it", leaky, async () => {
  const program = `
    const { startKafka } = await import("./testing/servers/kafka.ts");
    console.log((await startKafka()).pid);
    setInterval(() => {}, 1000);
  `;
  const parent = new Deno.Command(Deno.execPath(), { args: ["eval", "-q", program], cwd: ROOT, stdout: "piped" });
  const pid = await killedAfterFirstLine(parent.spawn());
  await until("the broker is gone", async () => !await runs(pid), 10_000);
});

async function killedAfterFirstLine(parent: Deno.ChildProcess): Promise<number> {
  for await (const bytes of parent.stdout) {
    const pid = Number(new TextDecoder().decode(bytes));
    assert.equal(await runs(pid), true);
    parent.kill("SIGKILL");
    await parent.status;
    return pid;
  }
  throw new Error("the program said nothing");
}
