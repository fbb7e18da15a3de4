/**
 * `deno task bench:reports`: how long each report and each panel takes over a day and over thirty, in a database that
 * holds a month of ten million events. Prints what `explain (analyze, buffers)` says, and fails where a report misses its
 * target.
 * @module
 */
import { parseArgs } from "node:util";
import { expand, panelsOf, sqlTargetsOf } from "../grafana/expand.ts";
import { DASHBOARDS } from "../grafana/mod.ts";
import { MIGRATIONS } from "../migrations/mod.ts";
import type { Database } from "../processor/io/database.ts";
import { migrate } from "../processor/io/migrations.ts";
import { startPostgres, using } from "../processor/testing/postgres.ts";
import { fillMonth } from "./month.ts";

const DAY_MS = 86_400_000;

/** The most that a report may take, by the days it is asked about. */
const TARGETS_MS: Readonly<Record<number, number>> = { 1: 200, 30: 1000 };

/** A statement that is timed. */
interface Timed {
  readonly name: string;
  readonly days: number;
  readonly sql: string;
  /** Held against the targets; a panel that says it reads raw events, or adds up all of time, is not. */
  readonly targeted: boolean;
}

/** What is said of the runs of a statement. */
interface Timing {
  readonly ms: number;
  /** On a core, of the one process that answers, without those that it asks for help. */
  readonly cpuMs: number;
  readonly rows: number;
  readonly hit: number;
  readonly read: number;
  readonly plan: string;
}

interface Plan {
  readonly "Execution Time": number;
  readonly "Planning Time": number;
  readonly Plan: {
    readonly "Actual Rows": number;
    readonly "Shared Hit Blocks": number;
    readonly "Shared Read Blocks": number;
  };
}

const RUNS = 3;

/** Panels that are slow by what they ask: under closed headings, and saying so. */
const SLOW = ["A funnel of your own", "Do the tables hold what was stored?"];

function reports(now: Date): Timed[] {
  const names = ["conversion", "top_pages", "devices", "regions", "activity_heatmap", "funnel", "top_users"]
    .concat(["session_lengths", "session_depths", "carts", "entry_paths"]);
  return Object.keys(TARGETS_MS).map(Number).flatMap((days) => {
    const from = new Date(now.getTime() - days * DAY_MS);
    const day = (time: Date) => `'${time.toISOString().slice(0, 10)}'::date`;
    const steps = "array['page_view', 'search', 'add_to_cart', 'checkout', 'purchase']";
    return [
      ...names.map((name) => call(name, `'${from.toISOString()}', '${now.toISOString()}'`, days)),
      ...["retention", "new_users"].map((name) => call(name, `${day(from)}, ${day(now)}`, days)),
      ...days === 1
        ? [{ ...call("funnel", `'${from.toISOString()}', '${now.toISOString()}', ${steps}`, days), targeted: false }]
        : [],
    ];
  });
}

function call(name: string, args: string, days: number): Timed {
  const sql = `select * from clickstream.${name}(${args})`;
  return { name: `${name}(${args.includes("array") ? "…, steps" : "…"})`, days, sql, targeted: true };
}

function panels(now: Date): Timed[] {
  return Object.values(DASHBOARDS).flatMap((dashboard) =>
    panelsOf(dashboard).flatMap((panel) =>
      sqlTargetsOf(panel).flatMap(({ rawSql }) =>
        Object.keys(TARGETS_MS).map(Number).map((days) => {
          const from = new Date(now.getTime() - days * DAY_MS);
          const intervalMs = days === 1 ? 60_000 : 1_800_000;
          const sql = expand(rawSql, dashboard, { from, to: now, intervalMs });
          return { name: `${dashboard.title}: ${panel.title}`, days, sql, targeted: !SLOW.includes(panel.title ?? "") };
        })
      )
    )
  );
}

/** Runs a statement a few times as a reader would, and says how long the middle one took. */
async function time(db: Database, pid: number, sql: string): Promise<Timing> {
  const timings: Timing[] = [];
  for (let run = 0; run < RUNS; run++) {
    const before = await onCoreMs(pid);
    // Without the times of each step, whose taking takes its time.
    const explain = `explain (analyze, buffers, timing off, format json) ${sql}`;
    const { rows } = await db.query<{ "QUERY PLAN": string }>(explain);
    const cpuMs = await onCoreMs(pid) - before;
    const said = rows[0]!["QUERY PLAN"];
    const [plan] = (typeof said === "string" ? JSON.parse(said) : said) as Plan[];
    timings.push({
      ms: plan!["Execution Time"] + plan!["Planning Time"],
      cpuMs,
      rows: plan!.Plan["Actual Rows"],
      hit: plan!.Plan["Shared Hit Blocks"],
      read: plan!.Plan["Shared Read Blocks"],
      plan: JSON.stringify(plan, null, 1),
    });
  }
  return timings.toSorted((a, b) => a.ms - b.ms)[Math.floor(RUNS / 2)]!;
}

/** Time that a process has been on a core. */
async function onCoreMs(pid: number): Promise<number> {
  const schedule = await Deno.readTextFile(`/proc/${pid}/schedstat`).catch(() => "NaN");
  return Number(schedule.split(" ")[0]) / 1e6;
}

async function measure(db: Database, all: readonly Timed[], verbose: boolean): Promise<number> {
  await db.exec("set role clickstream_reader");
  const { rows: [backend] } = await db.query<{ pid: string }>("select pg_backend_pid()::text as pid");
  console.log("      ms   CPU ms  days    rows  buffers read    hit  what");
  let missed = 0;
  for (const { name, days, sql, targeted } of all) {
    const { ms, cpuMs, rows, hit, read, plan } = await time(db, Number(backend!.pid), sql);
    const isMissed = targeted && ms > TARGETS_MS[days]!;
    if (isMissed) missed++;
    const numbers = [
      ms.toFixed(1).padStart(8),
      cpuMs.toFixed(1).padStart(8),
      String(days).padStart(5),
      String(rows).padStart(7),
    ];
    const buffers = [String(read).padStart(13), String(hit).padStart(6)];
    console.log([...numbers, ...buffers, ` ${name}${isMissed ? `: more than ${TARGETS_MS[days]} ms` : ""}`].join(" "));
    if (verbose) console.log(plan);
  }
  return missed;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "10000000" },
      days: { type: "string", default: "31" },
      /** An existing database that this has filled before; otherwise one is started and filled. */
      url: { type: "string" },
      only: { type: "string", default: "" },
      verbose: { type: "boolean", default: false },
    },
  });
  const run = async (url: string, fill: boolean): Promise<number> =>
    await using(url, async (db) => {
      if (fill) {
        await migrate(db, MIGRATIONS);
        console.log(`fills ${values.days} days of ${values.events} events …`);
        await fillMonth(db, { events: Number(values.events), days: Number(values.days), rawDays: 2 });
      }
      const now = new Date();
      const all = [...reports(now), ...panels(now)].filter(({ name }) => name.includes(values.only));
      return await measure(db, all, values.verbose);
    });
  if (values.url !== undefined) Deno.exit(await run(values.url, false) === 0 ? 0 : 1);
  await using server = await startPostgres({ settings: { max_wal_size: "4GB", shared_buffers: "512MB" } });
  const missed = await run(await server.createDatabase(), true);
  console.log(missed === 0 ? "all within their targets" : `${missed} missed their targets`);
  Deno.exitCode = missed === 0 ? 0 : 1;
}
