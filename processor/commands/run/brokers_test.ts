/**
 * The service against brokers that change, freeze or block records: it reads what is available, and reports what is
 * not.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Admin, Producer } from "@platformatic/kafka";
import { AssignerProtocol, type Consumer, Kafka, logLevel, type PartitionAssigner } from "kafkajs";
import type { StatusReport } from "../../status/report.ts";
import { BINARY, clickstream, type Env } from "../../../testing/servers/binary.ts";
import { Child, freePort, until } from "../../../testing/servers/child.ts";
import { compareTables, formatDifferences } from "../../oracle/differences.ts";
import { type Broker, startKafka } from "../../../testing/servers/kafka.ts";
import { readTopic, writtenTo } from "../../testing/fakes/log.ts";
import { expectedOf } from "../../oracle/oracle.ts";
import { consumedBy } from "../../../testing/servers/databases.ts";
import { type Server, startPostgres, using } from "../../../testing/servers/postgres.ts";

// The clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

let broker: Broker;
let server: Server;
let admin: Admin;
let folder: string;

Deno.test.beforeAll(async () => {
  [broker, server] = await Promise.all([startKafka(), startPostgres()]);
  admin = newAdmin();
  folder = await Deno.makeTempDir();
});

Deno.test.afterAll(async () => {
  await admin.close();
  await Promise.all([broker[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  await Deno.remove(folder, { recursive: true });
});

const newAdmin = () => new Admin({ clientId: "test", bootstrapBrokers: [broker.bootstrap] });

/** A service, and requests to it. */
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

  async kill(): Promise<void> {
    await this.#child?.end("SIGKILL");
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

/** Sends clicks of fifty users; each user has clicks in all of these partitions. */
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
      // Some users return after a long time, so that sessions are merged in any order.
      timestamp: nowMs - (n * 7919 % count) * 5000 % 7_200_000,
      price: n % 13,
    }),
  }));
  for (let at = 0; at < count; at += 500) await producer.send({ topic, messages: messages.slice(at, at + 500) });
  await producer.disconnect();
}

/** Asserts that every table agrees with the oracle's reading of the topic. */
async function agrees({ env }: Service): Promise<void> {
  const log = await readTopic({ brokers: [broker.bootstrap], topic: env["KAFKA_TOPIC"]! });
  const differences = await using(env["DATABASE_URL"]!, (db) => compareTables(db, expectedOf(log, { keepDays: 30 })));
  assert.equal(differences.length, 0, formatDifferences(differences));
}

/** Waits until every record of the topic is committed, except `controls` control records. */
async function drained({ env }: Service, what: string, timeoutMs: number, controls = 0): Promise<void> {
  const written = await writtenTo([broker.bootstrap], env["KAFKA_TOPIC"]!);
  await until(what, async () => await consumedBy(env["DATABASE_URL"]!) === written - controls, timeoutMs);
}

async function widen(name: string, count: number): Promise<void> {
  // With one client for all, a call while another waits would do nothing, and report the result of the other.
  const own = newAdmin();
  await own.createPartitions({ topics: [{ name, count, assignments: null }], validateOnly: false });
  // kafkajs drops records for partitions that the broker's metadata does not list yet.
  await until("the broker lists the new partitions", async () => {
    const { topics } = await own.metadata({ topics: [name], forceUpdate: true });
    return topics.get(name)!.partitions.filter(({ leader }) => leader >= 0).length === count;
  });
  await own.close();
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
  await drained(service, "the records of added partitions are read", 60_000);
  await until(
    "the lag of every partition is 0",
    async () => (await service.status()).partitions.every(({ lag }) => lag === 0),
  );
  // One worker may have read all of them while the other was joining the group again.
  await until("every worker has partitions", async () => {
    const { partitions } = await service.status();
    return partitions.length === 7 && new Set(partitions.map(({ owner }) => owner)).size === workers;
  });
  const { partitions, topicPartitions } = await service.status();
  assert.deepEqual(partitions.map(({ partition }) => partition), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(topicPartitions, 7);
  assert.equal(await service.metric("clickstream_partition_changes_total"), 1);
  assert.match(
    await service.log(),
    /now has 7 partitions instead of 3.*a duplicate is recognised only within one partition/,
  );

  await service.stop();
  await widen(topic, 9);
  await send(topic, [1, 7, 8], 300, "stopped");
  service.start();
  await drained(service, "the records of partitions added during the stop are read", 30_000);
  await agrees(service);
  await service.stop();
}

/** Waits until the service reports a stall, which must be within 15 s; returns the reason. */
async function stalls(service: Service, sinceMs: number): Promise<string> {
  let reason: string | null = null;
  await until("the stall is reported", async () => (reason = await service.notReady()) !== null, 15_000);
  const tookMs = performance.now() - sinceMs;
  assert.ok(tookMs <= 15_000, `it took ${tookMs} ms to report: ${reason}`);
  const { state, verdict } = await service.status();
  assert.deepEqual([state, verdict.level], ["waiting", "broken"], verdict.title);
  assert.equal(await service.metric("clickstream_ready"), 0);
  assert.equal((await service.ask("/health")).status, 200);
  return reason!;
}

async function reportsOpenTransaction(): Promise<void> {
  await using service = await serviceOf("transaction", 2, { WORKERS: "2" });
  service.start();
  await service.isReady();
  await send("transaction", [0, 1], 20, "before");
  const producer = new Producer({
    clientId: "test",
    bootstrapBrokers: [broker.bootstrap],
    transactionalId: "test",
    // Longest time that a transaction may be open, in milliseconds.
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
  await until("the service is ready again", async () => await service.notReady() === null, 20_000);
  await drained(service, "the blocked records are read", 30_000, 1);
  await service.stop();
}

async function reportsFrozenPostgres(): Promise<void> {
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
  await until("the service is ready again", async () => await service.notReady() === null, 20_000);
  await drained(service, "every record is committed", 30_000);
  await service.stop();
}

/** Accepts connections and never answers, like a frozen process. */
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
  await drained(service, "every record is committed", 30_000);
  // Without our bootstrap, each client waits 30 s for such a broker.
  assert.ok(tookMs < 28_000, `it took ${tookMs} ms`);
  const named = `Kafka at ${silent.broker}: no answer within 5 s`;
  await until("the silent broker is named in the log", async () => (await service.log()).includes(named), 30_000);
  const { code, out } = await clickstream(["doctor"], service.env);
  assert.equal(code, 1, out);
  const wrong = out.split("\n").filter((line) => line.startsWith("✗"));
  assert.deepEqual(wrong.map((line) => line.includes(named)), [true], out);
  await service.stop();
}

/** A foreign group member: it reads another topic, and as the leader assigns no partition of ours to anyone. */
async function startForeignMember(groupId: string, topic: string, assigner?: string): Promise<Consumer> {
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

async function reportsForeignMember(assigner: string | undefined, says: RegExp): Promise<void> {
  const topic = `strange-${assigner}`;
  await using service = await serviceOf(topic, 2, { WORKERS: "1" });
  await admin.createTopics({ topics: [`${topic}-other`], partitions: 1, replicas: 1 });
  const stranger = await startForeignMember(topic, `${topic}-other`, assigner);
  service.start();
  let reason = "";
  await until("the foreign member is named", async () => {
    reason = `${await service.notReady().catch(() => null)}`;
    return says.test(reason);
  }, 30_000).catch((error) => {
    throw new Error(`${error.message}, it reports: ${reason}`);
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
  await until("the service has its partitions", async () => (await service.status()).partitions.length === 2, 20_000);
  assert.equal(await service.notReady(), null);
  await service.stop();
}

Deno.test("reads added partitions, and reports within 15 s what it cannot read or commit", leaky, async (t) => {
  const step = (name: string, fn: () => Promise<void>) => t.step({ name, fn, ...leaky, sanitizeExit: false });
  await Promise.all([
    step("partitions are added, with one worker", () => readsAdded(1)),
    step("partitions are added, with two workers", () => readsAdded(2)),
    step("an open transaction blocks records", reportsOpenTransaction),
    step("PostgreSQL is frozen", reportsFrozenPostgres),
    step("one of the bootstrap brokers never answers", passesSilentBrokers),
    step(
      "a foreign member leads the group",
      () => reportsForeignMember("roundrobin", /the group leader assigned no partition/),
    ),
    step("a foreign member uses another protocol", () => reportsForeignMember(undefined, /protocols are incompatible/)),
  ]);
});

Deno.test("a killed process starts again without waiting for its former membership", leaky, async () => {
  await using service = await serviceOf("killed", 4, { WORKERS: "2" });
  service.start();
  await service.isReady();
  await send("killed", [0, 1, 2, 3], 40, "before");
  await drained(service, "every record is committed", 30_000);
  await service.kill();
  await send("killed", [0, 1, 2, 3], 40, "after");
  service.start();
  // The group waits for 10 s for a member that is silent.
  await drained(service, "every record is committed", 6_000);
  assert.equal((await clickstream(["doctor"], service.env)).code, 0);
  await service.stop();
});

Deno.test("reports a frozen broker within 15 s, and reads again when it recovers", leaky, async () => {
  await using service = await serviceOf("silent", 4, { WORKERS: "2" });
  service.start();
  await service.isReady();
  await send("silent", [0, 1, 2, 3], 40, "before");
  await drained(service, "every record is committed", 30_000);
  // The topic is idle now; only the frozen broker may cause a stall.
  Deno.kill(broker.pid, "SIGSTOP");
  try {
    assert.match(await stalls(service, performance.now()), /Kafka/);
    // Which request of the broker is told of depends on what it was asked when it froze; each has a limit of its own.
    const told = new Set<string>();
    const isNamed = async () => {
      const reason = `${await service.notReady()}`;
      told.add(reason);
      return /Kafka at \S+: no answer within \d+ s/.test(reason);
    };
    await until("the broker is named", isNamed, 30_000).catch((error) => {
      throw new Error(`${error.message}; told were: ${[...told].join("; ")}`);
    });
  } finally {
    Deno.kill(broker.pid, "SIGCONT");
  }
  await send("silent", [0, 1, 2, 3], 40, "after");
  await until("the service is ready again", async () => await service.notReady() === null, 40_000);
  await drained(service, "every record is committed", 30_000);
  await service.stop();
});
