/**
 * `deno task bench`: throughput and cost of draining a full topic, and latency at a low rate. Starts Kafka and
 * PostgreSQL, loads the topic, runs the service in each case, and prints a table. With `--peers`, Kafka Streams and
 * Spark run one of the cases for comparison.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exists, until } from "../testing/servers/child.ts";
import { type Broker, startKafka } from "../testing/servers/kafka.ts";
import { type Server, startPostgres, using } from "../testing/servers/postgres.ts";
import { FROM_MS, type Load, recordsOf } from "./clicks.ts";
import { compared, comparison } from "../processor/commands/demo/figures.ts";
import type { Counts } from "../generator/records.ts";
import { build } from "../tasks/build.ts";
import { tableByRow } from "../processor/status/text.ts";
import { DAY_MS } from "../processor/views/view.ts";
import { type Latency, liveLatency } from "./latency.ts";
import { load } from "./load.ts";
import { hindrance, type Ours, PEERS, runPeers } from "./peers.ts";
import { prepare, type Prepared } from "./service.ts";
import { processCpuSeconds, residentPeakMb, treeCpuSeconds } from "./usage.ts";
import type { Database } from "../processor/postgres/database.ts";

const BINARY = fileURLToPath(new URL("../dist/clickstream", import.meta.url));
const MAIN = fileURLToPath(new URL("../processor/main.ts", import.meta.url));

/** Events/s in the latency measurement. */
const LIVE_PER_SECOND = 2000;

/** The case that the peers run too. */
const PEERS_CASE = "windows only";

/** Settings of each case. */
const CASES: Readonly<Record<string, Record<string, string>>> = {
  [PEERS_CASE]: { VIEWS: "traffic,pages,active_users", STORE_EVENTS: "false" },
  "windows and raw events": { VIEWS: "traffic,pages,active_users", STORE_EVENTS: "true" },
  "all views": { STORE_EVENTS: "false" },
  "all views and raw events": { STORE_EVENTS: "true" },
};

/** Result of one run of a case. */
interface Outcome {
  readonly events: number;
  readonly firstResultMs: number;
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly databaseCpuUs: number;
  readonly peakMb: number;
}

/** A filled topic, and the simulator's counts if the simulator filled it. */
interface Filled {
  readonly topic: string;
  readonly records: number;
  readonly counts: Counts | null;
}

/** Settings of a case, and the program that runs it. */
function prepared(
  broker: Broker,
  topic: string,
  url: string,
  args: Options,
  settings: Record<string, string>,
): Promise<Prepared> {
  const all = {
    LOG_LEVEL: args.verbose ? "debug" : "warn",
    // The load is of a past day.
    EVENTS_KEEP_DAYS: String(Math.ceil((Date.now() - FROM_MS) / DAY_MS) + 7),
    ...settings,
  };
  if (!args.sources) return prepare(broker.bootstrap, topic, url, all);
  return prepare(broker.bootstrap, topic, url, all, [Deno.execPath(), "run", "-A", "--quiet", ...args.v8, MAIN]);
}

/** Sends events to an empty topic and measures their latency. */
async function live(
  broker: Broker,
  server: Server,
  partitions: number,
  args: Options,
  settings: Record<string, string>,
): Promise<Latency> {
  const topic = `live-${crypto.randomUUID()}`;
  await broker.createTopic(topic, partitions);
  const url = await server.createDatabase();
  const { log, address, start } = await prepared(broker, topic, url, args, settings);
  await using service = start();
  await until("it is ready", () => fetch(`${address}ready`).then(({ ok }) => ok, () => false), 30_000, 20);
  const pace = { perSecond: LIVE_PER_SECOND, seconds: Number(args.live) };
  const latency = await liveLatency(broker.bootstrap, { topic, partitions }, url, pace);
  await service.end("SIGTERM");
  if (args.verbose) console.log(await Deno.readTextFile(log));
  await Deno.remove(log);
  return latency;
}

async function drain(
  broker: Broker,
  server: Server,
  { topic, records: n, counts }: Filled,
  args: Options,
  settings: Record<string, string>,
): Promise<{ readonly outcome: Outcome; readonly url: string }> {
  const url = await server.createDatabase();
  const { log, start } = await prepared(broker, topic, url, args, {
    ...settings,
    // The simulator's records are of now; some of them are expired.
    ...counts !== null && { EVENTS_KEEP_DAYS: "30" },
  });
  const databaseBefore = await treeCpuSeconds(server.pid);
  const startedMs = performance.now();
  await using service = start();
  const outcome = await using(url, async (db): Promise<Outcome> => {
    let first: { atMs: number; consumed: number; cpu: number } | null = null;
    let last = { atMs: 0, consumed: 0 };
    await until(
      "everything is taken in",
      async () => {
        if (service.ended) throw new Error(`the service ended:\n${await service.tail()}`);
        const { rows } = await db.query<{ n: string }>(
          "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
        );
        const consumed = Number(rows[0]!.n);
        if (consumed > last.consumed) last = { atMs: performance.now(), consumed };
        if (first === null && consumed > 0) first = { ...last, cpu: await processCpuSeconds(service.pid) };
        return consumed >= n;
      },
      600_000,
      20,
    );
    const cpu = await processCpuSeconds(service.pid);
    const { atMs, consumed } = first!;
    return {
      events: n,
      firstResultMs: atMs - startedMs,
      perSecond: last.consumed === consumed ? NaN : (last.consumed - consumed) / (last.atMs - atMs) * 1000,
      cpuUs: cpu / n * 1e6,
      databaseCpuUs: (await treeCpuSeconds(server.pid) - databaseBefore) / n * 1e6,
      peakMb: await residentPeakMb(service.pid),
    };
  });
  await service.end("SIGTERM");
  if (args.verbose) console.log(await Deno.readTextFile(log));
  await using(url, async (db) => {
    if (counts !== null) await assertAgree(db, counts, settings["STORE_EVENTS"] === "true");
    else await assertCounts(db, n, settings["VIEWS"] === undefined, settings["STORE_EVENTS"] === "true");
  });
  await Deno.remove(log);
  return { outcome, url };
}

/** Fails if the tables don't hold what was sent: the figures would be wrong. */
async function assertCounts(db: Database, n: number, allViews: boolean, raw: boolean): Promise<void> {
  const sums = [["traffic", "sum(events)"], ["progress", "sum(stored)"]];
  if (allViews) sums.push(["sessions", "sum(events)"], ["user_days", "sum(events)"]);
  if (raw) sums.push(["events", "count(*)"]);
  for (const [table, sum] of sums) {
    const { rows } = await db.query<{ n: string }>(`select (${sum})::text as n from clickstream.${table}`);
    if (Number(rows[0]!.n) !== n) throw new Error(`${table} holds ${rows[0]!.n} events of ${n}`);
  }
}

/** Fails if the tables' numbers differ from the simulator's. */
async function assertAgree(db: Database, counts: Counts, raw: boolean): Promise<void> {
  const rows = (await compared(db, counts)).filter(({ what }) => raw || what !== "events");
  if (rows.every(({ made, stored }) => made === stored)) return;
  throw new Error(`the tables do not hold what the shop made:\n${comparison(rows).join("\n")}`);
}

/**
 * Fills a topic with an hour of simulated events, with refused records, late events and duplicates; returns their
 * counts.
 */
async function fillByShop(bootstrap: string, topic: string, partitions: number, records: number): Promise<Counts> {
  const args = ["generate", "--fast", "--json", "--seconds=3600", `--rate=${records / 3600}`];
  const env = { KAFKA_BROKERS: bootstrap, KAFKA_TOPIC: topic, KAFKA_PARTITIONS: String(partitions) };
  const { success, stdout, stderr } = await new Deno.Command(BINARY, { args, env }).output();
  if (!success) throw new Error(`clickstream generate failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Counts;
}

interface Options {
  readonly live: string;
  readonly verbose: boolean;
  readonly sources: boolean;
  readonly v8: readonly string[];
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "3000000" },
      users: { type: "string", default: "100000" },
      partitions: { type: "string", default: "6" },
      runs: { type: "string", default: "3" },
      case: { type: "string", multiple: true },
      /** Other stream processors to run on the same topic; `--peer NAME` selects one. */
      peers: { type: "boolean", default: false },
      peer: { type: "string", multiple: true },
      /** Fill the topic with the simulator, and check every table against its counts. */
      shop: { type: "boolean", default: false },
      /** Folder that keeps the loaded topic for the next run. */
      data: { type: "string" },
      /** Seconds of the latency measurement; 0 skips it. */
      live: { type: "string", default: "30" },
      sources: { type: "boolean", default: false },
      v8: { type: "string", multiple: true, default: [] },
      verbose: { type: "boolean", default: false },
    },
  });
  const shape: Load = {
    events: Number(values.events),
    users: Number(values.users),
    spanMs: 3_600_000,
    late: 0.001,
    seed: 1,
  };
  const peers = values.peer ?? (values.peers ? Object.keys(PEERS) : []);
  const hindered = await hindrance(peers, values.shop);
  if (hindered !== null) {
    console.error(hindered);
    Deno.exit(1);
  }
  if (!values.sources || values.shop) await build();
  const partitions = Number(values.partitions);
  const topic = `bench-${values.shop ? "shop-" : ""}${shape.events}-${shape.users}-${partitions}`;
  const loaded = values.data === undefined ? null : `${values.data}/${topic}.loaded`;
  await using broker = await startKafka({
    ...values.data !== undefined && { dataDir: values.data },
    heapMiB: 1024,
    properties: { "log.retention.ms": "-1" },
  });
  await using server = await startPostgres({ settings: { max_wal_size: "4GB", shared_buffers: "512MB" } });
  let counts: Counts | null = null;
  if (loaded !== null && await exists(loaded)) {
    counts = JSON.parse(await Deno.readTextFile(loaded)) as Counts | null;
  } else {
    console.log(`loads ${shape.events} events into ${partitions} partitions …`);
    if (values.shop) {
      counts = await fillByShop(broker.bootstrap, topic, partitions, shape.events);
    } else {
      await broker.createTopic(topic, partitions);
      await load(broker.bootstrap, topic, partitions, recordsOf(shape));
    }
    if (loaded !== null) await Deno.writeTextFile(loaded, JSON.stringify(counts));
  }
  const filled: Filled = { topic, records: counts?.records ?? shape.events, counts };
  const chosen = values.case ?? Object.keys(CASES).filter((name) => !values.shop || name.startsWith("all"));
  const cases = peers.length === 0 || chosen.includes(PEERS_CASE) ? chosen : [PEERS_CASE, ...chosen];
  const shown = tableByRow(
    ["case", "events/s", "µs/event", "PostgreSQL's", "peak MB", "first result s", "live ms: p50", "p99"],
    [26, 8, 0, 0, 0, 0, 0, 6],
  );
  let ours: Ours | null = null;
  for (const name of cases) {
    const outcomes: Outcome[] = [];
    const latencies: Latency[] = [];
    let url = "";
    for (let run = 0; run < Number(values.runs); run++) {
      if (url !== "") await server.dropDatabase(url);
      const drained = await drain(broker, server, filled, values, CASES[name]!);
      outcomes.push(drained.outcome);
      url = drained.url;
    }
    // PostgreSQL would still vacuum after the run at full speed, which would not happen at a low rate.
    const isCompared = peers.length > 0 && name === PEERS_CASE;
    if (!isCompared) await server.dropDatabase(url);
    await using(server.url(), (db) => db.exec("checkpoint"));
    for (let run = 0; run < Number(values.runs) && values.live !== "0"; run++) {
      latencies.push(await live(broker, server, partitions, values, CASES[name]!));
    }
    const of = (key: keyof Outcome) => median(outcomes.map((outcome) => outcome[key]));
    if (isCompared) ours = { url, cpuUs: of("cpuUs") };
    const liveMs = (key: keyof Latency) =>
      latencies.length === 0 ? "" : median(latencies.map((latency) => latency[key])).toFixed(0);
    console.log(shown([
      name,
      of("perSecond").toFixed(0),
      of("cpuUs").toFixed(2),
      of("databaseCpuUs").toFixed(2),
      of("peakMb").toFixed(0),
      (of("firstResultMs") / 1000).toFixed(2),
      liveMs("p50"),
      liveMs("p99"),
    ]));
  }
  if (ours !== null) await runPeers(peers, broker, server, filled, ours);
}

if (import.meta.main) {
  await main();
  // KafkaJS keeps the process alive even after it has disconnected.
  Deno.exit(0);
}
