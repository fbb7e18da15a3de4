/**
 * Rebuilds the tables from the log beside a running service.
 * @module
 */
import { viewsOf } from "../../config/config.ts";
import { readRates, verifyCurrency } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import { holdOperationLock, retryOnLockTimeout, SHORT_LOCK_TIMEOUT } from "../../postgres/locks.ts";
import { timeZoneNamed } from "../../postgres/time_zone.ts";
import { positionsOf } from "../../postgres/operations/progress.ts";
import type { Plan, Reach } from "../../postgres/operations/rebuild_plan.ts";
import { swap, verifyRoomForSwap } from "../../postgres/operations/rebuild_swap.ts";
import { begin, isUnderWay, reachOf } from "../../postgres/operations/rebuild_tables.ts";
import { ZoneSince } from "../../views/time_zone.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import { connected } from "../cli/connection.ts";
import { EXIT, WrongUse } from "../cli/exit.ts";
import type { Output } from "../cli/progress.ts";
import { suggestion } from "../cli/similar.ts";
import { withCommas } from "../../status/text.ts";
import { ready } from "../../postgres/operations/ready.ts";
import { Filling } from "./filling.ts";
import { chosenReach, currencyChange, dayText, planOf, type RebuildSettings } from "./plan.ts";

/** Approximate speed, in records/s, for the estimate. */
const RECORDS_A_SECOND = 20_000;

/** What to rebuild. */
export interface RebuildOptions {
  readonly fromMs: number;
  /** Name of the one view to rebuild; without it, everything. */
  readonly view?: string;
  /** Starts without asking. */
  readonly yes: boolean;
  /** Asks on a terminal; returns null if there is none. */
  readonly ask: (question: string) => boolean | null;
}

/**
 * Recomputes all rows with windows that start on the UTC day of `fromMs` or later, as far as the log reaches back, and
 * replaces the old ones in one transaction; returns the exit code. Prints what it will do, and asks. After an
 * interruption the tables in use are unchanged, and the next run continues.
 */
export async function rebuild(
  { fromMs, view, yes, ask }: RebuildOptions,
  settings: RebuildSettings,
  output: Output,
): Promise<number> {
  const views = rebuiltViews(settings, view);
  return await connected(settings, "rebuild", async (db) => {
    if (!await ready(db, output.writeError, settings.VIEWS_FILE)) return EXIT.schema;
    await holdOperationLock(db);
    if (view !== undefined) await verifyCurrency(db, settings.CURRENCY);
    const rates = await readRates(db);
    const plan = await planOf(db, { timeMs: fromMs, views, rates, isWhole: view === undefined }, settings);
    const continues = await isUnderWay(db, plan);
    const reach = continues ? await reachOf(db) : await chosenReach(db, plan, views, settings);
    const day = dayText(Math.max(plan.fromMs, reach.logBeginsMs ?? 0));
    const lines = [
      ...await described(db, plan, reach),
      ...await currencyChange(db, settings.CURRENCY, dayText(plan.fromMs)),
    ];
    for (const line of lines) output.writeError(`${line}\n`);
    if (!yes && !consent(ask)) {
      output.print("nothing was changed");
      return EXIT.failed;
    }
    if (continues) output.writeError(`continuing the interrupted rebuild from ${dayText(plan.fromMs)}\n`);
    else await begin(db, plan, reach);
    const zone = new ZoneSince(plan.days.sinceMs, await timeZoneNamed(db, plan.days.zone));
    const filling = await Filling.open(settings, plan, { views, rates, zone }, output);
    try {
      await fillAndSwap(db, plan, reach, filling, views, output);
    } finally {
      await filling.close();
    }
    output.print(`rebuilt ${view ?? "all windows, sessions, user days and events"} from ${day}`);
    return EXIT.done;
  }, SHORT_LOCK_TIMEOUT);
}

/** The views to rebuild. */
function rebuiltViews(settings: RebuildSettings, name: string | undefined): readonly View[] {
  const views = viewsOf(settings);
  const chosen = views.filter((view) => name === undefined || view.name === name);
  if (chosen.length > 0) return chosen;
  const names = views.map((view) => view.name);
  throw new WrongUse(`--view is ${JSON.stringify(name)}, which is no view${suggestion(name!, names)}`);
}

function consent(ask: RebuildOptions["ask"]): boolean {
  const answer = ask("Rebuild these tables?");
  if (answer !== null) return answer;
  throw new WrongUse("rebuild asks before it starts, and there is no terminal: add --yes");
}

/** What a rebuild will do, in lines. */
async function described(db: Database, plan: Plan, { starts, logBeginsMs }: Reach): Promise<string[]> {
  const positions = await positionsOf(db, plan.topic);
  const records = starts.reduce(
    (sum, { partition, from }) => sum + Math.max(0, (positions.get(partition)?.next ?? 0) - from),
    0,
  );
  const firstMs = Math.max(plan.fromMs, logBeginsMs ?? 0);
  const days = Math.floor(Date.now() / DAY_MS) - Math.floor(firstMs / DAY_MS) + 1;
  const minutes = Math.ceil(records / RECORDS_A_SECOND / 60);
  const { zone, former, sinceMs, areAll } = plan.days;
  const counted = areAll
    ? "all events are counted by the new ones"
    : `events from ${new Date(sinceMs).toISOString()} on are counted by the new ones; older user days stay`;
  return [
    ...zone === former ? [] : [`changes days from ${former} to ${zone}: ${counted}`],
    `replaces rows${plan.isWhole ? "" : ` of ${plan.views[0]}`} from ${dayText(firstMs)} to now` +
    (logBeginsMs === null
      ? ""
      : `: the log starts on ${dayText(logBeginsMs)}, and its late events belong to earlier days`),
    `reads about ${withCommas(records)} records of topic ${plan.topic}, in about ${minutes} min`,
    ...plan.isWhole
      ? [
        `needs about ${await sizeOf(db, records)} of disk space until it is done` +
        (plan.storeEvents ? `, and about ${days} daily partitions of events` : ""),
      ]
      : [],
  ];
}

/** About how much space the rows of so many records take in all tables, in words. */
async function sizeOf(db: Database, records: number): Promise<string> {
  const { rows: [row] } = await db.query<{ size: string }>(
    `select pg_size_pretty((sum(pg_total_relation_size(c.oid)) * $1::float8
         / greatest(1, (select sum(consumed) from clickstream.progress)))::bigint) as size
       from pg_class c where c.relnamespace = 'clickstream'::regnamespace and c.relkind = 'r'`,
    [records],
  );
  return row!.size;
}

async function fillAndSwap(
  db: Database,
  plan: Plan,
  reach: Reach,
  filling: Filling,
  views: readonly View[],
  output: Output,
): Promise<void> {
  const say = (line: string) => output.writeError(`${line}\n`);
  // The first round reads nearly everything, the second the records since; only the last one blocks the service.
  for (let round = 0; round < 2; round++) await filling.readTo(await nextOffsets(db, plan.topic));
  await verifyRoomForSwap(db);
  await retryOnLockTimeout("put the new rows in place", say, () =>
    db.transaction(async (tx) => {
      await tx.exec("lock table clickstream.progress in exclusive mode");
      await filling.readTo(await nextOffsets(tx, plan.topic));
      await swap(tx, plan, views, reach);
    }));
}

async function nextOffsets(db: Database, topic: string): Promise<ReadonlyMap<number, number>> {
  return new Map([...await positionsOf(db, topic)].map(([partition, { next }]) => [partition, next]));
}
