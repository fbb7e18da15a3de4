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
import { readDeclared, withDeclared } from "../declared/file.ts";
import { applyDeclarations } from "../postgres/operations/declarations.ts";
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

/** Goals and funnels that many of the logs' sessions reach. The funnel `usual` is the one that sessions have. */
const DECLARED = readDeclared(
  `
goals:
  - { name: bought, description: Bought., filter: { event: purchase } }
  - { name: seen, description: Seen by some., filter: { page: { pattern: "*a*" }, device: [mobile, unknown] } }
funnels:
  - name: usual
    description: As sessions have it.
    steps:
      - { name: page_view, filter: { event: page_view } }
      - { name: add_to_cart, filter: { event: add_to_cart } }
      - { name: purchase, filter: { event: purchase } }
  - name: any
    description: Steps that one event may be.
    steps:
      - { name: any, filter: {} }
      - { name: page, filter: { page: { prefix: / } } }
      - { name: product, filter: { product: { pattern: "*" } } }
      - { name: bought, filter: { event: purchase } }
`,
  "views.yaml",
);

const ASKED = withDeclared(VIEWS, DECLARED);

/** An empty database with the goals and funnels. */
async function declaredDatabase(): Promise<Database> {
  const database = await emptyDatabase();
  await applyDeclarations(database, DECLARED, false);
  return database;
}

/** The funnel of sessions and the declared one of the same steps. */
async function usualFunnels(database: Database, { from, to }: Range): Promise<readonly unknown[]> {
  const columns = "step, name, sessions, step_rate, overall_rate";
  const of = async (source: string) =>
    (await database.query(`select ${columns} from clickstream.${source} order by step`, [from, to])).rows;
  const range = "($1::text::timestamptz, $2::text::timestamptz)";
  return [await of(`session_funnel${range}`), await of(`funnels${range} where funnel = 'usual'`)];
}

async function agree(
  database: Database,
  log: OracleLog,
  ranges: readonly Range[],
  money?: ShopMoney,
): Promise<void> {
  const expected = expectedOf(log, {
    keepDays: KEEP_DAYS,
    views: VIEWS,
    declared: DECLARED.declared,
    ...money === undefined ? {} : { money },
  });
  assert.equal(formatDifferences(await compareTables(database, expected)), "every table agrees");
  const { rows } = await database.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const differences = await compareReports(database, expected, { ranges, nowMs: Number(rows[0]!.now) });
  assert.equal(formatReportDifferences(differences), "every report agrees");
  assert.deepEqual(await wrongRollups(database), {});
  for (const range of ranges) {
    const [ofSessions, declared] = await usualFunnels(database, range);
    assert.deepEqual(declared, ofSessions);
  }
}

Deno.test("the embedded PostgreSQL stores and reports what the oracle expects, for any log", async () => {
  const ranges = fc.array(range, { minLength: 2, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(oracleLog, schedule, ranges, shopMoney, async (log, schedule, ranges, money) => {
      fc.pre(isDecided(expectedOf(log, { keepDays: KEEP_DAYS })));
      const database = await declaredDatabase();
      await ingest(log, new SqlSink(database, "agreement", { declared: DECLARED.hash }), schedule, ASKED, money);
      await agree(database, log, [EVER, ...DAYS, ...ranges], money);
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

Deno.test("retention has no row for a day that is not over", async () => {
  const database = await declaredDatabase();
  const { rows } = await database.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const nowMs = Number(rows[0]!.now);
  const visits = [["ann", 2], ["ann", 1], ["ann", 0], ["bob", 1], ["cat", 0]] as const;
  const log = fromJson(
    visits.map(([userId, daysAgo]) => ({
      ...{ userId, eventType: "page_view", page: "/", timestamp: nowMs - daysAgo * DAY_MS },
    })),
    nowMs,
  );
  await ingest(log, new SqlSink(database, "agreement"), { inAPoll: 10, inACommit: 10, turnsOfALife: 10 }, ASKED);
  const days = rangeOf(nowMs - 5 * DAY_MS, nowMs + 5 * DAY_MS);
  await agree(database, log, [days]);
  const { rows: retained } = await database.query<{ row: string }>(
    "select day_number || ' ' || users as row from clickstream.retention($1::text::date, $2::text::date)",
    [days.from.slice(0, 10), days.to.slice(0, 10)],
  );
  assert.deepEqual(retained.map(({ row }) => row), ["0 1", "1 1", "0 1"]);
});
