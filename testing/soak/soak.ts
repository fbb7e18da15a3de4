/**
 * A soak: the compiled binary with a real Kafka and a real PostgreSQL under a steady load, sampled until it ends. Then
 * every table is compared with what was sent.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { Counts } from "../../generator/records.ts";
import { type Compared, compared } from "../../processor/commands/demo/figures.ts";
import type { Database } from "../../processor/postgres/database.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { consumedBy } from "../servers/databases.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";
import { type Sample, Sampler } from "./sample.ts";
import { KEEP, LIVE_PARTITIONS, startStreams } from "./streams.ts";

/** How to soak. */
export interface SoakOptions {
  /** Records/s. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly sampleMs: number;
  /** Interval between runs of `maintain`, in milliseconds; a host runs it every hour. */
  readonly maintainMs: number;
  /** Ends it early; what was sent until then is compared. */
  readonly signal: AbortSignal;
  /** Takes each sample. */
  readonly sampled: (sample: Sample) => void | Promise<void>;
  /** Takes progress messages. */
  readonly say: (line: string) => void;
}

/** Result of a soak. */
export interface Soaked {
  readonly samples: readonly Sample[];
  /** What was sent against what the tables hold. */
  readonly compared: readonly Compared[];
}

/**
 * Memory of Kafka's log and of PostgreSQL's is bounded, so that a long soak does not fill the disk: what the service has
 * read is deleted from the log.
 */
const KAFKA = {
  "log.retention.bytes": String(128 * 2 ** 20),
  "log.segment.bytes": String(32 * 2 ** 20),
  "log.retention.check.interval.ms": "60000",
};

const TOPIC = "soak";

/**
 * Soaks.
 *
 * @throws {Error} with the log's end if the service ends
 */
export async function soak(options: SoakOptions): Promise<Soaked> {
  await using broker = await startKafka({ properties: KAFKA });
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir({ prefix: "clickstream-soak-" });
  try {
    return await soakOn(broker, server, `${folder}/service.log`, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function soakOn(broker: Broker, server: Server, log: string, options: SoakOptions): Promise<Soaked> {
  const { rate, seconds, seed, say } = options;
  await broker.createTopic(TOPIC, LIVE_PARTITIONS + 1);
  const url = await server.createDatabase();
  const listen = `127.0.0.1:${freePort()}`;
  const env: Env = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: TOPIC,
    DATABASE_URL: url,
    HTTP_LISTEN: listen,
    EVENTS_KEEP_DAYS: String(KEEP.eventDays),
    ROLLUPS_KEEP_DAYS: String(KEEP.rollupDays),
    WORKERS: "1",
    LOG_LEVEL: "warn",
  };
  await command("migrate", env);
  await using service = Child.start(BINARY, ["run"], log, env);
  const address = `http://${listen}/`;
  await until("the service is ready", () => fetch(`${address}ready`).then(({ ok }) => ok, () => false), 60_000);
  const streams = startStreams({ bootstrap: broker.bootstrap, topic: TOPIC, rate, seconds, seed });
  const over = new AbortController();
  let failure: unknown = null;
  const ended = streams.done.catch((error) => failure = error).finally(() => over.abort());
  options.signal.addEventListener("abort", () => streams.stop(), { once: true });
  if (options.signal.aborted) streams.stop();
  const samples: Sample[] = [];
  await using(url, async (db) => {
    const sampler = new Sampler({ pid: service.pid, address, db });
    await Promise.all([
      each(options.sampleMs, over.signal, async () => {
        if (service.ended) throw new Error(`the service ended:\n${await service.tail()}`);
        const sample = await sampler.take(streams.sent);
        samples.push(sample);
        await options.sampled(sample);
      }),
      each(options.maintainMs, over.signal, async () => say((await command("maintain", env)).replaceAll("\n", "; "))),
    ].map((watching) =>
      watching.catch((error) => {
        failure ??= error;
        streams.stop();
      })
    ));
  });
  await ended;
  if (failure !== null) throw failure;
  const sent = streams.counts();
  const all = sent.live.records + sent.old.records;
  await until(`all ${all} records are consumed`, async () => await consumedBy(url) >= all, 300_000, 500);
  // Deletes what is left of the old stream.
  say((await command("maintain", env)).replaceAll("\n", "; "));
  const rows = await using(url, (db) => comparedWith(db, sent));
  await service.end("SIGTERM");
  return { samples, compared: rows };
}

/** Calls `body` at this interval until the signal, at once if it is late. */
async function each(everyMs: number, signal: AbortSignal, body: () => Promise<void>): Promise<void> {
  for (let next = performance.now() + everyMs; !signal.aborted; next += everyMs) {
    await setTimeout(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => {});
    if (!signal.aborted) await body();
  }
}

/** Runs a command of the binary; returns what it printed. */
async function command(name: string, env: Env): Promise<string> {
  const { code, out, err } = await clickstream([name], env);
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${err}`);
  return out.trim();
}

/** Compares the tables with the live stream, and what is never deleted with both streams. */
async function comparedWith(
  db: Database,
  { live, old }: { readonly live: Counts; readonly old: Counts },
): Promise<readonly Compared[]> {
  const made: Readonly<Record<string, number>> = {
    "records": live.records + old.records,
    "events, by user and day": live.events + old.events,
    "duplicates": live.duplicates + old.duplicates,
  };
  return (await compared(db, live)).map((row) => ({ ...row, made: made[row.what] ?? row.made }));
}
