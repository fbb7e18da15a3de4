/**
 * `deno task bench:clients`: the cost of clients of the status page for the processor. Drains the same full topic
 * without clients and with all of them, in turn, and compares.
 * @module
 */
import { parseArgs } from "node:util";
import { until } from "../testing/servers/child.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { startPostgres, using } from "../testing/servers/postgres.ts";
import { build } from "../tasks/build.ts";
import { type Load, recordsOf } from "./clicks.ts";
import { load } from "../testing/servers/load.ts";
import { prepare } from "./service.ts";
import { processCpuSeconds } from "../testing/servers/usage.ts";

const TOPIC = "clients";
const PARTITIONS = 6;

/** Result of one drain. */
interface Drained {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly seconds: number;
  /** Rate at which each client was sent data, kB/s. */
  readonly sentKb: number;
}

/** Clients that read everything they are sent, until they are closed. */
async function look(address: string, count: number): Promise<{ end(): Promise<number> }> {
  const over = new AbortController();
  let bytes = 0;
  const looking: Promise<void>[] = [];
  await Promise.all(Array.from({ length: count }, async () => {
    const response = await fetch(`${address}api/stream`, { signal: over.signal });
    if (!response.ok) throw new Error(`a client was sent away: ${await response.text()}`);
    const read = async () => {
      for await (const chunk of response.body!) bytes += chunk.length;
    };
    looking.push(read().catch(() => {}));
  }));
  return {
    async end() {
      over.abort();
      await Promise.all(looking);
      return bytes;
    },
  };
}

async function drain(url: string, bootstrap: string, events: number, clients: number): Promise<Drained> {
  const { log, address, start } = await prepare(bootstrap, TOPIC, url, {
    WORKERS: "1",
    LOG_LEVEL: "warn",
    STORE_EVENTS: "false",
    VIEWS: "traffic,pages,active_users",
  });
  await using service = start();
  await until("it listens", () => fetch(`${address}health`).then(({ ok }) => ok, () => false), 30_000, 10);
  const audience = await look(address, clients);
  const drained = await using(url, async (db) => {
    const read = async () => {
      const { rows } = await db.query<{ n: string }>(
        "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
      );
      return { consumed: Number(rows[0]!.n), atMs: performance.now(), cpu: await processCpuSeconds(service.pid) };
    };
    let first = await read();
    let last = first;
    await until(
      "everything is taken in",
      async () => {
        if (service.ended) throw new Error(`the service ended:\n${await service.tail()}`);
        last = await read();
        if (first.consumed === 0) first = last;
        return last.consumed >= events;
      },
      600_000,
      50,
    );
    const n = last.consumed - first.consumed;
    const seconds = (last.atMs - first.atMs) / 1000;
    return { perSecond: n / seconds, cpuUs: (last.cpu - first.cpu) / n * 1e6, seconds };
  });
  const sent = await audience.end();
  await service.end("SIGTERM");
  await Deno.remove(log);
  return { ...drained, sentKb: clients === 0 ? 0 : sent / clients / 1000 / drained.seconds };
}

function mean(all: readonly Drained[], of: keyof Drained): number {
  return all.reduce((sum, each) => sum + each[of], 0) / all.length;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "10000000" },
      clients: { type: "string", default: "200" },
      runs: { type: "string", default: "3" },
    },
  });
  const clients = Number(values.clients);
  const shape: Load = { events: Number(values.events), users: 100_000, spanMs: 3_600_000, late: 0.001, seed: 1 };
  await build();
  await compare(shape, clients, Number(values.runs));
  // KafkaJS keeps the process alive even after it has disconnected.
  Deno.exit(0);
}

async function compare(shape: Load, clients: number, runs: number): Promise<void> {
  await using broker = await startKafka({ heapMiB: 1024 });
  await using server = await startPostgres({ settings: { max_wal_size: "4GB", shared_buffers: "512MB" } });
  console.log(`loads ${shape.events} events …`);
  await broker.createTopic(TOPIC, PARTITIONS);
  await load(broker.bootstrap, TOPIC, PARTITIONS, recordsOf(shape));
  const alone: Drained[] = [];
  const watched: Drained[] = [];
  for (let run = 0; run < runs; run++) {
    // In turn and equally often, so that other load on the machine affects both.
    for (const looking of run % 2 === 0 ? [0, clients] : [clients, 0]) {
      const drained = await drain(await server.createDatabase(), broker.bootstrap, shape.events, looking);
      (looking === 0 ? alone : watched).push(drained);
      const { perSecond, cpuUs, seconds, sentKb } = drained;
      console.log(
        `${looking} clients: ${perSecond.toFixed(0)} events/s over ${seconds.toFixed(1)} s, ${
          cpuUs.toFixed(3)
        } µs each, ` +
          `${sentKb.toFixed(1)} kB/s sent to each client`,
      );
    }
  }
  for (const figure of ["perSecond", "cpuUs"] as const) {
    const change = mean(watched, figure) / mean(alone, figure) - 1;
    console.log(`${figure}: ${(change * 100).toFixed(1)} % with ${clients} clients`);
  }
}
