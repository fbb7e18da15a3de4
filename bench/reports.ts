/**
 * `deno task bench:reports`: times each report and each panel over a day, a week and thirty days, on a month of ten million
 * events. Prints the results of `explain (analyze, buffers)`, and fails if a report misses its target.
 * @module
 */
import { parseArgs } from "node:util";
import { expand, panelsOf, rangeOf, sqlTargetsOf, stepMs, withRepeats } from "../grafana/expand.ts";
import { DASHBOARDS } from "../grafana/mod.ts";
import { panelList, withList } from "../grafana/panel_list.ts";
import { MIGRATIONS } from "../migrations/mod.ts";
import type { Database } from "../processor/postgres/database.ts";
import { countCampaigns } from "../processor/postgres/operations/campaign_days.ts";
import { migrate } from "../processor/postgres/operations/migrations.ts";
import { setTimeZone } from "../processor/postgres/time_zone.ts";
import { tableByRow } from "../processor/status/text.ts";
import { type Server, startPostgres, using } from "../testing/servers/postgres.ts";
import { DECLARED, fillMonth, type Month } from "./month.ts";

const PAGE = new URL("../docs/dashboards.md", import.meta.url);
const DAY_MS = 86_400_000;

/** Target times of a report, by the number of days. */
const TARGETS_MS: Readonly<Record<number, number>> = { 1: 200, 7: 1000, 30: 1000 };

/** A statement to time. */
interface Timed {
  readonly name: string;
  readonly days: number;
  readonly sql: string;
  /** Whether the targets apply; not to panels that read raw events or sum over all time and say so. */
  readonly targeted: boolean;
}

/** Timing of a statement. */
interface Timing {
  readonly ms: number;
  /** CPU time of the process that answers, without its parallel workers. */
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

/** Slow panels: they are under closed headings and say so. */
const SLOW = ["Products", "Searches", "Orders", "Stored events by table"];

function reports(now: Date): Timed[] {
  const names = ["conversion", "top_pages", "devices", "regions", "activity_heatmap", "funnel"]
    .concat(["session_lengths", "session_depths", "carts", "entry_paths"])
    .concat(["goals", "funnels", "page_views", "campaigns", "campaigns_compared"])
    .concat(["conversion_compared", "top_pages_compared", "funnel_compared"]);
  return Object.keys(TARGETS_MS).map(Number).flatMap((days) => {
    const from = new Date(now.getTime() - days * DAY_MS);
    const range = `'${from.toISOString()}', '${now.toISOString()}'`;
    const day = (time: Date) => `'${time.toISOString().slice(0, 10)}'::date`;
    const steps = "array['page_view', 'search', 'add_to_cart', 'checkout', 'purchase']";
    return [
      ...names.map((name) => call(name, range, days)),
      call("campaigns", `${range}, 'last_non_direct'`, days),
      // First touches of a month take seconds: the first session of each user is looked up.
      untargeted(call("campaigns", `${range}, 'first'`, days)),
      call("bot_shares", `${range}, interval '1 hour'`, days),
      call("bounces", `${range}, null, null`, days),
      ...["conversions", "event_rates"].map((name) => call(name, `${range}, interval '1 hour', null, null`, days)),
      ...["retention", "retention_weeks", "retention_months", "new_users"].map((name) =>
        call(name, `${day(from)}, ${day(now)}`, days)
      ),
      call("top_users", `${range}, 1000`, days),
      // Listing hundreds of thousands of users is slow, and nobody reads that list.
      { ...call("top_users", range, days), targeted: days === 1 },
      ...days === 1
        ? [
          // What reads raw events has no target.
          ...["products", "orders", "searches"].map((name) => untargeted(call(name, range, days))),
          untargeted(call("paths", `${range}, 3, 'start'`, days)),
          call("unusual_hours", `'${now.toISOString()}'`, days),
          untargeted(call("funnel", `${range}, ${steps}`, days)),
        ]
        : [],
    ];
  });
}

const untargeted = (timed: Timed): Timed => ({ ...timed, targeted: false });

function call(name: string, args: string, days: number): Timed {
  const sql = `select * from clickstream.${name}(${args})`;
  const touch = /, '(last_non_direct|first)'$/.exec(args)?.[1];
  const last = args.includes("array") ? ", steps" : args.endsWith(" 1000") ? ", 1000" : touch ? `, ${touch}` : "";
  return { name: `${name}(…${last})`, days, sql, targeted: true };
}

/** The view whose panel is timed for all that are repeated. */
const VIEW = DECLARED.views[0]!.name;

function panels(now: Date): Timed[] {
  return Object.values(DASHBOARDS).map((dashboard) => withRepeats(dashboard, { view: [VIEW] })).flatMap((dashboard) =>
    panelsOf(dashboard).flatMap((panel) =>
      sqlTargetsOf(panel).flatMap(({ rawSql }) =>
        Object.keys(TARGETS_MS).map(Number).map((days) => {
          const range = rangeOf(panel, new Date(now.getTime() - days * DAY_MS), now);
          const intervalMs = stepMs(panel, now.getTime() - range.from.getTime());
          const sql = expand(rawSql, dashboard, { ...range, intervalMs });
          return { name: `${dashboard.title}: ${panel.title}`, days, sql, targeted: !SLOW.includes(panel.title ?? "") };
        })
      )
    )
  );
}

/** Runs a statement a few times as a reader; returns the median run. */
async function time(db: Database, pid: number, sql: string): Promise<Timing> {
  const timings: Timing[] = [];
  for (let run = 0; run < RUNS; run++) {
    const before = await onCoreMs(pid);
    // Without the timing of each step, which itself takes time.
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

/** CPU time of a process. */
async function onCoreMs(pid: number): Promise<number> {
  const schedule = await Deno.readTextFile(`/proc/${pid}/schedstat`).catch(() => "NaN");
  return Number(schedule.split(" ")[0]) / 1e6;
}

/** Times each statement and prints the result; returns all timings and the number of missed targets. */
async function measure(
  db: Database,
  all: readonly Timed[],
  verbose: boolean,
): Promise<{ readonly missed: number; readonly took: ReadonlyMap<string, number> }> {
  const took = new Map<string, number>();
  await db.exec("set role clickstream_reader");
  const { rows: [backend] } = await db.query<{ pid: string }>("select pg_backend_pid()::text as pid");
  const shown = tableByRow(["ms", "CPU ms", "days", "rows", "buffers read", "hit", "what"], [8, 8, 0, 7, 0, 6]);
  let missed = 0;
  for (const { name, days, sql, targeted } of all) {
    const { ms, cpuMs, rows, hit, read, plan } = await time(db, Number(backend!.pid), sql);
    const isMissed = targeted && ms > TARGETS_MS[days]!;
    if (isMissed) missed++;
    took.set(`${name} ${days}`, ms);
    const what = `${name}${isMissed ? `: more than ${TARGETS_MS[days]} ms` : ""}`;
    console.log(shown([ms.toFixed(1), cpuMs.toFixed(1), String(days), String(rows), String(read), String(hit), what]));
    if (verbose) console.log(plan);
  }
  return { missed, took };
}

/** Writes the panels' times into the list in the docs. */
async function writeList(took: ReadonlyMap<string, number>): Promise<void> {
  const days = Object.keys(TARGETS_MS).map(Number);
  const list = panelList(
    Object.values(DASHBOARDS),
    days,
    (dashboard, panel) => days.map((n) => took.get(`${dashboard}: ${panel.replace("$view", VIEW)} ${n}`) ?? null),
  );
  await Deno.writeTextFile(PAGE, withList(await Deno.readTextFile(PAGE), list));
}

/** Adds up the campaigns of the days that are over, as `clickstream maintain` does every hour. */
async function countDays(db: Database): Promise<void> {
  const startMs = performance.now();
  const count = await countCampaigns((body) => db.transaction(body), Date.now(), () => {});
  const seconds = (performance.now() - startMs) / 1000;
  console.log(`added up the campaigns of ${count} days in ${seconds.toFixed(1)} s`);
}

/** Returns the database of the month, filled if necessary. */
async function filled(server: Server, { events, days, rawDays }: Month, zone: string): Promise<string> {
  const more = [
    ...zone === "UTC" ? [] : [zone.toLowerCase().replaceAll(/\W/g, "_")],
    ...rawDays === 2 ? [] : [`raw_${rawDays}`],
  ];
  const name = ["month", events, days, ...more].join("_");
  const isThere = await using(server.url(), async (db) => {
    const { rows } = await db.query("select from pg_database where datname = $1", [name]);
    return rows.length > 0;
  });
  if (isThere) {
    // Fails if the database has another version of the schema.
    await using(server.url(name), (db) => migrate(db, MIGRATIONS));
    return server.url(name);
  }
  console.log(`fills ${days} days of ${events} events …`);
  const url = await server.createDatabase(`${name}_unfinished`);
  await using(url, async (db) => {
    await migrate(db, MIGRATIONS);
    await setTimeZone(db, zone);
    await fillMonth(db, { events, days, rawDays });
  });
  await using(server.url(), (db) => db.exec(`alter database ${name}_unfinished rename to ${name}`));
  return server.url(name);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "10000000" },
      days: { type: "string", default: "31" },
      /** Days of raw events. */
      raw: { type: "string", default: "2" },
      /** The shop's time zone. */
      zone: { type: "string", default: "UTC" },
      /** Folder that keeps the filled database for the next run. */
      data: { type: "string" },
      only: { type: "string", default: "" },
      verbose: { type: "boolean", default: false },
      /** Write the list of panels in docs/dashboards.md. */
      write: { type: "boolean", default: false },
    },
  });
  await using server = await startPostgres({
    ...values.data !== undefined && { dataDir: values.data },
    settings: { max_wal_size: "4GB", shared_buffers: "512MB" },
  });
  const { missed, took } = await using(
    await filled(
      server,
      { events: Number(values.events), days: Number(values.days), rawDays: Number(values.raw) },
      values.zone,
    ),
    async (db) => {
      await countDays(db);
      const now = new Date();
      const all = [...reports(now), ...panels(now)].filter(({ name }) => name.includes(values.only));
      return await measure(db, all, values.verbose);
    },
  );
  if (values.write) await writeList(took);
  console.log(missed === 0 ? "all within their targets" : `${missed} missed their targets`);
  await server.stop();
  Deno.exitCode = missed === 0 ? 0 : 1;
}
