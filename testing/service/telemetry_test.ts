/**
 * Telemetry of the whole program: what an OpenTelemetry collector gets of it, what the log says, that a collector which
 * hangs holds up nothing, and that without settings nothing is sent to anybody.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Buffer } from "node:buffer";
import { parse } from "yaml";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { hasCollector, startCollector } from "../servers/collector.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { exactProducerTo } from "../servers/load.ts";
import { type OtlpReceiver, type ReceivedSpan, startOtlp } from "../servers/otlp.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";

// kafkajs, which the broker's helper uses, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The collector's configuration in the documentation. */
async function documented(): Promise<string> {
  const page = await Deno.readTextFile(`${ROOT}docs/telemetry.md`);
  return /```yaml\n(.*?)```/s.exec(page)![1]!;
}

/** A topic and a database with the schema, on a shared broker and server. */
async function shop(broker: Broker, server: Server, name: string) {
  const env = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: name,
    KAFKA_GROUP_ID: name,
    DATABASE_URL: await server.createDatabase(),
    HTTP_LISTEN: `127.0.0.1:${freePort()}`,
    LOG_LEVEL: "debug",
    LOG_FORMAT: "json",
    WORKERS: "1",
  };
  await broker.createTopic(name, 2);
  const { code, err } = await clickstream(["migrate"], env);
  assert.equal(code, 0, err);
  return env;
}

const parentOf = (n: number, flags: "00" | "01") =>
  `00-${"c".repeat(28)}${String(n).padStart(4, "0")}-${"d".repeat(12)}${String(n).padStart(4, "0")}-${flags}`;

/** Sends clicks: every second one with a trace that was kept, the others with one that was not. */
async function sends(broker: Broker, topic: string, from: number, count: number): Promise<void> {
  const producer = exactProducerTo(broker.bootstrap);
  const now = Date.now();
  const messages = Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const headers = new Map([
      [Buffer.from("source"), Buffer.from("test")],
      [Buffer.from("traceparent"), Buffer.from(parentOf(n, n % 2 === 0 ? "01" : "00"))],
    ]);
    const event = { eventId: `e${n}`, userId: `u${n}`, eventType: "page_view", page: "/", timestamp: now };
    const value = Buffer.from(JSON.stringify(event));
    return { topic, partition: n % 2, key: Buffer.from(event.userId), value, headers, timestamp: BigInt(now) };
  });
  await producer.send({ messages });
  await producer.close();
}

async function stored(env: Env): Promise<number> {
  return await using(env["DATABASE_URL"]!, async (db) => {
    const { rows } = await db.query<{ n: string }>("select count(*)::text as n from clickstream.events");
    return Number(rows[0]!.n);
  });
}

/** The whole lines of a log. */
async function linesOf(file: string): Promise<Record<string, unknown>[]> {
  const text = await Deno.readTextFile(file);
  return text.split("\n").slice(0, -1).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

/** Whether two workers have divided two partitions, so that nothing interrupts their commits any more. */
async function isDivided(log: string): Promise<boolean> {
  const reading = (await linesOf(log)).filter(({ msg }) => msg === "reading").slice(-2);
  return JSON.stringify(reading.map(({ partitions }) => partitions).sort()) === "[[0],[1]]";
}

const roots = (spans: readonly ReceivedSpan[]) => spans.filter(({ parentId }) => parentId === "");

Deno.test("telemetry of the service", leaky, async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-telemetry-" });
  await using broker = await startKafka();
  await using server = await startPostgres();

  const isTraced = async (receiver: OtlpReceiver, endpoint: string, name: string) => {
    const env = {
      ...await shop(broker, server, name),
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
      OTEL_EXPORTER_OTLP_HEADERS: "x-token=hunter2%2C",
      WORKERS: "2",
    };
    const log = `${folder}/${name}.log`;
    await Deno.create(log).then((file) => file.close());
    {
      await using service = Child.start(BINARY, ["run"], log, env);
      await until("two workers read", () => isDivided(log), 60_000, 200);
      await sends(broker, name, 0, 40);
      await until("stored", async () => await stored(env) === 40, 60_000, 200);
      // A commit that loses its connection half-way, and its retry.
      await using(env.DATABASE_URL, (db) =>
        db.transaction(async (tx) => {
          await tx.exec("lock table clickstream.traffic");
          await sends(broker, name, 40, 2);
          const ended = `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%clickstream.traffic%'`;
          // A transaction sees the same activity all along, so another one looks.
          const end = () => using(env.DATABASE_URL, async (other) => (await other.query(ended)).rowCount === 1);
          await until("a commit waits", end);
        }));
      await until("stored", async () => await stored(env) === 42, 60_000, 200);
      assert.equal(await service.end("SIGTERM"), 0, await service.tail());
    }
    return { env, log, spans: receiver.spans };
  };

  /** Checks what came of a run. */
  const compare = async ({ log, spans }: { log: string; spans: readonly ReceivedSpan[] }, receiver: OtlpReceiver) => {
    const commits = roots(spans);
    const lines = await linesOf(log);
    const named = (message: string) => lines.filter(({ msg }) => msg === message);
    const idsOf = (of: readonly Record<string, unknown>[]) =>
      of.map((line) => `${line["trace_id"]}/${line["span_id"]}`);
    const applied = commits.filter(({ status }) => status.code === 0);
    assert.deepEqual(
      idsOf(named("committed")).sort(),
      applied.map(({ traceId, spanId }) => `${traceId}/${spanId}`).sort(),
      "each line about a commit names its span",
    );
    const failed = commits.filter(({ status }) => status.code === 2);
    assert.deepEqual(failed.map(({ attributes }) => attributes["error.type"]), ["postgres_unreachable"]);
    const failures = named("failed; will retry").filter((line) => line["trace_id"] !== undefined);
    assert.deepEqual(idsOf(failures), failed.map(({ traceId, spanId }) => `${traceId}/${spanId}`));
    const linked = applied.flatMap(({ links }) => links);
    const expected = Array.from({ length: 42 }, (_, n) => n).filter((n) => n % 2 === 0);
    assert.deepEqual(
      linked.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`).sort(),
      expected.map((n) => parentOf(n, "01")),
    );
    const sum = applied.reduce((sum, { attributes }) => sum + Number(attributes["clickstream.events.stored"]), 0);
    assert.equal(sum, 42);
    for (const { traceId } of applied) {
      const names = spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
      for (const part of ["decode", "fold", "encode", "write", "COPY clickstream.events", "COMMIT"]) {
        assert.ok(names.includes(part), `${part} is missing of ${names}`);
      }
    }
    const [first] = receiver.received;
    assert.equal(first!.resource["service.name"], "clickstream");
    const metrics = receiver.received.flatMap(({ metrics }) => metrics);
    const last = metrics.findLast(({ name }) => name === "clickstream_events_total")!;
    assert.deepEqual(last.points.find(({ attributes }) => attributes["outcome"] === "stored")!.value, 42);
    assert.ok(!(await Deno.readTextFile(log)).includes("hunter2"));
  };

  await t.step(
    "a trace for each commit, linked with its records and named in the log; metrics; all headers",
    async () => {
      await using receiver = startOtlp();
      const ran = await isTraced(receiver, receiver.url, "traced");
      await compare(ran, receiver);
      assert.ok(receiver.received.every(({ headers }) => headers.get("x-token") === "hunter2,"));
      const { out } = await clickstream(["doctor"], ran.env);
      assert.match(out, /✓ telemetry: http:\/\/127\.0\.0\.1:\d+ takes traces\n✓ telemetry: .* takes metrics/);
    },
  );

  const why = await hasCollector() ? "" : " (needs `deno task otlp:check`)";
  await t.step({
    name: `the same through a real collector with the configuration of the documentation${why}`,
    ignore: why !== "",
    async fn() {
      await using receiver = startOtlp();
      let ran: Awaited<ReturnType<typeof isTraced>>;
      {
        await using collector = await startCollector(await documented(), receiver.url, folder);
        ran = await isTraced(receiver, collector.url, "collected");
      }
      await compare({ ...ran, spans: receiver.spans }, receiver);
    },
  });

  await t.step("the configuration of the documentation passes on what it takes", async () => {
    const { receivers, processors, exporters, service } = parse(await documented());
    assert.deepEqual(Object.keys(service.pipelines), ["traces", "metrics"]);
    for (const pipeline of Object.values<Record<string, string[]>>(service.pipelines)) {
      for (const [kind, all] of Object.entries({ receivers, processors, exporters })) {
        assert.ok(pipeline[kind]!.length > 0);
        for (const name of pipeline[kind]!) assert.ok(Object.hasOwn(all, name), name);
      }
    }
    assert.equal(receivers.otlp.protocols.http.endpoint, "127.0.0.1:4318");
  });

  await t.step("a collector that hangs holds up neither commits nor the end", async () => {
    await using receiver = startOtlp(() => new Promise(() => {}));
    const env = { ...await shop(broker, server, "hung"), OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
    await using service = Child.start(BINARY, ["run"], `${folder}/hung.log`, env);
    for (let n = 0; n < 5; n++) await sends(broker, "hung", n * 10, 10);
    await until("stored", async () => await stored(env) === 50, 30_000, 100);
    const beganMs = performance.now();
    assert.equal(await service.end("SIGTERM"), 0, await service.tail());
    assert.ok(performance.now() - beganMs < 8000);
  });

  for (const [name, off] of [["silent", {}], ["disabled", { OTEL_SDK_DISABLED: "true" }]] as const) {
    await t.step(`connects to Kafka and PostgreSQL alone (${name})`, async () => {
      await using receiver = startOtlp();
      const audit = `${folder}/${name}.jsonl`;
      const more = name === "silent" ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...off };
      const env = { ...await shop(broker, server, name), ...more, DENO_AUDIT_PERMISSIONS: audit, WORKERS: "2" };
      // Deno notes each use of the network, in every thread.
      const args = ["run", "--allow-all", "--quiet", `${ROOT}processor/main.ts`, "run"];
      await using service = Child.start(Deno.execPath(), args, `${folder}/${name}.log`, env);
      await sends(broker, name, 0, 10);
      await until("stored", async () => await stored(env) === 10, 60_000, 100);
      assert.equal(await service.end("SIGTERM"), 0, await service.tail());
      const notes = (await Deno.readTextFile(audit)).trim().split("\n").map((line) => JSON.parse(line));
      const used = new Set(notes.filter(({ permission }) => permission === "net").map(({ value }) => value));
      const { hostname, port } = new URL(env.DATABASE_URL);
      const expected = [broker.bootstrap, `${hostname}:${port}`, env.HTTP_LISTEN];
      assert.deepEqual([...used].sort(), expected.toSorted());
      assert.deepEqual(receiver.received, []);
    });
  }
  await Deno.remove(folder, { recursive: true });
});
