/**
 * What the exchange of a rebuild makes of the days of bots, also if it changes the time zone or is of one view; and of
 * goals.
 */
import assert from "node:assert/strict";
import { Random } from "../../../generator/random.ts";
import { migrated, onEachDatabase, type Open } from "../../../testing/servers/databases.ts";
import { type DeclaredViews, readDeclared, withDeclared } from "../../declared/file.ts";
import { fromJson } from "../../oracle/logs.ts";
import { expectedOf, type OracleLog } from "../../oracle/oracle.ts";
import { localDay } from "../../oracle/values.ts";
import { BOT } from "../../testing/clicks.ts";
import { ingest, KEEP_DAYS } from "../../testing/ingest_schedules.ts";
import { forShop, VIEWS } from "../../views/mod.ts";
import { sessions } from "../../views/sessions.ts";
import { ZoneSince } from "../../views/time_zone.ts";
import { userDays } from "../../views/user_days.ts";
import { DAY_MS, minutes, type View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { STAGING } from "../schema.ts";
import { SqlSink } from "../sink/sql_sink.ts";
import { changeTimeZone, nextDayStart, timeZoneNamed } from "../time_zone.ts";
import { countCampaigns } from "./campaign_days.ts";
import { applyDeclarations } from "./declarations.ts";
import type { Plan } from "./rebuild_plan.ts";
import { swap } from "./rebuild_swap.ts";
import { begin } from "./rebuild_tables.ts";

const BEGIN_MS = Date.UTC(2026, 9, 23);
/** Read after all events. */
const KAFKA_MS = BEGIN_MS + 6 * DAY_MS;

/** Users who come again at any hour of four days, some now and then as a bot; clocks of Berlin change on one of them. */
function log(): OracleLog {
  const random = new Random(3);
  return fromJson(
    Array.from({ length: 8 }, (_, user) => {
      let timestamp = BEGIN_MS;
      return Array.from({ length: 150 }, (_, n) => {
        timestamp += minutes(random.pick([1, 20, 29, 30, 31, 90])) + random.below(2);
        const more = random.chance(0.04) ? { userAgent: BOT } : {};
        return { eventId: `${user}-${n}`, userId: `u${user}`, eventType: "page_view", page: "/", timestamp, ...more };
      });
    }).flat().sort((a, b) => a.timestamp - b.timestamp),
    KAFKA_MS,
  );
}

/** What is rebuilt, and by which days. */
interface Case {
  readonly former: string;
  readonly zone: string;
  readonly fromMs: number;
  readonly areAll?: boolean;
  /** Where the log begins, if not before; what it has of earlier days is late. */
  readonly logBeginsMs?: number;
  /** All by default. */
  readonly views?: readonly View[];
}

const THIRD_DAY_MS = BEGIN_MS + 2 * DAY_MS;

const CASES: readonly Case[] = [
  { former: "UTC", zone: "UTC", fromMs: THIRD_DAY_MS },
  { former: "Australia/Sydney", zone: "Australia/Sydney", fromMs: THIRD_DAY_MS },
  { former: "America/New_York", zone: "Pacific/Kiritimati", fromMs: THIRD_DAY_MS },
  { former: "Pacific/Kiritimati", zone: "Pacific/Pago_Pago", fromMs: THIRD_DAY_MS },
  { former: "UTC", zone: "Europe/Berlin", fromMs: BEGIN_MS, areAll: true },
  { former: "Asia/Kathmandu", zone: "Asia/Kathmandu", fromMs: THIRD_DAY_MS, views: [userDays] },
  { former: "Asia/Kathmandu", zone: "Asia/Kathmandu", fromMs: THIRD_DAY_MS, views: [sessions] },
  {
    ...{ former: "Asia/Kathmandu", zone: "Asia/Kathmandu", fromMs: BEGIN_MS + DAY_MS, views: [userDays] },
    logBeginsMs: BEGIN_MS + 3 * DAY_MS,
  },
  { former: "UTC", zone: "UTC", fromMs: BEGIN_MS + DAY_MS, logBeginsMs: BEGIN_MS + 3 * DAY_MS },
];

const swapsOf = (cases: readonly Case[]) => ({
  "marks the days of bots, in whatever zones they are": async (open: Open) => {
    const sent = log();
    for (const rebuilt of cases) {
      const db = await migrated(open);
      const about = `${rebuilt.former} to ${rebuilt.zone}, ${
        (rebuilt.views ?? VIEWS).map(({ name }) => name).join(" ")
      }`;
      await changeTimeZone(db, rebuilt.former, null);
      await fill(db, sent, new SqlSink(db, "test", { zone: await timeZoneNamed(db, rebuilt.former) }), rebuilt.former);
      assert.deepEqual(await stored(db), expected(sent, rebuilt.former, rebuilt.former, 0), rebuilt.former);
      const plan = await planOf(db, sent, rebuilt);
      const ofOne = rebuilt.views?.[0];
      const from = `'${new Date(rebuilt.fromMs).toISOString()}'`;
      if (ofOne !== userDays) {
        await db.exec(`update clickstream.sessions set is_bot = not is_bot where started_at >= ${from}`);
      }
      // Of the day before, sessions may have been replaced.
      const marked = rebuilt.logBeginsMs === undefined ? rebuilt.fromMs : plan.days.sinceMs;
      await db.exec(
        `update clickstream.user_days set bot_sessions = 7, is_bot = true
          where day >= clickstream.day_of('${new Date(marked).toISOString()}')`,
      );
      assert.ok(await countCampaigns((body) => db.transaction(body), KAFKA_MS, () => {}) > 0);
      await rebuild(db, sent, plan, rebuilt.logBeginsMs ?? null);
      assert.equal((await db.query("select from clickstream.campaign_days")).rowCount, 0, about);
      const sinceMs = rebuilt.areAll ? 0 : plan.days.sinceMs;
      assert.deepEqual(await stored(db), expected(sent, rebuilt.former, rebuilt.zone, sinceMs), about);
    }
  },
});

onEachDatabase("the exchange of a rebuild", swapsOf(CASES), swapsOf(CASES.slice(2, 4)));

onEachDatabase("the exchange of sessions", {
  "counts goals from its day on, and changes nothing if they were declared anew meanwhile": async (open) => {
    const db = await migrated(open);
    const sent = log();
    await fill(db, sent, new SqlSink(db, "test"), "UTC");
    const file = readDeclared(
      "goals: [{ name: seen, description: Seen., filter: { event: page_view } }]",
      "views.yaml",
    );
    await applyDeclarations(db, file, false);
    const rebuilt: Case = { former: "UTC", zone: "UTC", fromMs: THIRD_DAY_MS, views: [sessions] };
    const plan = await planOf(db, sent, rebuilt);
    const counts = async () => {
      const { rows } = await db.query<{ views: number; seen: number }>(
        `select sum(page_views)::int as views, sum(goal_seen)::int as seen from clickstream.sessions
          group by started_at >= '${new Date(THIRD_DAY_MS).toISOString()}' order by min(started_at)`,
      );
      return rows;
    };
    const [before, after] = await counts();
    assert.ok(before!.views > 0 && after!.views > 0);
    await assert.rejects(rebuild(db, sent, plan, null, file), /the declared views of the database are others/);
    assert.deepEqual(await counts(), [{ ...before!, seen: 0 }, { ...after!, seen: 0 }]);
    await rebuild(db, sent, { ...plan, declared: file.hash }, null, file);
    assert.deepEqual(await counts(), [{ ...before!, seen: 0 }, { ...after!, seen: after!.views }]);
  },
});

async function fill(db: Database, sent: OracleLog, sink: SqlSink, zoneName: string): Promise<void> {
  const zone = await timeZoneNamed(db, zoneName);
  const schedule = { inAPoll: 400, inACommit: 400, turnsOfALife: 1000 };
  await ingest(sent, sink, schedule, forShop(VIEWS, { siteHosts: [], zone }));
}

async function planOf(
  db: Database,
  { topic }: OracleLog,
  { former, zone, fromMs, areAll = false, views }: Case,
): Promise<Plan> {
  return {
    ...{ topic, topicId: null, adoptions: 0, fromMs, version: "test", declared: "", keepDays: KEEP_DAYS },
    views: (views ?? VIEWS).map(({ name }) => name),
    isWhole: views === undefined,
    ...{ storeEvents: false, hashRoutes: true, siteHosts: [], money: null, layout: 5, replayed: [] },
    days: { former, zone, sinceMs: await nextDayStart(db, fromMs), areAll },
  };
}

async function rebuild(
  db: Database,
  sent: OracleLog,
  plan: Plan,
  logBeginsMs: number | null,
  file: DeclaredViews | null = null,
): Promise<void> {
  const reach = {
    starts: sent.partitions.map((_, partition) => ({ partition, replay: 0, from: 0 })),
    logBeginsMs,
  };
  const zone = new ZoneSince(plan.days.sinceMs, await timeZoneNamed(db, plan.days.zone));
  const chosen = VIEWS.filter(({ name }) => plan.views.includes(name));
  const views = forShop(withDeclared(chosen, file), { siteHosts: [], zone });
  await begin(db, plan, reach);
  const schedule = { inAPoll: 400, inACommit: 400, turnsOfALife: 1000 };
  await ingest(sent, new SqlSink(db, "rebuild", { schema: STAGING, zone }), schedule, views);
  await db.transaction((tx) => swap(tx, plan, views, reach));
}

async function stored(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ line: string }>(
    `select concat_ws(' ', user_id, day, events, bot_sessions, is_bot::text) as line from clickstream.user_days`,
  );
  return rows.map(({ line }) => line).sort();
}

/** The days of users: of one zone, and from a time on of another. */
function expected(sent: OracleLog, former: string, zone: string, sinceMs: number): string[] {
  const { events, sessions } = expectedOf(sent, { keepDays: KEEP_DAYS });
  const ofBots = sessions.filter(({ is_bot }) => is_bot);
  const days = new Map<string, { events: number; readonly bots: Set<string> }>();
  for (const { user_id, event_time } of events) {
    const timeMs = Date.parse(event_time);
    const key = `${user_id} ${localDay(timeMs, timeMs < sinceMs ? former : zone)}`;
    const day = days.get(key) ?? { events: 0, bots: new Set<string>() };
    days.set(key, day);
    day.events++;
    for (const session of ofBots) {
      const isOf = session.user_id === user_id && session.started_at <= event_time && event_time <= session.ended_at;
      if (isOf) day.bots.add(session.started_at);
    }
  }
  return [...days].map(([key, { events, bots }]) => `${key} ${events} ${bots.size} ${bots.size > 0}`).sort();
}
