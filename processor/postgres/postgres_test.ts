import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { decoder } from "../testing/scenario.ts";
import { type Advance, type Commit, PositionsMoved } from "../pipeline/commit.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { type LogRecord, MemorySource } from "../testing/fakes/memory.ts";
import { until } from "../../testing/servers/child.ts";
import { startPostgres, using } from "../../testing/servers/postgres.ts";
import { sinkContract } from "../testing/contracts/sink_contract.ts";
import { sinkUnderTest } from "../testing/contracts/sql_reading.ts";
import { VIEWS } from "../views/mod.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { adopt } from "./operations/adopt.ts";
import { migrate } from "./operations/migrations.ts";
import { SqlSink } from "./sink/sql_sink.ts";

sinkContract("PostgreSQL sink", async () => {
  const server = await startPostgres();
  const db = await openPostgres(await server.createDatabase());
  await migrate(db, MIGRATIONS);
  return sinkUnderTest(db, async () => {
    await db.close();
    await server[Symbol.asyncDispose]();
  });
});

const NOON = Date.UTC(2026, 10, 1, 12);

/** One page view at noon for each of this many users. */
function clicksOf(users: number): LogRecord[] {
  return Array.from({ length: users }, (_, n) => ({
    time: NOON,
    value: new TextEncoder().encode(
      JSON.stringify({ userId: `u${n}`, eventType: "page_view", page: "/", timestamp: NOON }),
    ),
  }));
}

/** A pipeline that commits these records in one commit. */
function pipelineInto(db: Database, clicks: LogRecord[]): Pipeline {
  return new Pipeline({
    source: new MemorySource([clicks], clicks.length),
    sink: new SqlSink(db, "here"),
    views: VIEWS,
    decoder: decoder(),
    storeEvents: true,
    now: () => 0,
    commitEveryMs: 1000,
    commitRecords: clicks.length,
  });
}

Deno.test("PostgreSQL sink: a commit does not scan tables by user", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const clicks = clicksOf(3000);
  const read = () =>
    using(url, async (db) => {
      // A server process reports what it has read when it ends, which is after its client has closed the connection.
      await until("the other connections have ended", async () => {
        const { rows } = await db.query<{ n: number }>(
          `select count(*)::int as n from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`,
        );
        return rows[0]!.n === 0;
      });
      const { rows } = await db.query<{ table: string; read: string }>(
        `select relname as table, seq_tup_read::text as read from pg_stat_user_tables
          where relname in ('sessions', 'user_days') order by 1`,
      );
      return rows;
    });
  await using(url, async (db) => {
    await migrate(db, MIGRATIONS);
    // So many rows that the planner would estimate 3,000 lookups to cost more than a scan.
    await db.exec(`
      insert into clickstream.user_days (day, user_id, events, purchases, revenue_cents)
        select '2026-11-01', 'u' || n, 1, 0, 0 from generate_series(1, 30000) n;
      insert into clickstream.sessions (started_at, ended_at, events, page_views, carts, purchases, revenue_cents,
          funnel_step, user_id, device, region, first_event_id)
        select '2026-11-01 11:50Z', '2026-11-01 11:50Z', 1, 1, 0, 0, 0, 1, 'u' || n, 'other', 'unknown', 'e' || n
          from generate_series(1, 30000) n;
      analyze clickstream.user_days, clickstream.sessions;`);
  });
  const before = await read();
  await using(url, async (db) => {
    const pipeline = pipelineInto(db, clicks);
    await pipeline.step();
    await pipeline.flush();
    const { rows } = await db.query<{ events: string }>(
      "select sum(events)::text as events from clickstream.user_days",
    );
    assert.equal(rows[0]!.events, "33000");
  });
  assert.equal(before.length, 2);
  // The sum above scans user_days once: 30,001 rows, because u0 is new.
  const expected = before.map(({ table, read }) => ({
    table,
    read: String(Number(read) + (table === "user_days" ? 30_001 : 0)),
  }));
  assert.deepEqual(await read(), expected);
});

Deno.test("PostgreSQL: a transaction sees what is committed meanwhile, whatever the database's default", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase("frozen");
  await using(url, async (db) => {
    await db.exec("create table t (n int); alter database frozen set default_transaction_isolation = 'serializable'");
  });
  await using(url, (mine) =>
    using(url, (other) =>
      mine.transaction(async (tx) => {
        assert.equal((await tx.query("select from t")).rowCount, 0);
        await other.exec("insert into t values (1)");
        assert.equal((await tx.query("select from t")).rowCount, 1);
      })));
});

Deno.test("PostgreSQL sink: a commit that fails in one part is rolled back as a whole", async () => {
  await using server = await startPostgres();
  await using(await server.createDatabase(), async (db) => {
    await migrate(db, MIGRATIONS);
    // An update of a session finds no row, as if another writer had just deleted it.
    await db.exec(`
      insert into clickstream.sessions (started_at, ended_at, events, page_views, carts, purchases, revenue_cents,
          funnel_step, user_id, device, region, first_event_id)
        values ('2026-11-01 11:50Z', '2026-11-01 11:50Z', 1, 1, 0, 0, 0, 1, 'u0', 'other', 'unknown', 'e');
      create function nothing() returns trigger language plpgsql as 'begin return null; end';
      create trigger nothing before update on clickstream.sessions for each row execute function nothing();`);
    const pipeline = pipelineInto(db, clicksOf(10));
    await pipeline.step();
    await assert.rejects(pipeline.flush(), /could not extend 1 sessions/);
    const { rows } = await db.query<{ n: number }>(
      `select ((select count(*) from clickstream.progress) + (select count(*) from clickstream.events)
         + (select count(*) from clickstream.user_days) + (select count(*) from clickstream.traffic)
         + (select count(*) from clickstream.pages) + (select count(*) from clickstream.active_users))::integer as n`,
    );
    assert.equal(rows[0]!.n, 0);
  });
});

Deno.test("PostgreSQL sink: a commit that waits for an adoption is refused after it", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const connections = await Promise.all(Array.from({ length: 4 }, () => openPostgres(url)));
  const [holder, adopter, ...writers] = connections;
  await migrate(holder!, MIGRATIONS);
  const sinks = writers.map((db, n) => new SqlSink(db, `writer ${n}`));
  const commit = (...advances: readonly Pick<Advance, "partition" | "from" | "next">[]): Commit => ({
    ...{ topic: "clicks", topicId: "id", adoptions: 0, deltas: [], events: null, refusals: [] },
    advances: advances.map(({ partition, from, next }) => ({
      ...{ partition, topicId: "id", from, first: from ?? 0, next, skipped: next - (from ?? 0), gap: null },
      ...{ leaderEpoch: null, replay: 0, watermark: null, consumed: 0, stored: 0, duplicates: 0, refused: 0 },
    })),
  });
  await sinks[0]!.commit(commit({ partition: 0, from: null, next: 2 }, { partition: 1, from: null, next: 3 }));
  // Partition 0 has lost a record, and partition 1 is gone.
  const now = {
    ...{ topic: "clicks", id: "id", partitions: [{ partition: 0, begin: 0, end: 1 }] },
    truncated: new Map([[0, 1]]),
  };
  const waiting: Promise<unknown>[] = [];
  await holder!.transaction(async (tx) => {
    const wait = (n: number) =>
      until(`${n} wait for a lock`, async () => {
        const { rows } = await tx.query<{ n: number }>("select count(*)::int as n from pg_locks where not granted");
        return rows[0]!.n === n;
      });
    await tx.exec("lock table clickstream.progress in exclusive mode");
    waiting.push(adopt(adopter!, now));
    await wait(1);
    waiting.push(
      assert.rejects(sinks[0]!.commit(commit({ partition: 0, from: 1, next: 2 })), PositionsMoved),
      assert.rejects(sinks[1]!.commit(commit({ partition: 1, from: null, next: 3 })), PositionsMoved),
    );
    await wait(3);
  });
  await Promise.all(waiting);
  const { rows } = await holder!.query<{ at: string }>(
    "select concat_ws(' ', partition, next_offset) as at from clickstream.progress",
  );
  assert.deepEqual(rows, [{ at: "0 1" }]);
  for (const db of connections) await db.close();
});
