import assert from "node:assert/strict";
import fc from "fast-check";
import { ingest, KEEP_DAYS, schedule } from "../testing/ingest_schedules.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { isDecided, oracleLog, shopMoney, START_MS } from "../testing/arbitrary_log.ts";
import { type Range, rangeOf } from "../oracle/reports.ts";
import { fromJson } from "../oracle/logs.ts";
import type { ShopMoney } from "../oracle/money.ts";
import { compareReports, formatReportDifferences } from "../oracle/report_differences.ts";
import { VIEWS } from "../views/mod.ts";
import { DAY_MS } from "../views/view.ts";
import type { Database } from "../postgres/database.ts";
import { emptyDatabase } from "../testing/contracts/empty_database.ts";
import { wrongRollups } from "../testing/rollups.ts";
import { SqlSink } from "../postgres/sink/sql_sink.ts";

// More runs, or another seed: AGREEMENT_RUNS=500 AGREEMENT_SEED=7 deno test …
const RUNS = Number(Deno.env.get("AGREEMENT_RUNS") ?? 10);
const SEED = Number(Deno.env.get("AGREEMENT_SEED") ?? 1);
const MINUTE_MS = 60_000;

const minutes = fc.integer({ min: -100, max: 60 }).map((minute) =>
  Math.floor(START_MS / MINUTE_MS + minute) * MINUTE_MS
);
// Starts of hours and days, and a millisecond before and after: sums of whole hours and days must lose nothing there.
const edges = fc.tuple(fc.constantFrom(60, 24 * 60), fc.integer({ min: -3, max: 2 }), fc.constantFrom(-1, 0, 1))
  .map(([width, n, more]) => (Math.floor(START_MS / MINUTE_MS / width) + n) * width * MINUTE_MS + more);
const instant = fc.oneof(
  minutes,
  edges,
  fc.tuple(minutes, fc.nat(59_999)).map(([minute, more]) => minute + more),
);
const range: fc.Arbitrary<Range> = fc.tuple(instant, instant).map(([a, b]) => rangeOf(Math.min(a, b), Math.max(a, b)));
const EVER = rangeOf(START_MS - 40 * DAY_MS, START_MS + 2 * DAY_MS);
const DAYS = [-31, -1, 0].map((day) => rangeOf(START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS));

async function agree(
  database: Database,
  log: OracleLog,
  ranges: readonly Range[],
  money?: ShopMoney,
): Promise<void> {
  const expected = expectedOf(log, { keepDays: KEEP_DAYS, views: VIEWS, ...money === undefined ? {} : { money } });
  assert.equal(formatDifferences(await compareTables(database, expected)), "every table agrees");
  const { rows } = await database.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const differences = await compareReports(database, expected, { ranges, nowMs: Number(rows[0]!.now) });
  assert.equal(formatReportDifferences(differences), "every report agrees");
  assert.deepEqual(await wrongRollups(database), {});
}

Deno.test("the embedded PostgreSQL stores and reports what the oracle expects, for any log", async () => {
  const ranges = fc.array(range, { minLength: 2, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(oracleLog, schedule, ranges, shopMoney, async (log, schedule, ranges, money) => {
      fc.pre(isDecided(expectedOf(log, { keepDays: KEEP_DAYS })));
      const database = await emptyDatabase();
      await ingest(log, new SqlSink(database, "agreement"), schedule, VIEWS, money);
      await agree(database, log, [EVER, ...DAYS, ...ranges], money);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

Deno.test("retention has no row for a day that is not over", async () => {
  const database = await emptyDatabase();
  const { rows } = await database.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const nowMs = Number(rows[0]!.now);
  const visits = [["ann", 2], ["ann", 1], ["ann", 0], ["bob", 1], ["cat", 0]] as const;
  const log = fromJson(
    visits.map(([userId, daysAgo]) => ({
      ...{ userId, eventType: "page_view", page: "/", timestamp: nowMs - daysAgo * DAY_MS },
    })),
    nowMs,
  );
  await ingest(log, new SqlSink(database, "agreement"), { inAPoll: 10, inACommit: 10, turnsOfALife: 10 });
  const days = rangeOf(nowMs - 5 * DAY_MS, nowMs + 5 * DAY_MS);
  await agree(database, log, [days]);
  const { rows: retained } = await database.query<{ row: string }>(
    "select day_number || ' ' || users as row from clickstream.retention($1::text::date, $2::text::date)",
    [days.from.slice(0, 10), days.to.slice(0, 10)],
  );
  assert.deepEqual(retained.map(({ row }) => row), ["0 1", "1 1", "0 1"]);
});
