/**
 * `deno task bench:telemetry`: what telemetry costs the service. Programs and settings take turns on the same records,
 * each of which has a trace: a program to compare with (`--against`), telemetry off, and telemetry on. Measures draining
 * a full topic, and a live topic, whose commits are small and many.
 * @module
 */
import { Buffer } from "node:buffer";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { table } from "../processor/status/text.ts";
import { until } from "../testing/servers/child.ts";
import { type Broker, startKafka } from "../testing/servers/kafka.ts";
import { exactProducerTo, messageOf } from "../testing/servers/load.ts";
import { startOtlp } from "../testing/servers/otlp.ts";
import { startPostgres, using } from "../testing/servers/postgres.ts";
import { processCpuSeconds } from "../testing/servers/usage.ts";
import { recordsOf } from "./clicks.ts";
import { CASES, prepared, type Stand } from "./drain.ts";
import { PEERS_CASE } from "./figures.ts";
import { BINARY, type Program } from "./programs.ts";
import { spreadOf } from "./statistics.ts";

const PARTITIONS = 4;

/** Records in a request. */
const REQUEST_RECORDS = 2000;

/** Events/s of a live topic, and for how many seconds. */
const LIVE_PER_SECOND = 2000;
const LIVE_SECONDS = 10;

/** One of those that take turns. */
interface Turn extends Program {
  readonly settings: Readonly<Record<string, string>>;
}

/** Sends records of a load with traces, so many in each interval; without an interval as fast as possible. */
async function fill(broker: Broker, topic: string, events: number, everyMs: number, each: number): Promise<void> {
  const producer = exactProducerTo(broker.bootstrap);
  const records = recordsOf({ events, users: 50_000, spanMs: 3_600_000, late: 0.001, seed: 1 });
  let n = 0;
  for (let sent = 0; sent < events; sent += each) {
    const some = Array.from({ length: Math.min(each, events - sent) }, () => records.next().value!);
    const messages = some.map((record) => {
      const id = (++n).toString(16);
      const parent = `00-${id.padStart(32, "0")}-${id.padStart(16, "0")}-01`;
      const headers = new Map([[Buffer.from("traceparent"), Buffer.from(parent)]]);
      return { ...messageOf(record, topic, PARTITIONS), headers };
    });
    await producer.send({ messages });
    if (everyMs > 0) await setTimeout(everyMs);
  }
  await producer.close();
}

/**
 * CPU seconds of a service until it has consumed so many records and sent their spans.
 *
 * @param send sends the records once it is ready, and then its start does not count; null if they are there
 */
async function cpuOf(
  stand: Stand,
  turn: Turn,
  topic: string,
  events: number,
  send: (() => Promise<void>) | null,
): Promise<number> {
  const settings = { ...CASES[PEERS_CASE], WORKERS: "1", ...turn.settings };
  const { start, url, address, log } = await prepared(stand, turn, topic, settings);
  await using service = start();
  await until("it is ready", () => fetch(`${address}ready`).then(({ ok }) => ok, () => false), 120_000, 50);
  const beforeSeconds = send === null ? 0 : await processCpuSeconds(service.pid);
  await send?.();
  await using(url, (db) =>
    until(
      "everything is taken in",
      async () => {
        if (service.ended) throw new Error(`the service ended:\n${await service.tail()}`);
        const { rows } = await db.query<{ n: string }>(
          "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
        );
        return Number(rows[0]!.n) >= events;
      },
      600_000,
      50,
    ));
  // Spans are sent at least this often.
  await setTimeout(6000);
  const seconds = await processCpuSeconds(service.pid) - beforeSeconds;
  await service.end("SIGTERM");
  await Deno.remove(log);
  await stand.server.dropDatabase(url);
  return seconds;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      against: { type: "string" },
      events: { type: "string", default: "500000" },
      runs: { type: "string", default: "3" },
    },
  });
  const events = Number(values.events);
  await using broker = await startKafka({ heapMiB: 512 });
  await using server = await startPostgres();
  await using collector = startOtlp();
  const stand = { broker, server, verbose: false };
  const off: Turn = { name: "off", command: [BINARY], settings: {} };
  const turns: Turn[] = [
    ...values.against === undefined ? [] : [{ ...off, name: "before", command: [values.against] as const }],
    off,
    { ...off, name: "on", settings: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } },
  ];
  await broker.createTopic("full", PARTITIONS);
  await fill(broker, "full", events, 0, REQUEST_RECORDS);
  const costs = new Map<string, number[]>();
  const note = (what: string, seconds: number, of: number) => {
    console.log(`${what}: ${(seconds / of * 1e6).toFixed(2)} µs/event`);
    costs.set(what, [...costs.get(what) ?? [], seconds / of * 1e6]);
  };
  for (let run = 0; run < Number(values.runs); run++) {
    for (const turn of turns) {
      note(`full, ${turn.name}`, await cpuOf(stand, turn, "full", events, null), events);
      const topic = `live-${run}-${turn.name}`;
      await broker.createTopic(topic, PARTITIONS);
      const live = LIVE_PER_SECOND * LIVE_SECONDS;
      const sends = () => fill(broker, topic, live, 50, LIVE_PER_SECOND / 20);
      note(`live, ${turn.name}`, await cpuOf(stand, turn, topic, live, sends), live);
    }
  }
  const rows = [...costs].sort(([a], [b]) => a.localeCompare(b)).map(([what, all]) => {
    const { median, min, max } = spreadOf(all)!;
    return [what, median.toFixed(2), `${min.toFixed(2)} to ${max.toFixed(2)}`];
  });
  console.log(table(["topic, telemetry", "CPU µs/event", "range"], rows).join("\n"));
  const links = collector.spans.reduce((sum, { links }) => sum + links.length, 0);
  console.log(`${collector.spans.length} spans with ${links} links arrived`);
}

if (import.meta.main) {
  await main();
  // KafkaJS keeps the process alive even after it has disconnected.
  Deno.exit(0);
}
