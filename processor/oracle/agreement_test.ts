import assert from "node:assert/strict";
import fc from "fast-check";
import { onlyInWholeRun } from "../../testing/effort.ts";
import { ingest, KEEP_DAYS, schedule } from "../testing/ingest_schedules.ts";
import { compareAll, compareTable, formatDifferences } from "./differences.ts";
import { tablesOf, WholeSink } from "../testing/fakes/memory_tables.ts";
import { expectedOf, type OracleLog } from "./oracle.ts";
import { fromJson, KAFKA_MS } from "./logs.ts";
import { isDecided, oracleLog, shopMoney } from "../testing/arbitrary_log.ts";
import { shapeOf } from "./questions.ts";
import { SHAPES, type TableName } from "./table_shapes.ts";
import { forShop, VIEWS } from "../views/mod.ts";
import { UTC } from "../views/time_zone.ts";

// For more or other runs: AGREEMENT_RUNS=5000 AGREEMENT_SEED=7 deno test …
const RUNS = Number(Deno.env.get("AGREEMENT_RUNS") ?? 150);
const SEED = Number(Deno.env.get("AGREEMENT_SEED") ?? 1);

/** Hosts of the shop: some referrers of the logs have them. */
const SITE_HOSTS = ["example.com", "t.co"];

Deno.test("for any log, the tables in memory match the oracle", async () => {
  await fc.assert(
    fc.asyncProperty(oracleLog, schedule, shopMoney, async (log, schedule, money) => {
      const settings = { keepDays: KEEP_DAYS, views: VIEWS, siteHosts: SITE_HOSTS };
      const expected = expectedOf(log, { ...settings, ...money === undefined ? {} : { money } });
      fc.pre(isDecided(expected));
      const sink = new WholeSink();
      await ingest(log, sink, schedule, forShop(VIEWS, { siteHosts: SITE_HOSTS, zone: UTC }), money);
      const actual = tablesOf(sink, log.topic);
      const differences = compareAll(expected, actual);
      assert.equal(formatDifferences(differences), "every table agrees");
    }),
    { numRuns: RUNS, seed: SEED },
  );
});

// Twelve minutes with 3,000 to 6,300 users each; most have more users than are counted exactly.
function crowd(): OracleLog {
  const clicks = Array.from({ length: 12 * 6_400 }, (_, i) => {
    const minute = Math.floor(i / 6_400);
    const user = (i * 7_919 + minute * 4_001) % (3_000 + minute * 300);
    return {
      ...{ eventId: `e${i}`, userId: `user-${user}`, eventType: "page_view", page: i % 2 === 0 ? "/" : `/${i % 3}` },
      timestamp: KAFKA_MS - 720_000 + Math.floor(i * 720_000 / (12 * 6_400)),
    };
  });
  return fromJson(clicks);
}

Deno.test("many distinct users are counted exactly up to 4,096 and approximately beyond", onlyInWholeRun, async () => {
  const log = crowd();
  const expected = expectedOf(log, { keepDays: KEEP_DAYS, views: VIEWS });
  const windows = expected.active_users.map(({ users }) => users);
  assert.ok(windows.some((users) => users <= 4_096) && windows.some((users) => users > 6_000));
  const sink = new WholeSink();
  await ingest(log, sink, { inAPoll: 5_000, inACommit: 20_000, turnsOfALife: 5 });
  const actual = tablesOf(sink, log.topic);
  const differences = compareAll(expected, actual);
  assert.equal(formatDifferences(differences), "every table agrees");
});

Deno.test("for any log, a view's declaration gives the table that the contract describes", () => {
  const renamed = VIEWS.map((view) => ({ ...view, name: `declared_${view.name}` }));
  let rows = 0;
  fc.assert(
    fc.property(oracleLog, (log) => {
      const expected = expectedOf(log, { keepDays: KEEP_DAYS, views: renamed });
      const declared = Object.fromEntries(
        VIEWS.map(({ name }) => [name, expected.others[`declared_${name}`]!.rows] as const),
      );
      rows += Object.values(declared).flat().length;
      const contract = VIEWS.map(({ name }) => name as TableName);
      const differences = contract.flatMap((name) => compareTable(name, expected[name], declared[name]!));
      assert.equal(formatDifferences(differences), "every table agrees");
    }),
    { numRuns: RUNS, seed: SEED },
  );
  assert.ok(rows > RUNS);
  for (const view of VIEWS) {
    const { key, cutBy, columns, sketched } = SHAPES[view.name as TableName];
    const shape = shapeOf(view);
    assert.deepEqual([shape.key.toSorted(), shape.cutBy, shape.sketched], [key.toSorted(), cutBy, sketched], view.name);
    assert.deepEqual(Object.entries(shape.columns).sort(), Object.entries(columns).sort(), view.name);
  }
});
