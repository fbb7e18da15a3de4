import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { JsonDecoder } from "../decode.ts";
import { Pipeline } from "../pipeline.ts";
import { MemorySource } from "../testing/memory.ts";
import { startPostgres, using } from "../testing/postgres.ts";
import { sinkContract } from "../testing/sink_contract.ts";
import { sinkUnderTest } from "../testing/sql_reading.ts";
import { DAY_MS } from "../view.ts";
import { VIEWS } from "../views/mod.ts";
import { openPostgres } from "./database.ts";
import { migrate } from "./migrations.ts";
import { SqlSink } from "./sql_sink.ts";

sinkContract("PostgreSQL sink", async () => {
  const server = await startPostgres();
  const db = await openPostgres(await server.createDatabase());
  await migrate(db, MIGRATIONS);
  return sinkUnderTest(db, async () => {
    await db.close();
    await server[Symbol.asyncDispose]();
  });
});

Deno.test("PostgreSQL sink: a commit reads no table of users from end to end", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const noon = Date.UTC(2026, 10, 1, 12);
  const clicks = Array.from({ length: 3000 }, (_, n) => ({
    time: noon,
    value: new TextEncoder().encode(
      JSON.stringify({ userId: `u${n}`, eventType: "page_view", page: "/", timestamp: noon }),
    ),
  }));
  const read = () =>
    using(url, async (db) => {
      const { rows } = await db.query<{ table: string; read: string }>(
        `select relname as table, seq_tup_read::text as read from pg_stat_user_tables
          where relname in ('sessions', 'user_days', 'users') order by 1`,
      );
      return rows;
    });
  await using(url, async (db) => {
    await migrate(db, MIGRATIONS);
    // Enough that looking three thousand up costs more, by the planner's reckoning, than reading all.
    await db.exec(`
      insert into clickstream.user_days (day, user_id, events, purchases, revenue_cents)
        select '2026-11-01', 'u' || n, 1, 0, 0 from generate_series(1, 30000) n;
      insert into clickstream.sessions (started_at, ended_at, events, page_views, carts, purchases, revenue_cents,
          funnel_step, user_id, device, region, first_event_id)
        select '2026-11-01 11:50Z', '2026-11-01 11:50Z', 1, 1, 0, 0, 0, 1, 'u' || n, 'other', 'unknown', 'e' || n
          from generate_series(1, 30000) n;
      analyze clickstream.user_days, clickstream.sessions, clickstream.users;`);
  });
  const before = await read();
  await using(url, async (db) => {
    const pipeline = new Pipeline({
      source: new MemorySource([clicks], clicks.length),
      sink: new SqlSink(db, "here"),
      views: VIEWS,
      decoder: new JsonDecoder(30 * DAY_MS),
      storeEvents: true,
      now: () => 0,
      commitEveryMs: 1000,
      commitRecords: clicks.length,
    });
    await pipeline.step();
    await pipeline.flush();
    const { rows } = await db.query<{ events: string }>(
      "select sum(events)::text as events from clickstream.user_days",
    );
    assert.equal(rows[0]!.events, "33000");
  });
  assert.equal(before.length, 3);
  // The sum that was asked for is one reading of user_days, 30,001 rows: u0 is new.
  const expected = before.map(({ table, read }) => ({
    table,
    read: String(Number(read) + (table === "user_days" ? 30_001 : 0)),
  }));
  assert.deepEqual(await read(), expected);
});
