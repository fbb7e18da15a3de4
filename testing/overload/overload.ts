/**
 * Overloads the compiled binary, with a real Kafka and a real PostgreSQL: measures its memory, how long small partitions
 * wait, and how soon it is live again, and compares the tables with what was sent.
 * @module
 */
import { workerLimits } from "../../processor/config/memory.ts";
import { MOST_HELD_ROUNDS, PARTITION_BYTES, ROUND_BYTES } from "../../processor/kafka/turns.ts";
import type { Database } from "../../processor/postgres/database.ts";
import { VIEWS } from "../../processor/views/mod.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort } from "../servers/child.ts";
import type { Broker } from "../servers/kafka.ts";
import { exactProducerTo, load } from "../servers/load.ts";
import { type Server, using } from "../servers/postgres.ts";
import { residentPeakMb } from "../servers/usage.ts";
import type { Case } from "./cases.ts";
import { clicks, Tally } from "./clicks.ts";
import { counted, type Drained, Stage, type Topic } from "./stage.ts";

/** How to overload. */
export interface OverloadOptions {
  readonly broker: Broker;
  readonly server: Server;
  readonly name: string;
  readonly of: Case;
  /** Share of the long form's records. */
  readonly scale: number;
  /** Minutes of a load above what it takes. */
  readonly minutes: number;
  /** Settings of MEMORY_MB, each run in turn on the same topic. */
  readonly memoryMb: readonly number[];
  /** Seconds of the live load that follows. */
  readonly liveSeconds: number;
  readonly say: (line: string) => void;
}

/** What a run has shown. */
export interface Overloaded extends Drained {
  readonly case: string;
  readonly memoryMb: number;
  readonly peakMb: number;
  /** Latency of the live load that follows, from sending to visible rows, in milliseconds. */
  readonly live: { readonly p50: number; readonly p99: number };
  /** What is wrong on any machine, in words: its memory, its end, or its tables. */
  readonly faults: readonly string[];
  /** What took too long, in words; a busy machine may be to blame. */
  readonly delays: readonly string[];
}

/**
 * Longest wait of a small partition's record while others are drained, in seconds. Its turn comes after 16 rounds of
 * fetches. Then it waits for the commit under way and for its own, and both may be as large as the memory allows.
 */
export function mostWaitSeconds(memoryMb: number, partitions: number, perSecond: number): number {
  const { records } = workerLimits({ memoryMb, workers: 1, views: VIEWS, storeEvents: true });
  const roundBytes = Math.min(ROUND_BYTES, partitions * PARTITION_BYTES);
  return 10 + (2 * records + MOST_HELD_ROUNDS * roundBytes / RECORD_BYTES) / perSecond;
}

/** Bytes of a small record. */
const RECORD_BYTES = 250;

/** Largest p99 of the latency once it is live again, in milliseconds: `COMMIT_EVERY_MS` and a busy machine. */
export const MOST_P99_MS = 2000;

/**
 * The RSS that the service stays below, in MB: MEMORY_MB, but at least what the program, a worker and the smallest commits
 * take, and a tenth more for what V8 and the allocator have not given back yet.
 */
export function ceilingMb(memoryMb: number): number {
  return Math.max(memoryMb, 330) * 1.1;
}

/** Fills a topic, and runs the service on it once for each setting of its memory. */
export async function overload(options: OverloadOptions): Promise<Overloaded[]> {
  const { broker, name, of, scale, memoryMb, say } = options;
  const ends = new Array<number>(of.partitions).fill(0);
  const topic: Topic = {
    name: `overload-${name.replaceAll(" ", "-")}`,
    partitions: of.partitions,
    ends,
    tally: new Tally(),
  };
  await broker.createTopic(topic.name, of.partitions);
  const shape = of.backlog(scale);
  say(`${name}: sends ${shape.records.toLocaleString("en")} records …`);
  await load(broker.bootstrap, topic.name, of.partitions, counted(topic, clicks(shape, topic.tally)), of.batching);
  const runs: Overloaded[] = [];
  for (const mb of memoryMb) runs.push(await run(options, topic, mb));
  return runs;
}

async function run(options: OverloadOptions, topic: Topic, memoryMb: number): Promise<Overloaded> {
  const { broker, server, name, of, minutes, say } = options;
  const url = await server.createDatabase(`overload_${crypto.randomUUID().replaceAll("-", "")}`);
  const folder = await Deno.makeTempDir({ prefix: "clickstream-overload-" });
  const env: Env = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: topic.name,
    KAFKA_GROUP_ID: `overload-${crypto.randomUUID()}`,
    DATABASE_URL: url,
    HTTP_LISTEN: `127.0.0.1:${freePort()}`,
    MEMORY_MB: String(memoryMb),
    WORKERS: "1",
    LOG_LEVEL: "warn",
    ...of.viewsFile !== undefined && { VIEWS_FILE: of.viewsFile },
  };
  for (const command of [["migrate"], ...of.viewsFile === undefined ? [] : [["views", "apply"]]]) {
    const { code, err } = await clickstream(command, env);
    if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${err}`);
  }
  const producer = exactProducerTo(broker.bootstrap);
  try {
    return await using(url, async (db) => {
      await using service = Child.start(BINARY, ["run"], `${folder}/log`, env);
      const stage = new Stage({
        topic,
        service,
        producer,
        db,
        trickle: of.trickle,
        say: (line) => say(`${name}: ${line}`),
      });
      const drained = await stage.drain();
      const flooded = of.throttle === undefined ? drained : await stage.flood(of.throttle, minutes);
      const live = await stage.live(options.liveSeconds);
      const peakMb = await residentPeakMb(service.pid);
      const ended = await service.end("SIGTERM");
      const faults = [
        ...ended === 0 ? [] : [`the service ended with ${ended}:\n${await service.tail()}`],
        ...peakMb <= ceilingMb(memoryMb) ? [] : [`its RSS is ${peakMb.toFixed(0)} MB, above ${ceilingMb(memoryMb)}`],
        ...await miscounts(db, topic.tally, of.viewsFile === undefined ? [] : DECLARED),
      ];
      const delays = delaysOf(mostWaitSeconds(memoryMb, of.partitions, drained.perSecond), drained, live.p99);
      say([`${name}, MEMORY_MB=${memoryMb}: peak ${peakMb.toFixed(0)} MB`, ...faults, ...delays].join("; "));
      return { case: name, memoryMb, peakMb, live, faults, delays, ...flooded };
    });
  } finally {
    await producer.close();
    await server.dropDatabase(url);
    await Deno.remove(folder, { recursive: true });
  }
}

function delaysOf(most: number, { waitSeconds }: Drained, p99Ms: number): string[] {
  const isLong = waitSeconds !== null && waitSeconds > most;
  return [
    ...isLong
      ? [`a record of a small partition waited ${waitSeconds.toFixed(1)} s, longer than ${most.toFixed(1)}`]
      : [],
    ...p99Ms <= MOST_P99_MS ? [] : [`once live again, p99 is ${p99Ms.toFixed(0)} ms`],
  ];
}

/** What declared views have of all events. */
const DECLARED: readonly (readonly [what: string, sql: string])[] = [
  ["events by declared minute", "select sum(event_count) from clickstream.all_minutes"],
  ["views of pages by declared hour", "select sum(views) from clickstream.page_hours"],
];

/** Differences between the tables and what was sent, in words. */
async function miscounts(
  db: Database,
  { records, events, refused, users }: Tally,
  declared: typeof DECLARED,
): Promise<string[]> {
  const questions: readonly (readonly [what: string, made: number, sql: string])[] = [
    ["records", records, "select sum(consumed) from clickstream.progress"],
    ["stored events", events, "select sum(stored) from clickstream.progress"],
    ["refused records", refused, "select count(*) from clickstream.refusals"],
    ["raw events", events, "select count(*) from clickstream.events"],
    ["events by minute", events, "select sum(events) from clickstream.traffic"],
    ["views of pages", events, "select sum(views) from clickstream.pages"],
    ["events by session", events, "select sum(events) from clickstream.sessions"],
    ["events by user and day", events, "select sum(events) from clickstream.user_days"],
    ["users", users, "select count(distinct user_id) from clickstream.user_days"],
    ...declared.map(([what, sql]) => [what, events, sql] as const),
  ];
  const wrong: string[] = [];
  for (const [what, made, sql] of questions) {
    const { rows } = await db.query<{ n: string | null }>(`select (${sql})::text as n`);
    const stored = Number(rows[0]!.n ?? 0);
    if (stored !== made) wrong.push(`${what}: sent ${made}, stored ${stored}`);
  }
  return wrong;
}
