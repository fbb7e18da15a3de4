import assert from "node:assert/strict";
import fc from "fast-check";
import { runs } from "../../testing/effort.ts";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { type Range, rangeOf } from "../oracle/reports.ts";
import { compareReports, formatReportDifferences } from "../oracle/report_differences.ts";
import { REPORTS } from "../oracle/report_tables.ts";
import { startOfDay } from "../oracle/values.ts";
import { BOT, PERSON } from "../testing/clicks.ts";
import { ingest, KEEP_DAYS, schedule } from "../testing/ingest_schedules.ts";
import { wrongRollups } from "../testing/rollups.ts";
import { forShop, VIEWS } from "../views/mod.ts";
import type { Database } from "./database.ts";
import { countCampaigns } from "./operations/campaign_days.ts";
import { SqlSink } from "./sink/sql_sink.ts";
import { changeTimeZone, timeZoneOf } from "./time_zone.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const TOPIC = "clicks";

/** Zones, and a day of each on which the clocks change, or which is a quarter of an hour off. */
const DAYS: readonly (readonly [zone: string, day: string])[] = [
  ["Europe/Berlin", "2026-03-29"],
  ["Europe/Berlin", "2026-10-25"],
  ["America/New_York", "2026-03-08"],
  ["America/New_York", "2026-11-01"],
  ["Asia/Kathmandu", "2026-06-30"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Australia/Lord_Howe", "2026-10-04"],
];

/** The midnights around a day, and the hours of its night, in which clocks change. */
function edgesOf(zone: string, day: string): readonly number[] {
  const startMs = startOfDay(day, zone);
  const next = (days: number) =>
    startOfDay(new Date(Date.parse(day) + days * 24 * HOUR_MS).toISOString().slice(0, 10), zone);
  return [next(-1), startMs, next(1), next(2), ...[1, 1.5, 2, 3].map((hours) => startMs + hours * HOUR_MS)];
}

const time = (edges: readonly number[]) =>
  fc.tuple(fc.constantFrom(...edges), fc.constantFrom(-MINUTE_MS, -1, 0, 1, MINUTE_MS, 20 * MINUTE_MS))
    .map(([edge, more]) => edge + more);

/** A log of two partitions, by user, in any order of times. */
function logsOf(edges: readonly number[]): fc.Arbitrary<OracleLog> {
  const kafkaMs = Math.max(...edges) + HOUR_MS;
  const click = fc.record({
    user: fc.nat(5),
    eventType: fc.constantFrom("page_view", "page_view", "add_to_cart", "purchase"),
    page: fc.constantFrom("/", "/a", "/b?q=x", "/?gclid=1"),
    device: fc.constantFrom("mobile", "desktop"),
    region: fc.constantFrom("eu", "us"),
    timestamp: time(edges),
    price: fc.nat(100),
    userAgent: fc.constantFrom(BOT, PERSON, null, null),
  });
  return fc.array(click, { minLength: 20, maxLength: 80 }).map((clicks) => {
    const sent = clicks.map(({ user, ...fields }, n) => ({ ...fields, eventId: `e${n}`, userId: `u${user}` }));
    const partitions = [0, 1].map((partition) =>
      sent.filter(({ userId }) => Number(userId.slice(1)) % 2 === partition)
        .map((fields, offset) => ({ offset, time: kafkaMs, value: new TextEncoder().encode(JSON.stringify(fields)) }))
    );
    return { topic: TOPIC, partitions };
  });
}

async function agree(db: Database, log: OracleLog, timeZone: string, ranges: readonly Range[]): Promise<void> {
  const expected = expectedOf(log, { keepDays: KEEP_DAYS, timeZone });
  assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees");
  const { rows } = await db.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const options = { ranges, nowMs: Number(rows[0]!.now), reports: OF_DAYS };
  assert.equal(formatReportDifferences(await compareReports(db, expected, options)), "every report agrees");
  assert.deepEqual(await wrongRollups(db), {});
}

/** Reports that count by days or local hours, and those that compare two times. */
const OF_DAYS = Object.keys(REPORTS).filter((name) =>
  /^(.*_compared|top_pages|page_views|.*heatmap.*|new_users|retention.*|orders|campaigns.*|bounces.*)(, with bots)?$/
    .test(name)
);

onEachDatabase("days of time zones", {
  "are in tables and reports what the oracle expects, for any log, order and schedule": async (open) => {
    const db = await migrated(open);
    for (const [zone, day] of DAYS) {
      const edges = edgesOf(zone, day);
      const midnights = edges.slice(0, 4);
      const whole = [[0, 1], [1, 2], [1, 3], [0, 3]].map(([from, to]) => rangeOf(midnights[from!]!, midnights[to!]!));
      const range = fc.tuple(time(edges), time(edges)).map(([a, b]) => rangeOf(Math.min(a, b), Math.max(a, b)));
      await fc.assert(
        fc.asyncProperty(logsOf(edges), schedule, range, async (log, schedule, range) => {
          await db.exec(EMPTY);
          await changeTimeZone(db, zone, null);
          const timeZone = await timeZoneOf(db, zone);
          const views = forShop(VIEWS, { siteHosts: [], zone: timeZone });
          await ingest(log, new SqlSink(db, "agreement", { zone: timeZone }), schedule, views);
          await agree(db, log, zone, [...whole, range]);
          const days = await countCampaigns(
            (body) => db.transaction(body),
            Math.max(...edges) + 48 * HOUR_MS,
            () => {},
          );
          assert.ok(days > 0);
          await agree(db, log, zone, [...whole, range]);
        }),
        { numRuns: runs(2), seed: 1 },
      );
    }
  },
});

const EMPTY = `truncate clickstream.progress, clickstream.events, clickstream.refusals,
  ${VIEWS.map(({ name }) => `clickstream.${name}`).join(", ")}`;
