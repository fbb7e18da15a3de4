/**
 * Runs the service until it has drained a full topic, measures it, and checks every table against the counts of the
 * load.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Counts } from "../generator/records.ts";
import { type Compared, compared, comparison, EVER } from "../processor/commands/demo/figures.ts";
import type { Database } from "../processor/postgres/database.ts";
import { DAY_MS } from "../processor/views/view.ts";
import { until } from "../testing/servers/child.ts";
import type { Broker } from "../testing/servers/kafka.ts";
import { type Server, using } from "../testing/servers/postgres.ts";
import { FROM_MS } from "./clicks.ts";
import { type Drained, PEERS_CASE } from "./figures.ts";
import type { Topic } from "./fill.ts";
import type { Program } from "./programs.ts";
import { prepare, type Prepared } from "./service.ts";
import { processCpuSeconds, residentPeakMb, treeCpuSeconds } from "../testing/servers/usage.ts";

/** The servers that all programs use, one after the other. */
export interface Stand {
  readonly broker: Broker;
  readonly server: Server;
  /** Prints the service's log after each run. */
  readonly verbose: boolean;
}

/** Settings of a case. */
export type Settings = Readonly<Record<string, string>>;

const WINDOWS = { VIEWS: "traffic,pages,active_users" };

const VIEWS_FILE = fileURLToPath(new URL("../testing/servers/twenty_views.yaml", import.meta.url));

/** Settings of each case, by what it keeps. */
export const CASES: Readonly<Record<string, Settings>> = {
  [PEERS_CASE]: { ...WINDOWS, STORE_EVENTS: "false" },
  "windows and raw events": { ...WINDOWS, STORE_EVENTS: "true" },
  "all views": { STORE_EVENTS: "false" },
  "all views and raw events": { STORE_EVENTS: "true" },
  "20 declared views, all views and raw events": { STORE_EVENTS: "true", VIEWS_FILE },
};

/** Whether a program can run a case: 1.0.0 knows no declared views. */
export async function canRun({ command: [path, ...args] }: Program, name: string): Promise<boolean> {
  if (CASES[name]!["VIEWS_FILE"] === undefined) return true;
  return (await new Deno.Command(path, { args: [...args, "views", "schema"], stdout: "null", stderr: "null" }).output())
    .success;
}

/**
 * Creates the tables of a program in a new database. Then PostgreSQL writes what earlier runs have left, so that it is
 * not charged to the next.
 */
export async function prepared(
  { broker, server, verbose }: Stand,
  program: Program,
  topic: string,
  settings: Settings,
): Promise<Prepared & { readonly url: string }> {
  const url = await server.createDatabase();
  const all = {
    LOG_LEVEL: verbose ? "debug" : "warn",
    // The load is of a past day.
    EVENTS_KEEP_DAYS: String(Math.ceil((Date.now() - FROM_MS) / DAY_MS) + 7),
    ...settings,
  };
  const ready = await prepare(broker.bootstrap, topic, url, all, program.command);
  await using(url, (db) => db.exec("checkpoint"));
  return { ...ready, url };
}

/** Drains a topic into a new database, and returns its URL. */
export async function drain(
  stand: Stand,
  program: Program,
  { topic, isOfNow, counts }: Topic,
  settings: Settings,
): Promise<{ readonly drained: Drained; readonly url: string }> {
  const { server } = stand;
  const { records } = counts;
  const { log, url, start } = await prepared(stand, program, topic, {
    ...settings,
    // Some of the simulator's records are expired.
    ...isOfNow && { EVENTS_KEEP_DAYS: "30" },
  });
  const databaseBefore = await treeCpuSeconds(server.pid);
  const startedMs = performance.now();
  await using service = start();
  const drained = await using(url, async (db): Promise<Drained> => {
    let first: { readonly atMs: number; readonly consumed: number } | null = null;
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
        if (consumed > 0) first ??= last;
        return consumed >= records;
      },
      600_000,
      20,
    );
    const { atMs, consumed } = first!;
    return {
      events: records,
      cpuSeconds: await processCpuSeconds(service.pid),
      databaseCpuSeconds: await treeCpuSeconds(server.pid) - databaseBefore,
      perSecond: last.consumed === consumed ? null : (last.consumed - consumed) / (last.atMs - atMs) * 1000,
      firstResultSeconds: (atMs - startedMs) / 1000,
      peakMb: await residentPeakMb(service.pid),
    };
  });
  await service.end("SIGTERM");
  if (stand.verbose) console.log(await Deno.readTextFile(log));
  await using(url, (db) => assertAgree(db, counts, settings));
  await Deno.remove(log);
  return { drained, url };
}

/** Numbers that are not in the tables without raw events, and without the views by user. */
const OF_RAW = ["events"];
const OF_USERS = ["events, by session", "events, by user and day", "purchases", "revenue, cents", "users"];

/** Compares the declared views that count every event. */
async function declaredIn(db: Database, { events }: Counts): Promise<Compared[]> {
  const { rows } = await db.query<{ table: string; n: string | null }>(
    ["all_minutes", "all_types", "type_days"].map((table) =>
      `select '${table}' as "table", sum(event_count)::text as n from clickstream.${table}`
    ).join(" union all "),
  );
  return rows.map(({ table, n }) => ({ what: `events, in ${table}`, made: events, stored: Number(n) }));
}

/** Whether reports can be of bots, too. An older version's are of all. */
async function knowsBots(db: Database): Promise<boolean> {
  const { rows } = await db.query(
    "select from pg_attribute where attrelid = 'clickstream.sessions'::regclass and attname = 'is_bot'",
  );
  return rows.length > 0;
}

/** Fails if the tables don't hold what was sent: the figures would be wrong. */
async function assertAgree(db: Database, counts: Counts, settings: Settings): Promise<void> {
  const absent = [
    ...settings["STORE_EVENTS"] === "true" ? [] : OF_RAW,
    ...settings["VIEWS"] === undefined ? [] : OF_USERS,
  ];
  const rows = [
    ...(await compared(db, counts, await knowsBots(db) ? undefined : EVER)).filter(({ what }) =>
      !absent.includes(what)
    ),
    ...settings["VIEWS_FILE"] === undefined ? [] : await declaredIn(db, counts),
  ];
  if (rows.every(({ made, stored }) => made === stored)) return;
  throw new Error(`the tables do not hold what was sent:\n${comparison(rows).join("\n")}`);
}
