/** Marks of bots in the tables, by every path by which the sink writes, and what reports make of them. */
import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { fromJson, KAFKA_MS } from "../oracle/logs.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { compareReports, formatReportDifferences } from "../oracle/report_differences.ts";
import { rangeOf } from "../oracle/reports.ts";
import { BOT, PERSON } from "../testing/clicks.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { ingest, KEEP_DAYS } from "../testing/ingest_schedules.ts";
import { wrongRollups } from "../testing/rollups.ts";
import { at, clicks, type Message } from "../testing/scenario.ts";
import { VIEWS } from "../views/mod.ts";
import { DAY_MS } from "../views/view.ts";
import type { Database } from "./database.ts";
import { migrate } from "./operations/migrations.ts";
import { SqlSink } from "./sink/sql_sink.ts";

const HOUR_MS = 3_600_000;

/** Events by the user, evenly over a time that begins so long before the Kafka timestamp of the log. */
function burst(user: string, count: number, beforeMs: number, lengthMs: number, more: Message = {}): Message[] {
  return Array.from({ length: count }, (_, n) => ({
    eventId: `${user}-${beforeMs}-${n}`,
    userId: user,
    eventType: n % 50 === 0 ? "page_view" : n % 50 === 49 ? "purchase" : "search",
    page: `/${n % 3}?q=${n % 2}`,
    timestamp: KAFKA_MS - beforeMs + Math.floor((n * lengthMs) / Math.max(1, count - 1)),
    price: "1.50",
    productId: `P${n % 2}`,
    ...more,
  }));
}

// The Kafka timestamp is 01:00, so that an hour and a half before it is the day before.
const LOG: OracleLog = fromJson([
  // A bot by its pace, which a late event makes a person again, and one that stays one.
  ...burst("slow", 240, 50 * 60_000, 60_000),
  ...burst("fast", 240, 50 * 60_000, 60_000),
  ...burst("slow", 1, 25 * 60_000, 0),
  // A person, whom events in between make a bot: two sessions become one.
  ...burst("join", 120, 40 * 60_000, 30_000),
  ...burst("join", 120, 8 * 60_000, 30_000),
  ...burst("join", 1, 20 * 60_000, 0),
  ...burst("pace", 150, 40 * 60_000, 10_000),
  ...burst("pace", 150, 39 * 60_000, 10_000),
  // At the edges: exactly 60 per started minute, one more, one minute more; 199 and 200.
  ...burst("even", 240, 50 * 60_000, 239_999),
  ...burst("more", 241, 50 * 60_000, 239_999),
  ...burst("over", 241, 50 * 60_000, 240_000),
  ...burst("near", 199, 50 * 60_000, 999),
  ...burst("just", 200, 50 * 60_000, 999),
  // Two bots, whom an event in between makes one.
  ...burst("glue", 2, 50 * 60_000, 1000, { userAgent: BOT }),
  ...burst("glue", 2, 5 * 60_000, 1000, { userAgent: BOT }),
  // Marked by one event, before midnight, at the end, and in between; over two midnights.
  ...burst("late", 3, 2 * HOUR_MS, 60 * 60_000),
  ...burst("late", 1, 90 * 60_000, 0, { userAgent: BOT }),
  ...burst("long", 60, 26 * HOUR_MS, 25.5 * HOUR_MS),
  ...burst("long", 1, 12 * HOUR_MS + 1, 0, { userAgent: BOT }),
  // The same user with and without a mark, in sessions of its own.
  ...burst("both", 4, 3 * HOUR_MS, 60_000, { userAgent: PERSON }),
  ...burst("both", 4, 30 * 60_000, 60_000, { userAgent: BOT }),
  ...burst("both", 4, 30 * 60_000 - 1, 60_000, { sessionId: "s" }),
  // A session that begins earlier than was known, on the day before; first marked, then joined by a person's.
  ...burst("back", 2, 55 * 60_000, 60_000, { userAgent: BOT }),
  ...burst("back", 2, 80 * 60_000, 60_000),
  ...burst("glue", 1, 27 * 60_000, 0),
]);

onEachDatabase("bots", {
  "are marked as the oracle says, by every path": async (open) => {
    const db = await migrated(open);
    const expected = expectedOf(LOG, { keepDays: KEEP_DAYS, views: VIEWS });
    assert.deepEqual(
      expected.sessions.filter(({ is_bot }) => is_bot).map(({ user_id, events }) => `${user_id} ${events}`),
      ["back 4", "both 4", "fast 240", "glue 5", "just 200", "late 4", "long 61", "more 241", "pace 300"],
    );
    const sink = new SqlSink(db, "test");
    for (const inACommit of [40, 1000, 150]) {
      await db.exec(
        "truncate clickstream.progress, clickstream.events, clickstream.sessions, clickstream.user_days, " +
          "clickstream.traffic, clickstream.pages, clickstream.active_users",
      );
      await ingest(LOG, sink, { inAPoll: 1000, inACommit, turnsOfALife: 1000 });
      assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees", `${inACommit} a commit`);
      assert.deepEqual(await wrongRollups(db), {});
    }
    const ranges = [
      rangeOf(KAFKA_MS - 3 * DAY_MS, KAFKA_MS + DAY_MS),
      rangeOf(KAFKA_MS - 90 * 60_000, KAFKA_MS - 10 * 60_000),
    ];
    const differences = await compareReports(db, expected, { ranges, nowMs: Date.now() });
    assert.equal(formatReportDifferences(differences), "every report agrees");
  },

  "are left out of every report that does not ask for them": async (open) => {
    const db = await migrated(open);
    const { rows } = await db.query<{ name: string; arguments: string }>(
      `select p.proname::text as name, pg_get_function_arguments(p.oid) as arguments
         from pg_proc p
        where p.pronamespace = 'clickstream'::regnamespace and p.provolatile = 's'
          and has_function_privilege('clickstream_reader', p.oid, 'execute')
          and pg_get_functiondef(p.oid) ~ 'clickstream\\.(events|traffic|traffic_hours|pages|page_days|active_users|sessions|user_days|users)\\M[^(]'`,
    );
    assert.ok(rows.length > 20);
    for (const { name, arguments: all } of rows) assert.match(all, /, bots boolean DEFAULT false$/, name);
  },

  "count in reports that ask for them, checked by hand": async (open) => {
    const db = await migrated(open);
    const messages = clicks(`
      time          userId eventType page
      10:00:00.000  ann    page_view /
      10:01:00.000  ann    purchase  /pay
      10:00:00.000  bot    page_view /
      10:00:01.000  bot    page_view /a
    `).map((message) => message["userId"] === "bot" ? { ...message, userAgent: "curl/8.14.1" } : message);
    await storeEvents(db, messages, at("12:00:00.000"));
    const day = ["2026-11-02T00:00Z", "2026-11-03T00:00Z"] as const;
    assert.deepEqual(await report(db, "page_views", day), [["/", 1]]);
    assert.deepEqual(await report(db, "page_views($1, $2, bots => true)", day), [["/", 2], ["/a", 1]]);
    assert.deepEqual(await report(db, "conversion", day), [[1, 1, 1, 1, 1, 0]]);
    assert.deepEqual(await report(db, "conversion($1, $2, bots => true)", day), [[2, 1, 0.5, 2, 1, 0]]);
    assert.deepEqual(await report(db, "conversion($1, $2, null, null, true)", day), [[2, 1, 0.5, 2, 1, 0]]);
    assert.deepEqual(await report(db, "bot_shares($1, $2, interval '1 day')", day), [
      ["2026-11-02T00:00:00+00:00", 4, 2, 0.5, 2, 1, 0.5],
    ]);
    assert.deepEqual(await report(db, "new_users($1::timestamptz::date, $2::timestamptz::date)", day), [
      ["2026-11-02", 1, 1, 0],
    ]);
  },

  "were people before there were marks, until something new comes": async (open) => {
    const db = await open();
    const before = MIGRATIONS.findIndex(({ name }) => name.endsWith("_bots.sql"));
    await migrate(db, MIGRATIONS.slice(0, before));
    await db.exec(`
      insert into clickstream.traffic values ('2026-11-02T10:00Z', 'page_view', 'mobile', 'eu', 3, 1, 0, '\\x02');
      insert into clickstream.pages (window_start, page, views, users, users_state)
        values ('2026-11-02T10:00Z', '/', 3, 1, '\\x02');
      insert into clickstream.active_users values ('2026-11-02T10:00Z', '2026-11-02T10:05Z', 1, '\\x02');
      insert into clickstream.sessions (started_at, ended_at, events, page_views, carts, purchases, revenue_cents,
          funnel_step, user_id, device, region, first_event_id)
        values ('2026-11-02T10:00Z', '2026-11-02T10:00:50Z', 300, 300, 0, 0, 0, 1, 'old', 'mobile', 'eu', 'e0');
      insert into clickstream.user_days (user_id, day, events, purchases, revenue_cents)
        values ('old', '2026-11-02', 300, 0, 0)`);
    await migrate(db, MIGRATIONS);
    const marks = async () => {
      const { rows } = await db.query<{ line: string }>(
        `select 'traffic ' || is_bot as line from clickstream.traffic union all
         select 'hours ' || is_bot from clickstream.traffic_hours union all
         select 'page ' || is_bot from clickstream.pages union all
         select 'page day ' || is_bot || ' ' || views from clickstream.page_days where views <> 0 union all
         select 'active ' || is_bot from clickstream.active_users where window_start = '2026-11-02T10:00Z' union all
         select concat_ws(' ', 'session', is_bot, events, bot_events) from clickstream.sessions union all
         select concat_ws(' ', 'day', is_bot, bot_sessions) from clickstream.user_days`,
      );
      return rows.map(({ line }) => line.replaceAll(/\bt\b/g, "true").replaceAll(/\bf\b/g, "false")).sort();
    };
    assert.deepEqual(await marks(), [
      ...["active false", "day false 0", "hours false", "page day false 3", "page false", "session false 300 0"],
      "traffic false",
    ]);
    // The session goes on, and has been too fast all the time.
    await storeEvents(db, [{
      ...{ eventId: "e1", userId: "old", eventType: "search", page: "/", timestamp: at("10:00:59.000") },
      ...{ device: "mobile", region: "eu" },
    }], at("12:00:00.000"));
    assert.ok((await marks()).includes("session true 301 0"));
    assert.ok((await marks()).includes("day true 1"));
    assert.deepEqual(await wrongRollups(db as Database), {});
  },
});
