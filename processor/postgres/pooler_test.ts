/** What works behind PgBouncer, by its pool mode. */
import assert from "node:assert/strict";
import { onServer } from "../../testing/servers/databases.ts";
import { startPgBouncer } from "../../testing/servers/pgbouncer.ts";
import { using } from "../../testing/servers/postgres.ts";
import { lockToTheEnd } from "./advisory_locks.ts";
import { DatabaseError } from "./database.ts";
import { holdOperationLock } from "./locks.ts";
import { openPostgres } from "./postgres.ts";

/** What a session must not keep when it goes to another client. */
const LEFT = `select current_setting('statement_timeout') as timeout, current_setting('TimeZone') as zone,
  (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())::int as locks`;

onServer("behind PgBouncer", async (t, server) => {
  const url = await server.createDatabase();
  const before = await using(url, async (db) => {
    await db.exec("create table t (n int); alter database test_1 set timezone = 'Asia/Tokyo'");
    return (await db.query("show statement_timeout")).rows;
  });
  assert.deepEqual(before, [{ statement_timeout: "0" }]);

  for (const mode of ["transaction", "session"] as const) {
    await t.step(`in ${mode} mode, transactions have settings, locks and COPY, and leave nothing behind`, async () => {
      // Two connections in session mode, where each client keeps one; one for all in transaction mode.
      await using pooler = await startPgBouncer(server.port, { mode, size: mode === "session" ? 2 : 1 });
      const through = pooler.through(url);
      const settings = { statement_timeout: "300ms" };
      const db = await openPostgres(through, { settings });
      const other = await openPostgres(through);
      assert.equal(db.pooled, true);
      await db.exec("truncate t");
      await db.transaction(async (tx) => {
        await lockToTheEnd(tx, "sharedRows");
        await tx.copyIn("copy t from stdin", [new TextEncoder().encode("1\n2\n")]);
        const { rows: [in_] } = await tx.query(LEFT);
        assert.deepEqual(in_, { timeout: "300ms", zone: "UTC", locks: 1 });
        // The same text twice: a prepared statement with a name would be missing in another session.
        for (const n of [3, 4]) await tx.query("insert into t values ($1)", [n]);
      });
      for (const n of [5, 6]) {
        await Promise.all([db, other].map((each) => each.query("insert into t values ($1)", [n])));
      }
      assert.deepEqual((await other.query("select count(*)::int as n from t")).rows, [{ n: 8 }]);
      await assert.rejects(holdOperationLock(db), /connection pooler .* Nothing was changed.*DATABASE_URL/);
      await assert.rejects(db.query("select pg_sleep(3)"), /statement timeout/);
      await db.close();
      await other.close();
      const { rows: [left] } = await using(through, (next) => next.query(LEFT));
      assert.deepEqual(left, { timeout: "0", zone: "UTC", locks: 0 });
    });
  }

  await t.step("in statement mode, nothing works, and the error says why", async () => {
    await using pooler = await startPgBouncer(server.port, { mode: "statement" });
    await assert.rejects(
      using(pooler.through(url), (db) => db.query("select 1")),
      (error) => error instanceof DatabaseError && /statement pooling mode \(set pool_mode to/.test(error.message),
    );
    await assert.rejects(
      openPostgres(`${pooler.through(url)}?options=-c%20geqo%3Doff`),
      (error) => error instanceof DatabaseError && /unsupported startup parameter.*\(leave it out/.test(error.message),
    );
  });
});
