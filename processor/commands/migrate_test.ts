import assert from "node:assert/strict";
import { readSettings } from "../config/config.ts";
import { DatabaseUnavailable } from "../postgres/database.ts";
import { BINARY, clickstream } from "../../testing/servers/binary.ts";
import { freePort, until } from "../../testing/servers/child.ts";
import { onServer } from "../../testing/servers/databases.ts";
import { using } from "../../testing/servers/postgres.ts";
import { migrateCommand } from "./migrate.ts";

/** Runs the command; returns its exit code and its lines. */
async function run(url: string, check: boolean): Promise<{ code: number; lines: string[] }> {
  const env: Readonly<Record<string, string>> = { DATABASE_URL: url, EVENTS_KEEP_DAYS: "3" };
  const settings = readSettings(
    ["DATABASE_URL", "DATABASE_TLS_CA", "DATABASE_AUTH", "AWS_REGION", "EVENTS_KEEP_DAYS", "CURRENCY", "TIME_ZONE"],
    (name) => env[name],
  );
  const lines: string[] = [];
  const code = await migrateCommand({ check }, settings, (line) => lines.push(line));
  return { code, lines };
}

onServer("migrate", async (t, server) => {
  const url = await server.createDatabase();

  await t.step("with --check, prints what is missing and changes nothing", async () => {
    const { code, lines } = await run(url, true);
    assert.equal(code, 3);
    assert.deepEqual(lines, ["schema clickstream is missing: no migration has been applied"]);
    await using(url, async (db) => {
      assert.equal((await db.query("select from pg_namespace where nspname = 'clickstream'")).rowCount, 0);
    });
  });

  await t.step("creates schema and partitions, and prints what it did", async () => {
    const { code, lines } = await run(url, false);
    assert.equal(code, 0);
    assert.equal(lines[0], "applied 0001_roles.sql");
    assert.match(lines.at(-2)!, /^schema clickstream is current: \d+ migrations applied now, 0 before$/);
    assert.equal(lines.at(-1), "created 11 partitions of events, from 3 days ago to 7 days ahead");
    assert.deepEqual((await run(url, true)).code, 0);
  });

  await t.step("changes nothing the second time", async () => {
    const { code, lines } = await run(url, false);
    assert.equal(code, 0);
    assert.match(lines[0]!, /^schema clickstream is current: 0 migrations applied now, \d+ before$/);
    assert.equal(lines[1], "created 0 partitions of events, from 3 days ago to 7 days ahead");
  });

  await t.step("sets a statement_timeout for read-only roles", async () => {
    await using(url, (db) => db.exec("create role looker login in role clickstream_reader"));
    assert.equal(
      (await run(url, false)).lines.at(-1),
      "set statement_timeout = 30 s for the read-only role looker",
    );
  });

  await t.step("creates any number of partitions with few locks, and continues after it was killed", async () => {
    const many = await server.createDatabase();
    const env = { DATABASE_URL: many, EVENTS_KEEP_DAYS: "250" };
    const count = () =>
      using(many, async (db) => {
        const { rows } = await db.query<{ n: number }>(
          "select count(*)::int as n from pg_inherits where inhparent = to_regclass('clickstream.events')",
        );
        return rows[0]!.n;
      });
    const child = new Deno.Command(BINARY, { args: ["migrate"], env, stdout: "null", stderr: "null" }).spawn();
    await until("some partitions are there", async () => await count() > 40, 60_000, 20);
    child.kill("SIGKILL");
    await child.status;
    // The server ends the transaction when it notices.
    const before = await count();
    assert.ok(before < 258, `${before} of 258`);
    const { code, out, err } = await clickstream(["migrate"], env);
    assert.equal(code, 0, out + err);
    assert.match(out, /created \d+ partitions of events, from 250 days ago to 7 days ahead/);
    assert.equal(await count(), 259);
    assert.match(
      (await clickstream(["maintain"], { ...env, EVENTS_KEEP_DAYS: "9" })).out,
      /dropped 241 partitions of events older than 9 days/,
    );
  });

  await t.step("does not change a schema of a later version", async () => {
    await using(url, (db) => db.exec("insert into clickstream.schema_version values ('9999_future.sql', 'x')"));
    for (const check of [true, false]) {
      const { code, lines } = await run(url, check);
      assert.equal(code, 3);
      assert.equal(lines.length, 1);
      assert.match(lines[0]!, /^schema clickstream is ahead: .*9999_future\.sql/);
    }
  });
}, { settings: { max_locks_per_transaction: "10", max_connections: "15" } });

Deno.test("migrate fails if PostgreSQL cannot be reached", async () => {
  await assert.rejects(run(`postgres://shop@127.0.0.1:${freePort()}/shop`, false), DatabaseUnavailable);
});
