/**
 * `deno run -A bench/sink.ts`: what PostgreSQL and this process pay for each event, without Kafka. Runs the pipeline on a
 * log in files, filled once by the simulator or by the load of the other benchmarks, into a server of its own.
 * @module
 */
import { cpuUsage } from "node:process";
import { setImmediate } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Simulator } from "../generator/simulator.ts";
import { MIGRATIONS } from "../migrations/mod.ts";

import { EmbeddedLog, type Entry } from "../processor/embedded/embedded_log.ts";
import { Kernel } from "../processor/kernel/kernel.ts";
import { Pipeline } from "../processor/pipeline/pipeline.ts";
import type { Database } from "../processor/postgres/database.ts";
import { makePartitions, migrate } from "../processor/postgres/operations/migrations.ts";
import { openPostgres } from "../processor/postgres/postgres.ts";
import { Forgotten, HeldSource } from "../processor/postgres/sink/forgetting.ts";
import { SqlSink } from "../processor/postgres/sink/sql_sink.ts";
import { tableByRow } from "../processor/status/text.ts";
import { VIEWS } from "../processor/views/mod.ts";
import { DAY_MS } from "../processor/views/view.ts";
import { exists } from "../testing/servers/child.ts";
import { startPostgres } from "../testing/servers/postgres.ts";
import { FROM_MS, recordsOf } from "./clicks.ts";
import { treeCpuSeconds } from "../testing/servers/usage.ts";

const PARTITIONS = 6;
const SPAN_MS = 3_600_000;

/** Longest wait for more records, in milliseconds, once the log is read to its end. */
const LONGEST_POLL_MS = 50;

/** What to run. */
interface Options {
  readonly views: readonly string[];
  readonly raw: boolean;
  /** Records in one commit. */
  readonly commit: number;
  /** SQL to run before the events, such as another index. */
  readonly sql: string;
}

/** Cost of a run; times in CPU µs/event. */
interface Outcome {
  readonly server: number;
  readonly ours: number;
  readonly perSecond: number;
}

/** The log of a load, filled if necessary. */
async function filled(folder: string, load: string, events: number): Promise<EmbeddedLog> {
  const topic = `${load}-${events}`;
  const isThere = await exists(`${folder}/${topic}.filled`);
  const log = EmbeddedLog.open(folder, topic, PARTITIONS);
  if (isThere) return log;
  let entries: Entry[] = [];
  const records = load === "simulator"
    ? new Simulator({
      ...{ seed: 1, fromMs: FROM_MS, toMs: FROM_MS + SPAN_MS, rate: events / SPAN_MS * 1000 },
      ...{ bad: 0.01, duplicates: 0.01, late: 0.01 },
    })
    : recordsOf({ events, users: 100_000, spanMs: SPAN_MS, late: 0.001, seed: 1 });
  for (const { key, value, timestampMs } of records) {
    entries.push({ key, value, time: timestampMs, tag: 0 });
    if (entries.length < 10_000) continue;
    log.append(entries);
    entries = [];
  }
  log.append(entries);
  await Deno.writeTextFile(`${folder}/${topic}.filled`, "");
  return log;
}

/** Takes in the whole log; returns what each event cost. */
async function drained(log: EmbeddedLog, db: Database, serverPid: number, options: Options): Promise<Outcome> {
  let committed = 0;
  const pipeline = new Pipeline({
    source: new HeldSource(log, new Forgotten(), LONGEST_POLL_MS),
    sink: new SqlSink(db, "bench"),
    views: VIEWS.filter(({ name }) => options.views.includes(name)),
    decoder: new Kernel({ keepMs: 36_500 * DAY_MS, mebibytes: 1024 }),
    storeEvents: options.raw,
    now: () => performance.now(),
    yieldToEventLoop: () => setImmediate(),
    commitEveryMs: 60_000,
    commitSoonMs: 0,
    commitRecords: options.commit,
    observer: {
      committed: ({ advances }) => {
        committed += advances.reduce((sum, { consumed }) => sum + consumed, 0);
      },
    },
  });
  await pipeline.start();
  // The first commits are small, and compiling costs more than they do.
  while (committed < 2 * options.commit) await pipeline.step();
  const first = committed;
  const sinceMs = performance.now();
  const before = cpuUsage();
  const serverBefore = await treeCpuSeconds(serverPid);
  while (committed < log.count) await pipeline.step();
  const { user, system } = cpuUsage(before);
  const count = committed - first;
  return {
    server: (await treeCpuSeconds(serverPid) - serverBefore) / count * 1e6,
    ours: (user + system) / count,
    perSecond: count / (performance.now() - sinceMs) * 1000,
  };
}

/** Rows, updates within a page, and size of each table that was written. */
async function tables(db: Database): Promise<string[]> {
  const { rows } = await db.query<Record<"name" | "inserted" | "updated" | "hot" | "mb" | "indexes", string>>(
    `select relname::text as name, n_tup_ins::text as inserted, n_tup_upd::text as updated, n_tup_hot_upd::text as hot,
            round(pg_table_size(relid) / 1e6)::text as mb, round(pg_indexes_size(relid) / 1e6)::text as indexes
       from pg_stat_user_tables where n_tup_ins > 0 and schemaname = 'clickstream' order by 1`,
  );
  const shown = tableByRow(["inserted", "updated", "in page", "MB", "indexes MB", "table"], [9, 9, 9, 6, 0, 0]);
  return rows.map(({ name, inserted, updated, hot, mb, indexes }) =>
    shown([inserted, updated, hot, mb, indexes, name])
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "1500000" },
      /** `simulator` or `clicks`. */
      load: { type: "string", default: "simulator" },
      views: { type: "string", default: VIEWS.map(({ name }) => name).join(",") },
      raw: { type: "boolean", default: false },
      commit: { type: "string", default: "131072" },
      runs: { type: "string", default: "1" },
      sql: { type: "string", default: "" },
      /** Folder that keeps the log for the next run. */
      data: { type: "string", default: "/tmp/clickstream-bench" },
      tables: { type: "boolean", default: false },
      /** Prints only the figures, in one line. */
      label: { type: "string" },
      /** Setting of the server, such as `wal_compression=lz4`. */
      setting: { type: "string", multiple: true, default: [] },
    },
  });
  await Deno.mkdir(values.data, { recursive: true });
  const log = await filled(values.data, values.load, Number(values.events));
  const settings = Object.fromEntries(values.setting.map((text) => text.split("=") as [string, string]));
  {
    await using server = await startPostgres({
      settings: { max_wal_size: "4GB", shared_buffers: "512MB", ...settings },
    });
    const options = {
      ...{ views: values.views.split(","), raw: values.raw, commit: Number(values.commit), sql: values.sql },
    };
    for (let run = 0; run < Number(values.runs); run++) {
      const url = await server.createDatabase();
      const db = await openPostgres(url);
      await migrate(db, MIGRATIONS);
      await makePartitions(db, { nowMs: FROM_MS, keepDays: 32, aheadDays: 2 });
      if (options.sql !== "") await db.exec(options.sql);
      const { server: theirs, ours, perSecond } = await drained(log, db, server.pid, options);
      console.log(
        `${values.label ?? ""} PostgreSQL ${theirs.toFixed(2)}  ours ${ours.toFixed(2)} µs/event  ${
          perSecond.toFixed(0)
        } events/s`,
      );
      if (values.tables) { for (const line of await tables(db)) console.log(line); }
      await db.close();
      await server.dropDatabase(url);
    }
  }
  await log.close();
  Deno.exit(0);
}
