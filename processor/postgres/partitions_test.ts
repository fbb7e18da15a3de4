import assert from "node:assert/strict";
import { migrated, onEachDatabase, onServer } from "../../testing/servers/databases.ts";
import { until } from "../../testing/servers/child.ts";
import { using } from "../../testing/servers/postgres.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { makePartitions } from "./operations/migrations.ts";

/** Stores an event of this time; the time is also its id. */
async function event(db: Database, time: string): Promise<void> {
  await db.query(
    `insert into clickstream.events (event_id, event_time, user_id, event_type, page, device, region, kafka_partition,
       kafka_offset, kafka_time) values ($1, $2, 'ann', 'page_view', '/', 'mobile', 'eu', 0, 0, now())`,
    [time, time],
  );
}

/** Where the events are: partition and id. */
async function places(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ place: string }>(
    `select c.relname || ' ' || e.event_id as place
       from clickstream.events e join pg_class c on c.oid = e.tableoid order by e.event_time`,
  );
  return rows.map(({ place }) => place);
}

async function make(db: Database, from: string, to: string): Promise<number> {
  const { rows } = await db.query<{ made: number }>("select clickstream.make_partitions($1, $2) as made", [from, to]);
  return rows[0]!.made;
}

onEachDatabase("partitions of events", {
  "are UTC days, with any time zone and date style of the session": async (open) => {
    const db = await migrated(open);
    await db.exec("set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'");
    assert.equal(await make(db, "2026-03-01", "2026-03-02"), 2);
    for (const time of ["2026-03-01T00:00Z", "2026-03-01T23:59:59.999Z", "2026-03-02T00:00Z"]) await event(db, time);
    assert.deepEqual(await places(db), [
      "events_20260301 2026-03-01T00:00Z",
      "events_20260301 2026-03-01T23:59:59.999Z",
      "events_20260302 2026-03-02T00:00Z",
    ]);
    await db.exec("reset timezone; reset datestyle");
  },

  "are created once": async (open) => {
    const db = await migrated(open);
    assert.equal(await make(db, "2026-02-28", "2026-03-01"), 2);
    assert.equal(await make(db, "2026-02-27", "2026-03-02"), 2);
    assert.equal(await make(db, "2026-02-27", "2026-03-02"), 0);
  },

  "take over events that were stored before them": async (open) => {
    const db = await migrated(open);
    const times = ["1970-01-01T00:00Z", "2026-03-01T23:59:59.999Z", "2026-03-02T12:00Z", "9999-12-31T23:59:59.999Z"];
    for (const time of times) await event(db, time);
    assert.deepEqual(await places(db), times.map((time) => `events_default ${time}`));
    assert.equal(await make(db, "2026-03-02", "2026-03-03"), 2);
    assert.deepEqual(await places(db), [
      "events_default 1970-01-01T00:00Z",
      "events_default 2026-03-01T23:59:59.999Z",
      "events_20260302 2026-03-02T12:00Z",
      "events_default 9999-12-31T23:59:59.999Z",
    ]);
  },

  "are created around today": async (open) => {
    const db = await migrated(open);
    assert.equal(await makePartitions(db, { nowMs: Date.UTC(2026, 2, 1, 23, 59), keepDays: 2, aheadDays: 1 }), 4);
    const { rows } = await db.query<{ relname: string }>(
      "select relname from pg_class where relname ~ '^events_2026....$' order by relname",
    );
    assert.deepEqual(
      rows.map(({ relname }) => relname),
      ["0227", "0228", "0301", "0302"].map((d) => `events_2026${d}`),
    );
  },
});

onServer("partitions of events", async (t, server) => {
  await t.step("wait for an uncommitted event of their day", async () => {
    const url = await server.createDatabase();
    const maker = await migrated(() => openPostgres(url));
    await using(url, async (writer) => {
      let making: Promise<number> | null = null;
      await writer.transaction(async (tx) => {
        await event(tx, "2026-03-01T12:00Z");
        making = make(maker, "2026-03-01", "2026-03-01");
        await until("making waits", async () => {
          const { rows } = await tx.query("select from pg_locks where not granted");
          return rows.length > 0;
        });
      });
      assert.equal(await making, 1);
      assert.deepEqual(await places(writer), ["events_20260301 2026-03-01T12:00Z"]);
    });
    await maker.close();
  });

  await t.step("are created once by two calls at once", async () => {
    const url = await server.createDatabase();
    await using(url, (db) => migrated(() => Promise.resolve(db)));
    const made = await Promise.all([1, 2].map(() => using(url, (db) => make(db, "2026-03-01", "2026-03-20"))));
    assert.deepEqual(made.sort(), [0, 20]);
  });
});
