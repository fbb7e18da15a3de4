import assert from "node:assert/strict";
import { parquetReadObjects } from "hyparquet";
import { clickstream } from "../../testing/servers/binary.ts";
import { migrated, onEachDatabase, onServer } from "../../testing/servers/databases.ts";
import { using } from "../../testing/servers/postgres.ts";
import { exportables, readExport } from "../postgres/operations/export.ts";
import type { Row } from "../export/rows.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { at, type Message } from "../testing/scenario.ts";
import type { Database } from "../postgres/database.ts";

const DAY = ["2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"] as const;

/** More rows than are fetched at a time: a shopper every eight seconds of the day, and one at midnight. */
async function fill(db: Database): Promise<void> {
  const events = Array.from({ length: 10_801 }, (_, n): Message => ({
    ...{ eventId: `e${n}`, userId: `u${n}`, eventType: "page_view", page: `/p,"${n % 3}"` },
    timestamp: at("2026-11-02T00:00:00.000") + n * 8_000,
  }));
  await storeEvents(db, events, at("2026-11-03T00:00:00.000"));
}

onEachDatabase("export", {
  "reads every report and table of a time, and no column of the processor's own": async (open) => {
    const db = await migrated(open);
    await fill(db);
    const all = await exportables(db);
    const range = { fromMs: Date.parse(DAY[0]), toMs: Date.parse(DAY[1]) };
    const counts: Record<string, number> = {};
    for (const [name, exported] of all) {
      let rows: Row[] = [];
      await readExport(db, exported, range, (piece) => {
        rows = rows.concat(piece);
        return Promise.resolve();
      });
      counts[name] = rows.length;
      assert.ok(rows.every((row) => row.length === exported.columns.length), name);
    }
    const { events, sessions, user_days, traffic, top_pages, funnel, retention, new_users_compared } = counts;
    assert.deepEqual({ events, sessions, user_days, top_pages, funnel, new_users_compared }, {
      ...{ events: 10_800, sessions: 10_800, user_days: 10_800, top_pages: 3, funnel: 3, new_users_compared: 1 },
    });
    assert.equal(traffic, 1440);
    assert.ok(retention !== undefined && counts["refusals"] === 0);
    assert.ok(!all.has("hash_key") && !all.has("schema_version"));
    assert.deepEqual(all.get("active_users")!.columns.map(({ name, type }) => [name, type]), [
      ...[["window_start", "time"], ["window_end", "time"], ["users", "bigint"], ["is_bot", "boolean"]],
    ]);
  },
});

onServer("export", async (t, server) => {
  const url = await server.createDatabase();
  const settings = { DATABASE_URL: url };
  assert.equal((await clickstream(["migrate"], settings)).code, 0);
  const expected = await using(url, async (db) => {
    await fill(db);
    return await report(db, "top_pages", DAY);
  });
  const folder = await Deno.makeTempDir({ prefix: "clickstream-export-" });
  const run = (...args: string[]) => clickstream(["export", ...args, "--from", DAY[0], "--to", DAY[1]], settings);

  await t.step("writes a report as CSV to standard output", async () => {
    const { code, out, err } = await run("top_pages");
    assert.equal(code, 0, err);
    assert.equal(
      out,
      ["page,views,entries,bounces,bounce_rate,exits,exit_rate"]
        .concat(expected.map(([page, ...numbers]) => `"${String(page).replaceAll('"', '""')}",${numbers.join(",")}`))
        .map((line) => `${line}\r\n`).join(""),
    );
  });

  await t.step("writes a table into a file, by the ending of its name", async () => {
    const file = `${folder}/sessions.parquet`;
    const { code, out, err } = await run("sessions", "--out", file);
    assert.equal(code, 0, err);
    assert.equal(out, "");
    assert.match(err, /^10,800 rows of sessions are in .*sessions\.parquet\n$/m);
    const bytes = await Deno.readFile(file);
    const rows = await parquetReadObjects({ file: bytes.buffer as ArrayBuffer });
    assert.equal(rows.length, 10_800);
    assert.deepEqual(rows[1]!["started_at"], new Date("2026-11-02T00:00:08Z"));
    assert.deepEqual(await left(folder), ["sessions.parquet"]);
    const lines = (await run("sessions", "--format", "ndjson")).out.trimEnd().split("\n");
    assert.equal(lines.length, 10_800);
    assert.equal(JSON.parse(lines[1]!).started_at, "2026-11-02T00:00:08.000000Z");
  });

  await t.step("counts people only, unless it is asked for bots too", async () => {
    await using(url, (db) => db.exec("update clickstream.sessions set is_bot = true where user_id <> 'u7'"));
    const sessions = async (...args: string[]) =>
      (await run("conversion", ...args)).out.split("\r\n")[1]!.split(",")[0];
    assert.equal(await sessions(), "1");
    assert.equal(await sessions("--bots"), "10800");
    const ofTable = await run("sessions", "--bots");
    assert.equal(ofTable.code, 2);
    assert.match(ofTable.err, /--bots is for reports that count people only; sessions has everything without it/);
  });

  await t.step("names what is allowed, and leaves no half file", async () => {
    const unknown = await run("top_page");
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /"top_page" is no report or table that this login may read; did you mean top_pages\?/);
    assert.match(unknown.err, /There are .*sessions, .*top_pages, /);
    const backwards = await clickstream(["export", "sessions", "--from", DAY[1], "--to", DAY[0]], settings);
    assert.equal(backwards.code, 2);
    assert.match(backwards.err, /--from is 2026-11-03T00:00:00\.000Z, which is not before --to, 2026-11-02T/);
    const nowhere = await run("sessions", "--out", `${folder}/none/sessions.csv`);
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.err, /none\/sessions\.csv/);
    assert.deepEqual(await left(folder), ["sessions.parquet"]);
  });

  await Deno.remove(folder, { recursive: true });
});

async function left(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}
