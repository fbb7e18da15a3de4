/**
 * Upgrades from every release: its tables are migrated by the program that is built now, and must be and stay right.
 */
import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { expectedOf, type OracleLog } from "../../processor/oracle/oracle.ts";
import { compareReports, formatReportDifferences } from "../../processor/oracle/report_differences.ts";
import { rangeOf } from "../../processor/oracle/reports.ts";
import { KAFKA_MS } from "../../processor/oracle/logs.ts";
import type { Database } from "../../processor/postgres/database.ts";
import { migrate } from "../../processor/postgres/operations/migrations.ts";
import { SqlSink } from "../../processor/postgres/sink/sql_sink.ts";
import { ingest, KEEP_DAYS } from "../../processor/testing/ingest_schedules.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { VIEWS } from "../../processor/views/mod.ts";
import { DAY_MS } from "../../processor/views/view.ts";
import { clickstream } from "../servers/binary.ts";
import { onServer } from "../servers/databases.ts";
import { using } from "../servers/postgres.ts";
import { firstHalf, upgradeLog, withoutSources } from "../service/upgrade_log.ts";

const FOLDER = new URL("testdata/", import.meta.url);
const RANGES = [rangeOf(KAFKA_MS - DAY_MS, KAFKA_MS + DAY_MS), rangeOf(KAFKA_MS + 120_000, KAFKA_MS + 600_000)];

/** The releases that are kept. */
const RELEASES = [...Deno.readDirSync(FOLDER)].map(({ name }) => name.replace(/\.sql$/, "")).sort();

/** The migration since which sessions have sources. */
const SOURCES_SINCE = "0022_campaigns.sql";

/** Fails unless tables, rollups and reports are what the log demands. */
async function isRight(db: Database, log: OracleLog, last: string): Promise<void> {
  const whole = expectedOf(log, { keepDays: KEEP_DAYS, views: VIEWS });
  const expected = last < SOURCES_SINCE ? withoutSources(whole) : whole;
  assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees");
  assert.deepEqual(await wrongRollups(db), {});
  const { rows } = await db.query<{ now: string }>("select (extract(epoch from now()) * 1000)::text as now");
  const differences = await compareReports(db, expected, { ranges: RANGES, nowMs: Number(rows[0]!.now) });
  assert.equal(formatReportDifferences(differences), "every report agrees");
}

onServer("an upgrade from each release keeps every number, and continues to count exactly", async (t, server) => {
  assert.ok(RELEASES.length > 0);
  for (const release of RELEASES) {
    await t.step(release, async () => {
      const kept = await Deno.readTextFile(new URL(`${release}.sql`, FOLDER));
      const [, last] = /^-- The tables of clickstream \S+, with the schema up to (\S+\.sql)\.$/m.exec(kept)!;
      const before = MIGRATIONS.slice(0, MIGRATIONS.findIndex(({ name }) => name === last) + 1);
      assert.ok(before.length > 0, `migration ${last} is gone`);
      const url = await server.createDatabase();
      await using(url, async (db) => {
        await migrate(db, before);
        await db.exec(kept);
      });
      // Refuses a schema whose migrations have another text now.
      const { code, err } = await clickstream(["migrate"], { DATABASE_URL: url });
      assert.equal(code, 0, err);
      const log = upgradeLog();
      await using(url, async (db) => {
        await isRight(db, firstHalf(log), last!);
        await ingest(log, new SqlSink(db, "new"), { inAPoll: 100, inACommit: 120, turnsOfALife: 3 });
        await isRight(db, log, last!);
      });
    });
  }
});

Deno.test("the tables of every release are kept", async () => {
  const changelog = await Deno.readTextFile(new URL("../../CHANGELOG.md", import.meta.url));
  const released = [...changelog.matchAll(/^## (\d+\.\d+\.\d+)/gm)].map(([, version]) => version!);
  assert.ok(released.length > 0);
  assert.deepEqual(released.filter((version) => !RELEASES.includes(version)), [], "type: ./deno task release:keep");
});
