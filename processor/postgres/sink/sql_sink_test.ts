/** What the SQL sink does beyond the contract of sinks: other writers, values that PostgreSQL rejects, keys, topic ids. */
import assert from "node:assert/strict";
import { Unavailable, Unstorable } from "../../pipeline/commit.ts";
import { emptyDatabase } from "../../testing/contracts/empty_database.ts";
import { click, harness } from "../../testing/pipeline_harness.ts";
import { VIEWS } from "../../views/mod.ts";
import type { View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { SqlSink } from "./sql_sink.ts";

/** A connection that runs `before` ahead of each statement of a transaction, in the same transaction. */
function disturbed(db: Database, before: (sql: string, tx: Database) => Promise<unknown>): Database {
  const inside = (tx: Database): Database => ({
    ...forwarded(tx),
    query: (sql, params) => before(sql, tx).then(() => tx.query(sql, params)),
    copyIn: (sql, chunks) => before(sql, tx).then(() => tx.copyIn(sql, chunks)),
  });
  return { ...forwarded(db), transaction: (body) => db.transaction((tx) => body(inside(tx))) };
}

function forwarded(db: Database): Database {
  return {
    pooled: db.pooled,
    query: (sql, params) => db.query(sql, params),
    exec: (sql) => db.exec(sql),
    copyIn: (sql, chunks) => db.copyIn(sql, chunks),
    transaction: (body) => db.transaction(body),
    close: () => db.close(),
  };
}

/** Commits clicks into a database, one commit for each list of their seconds. Those below 0 are bob's. */
async function commits(db: Database, ...lists: readonly (readonly number[])[]): Promise<void> {
  const log: ReturnType<typeof click>[] = [];
  for (const seconds of lists) {
    log.push(...seconds.map((second) => click(`${second}`, second, { userId: second < 0 ? "bob" : "ann" })));
    const { pipeline } = harness([log], { sink: new SqlSink(db, "test") });
    await pipeline.step();
    await pipeline.flush();
  }
}

async function committed(db: Database): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    "select coalesce(sum(consumed), 0)::integer as n from clickstream.progress",
  );
  return rows[0]!.n;
}

Deno.test("a row by user that another writer has just inserted is a conflict, worth a retry", async () => {
  const db = await emptyDatabase();
  const other = disturbed(db, async (sql, tx) => {
    if (!sql.startsWith("copy clickstream.user_days")) return;
    await tx.exec("insert into clickstream.user_days values ('ann', '2026-11-02', 1, 0, 0)");
  });
  const message = /another writer has just created the same rows of user_days; is the topic keyed by userId\?/;
  await assert.rejects(commits(other, [0]), { name: "Unavailable", kind: "conflict", message });
  assert.equal(await committed(db), 0);
});

for (
  const [row, table, message, next] of [
    ["session", "sessions", /could not extend 1 sessions: another writer has just changed some of them/, 60],
    ["window", "traffic", /could not change 1 rows of traffic: another writer has just changed some of them/, 1],
  ] as const
) {
  Deno.test(`a ${row} that another writer has just changed is a conflict, worth a retry`, async () => {
    const db = await emptyDatabase();
    await commits(db, [0]);
    const other = disturbed(db, async (sql, tx) => {
      // An update moves the row.
      if (!sql.includes(`update clickstream.${table}`)) return;
      await tx.exec(`update clickstream.${table} set events = events`);
    });
    await assert.rejects(commits(other, [0, next]), { name: "Unavailable", kind: "conflict", message });
    assert.equal(await committed(db), 1);
    await commits(db, [0, next]);
    assert.equal(await committed(db), 2);
  });
}

Deno.test("what PostgreSQL rejects is unstorable, in any statement; other errors are passed on", async () => {
  const db = await emptyDatabase();
  for (const table of ["events", "user_days", "sessions", "traffic", "progress"]) {
    const few = table === "events" ? "event_id <> '1'" : table === "progress" ? "stored < 2" : "events < 2";
    await db.exec(`alter table clickstream.${table} add constraint few check (${few})`);
    try {
      await assert.rejects(commits(db, [0, 1]), (error) => error instanceof Unstorable && /few/.test(error.message));
    } finally {
      await db.exec(`alter table clickstream.${table} drop constraint few`);
    }
  }
  const ours = new Error("ours");
  await assert.rejects(commits(disturbed(db, () => Promise.reject(ours)), [0]), ours);
  const gone = new Unavailable("gone", { kind: "postgres_unreachable" });
  await assert.rejects(commits(disturbed(db, () => Promise.reject(gone)), [0]), gone);
  assert.equal(await committed(db), 0);
});

Deno.test("a view is written alone as among the others", async () => {
  const written = async (db: Database) => {
    const counts = VIEWS.map(({ name }) => `(select count(*) from clickstream.${name})::integer as ${name}`);
    const { rows } = await db.query<Record<string, number>>(`select ${counts.join(", ")}`);
    return rows[0]!;
  };
  const bought = { eventType: "purchase", price: 1, currency: "EUR" };
  const log = [[click("a"), click("b", 3600), click("c", 3600, bought)]];
  const stored = async (views: readonly View[]) => {
    const db = await emptyDatabase();
    const { pipeline } = harness(log, { sink: new SqlSink(db, "test"), views });
    await pipeline.step();
    await pipeline.flush();
    return await written(db);
  };
  const all = await stored(VIEWS);
  for (const one of VIEWS) {
    const expected = Object.fromEntries(VIEWS.map(({ name }) => [name, name === one.name ? all[name]! : 0]));
    assert.deepEqual(await stored([one]), expected);
    assert.ok(all[one.name]! > 0);
  }
});

Deno.test("stored windows are merged in portions, whatever the size of their sets", async () => {
  const db = await emptyDatabase();
  let reads = 0;
  const watched = disturbed(db, (sql, tx) => {
    if (sql.includes("join clickstream.pages")) reads++;
    return Promise.resolve(tx);
  });
  // 300 pages, a few of them with hundreds of users, in two commits.
  const visits = Array.from(
    { length: 300 },
    (_, page) => Array.from({ length: page % 100 === 7 ? 400 : 1 }, () => page),
  );
  const records = [1, 2].flatMap((round) =>
    visits.flat().map((page, n) => click(`${round}/${n}`, 0, { userId: `u${round}/${n}`, page: `/${page}` }))
  );
  const { pipeline } = harness([records], {
    sink: new SqlSink(watched, "test"),
    commitRecords: records.length / 2,
  });
  while (await committed(db) < records.length) await pipeline.step();
  const { rows } = await db.query<{ pages: number; least: number; most: number; views: number }>(
    `select count(*)::integer as pages, min(users)::integer as least, max(users)::integer as most, sum(views)::integer as views
       from clickstream.pages`,
  );
  assert.deepEqual(rows, [{ pages: 300, least: 2, most: 800, views: 2 * visits.flat().length }]);
  // 64, 128 and 108 windows of which none is stored; then 64, and all others, which are as small on average.
  assert.equal(reads, 5);
});

Deno.test("rows that several workers write are written under the lock, and rows by user and events before it", async () => {
  const db = await emptyDatabase();
  const locked = new Map<string, Set<boolean>>();
  const watched = disturbed(db, async (sql, tx) => {
    const table = /(?:^|\s)(?:copy|insert into|update) clickstream\.(\w+)/.exec(sql)?.[1];
    if (table === undefined) return;
    const { rows } = await tx.query<{ held: boolean }>(
      "select exists (select from pg_locks where locktype = 'advisory' and granted) as held",
    );
    locked.set(table, (locked.get(table) ?? new Set()).add(rows[0]!.held));
  });
  await commits(watched, [0, 1], [0, 1, 60]);
  const shared = ["active_users", "page_days", "pages", "sessions", "traffic", "traffic_hours"];
  const expected = [...shared, "events", "progress", "user_days"].sort().map((table) =>
    [table, [shared.includes(table)]] as const
  );
  assert.deepEqual([...locked].map(([table, held]) => [table, [...held]]).sort(), expected);
});

Deno.test("a lost key stops the service with an error that says what to restore", async () => {
  const db = await emptyDatabase();
  const undo = new Error("undo");
  const lost = db.transaction(async (tx) => {
    await tx.exec("delete from clickstream.hash_key");
    await assert.rejects(new SqlSink(tx, "test").hashKey(), /hash_key has lost its row.*restore it from a backup/);
    throw undo;
  });
  await assert.rejects(lost, undo);
  assert.equal((await new SqlSink(db, "test").hashKey()).length, 16);
});

Deno.test("a partition without a topic id has that of the topic's other partitions", async () => {
  const db = await emptyDatabase();
  await db.exec(
    `insert into clickstream.progress (topic, partition, topic_id, first_offset, next_offset, replay_offset)
     values ('t', 0, null, 0, 0, 0), ('t', 1, 'one', 0, 0, 0), ('other', 0, 'z', 0, 0, 0), ('alone', 0, null, 0, 0, 0)`,
  );
  const sink = new SqlSink(db, "test");
  const ids = async (topic: string, partitions: readonly number[]) =>
    [...(await sink.positions(topic, partitions)).byPartition].map(([partition, { topicId }]) => [partition, topicId])
      .sort();
  assert.deepEqual(await ids("t", [0, 1, 2]), [[0, "one"], [1, "one"]]);
  assert.deepEqual(await ids("t", [0]), [[0, "one"]]);
  assert.deepEqual(await ids("alone", [0]), [[0, null]]);
});

// Seconds of clicks by commit, and the sessions that are left, by the seconds of their first and last click.
const SESSIONS: readonly (readonly [lists: readonly (readonly number[])[], sessions: string])[] = [
  // Half an hour apart is one session, and no more than that.
  [[[0], [1800]], "0-1800"],
  [[[0], [1800.001]], "0-0 1800.001-1800.001"],
  [[[1800], [0]], "0-1800"],
  [[[1800.001], [0]], "0-0 1800.001-1800.001"],
  // Several sessions in a commit, of which one touches a stored one.
  [[[7800], [0, 7200]], "0-0 7200-7800"],
  [[[7800], [7200, 0]], "0-0 7200-7800"],
  [[[600], [7200, 0]], "0-600 7200-7200"],
  [[[600], [0, 7200]], "0-600 7200-7200"],
  [[[1800, 7200], [0, 9000]], "0-1800 7200-9000"],
  [[[0, 9000], [1800.001, 7199.999]], "0-0 1800.001-1800.001 7199.999-7199.999 9000-9000"],
  // One joins two or three stored ones, or a stored one joins two; others stay.
  [[[0, 3600, 9000], [1800]], "0-3600 9000-9000"],
  [[[1800, 9000], [0, 3600]], "0-3600 9000-9000"],
  [[[0, 3600, 20000], [1800, 20100, 30000]], "0-3600 20000-20100 30000-30000"],
  [[[0, 2000, 4000], [200, 1000, 3000, 9000]], "0-4000 9000-9000"],
  // Of two users with several sessions, one has none stored.
  [[[0, 3600], [1800, 9000, -9000, -100, -5000]], "-9000--9000 -5000--5000 -100--100 0-3600 9000-9000"],
];

Deno.test("sessions of a commit extend and join the stored ones that they touch, and no others", async () => {
  for (const [lists, sessions] of SESSIONS) {
    const db = await emptyDatabase();
    await commits(db, ...lists);
    const { rows } = await db.query<{ from: number; to: number; events: string }>(
      `select extract(epoch from started_at - '2026-11-02T12:00Z')::float8 as from,
              extract(epoch from ended_at - '2026-11-02T12:00Z')::float8 as to, events from clickstream.sessions
        order by started_at`,
    );
    assert.equal(rows.map(({ from, to }) => `${from}-${to}`).join(" "), sessions, JSON.stringify(lists));
    assert.equal(rows.reduce((sum, { events }) => sum + Number(events), 0), lists.flat().length);
  }
});

Deno.test("a session that is extended keeps the steps of the funnel that it reached before", async () => {
  const db = await emptyDatabase();
  const log: ReturnType<typeof click>[] = [];
  const steps: number[] = [];
  for (const eventType of ["page_view", "add_to_cart", "search", "purchase", "search"]) {
    log.push(click(`${log.length}`, log.length, { eventType }));
    const { pipeline } = harness([log], { sink: new SqlSink(db, "test") });
    await pipeline.step();
    await pipeline.flush();
    const { rows } = await db.query<{ step: number }>("select funnel_step::integer as step from clickstream.sessions");
    steps.push(...rows.map(({ step }) => step));
  }
  assert.deepEqual(steps, [1, 2, 2, 3, 3]);
});

Deno.test("of a user's days the earliest is marked as the first, in whatever order they come", async () => {
  for (const lists of [[[0], [100_000]], [[100_000], [0]], [[100_000, 200_000], [0]]]) {
    const db = await emptyDatabase();
    await commits(db, ...lists);
    const { rows } = await db.query<{ day: string }>(
      "select day::text as day from clickstream.user_days where is_first",
    );
    assert.deepEqual(rows.map(({ day }) => day), ["2026-11-02"], JSON.stringify(lists));
  }
});
