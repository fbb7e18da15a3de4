/**
 * Runs everything in one process with nothing installed: the simulator, a log in files, the processor and an embedded
 * PostgreSQL.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import type { ClickEvent } from "../../event.ts";
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { Simulator } from "../../../generator/simulator.ts";
import type { SimulatedRecord } from "../../../generator/records.ts";
import { RecordCounts } from "../../../generator/records.ts";
import { addressText } from "../../config/address.ts";
import type { Database } from "../../postgres/database.ts";
import { openEmbedded } from "../../embedded/embedded.ts";
import { EmbeddedLog, type Entry } from "../../embedded/embedded_log.ts";
import { makePartitions, migrate } from "../../postgres/operations/migrations.ts";
import { SchemaMismatch } from "../../postgres/schema.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import type { Observer } from "../../pipeline/observer.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { DAY_MS } from "../../views/view.ts";
import { withCommas } from "../../status/text.ts";
import { VIEWS } from "../../views/mod.ts";
import { compared, comparedAgain, comparison, figures } from "./figures.ts";
import { takeFolder } from "./folder.ts";
import { CODE_OF, type Kind, kindOfCode } from "./kinds.ts";
import { openPage } from "./page.ts";
import { recounted } from "./recount.ts";
import { EXIT } from "../cli/exit.ts";

/** Options of the demo. */
export interface DemoOptions {
  /** Records/s. */
  readonly rate: number;
  /** Duration in seconds. */
  readonly seconds: number;
  /** Folder for all data, to continue from next time; null for one that is removed at the end. */
  readonly data: string | null;
  readonly seed: number;
  /** Port of the status page; 0 picks a free one, null the default, or a free one if the default is taken. */
  readonly port: number | null;
  /** Prints a line. */
  readonly print: (line: string) => void;
  readonly writeError: (text: string) => void;
  /** Ends the demo early, as if its time were over. */
  readonly signal?: AbortSignal;
}

const KEEP_DAYS = 30;
const PARTITIONS = 6;
const TICK_MS = 50;
const SHARES = { bad: 0.01, duplicates: 0.01, late: 0.01 };
const TOPIC = "clickstream-events";

/** Largest log, in records, that is counted again: that takes memory per event. */
const RECOUNTED = 500_000;

/** Runs the demo; returns the exit code: 0 if the tables agree with what was generated, otherwise 1. */
export async function demo(options: DemoOptions): Promise<number> {
  const folder = await takeFolder(options.data);
  try {
    options.print(`starting an embedded PostgreSQL in ${folder.path}`);
    const db = await openEmbedded(`${folder.path}/postgres`);
    try {
      return await demoIn(folder.path, options, db);
    } finally {
      await db.close();
    }
  } finally {
    await folder.close();
  }
}

async function demoIn(folder: string, options: DemoOptions, db: Database): Promise<number> {
  try {
    await migrate(db, MIGRATIONS);
  } catch (error) {
    if (!(error instanceof SchemaMismatch)) throw error;
    options.writeError(`clickstream: ${error.message}, or choose another folder than --data ${folder}\n`);
    return EXIT.schema;
  }
  await makePartitions(db, { nowMs: Date.now(), keepDays: 1, aheadDays: 1 });
  const log = EmbeddedLog.open(`${folder}/log`, TOPIC, PARTITIONS);
  const { rate, seconds, seed, port } = options;
  const settings = { "--rate": `${rate}`, "--seconds": `${seconds}`, "--seed": `${seed}` };
  const page = openPage({ port, topic: TOPIC, keepDays: KEEP_DAYS, settings }, db);
  try {
    options.print(`status page: http://${addressText(page.http.address)}/`);
    return await openShop(options, db, log, page.observer);
  } finally {
    await page.close();
    await log.close();
  }
}

async function openShop(options: DemoOptions, db: Database, log: EmbeddedLog, observer: Observer): Promise<number> {
  const { print, rate, seconds, seed } = options;
  const counts = countAgain(log);
  if (log.count > 0) print(`continuing after ${withCommas(log.count)} records of the last run`);
  const pipeline = new Pipeline({
    source: log,
    sink: new SqlSink(db, "demo"),
    observer,
    views: VIEWS,
    decoder: new Kernel({ keepMs: KEEP_DAYS * DAY_MS }),
    storeEvents: true,
    now: () => performance.now(),
    commitEveryMs: 1000,
    commitSoonMs: 200,
    commitRecords: 16_384,
  });
  await pipeline.start();
  const fromMs = Date.now();
  const toMs = fromMs + seconds * 1000;
  const records = new Simulator({ seed, rate, fromMs, toMs, ...SHARES, keepDays: KEEP_DAYS })[Symbol.iterator]();
  print(`the shop is open: ${withCommas(rate)} records/s for ${seconds} s`);
  let waiting = records.next();
  let shownMs = fromMs;
  while (!waiting.done && options.signal?.aborted !== true) {
    const entries: Entry[] = [];
    for (; !waiting.done && waiting.value.timestampMs <= Date.now(); waiting = records.next()) {
      entries.push(entryOf(waiting.value));
      counts.add(waiting.value);
    }
    log.append(entries);
    await pipeline.step();
    if (Date.now() - shownMs >= 1000) {
      shownMs += 1000;
      print(await figures(db, counts.snapshot(), (shownMs - fromMs) / 1000));
    }
    await setTimeout(TICK_MS);
  }
  await consumeAll(pipeline, db, log);
  const isLong = log.count > RECOUNTED;
  const again = isLong ? [] : await comparedAgain(db, recounted(log.entries(), KEEP_DAYS, Date.now()));
  const rows = [...await compared(db, counts.snapshot()), ...again];
  print("");
  for (const line of comparison(rows)) print(line);
  if (isLong) {
    print(`Sessions and devices were not compared: the log has more than ${withCommas(RECOUNTED)} records.`);
  }
  return rows.every(({ made, stored }) => made === stored) ? EXIT.done : EXIT.failed;
}

/** Steps until every record is committed. */
async function consumeAll(pipeline: Pipeline, db: Database, log: EmbeddedLog): Promise<void> {
  for (;;) {
    await pipeline.step();
    await pipeline.flush();
    const { rows } = await db.query<{ read: string }>(
      "select coalesce(sum(consumed), 0)::text as read from clickstream.progress",
    );
    if (Number(rows[0]!.read) >= log.count) return;
  }
}

function entryOf({ key, value, timestampMs, kind }: SimulatedRecord): Entry {
  return { key, value, time: timestampMs, tag: CODE_OF[kind] };
}

/** Counts the records of earlier runs from the log, with no code of the processor. */
function countAgain(log: EmbeddedLog): RecordCounts {
  const counts = new RecordCounts();
  for (const { value, tag } of log.entries()) {
    const kind = kindOfCode(tag);
    const event = isEvent(kind) ? eventOf(value) : {};
    const cents = Math.round(Number(event.price ?? 0) * 100) * Number(event.quantity ?? 1);
    counts.add({
      kind,
      key: String(event.userId),
      value,
      timestampMs: 0,
      eventType: String(event.eventType),
      revenueCents: event.eventType === "purchase" ? cents : 0,
    });
  }
  return counts;
}

function isEvent(kind: Kind): boolean {
  return kind === "event" || kind === "late";
}

function eventOf(value: Uint8Array | null): Partial<ClickEvent> {
  return JSON.parse(new TextDecoder().decode(value!)) as ClickEvent;
}
