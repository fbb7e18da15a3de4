/**
 * Latency at a low rate: the time from sending an event until its row is visible in the tables.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { until } from "../testing/servers/child.ts";
import { using } from "../testing/servers/postgres.ts";
import { recordsOf } from "./clicks.ts";
import { prepared, type Settings, type Stand } from "./drain.ts";
import { messageOf, producerTo } from "../testing/servers/load.ts";
import type { Program } from "./programs.ts";

/** Events/s of the measurement. */
export const PER_SECOND = 2000;

/** Interval between sends, in milliseconds. */
const EVERY_MS = 10;

/** Interval between queries, in milliseconds: a latency is overstated by at most this and the query's own time. */
const LOOK_EVERY_MS = 5;

/** Latencies in milliseconds, from the call of `send` until the rows are visible. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** Runs a service on an empty topic, and measures the latency of the events that are sent to it. */
export async function latencyOf(
  stand: Stand,
  program: Program,
  settings: Settings,
  { partitions, seconds }: { readonly partitions: number; readonly seconds: number },
): Promise<Latency> {
  const { broker, server, verbose } = stand;
  const topic = `live-${crypto.randomUUID()}`;
  await broker.createTopic(topic, partitions);
  const { log, address, url, start } = await prepared(stand, program, topic, settings);
  await using service = start();
  await until("it is ready", () => fetch(`${address}ready`).then(({ ok }) => ok, () => false), 30_000, 20);
  const pace = { perSecond: PER_SECOND, seconds };
  const latency = await liveLatency(broker.bootstrap, { topic, partitions }, url, pace);
  await service.end("SIGTERM");
  if (verbose) console.log(await Deno.readTextFile(log));
  await Deno.remove(log);
  await server.dropDatabase(url);
  return latency;
}

/**
 * Sends events to an empty topic at an even pace, and queries PostgreSQL until all of them are there. Reads from
 * `progress` what has been committed: a transaction changes it together with the rows.
 */
async function liveLatency(
  bootstrap: string,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
  url: string,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Latency> {
  // Send time of each record by partition; the index is the offset.
  const sentMs: number[][] = Array.from({ length: partitions }, () => []);
  const latencies: number[] = [];
  const events = perSecond * seconds;
  const seeing = using(url, async (db) => {
    const next = Array.from({ length: partitions }, () => 0);
    for (const deadline = performance.now() + seconds * 1000 + 30_000; latencies.length < events;) {
      const { rows } = await db.query<{ partition: string; next: string }>(
        "select partition::text, next_offset::text as next from clickstream.progress where topic = $1::text",
        [topic],
      );
      const nowMs = performance.now();
      if (nowMs > deadline) throw new Error(`${events - latencies.length} of ${events} events have not been seen`);
      for (const row of rows) {
        const partition = Number(row.partition);
        for (; next[partition]! < Number(row.next); next[partition]!++) {
          latencies.push(nowMs - sentMs[partition]![next[partition]!]!);
        }
      }
      await setTimeout(LOOK_EVERY_MS);
    }
  });
  await Promise.all([seeing, send(bootstrap, topic, sentMs, { perSecond, events })]);
  // Leave out the first second, which includes the start-up.
  const sorted = latencies.slice(perSecond).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return { p50: at(0.5), p99: at(0.99) };
}

async function send(
  bootstrap: string,
  topic: string,
  sentMs: readonly number[][],
  { perSecond, events }: { readonly perSecond: number; readonly events: number },
): Promise<void> {
  const producer = producerTo(bootstrap);
  const records = recordsOf({ events, users: 100_000, spanMs: events / perSecond * 1000, late: 0.001, seed: 2 });
  const sinceMs = performance.now();
  const underWay: Promise<unknown>[] = [];
  try {
    for (let sent = 0; sent < events;) {
      const due = Math.min(events, Math.floor((performance.now() - sinceMs) / 1000 * perSecond));
      const messages = [];
      for (; sent < due; sent++) {
        const message = messageOf(records.next().value!, topic, sentMs.length);
        messages.push(message);
        sentMs[message.partition]!.push(performance.now());
      }
      if (messages.length > 0) underWay.push(producer.send({ messages }));
      await setTimeout(EVERY_MS);
    }
    await Promise.all(underWay);
  } finally {
    await producer.close();
  }
}
