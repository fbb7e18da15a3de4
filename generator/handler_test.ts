/**
 * The Lambda function as it is deployed: from its archive, in Node, called as the runtime calls it, against a real
 * broker over TLS and SCRAM, with its secrets stored as on AWS.
 */
import assert from "node:assert/strict";
import { type Cloud, startCloud } from "../infra/testing/aws.ts";
import { bundleLambda, HANDLER } from "../tasks/lambda.ts";
import { freePort, prepared, run } from "../testing/servers/child.ts";
import { type Broker, startKafka, USER } from "../testing/servers/kafka.ts";
import { readTopic } from "../processor/testing/fakes/log.ts";
import type { Sent, Tick } from "./handler.ts";

// kafkajs, which checks that the broker is up, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Calls the handler with each tick in turn, as the runtime does; prints the results after the handler's own output. */
const RUNTIME = `
const [, module, name, ticks, timeoutMs] = process.argv;
const { [name]: handler } = await import(module);
for (const tick of JSON.parse(ticks)) {
  const untilMs = Date.now() + Number(timeoutMs);
  const context = {
    functionName: "shop",
    awsRequestId: "1",
    getRemainingTimeInMillis: () => untilMs - Date.now(),
  };
  const startedMs = Date.now();
  const outcome = await handler(tick, context).then((sent) => ({ sent }), ({ message }) => ({ message }));
  console.log("outcome " + JSON.stringify({ ...outcome, tookMs: Date.now() - startedMs }));
}
process.exit(0);
`;

/** Node version of the function's runtime. */
const NODE = "24.21.0";

/** That Node version, installed from its package. */
async function node(): Promise<string> {
  const name = `node-linux-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
  const folder = await prepared(`node-${NODE}`, async (folder) => {
    const options = ["--no-save", "--silent", "--ignore-scripts", "--prefix", folder];
    await run("npm", ["install", ...options, `${name}@${NODE}`]);
  });
  return `${folder}/node_modules/${name}/bin/node`;
}

interface Outcome {
  readonly sent?: Sent;
  readonly message?: string;
  readonly tookMs: number;
}

interface Called {
  readonly outcomes: readonly Outcome[];
  /** Lines of the log that contain the metrics. */
  readonly metrics: readonly Record<string, unknown>[];
  readonly log: string;
}

Deno.test("the simulator as a Lambda function", leaky, async (t) => {
  const folder = await Deno.makeTempDir();
  await bundleLambda(`${folder}/generator.zip`);
  const archive = await Deno.readFile(`${folder}/generator.zip`);
  const [file, name] = HANDLER.split(".");
  await run("python3", ["-m", "zipfile", "-e", `${folder}/generator.zip`, `${folder}/task`]);
  await using cloud = await startCloud();
  await using broker = await startKafka({ secure: { tls: true, sasl: "SCRAM-SHA-512" } });
  const env = await environment(cloud, broker);
  const program = await node();
  const call = async (ticks: readonly Tick[], changed: Record<string, string> = {}, timeoutMs = 30_000) => {
    const runtime = ["--input-type=module", "-e", RUNTIME, `${folder}/task/${file}.mjs`, name!];
    const command = new Deno.Command(program, {
      args: [...runtime, JSON.stringify(ticks), String(timeoutMs)],
      env: { ...env, ...changed, PATH: Deno.env.get("PATH")! },
      clearEnv: true,
    });
    const { stdout, stderr } = await command.output();
    return called(new TextDecoder().decode(stdout), new TextDecoder().decode(stderr));
  };

  await t.step("the same sources give the same bytes", async () => {
    await bundleLambda(`${folder}/again/generator.zip`);
    assert.deepEqual(await Deno.readFile(`${folder}/again/generator.zip`), archive);
    assert.ok(archive.length < 1_000_000);
  });

  await t.step("a tick sends the events before it; a repeated tick sends nothing new", async () => {
    const tick = { time: "2026-11-25T09:58:03Z" };
    const first = await call([tick]);
    const [{ sent }] = first.outcomes as [Outcome];
    assert.ok(sent !== undefined, first.log);
    assert.deepEqual([sent.from, sent.to], ["2026-11-25T09:57:50.000Z", "2026-11-25T09:58:00.000Z"]);
    assert.ok(sent.records > 300 && sent.coldStart, JSON.stringify(sent));
    const before = await idsOf(broker);
    assert.equal(before.all, sent.records);
    const [metric] = first.metrics as [Record<string, unknown>];
    assert.deepEqual([metric["Records"], metric["Failures"], metric["ColdStarts"]], [sent.records, 0, 1]);
    assert.ok(Number(metric["InitDuration"]) > 0 && Number(metric["Duration"]) > 0);

    // The same tick again in another process, followed by another tick.
    const second = await call([tick, { time: "2026-11-25T09:58:11Z" }]);
    const [again, next] = second.outcomes.map(({ sent }) => sent) as [Sent, Sent];
    assert.equal(again.records, sent.records);
    assert.deepEqual([next.from, next.coldStart], [sent.to, false]);
    const after = await idsOf(broker);
    assert.equal(after.all, 2 * before.all + next.records);
    const added = [...after.ids].filter((id) => !before.ids.has(id));
    assert.ok(added.length > 0 && added.length <= next.records);
    // A repeated record equals the first one in everything but its offset.
    for (const [record, times] of after.records) if (before.records.has(record)) assert.ok(times >= 2, record);
  });

  await t.step(
    "a refusing broker, a silent broker and a wrong password have different errors, in time",
    async () => {
      const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const faults: readonly (readonly [Record<string, string>, RegExp])[] = [
        [
          { KAFKA_BROKERS: `localhost:${freePort()}` },
          /^can't reach Kafka at localhost:\d+, .*ECONNREFUSED.*check KAFKA_BROKERS/,
        ],
        [
          { KAFKA_BROKERS: `localhost:${silent.addr.port}` },
          /^can't (send to|reach) Kafka at localhost:\d+, topic clicks: /,
        ],
        [{ KAFKA_SASL_PASSWORD_SECRET: "", KAFKA_SASL_PASSWORD: "wrong-one" }, /check KAFKA_SASL_MECHANISM/],
        [{ KAFKA_SASL_PASSWORD_SECRET: "nowhere" }, /^can't read the secret nowhere: .*role/],
        [{ KAFKA_TLS_CA_PARAMETERS: "/no/such" }, /^can't read the parameters \/no\/such: there is no \/no\/such yet/],
        [{ GENERATOR_RATE: "lots" }, /^GENERATOR_RATE is "lots"; it must be a whole number from 1 to 10000/],
        [{ KAFKA_PARTITIONS: "0" }, /KAFKA_PARTITIONS is "0"; it must be a whole number/],
      ];
      // A few at a time, because each starts a process. The first two brokers use up their time.
      const calls = (some: typeof faults, timeoutMs: number) =>
        Promise.all(some.map(([changed]) => call([{}], changed, timeoutMs)));
      const all = [...await calls(faults.slice(0, 2), 8000), ...await calls(faults.slice(2), 30_000)];
      silent.close();
      for (const [n, { outcomes: [outcome], metrics: [metric], log }] of all.entries()) {
        assert.match(outcome!.message ?? "none", faults[n]![1]);
        assert.ok(outcome!.tookMs < (n < 2 ? 8000 : 30_000), `${outcome!.message} took ${outcome!.tookMs} ms`);
        assert.equal(metric!["Failures"], 1);
        assert.doesNotMatch(log, new RegExp(`${USER.password}|wrong-one`));
      }
    },
  );
  await Deno.remove(folder, { recursive: true });
});

/** The function's settings on AWS: locations of secrets, not the secrets themselves. */
async function environment(cloud: Cloud, broker: Broker): Promise<Record<string, string>> {
  await broker.createTopic("clicks", 3);
  await cloud.setParameter("/shop/broker-1", broker.caPem);
  return {
    ...cloud.env,
    KAFKA_BROKERS: broker.secureBootstrap,
    KAFKA_TOPIC: "clicks",
    KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
    KAFKA_SASL_USERNAME: USER.username,
    KAFKA_SASL_PASSWORD_SECRET: await cloud.makeSecret("generator", USER.password),
    KAFKA_TLS_CA_PARAMETERS: "/shop/broker-1",
    GENERATOR_RATE: "50",
    GENERATOR_SECONDS: "10",
  };
}

function called(out: string, err: string): Called {
  const lines = out.split("\n").filter((line) => line !== "");
  const outcomes = lines.filter((line) => line.startsWith("outcome ")).map((line) => JSON.parse(line.slice(8)));
  const metrics = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  assert.ok(outcomes.length > 0, out + err);
  return { outcomes, metrics, log: out + err };
}

/** The records of the topic: their number, each event id, and each record with its number of copies. */
async function idsOf(broker: Broker): Promise<{ all: number; ids: Set<string>; records: Map<string, number> }> {
  const ids = new Set<string>();
  const records = new Map<string, number>();
  let all = 0;
  const { partitions } = await readTopic({ brokers: [broker.bootstrap], topic: "clicks" });
  for (const { time, value } of partitions.flat()) {
    const text = new TextDecoder().decode(value!);
    const { eventId } = JSON.parse(text);
    assert.equal(typeof eventId, "string");
    ids.add(eventId);
    const record = `${time} ${text}`;
    records.set(record, (records.get(record) ?? 0) + 1);
    all++;
  }
  return { all, ids, records };
}
