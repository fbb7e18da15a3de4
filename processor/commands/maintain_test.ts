import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { clickstream, killed } from "../../testing/servers/binary.ts";
import { until } from "../../testing/servers/child.ts";
import { onServer } from "../../testing/servers/databases.ts";
import { type Server, using } from "../../testing/servers/postgres.ts";
import { Random } from "../../generator/random.ts";
import { openPostgres } from "../postgres/postgres.ts";

const KEEP = { EVENTS_KEEP_DAYS: "5", ROLLUPS_KEEP_DAYS: "20" };

/** A schema with an event and windows on each of the last 30 days, and partitions from 10 days ago on. */
async function filled(server: Server): Promise<string> {
  const url = await server.createDatabase();
  const { code, err } = await clickstream(["migrate"], { DATABASE_URL: url, EVENTS_KEEP_DAYS: "10" });
  assert.equal(code, 0, err);
  await using(url, (db) =>
    db.exec(`
    create table days as select t, n from generate_series(0, 29) n, lateral (select now() - n * interval '1 day' as t) d;
    insert into clickstream.events (event_id, event_time, user_id, event_type, page, device, region, kafka_partition,
      kafka_offset, kafka_time) select n, t, 'ann', 'page_view', '/', 'mobile', 'eu', 0, n, t from days;
    insert into clickstream.traffic select t, 'page_view', 'mobile', 'eu', 1, 1, 0, '' from days;
    insert into clickstream.pages (window_start, page, views, users, users_state)
      select t, '/' || k, 1, 1, '' from days, generate_series(1, 1200) k;
    insert into clickstream.active_users select t, t, 1, '' from days;
    insert into clickstream.user_days select 'ann', t, 1, 0, 0 from days;
    insert into clickstream.sessions (user_id, started_at, ended_at, events, page_views, device, region, carts,
      purchases, revenue_cents, funnel_step, first_event_id) select 'ann', t, t, 1, 1, 'mobile', 'eu', 0, 0, 0, 1, n from days`));
  return url;
}

/** Number of rows left in each table, and of partitions. */
async function left(url: string): Promise<Record<string, number>> {
  return await using(url, async (db) => {
    const counts = ["events", "events_default", "traffic", "pages", "active_users", "user_days", "sessions"].map((
      table,
    ) => `(select count(*)::int from clickstream.${table}) as ${table}`);
    const { rows } = await db.query<Record<string, number>>(
      `select ${counts.join(", ")},
         (select count(*)::int from pg_inherits where inhparent = 'clickstream.events'::regclass) as partitions`,
    );
    return rows[0]!;
  });
}

/** Rows that must be left: events of 5 days and today, windows of 20 days and today, every row of `user_days`. */
const LEFT = {
  ...{ events: 6, events_default: 0, traffic: 21, pages: 25_200, active_users: 21, user_days: 30, sessions: 21 },
  partitions: 6 + 7 + 1,
};

onServer("maintain", async (t, server) => {
  await t.step("creates missing partitions, deletes expired rows and partitions, and prints what it did", async () => {
    const url = await filled(server);
    await using(url, (db) => db.exec(`drop table clickstream.events_${days(7)}, clickstream.events_${days(6)}`));
    const { code, out, err } = await clickstream(["maintain"], { DATABASE_URL: url, ...KEEP });
    assert.equal(code, 0, err);
    assert.equal(
      out,
      "created 2 partitions of events, up to 7 days ahead\ndropped 5 partitions of events older than 5 days\n" +
        "deleted expired rows: 19 of events_default, 9 of sessions, 9 of traffic, 10,800 of pages, 9 of active_users\n" +
        "added up the campaigns of 19 days\n",
    );
    assert.deepEqual(await left(url), LEFT);
    const again = await clickstream(["maintain"], { DATABASE_URL: url, ...KEEP });
    assert.match(again.out, /^created 0 .*\ndropped 0 .*\n.*: none\nadded up the campaigns of 0 days\n$/);
    assert.deepEqual(await left(url), LEFT);
  });

  await t.step("has the same result after random kills, and when two run at once", async () => {
    const url = await filled(server);
    const env = { DATABASE_URL: url, ...KEEP };
    const chance = new Random(7);
    const ends = await Promise.all([1, 2].map(() => killed(["maintain"], env, { times: 4, withinMs: 700, chance })));
    assert.deepEqual(ends.map(({ code }) => code), [0, 0], JSON.stringify(ends));
    assert.deepEqual(await left(url), LEFT);
  });

  await t.step("does not block writers while it waits for a reader", async () => {
    const url = await filled(server);
    const reader = await openPostgres(url);
    await using(url, async (writer) => {
      let maintained: Promise<unknown> = Promise.resolve();
      const event = "insert into clickstream.events select * from clickstream.events where event_id = '0' limit 1";
      let longestMs = 0;
      await reader.transaction(async (tx) => {
        await tx.query("select count(*) from clickstream.events");
        maintained = clickstream(["maintain"], { DATABASE_URL: url, ...KEEP });
        const waits =
          "select from pg_stat_activity where application_name = 'clickstream maintain' and wait_event_type = 'Lock'";
        await until("maintain waits", async () => (await writer.query(waits)).rows.length > 0, 30_000, 20);
        for (let n = 0; n < 40; n++) {
          const startMs = performance.now();
          await writer.query(event);
          longestMs = Math.max(longestMs, performance.now() - startMs);
          await setTimeout(30);
        }
      });
      assert.deepEqual((await maintained as { code: number }).code, 0);
      assert.ok(longestMs < 1000, `an event waited for ${longestMs} ms`);
    });
    await reader.close();
  });

  await t.step("refuses ROLLUPS_KEEP_DAYS that is not larger than EVENTS_KEEP_DAYS", async () => {
    const env = { DATABASE_URL: "postgres://nobody@127.0.0.1:1/none", EVENTS_KEEP_DAYS: "30", ROLLUPS_KEEP_DAYS: "30" };
    const { code, err } = await clickstream(["maintain"], env);
    assert.equal(code, 2);
    assert.match(err, /ROLLUPS_KEEP_DAYS is 30 and EVENTS_KEEP_DAYS is 30/);
  });

  await t.step("names the command to run if there is no schema", async () => {
    const { code, err } = await clickstream(["maintain"], { DATABASE_URL: await server.createDatabase() });
    assert.equal(code, 3);
    assert.match(err, /Type: clickstream migrate/);
  });
});

function days(ahead: number): string {
  return new Date(Date.now() + ahead * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "");
}
