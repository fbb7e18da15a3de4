/** The service against brokers that change, freeze, or hold records back: what is there is read, and what is not is said. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Admin, Producer } from "@platformatic/kafka";
import { AssignerProtocol, type Consumer, Kafka, logLevel, type PartitionAssigner } from "kafkajs";
import type { StatusReport } from "../../status/report.ts";
import { BINARY, clickstream, type Env } from "../../../testing/servers/binary.ts";
import { Child, freePort, until } from "../../../testing/servers/child.ts";
import { compareTables, formatDifferences } from "../../oracle/differences.ts";
import { type Broker, startKafka } from "../../../testing/servers/kafka.ts";
import { readTopic } from "../../testing/fakes/log.ts";
import { expectedOf } from "../../oracle/oracle.ts";
import { type Server, startPostgres, using } from "../../../testing/servers/postgres.ts";

// The clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

let broker: Broker;
let server: Server;
let admin: Admin;
let folder: string;

Deno.test.beforeAll(async () => {
  [broker, server] = await Promise.all([startKafka(), startPostgres()]);
  admin = new Admin({ clientId: "test", bootstrapBrokers: [broker.bootstrap] });
  folder = await Deno.makeTempDir();
});

Deno.test.afterAll(async () => {
  await admin.close();
  await Promise.all([broker[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  await Deno.remove(folder, { recursive: true });
});

/** A service, and how to ask it. */
class Service implements AsyncDisposable {
  readonly env: Env;
  readonly #log: string;
  #child: Child | null = null;

  constructor(env: Env) {
    this.env = { HTTP_LISTEN: `127.0.0.1:${freePort()}`, LOG_FORMAT: "json", ...env };
    this.#log = `${folder}/${this.env["KAFKA_TOPIC"]}.log`;
  }

  start(): void {
    this.#child = Child.start(BINARY, ["run"], this.#log, this.env);
  }

  async stop(): Promise<void> {
    assert.equal(await this.#child?.end("SIGTERM"), 0, await this.log());
    this.#child = null;
  }

  async log(): Promise<string> {
    return await Deno.readTextFile(this.#log);
  }

  async ask(path: string): Promise<Response> {
    return await fetch(`http://${this.env["HTTP_LISTEN"]}${path}`, { signal: AbortSignal.timeout(3000) });
  }

  async status(): Promise<StatusReport> {
    return await (await this.ask("/api/status")).json();
  }

  /** Why it is not ready; null if it is. */
  async notReady(): Promise<string | null> {
    const answer = await this.ask("/ready");
    const { reason } = await answer.json();
    return answer.ok ? null : String(reason);
  }

  async metric(name: string): Promise<number> {
    const text = await (await this.ask("/metrics")).text();
    const lines = text.split("\n").filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  async isReady(): Promise<void> {
    await until("the service is ready", () => this.notReady().then((reason) => reason === null, () => false));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.end("SIGKILL");
  }
}

/** A service of its own topic and database. */
async function serviceOf(topic: string, partitions: number, env: Env = {}): Promise<Service> {
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 });
  const url = await server.createDatabase();
  const settings = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: url,
    ...env,
  };
  const { code, err } = await clickstream(["migrate"], { ...settings, DATABASE_URL: url });
  assert.equal(code, 0, err);
  return new Service(settings);
}

/** Sends clicks of fifty users, each of whom goes through all of these partitions. */
async function send(topic: string, partitions: readonly number[], count: number, name: string): Promise<void> {
  const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  const nowMs = Date.now();
  const messages = Array.from({ length: count }, (_, n) => ({
    partition: partitions[n % partitions.length]!,
    key: `user-${n % 50}`,
    value: JSON.stringify({
      eventId: `${name}-${n}`,
      userId: `user-${n % 50}`,
      eventType: n % 7 === 0 ? "purchase" : "page_view",
      page: `/p/${n % 11}`,
      // Some users come back after a long time, so that sessions grow together in any order.
      timestamp: nowMs - (n * 7919 % count) * 5000 % 7_200_000,
      price: n % 13,
    }),
  }));
  for (let at = 0; at < count; at += 500) await producer.send({ topic, messages: messages.slice(at, at + 500) });
  await producer.disconnect();
}

async function consumed(url: string): Promise<number> {
  return await using(url, async (db) => {
    const { rows } = await db.query<{ n: string }>(
      "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
    );
    return Number(rows[0]!.n);
  });
}

/** Every table against the second opinion on what the topic holds. */
async function agrees({ env }: Service): Promise<void> {
  const log = await readTopic({ brokers: [broker.bootstrap], topic: env["KAFKA_TOPIC"]! });
  const differences = await using(env["DATABASE_URL"]!, (db) => compareTables(db, expectedOf(log, { keepDays: 30 })));
  assert.equal(differences.length, 0, formatDifferences(differences));
}

/** Waits until all that the topic has is in the tables, but for so many control records. */
async function drained({ env }: Service, what: string, timeoutMs: number, controls = 0): Promise<void> {
  const topic = env["KAFKA_TOPIC"]!;
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).admin();
  await kafka.connect();
  const written = (await kafka.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0);
  await kafka.disconnect();
  await until(what, async () => await consumed(env["DATABASE_URL"]!) === written - controls, timeoutMs);
}

async function widen(name: string, count: number): Promise<void> {
  await admin.createPartitions({ topics: [{ name, count, assignments: null }], validateOnly: false });
  // What is sent to partitions that the broker doesn't tell of yet, kafkajs forgets.
  await until("the broker tells of them", async () => {
    const { topics } = await admin.metadata({ topics: [name], forceUpdate: true });
    return topics.get(name)!.partitions.filter(({ leader }) => leader >= 0).length === count;
  });
}

async function readsAdded(workers: number): Promise<void> {
  const topic = `added-${workers}`;
  await using service = await serviceOf(topic, 3, { WORKERS: String(workers) });
  service.start();
  await service.isReady();
  await send(topic, [0, 1, 2], 1500, "before");
  await drained(service, "the first are read", 60_000);

  await widen(topic, 7);
  await send(topic, [0, 1, 2, 3, 4, 5, 6], 7000, "added");
  await drained(service, "those of added partitions are read", 60_000);
  await until("all is known", async () => (await service.status()).partitions.every(({ lag }) => lag === 0));
  const { partitions, topicPartitions } = await service.status();
  assert.deepEqual(partitions.map(({ partition }) => partition), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(topicPartitions, 7);
  assert.equal(new Set(partitions.map(({ owner }) => owner)).size, workers);
  assert.equal(await service.metric("clickstream_partition_changes_total"), 1);
  assert.match(
    await service.log(),
    /now has 7 partitions instead of 3.*a duplicate is recognised only within one partition/,
  );

  await service.stop();
  await widen(topic, 9);
  await send(topic, [1, 7, 8], 300, "stopped");
  service.start();
  await drained(service, "those of partitions added meanwhile are read", 30_000);
  await agrees(service);
  await service.stop();
}

/** Waits until the service says that it stands still, which it must do in time; returns why. */
async function stalls(service: Service, sinceMs: number): Promise<string> {
  let reason: string | null = null;
  await until("it is said", async () => (reason = await service.notReady()) !== null, 15_000);
  const tookMs = performance.now() - sinceMs;
  assert.ok(tookMs <= 15_000, `it took ${tookMs} ms to say: ${reason}`);
  const { state, verdict } = await service.status();
  assert.deepEqual([state, verdict.level], ["waiting", "broken"], verdict.title);
  assert.equal(await service.metric("clickstream_ready"), 0);
  assert.equal((await service.ask("/health")).status, 200);
  return reason!;
}

async function saysWhatIsHeldUp(): Promise<void> {
  await using service = await serviceOf("transaction", 2, { WORKERS: "2" });
  service.start();
  await service.isReady();
  await send("transaction", [0, 1], 20, "before");
  const producer = new Producer({
    clientId: "test",
    bootstrapBrokers: [broker.bootstrap],
    transactionalId: "test",
    // For so long a transaction may be open.
    timeout: 60_000,
    idempotent: true,
    serializers: { value: (text?: string) => Buffer.from(text ?? "") },
  });
  const transaction = await producer.beginTransaction();
  const messages = Array.from({ length: 200 }, () => ({ topic: "transaction", partition: 1, value: "held up" }));
  await transaction.send({ messages });
  const sinceMs = performance.now();
  const selling = setInterval(() => send("transaction", [0], 5, `n${Math.random()}`).catch(() => {}), 1000);
  const reason = await stalls(service, sinceMs);
  clearInterval(selling);
  assert.match(reason, /^partition 1 has not moved for \d+ s: 200 records wait for an open transaction to end$/);
  const held = (await service.status()).partitions[1]!;
  assert.deepEqual([held.end! - held.stable!, held.lag], [200, 200]);
  const offset = (name: string) => service.metric(`clickstream_${name}{partition="1"}`);
  assert.deepEqual([await offset("high_watermark_offset"), await offset("last_stable_offset")], [
    held.end,
    held.stable,
  ]);
  assert.equal(await offset("lag_records"), 200);
  assert.equal(await service.metric('clickstream_stalls{reason="open_transaction"}'), 1);
  await transaction.commit();
  await producer.close();
  await until("it goes on", async () => await service.notReady() === null, 20_000);
  await drained(service, "what was held up is read", 30_000, 1);
  await service.stop();
}

async function saysThatPostgresIsFrozen(): Promise<void> {
  await using service = await serviceOf("frozen", 2, { WORKERS: "1" });
  const url = new URL(service.env["DATABASE_URL"]!);
  service.start();
  await service.isReady();
  const { rows } = await using(
    server.url(),
    (db) =>
      db.query<{ pid: number }>("select pid from pg_stat_activity where datname = $1 and application_name <> ''", [
        url.pathname.slice(1),
      ]),
  );
  assert.ok(rows.length > 0);
  for (const { pid } of rows) Deno.kill(pid, "SIGSTOP");
  try {
    await send("frozen", [0, 1], 10, "frozen");
    const reason = await stalls(service, performance.now());
    assert.match(reason, /^PostgreSQL has not answered a commit for \d+ s, and 10 records wait$/);
  } finally {
    for (const { pid } of rows) Deno.kill(pid, "SIGCONT");
  }
  await until("it goes on", async () => await service.notReady() === null, 20_000);
  await drained(service, "all is read", 30_000);
  await service.stop();
}

/** Takes connections and never says a word, as a frozen process does. */
function startSilent(): Disposable & { readonly broker: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken: Deno.Conn[] = [];
  (async () => {
    for await (const connection of listener) taken.push(connection);
  })();
  return {
    broker: `127.0.0.1:${listener.addr.port}`,
    [Symbol.dispose]() {
      listener.close();
      for (const connection of taken) connection.close();
    },
  };
}

async function passesSilentBrokers(): Promise<void> {
  using silent = startSilent();
  const KAFKA_BROKERS = `${silent.broker},${broker.bootstrap}`;
  await using service = await serviceOf("bootstrap", 2, { KAFKA_BROKERS, WORKERS: "1" });
  service.start();
  await service.isReady();
  const event = `${JSON.stringify({ userId: "u", eventType: "page_view", page: "/", timestamp: Date.now() })}\n`;
  await Deno.writeTextFile(`${folder}/event`, event);
  const startMs = performance.now();
  const [produced, generated] = await Promise.all([
    clickstream(["produce", `${folder}/event`], service.env),
    clickstream(["generate", "--rate", "50", "--seconds", "1", "--fast", "--json"], service.env),
  ]);
  const tookMs = performance.now() - startMs;
  for (const { code, err } of [produced, generated]) {
    assert.equal(code, 0, err);
  }
  await drained(service, "all is read", 30_000);
  // The clients by themselves wait for half a minute for such a broker, each of them.
  assert.ok(tookMs < 28_000, `it took ${tookMs} ms`);
  const named = `Kafka at ${silent.broker}: no answer within 5 s`;
  await until("the silent broker is named in the log", async () => (await service.log()).includes(named), 30_000);
  const { code, out } = await clickstream(["doctor"], service.env);
  assert.equal(code, 1, out);
  const wrong = out.split("\n").filter((line) => line.startsWith("✗"));
  assert.deepEqual(wrong.map((line) => line.includes(named)), [true], out);
  await service.stop();
}

/** A member of a group that isn't ours: it reads another topic, and gives nobody any of ours where it leads. */
async function startStranger(groupId: string, topic: string, assigner?: string): Promise<Consumer> {
  const own: PartitionAssigner = () => ({
    name: assigner!,
    version: 1,
    assign: ({ members }) =>
      Promise.resolve(members.map(({ memberId }) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: { [topic]: [] },
          userData: Buffer.alloc(0),
        }),
      }))),
    protocol: ({ topics }) => ({
      name: assigner!,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
    }),
  });
  const kafka = new Kafka({ clientId: "stranger", brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId, ...assigner === undefined ? {} : { partitionAssigners: [own] } });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.run({ eachMessage: () => Promise.resolve() });
  await joined;
  return consumer;
}

async function namesStrangers(assigner: string | undefined, says: RegExp): Promise<void> {
  const topic = `strange-${assigner}`;
  await using service = await serviceOf(topic, 2, { WORKERS: "1" });
  await admin.createTopics({ topics: [`${topic}-other`], partitions: 1, replicas: 1 });
  const stranger = await startStranger(topic, `${topic}-other`, assigner);
  service.start();
  let reason = "";
  await until("the stranger is named", async () => {
    reason = `${await service.notReady().catch(() => null)}`;
    return says.test(reason);
  }, 30_000).catch((error) => {
    throw new Error(`${error.message}, it says: ${reason}`);
  });
  const member = new RegExp(
    `group ${topic} has a member that does not read ${topic}: stranger at 127.0.0.1, which reads`,
  );
  assert.match(reason, member);
  const { verdict } = await service.status();
  assert.deepEqual([verdict.level, verdict.title], ["broken", "Another program is in the consumer group"]);
  assert.match(await service.log(), member);
  const { code, out } = await clickstream(["doctor"], service.env);
  assert.equal(code, 1);
  assert.match(
    out,
    /✗ kafka group: .*stranger at 127\.0\.0\.1, which reads .*-other; the group assigns partitions by consumer\/.* → stop it/,
  );
  await stranger.disconnect();
  await until("it has its partitions", async () => (await service.status()).partitions.length === 2, 20_000);
  assert.equal(await service.notReady(), null);
  await service.stop();
}

Deno.test("what is added is read, and what can't be read or committed is said within 15 s", leaky, async (t) => {
  const step = (name: string, fn: () => Promise<void>) => t.step({ name, fn, ...leaky, sanitizeExit: false });
  await Promise.all([
    step("partitions are added, with one worker", () => readsAdded(1)),
    step("partitions are added, with two workers", () => readsAdded(2)),
    step("a transaction is open", saysWhatIsHeldUp),
    step("PostgreSQL is frozen", saysThatPostgresIsFrozen),
    step("a broker of the list is silent", passesSilentBrokers),
    step("a stranger leads the group", () => namesStrangers("roundrobin", /the group leader assigned no partition/)),
    step("a stranger speaks another protocol", () => namesStrangers(undefined, /protocols are incompatible/)),
  ]);
});

Deno.test("a frozen broker is said within 15 s, and read again when it goes on", leaky, async () => {
  await using service = await serviceOf("silent", 4, { WORKERS: "2" });
  service.start();
  await service.isReady();
  await send("silent", [0, 1, 2, 3], 40, "before");
  await drained(service, "all is read", 30_000);
  // An idle topic is no stall.
  Deno.kill(broker.pid, "SIGSTOP");
  try {
    assert.match(await stalls(service, performance.now()), /Kafka/);
    await until(
      "the broker is named",
      async () => `${await service.notReady()}`.includes(`no answer within 5 s`),
      15_000,
    );
  } finally {
    Deno.kill(broker.pid, "SIGCONT");
  }
  await send("silent", [0, 1, 2, 3], 40, "after");
  await until("it goes on", async () => await service.notReady() === null, 40_000);
  await drained(service, "all is read", 30_000);
  await service.stop();
});
