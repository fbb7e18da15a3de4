/** Forgotten users stay out of the tables: the same sink and source as the service's, over the embedded PostgreSQL. */
import assert from "node:assert/strict";
import type { Commit } from "../../pipeline/commit.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { Rebalanced } from "../../pipeline/source.ts";
import type { LogRecord } from "../../testing/fakes/memory.ts";
import { emptyDatabase } from "../../testing/contracts/empty_database.ts";
import { TEST_KEY } from "../../testing/fakes/keyed.ts";
import { bad, click, WatchedSource } from "../../testing/pipeline_harness.ts";
import { decoder, record } from "../../testing/scenario.ts";
import { VIEWS } from "../../views/mod.ts";
import type { Database } from "../database.ts";
import { userHash } from "../erase.ts";
import { noteForgotten } from "../operations/forget.ts";
import { ForgettingSink, Forgotten, HeldSource, UserForgotten } from "./forgetting.ts";
import { SqlSink } from "./sql_sink.ts";

const TOPIC = "clickstream-events";

const of = (userId: string, seconds: number) => click(`${userId}-${seconds}`, seconds, { userId });
const refused = (userId: string) => record({ userId, page: 1 }, bad().time);

// Bob was forgotten when partition 0 ended at offset 5, Ann when it ended at 6 and partition 1 at 1. Both came back.
const LOG: readonly (readonly LogRecord[])[] = [
  [
    ...[of("ann", 0), of("ben", 0), refused("ann"), refused("ben"), of("bob", 3)],
    of("bob", 4),
    ...[of("ann", 5), refused("ann")],
  ],
  [of("cid", 3), of("cid", 9)],
];
const ENDS = { ann: new Map([[0, 6], [1, 1]]), bob: new Map([[0, 5]]) };

/** A pipeline as the service has it, and what it did. */
function worker(db: Database, storeEvents = true, limit = 100) {
  const forgotten = new Forgotten();
  const commits: Commit[] = [];
  const causes: (string | null)[] = [];
  const pipeline = new Pipeline({
    source: new HeldSource(new WatchedSource(LOG.map((records) => [...records]), limit), forgotten),
    sink: new ForgettingSink(db, forgotten, (guarded) => new SqlSink(guarded, "test")),
    views: VIEWS,
    decoder: decoder(),
    storeEvents,
    now: () => 0,
    commitEveryMs: 1000,
    commitRecords: 1000,
    observer: {
      committed: (commit) => void commits.push(commit),
      started: (_, cause) => void causes.push(cause?.restartCause ?? null),
    },
  });
  return { pipeline, commits, causes };
}

async function texts(db: Database, sql: string): Promise<string[]> {
  const { rows } = await db.query<{ text: string }>(`select x.text from (${sql}) x(text) order by x.text collate "C"`);
  return rows.map(({ text }) => text);
}

/** All that the tables hold of the log. */
async function stored(db: Database) {
  return {
    events: await texts(db, "select kafka_partition || '/' || kafka_offset || ' ' || user_id from clickstream.events"),
    sessions: await texts(db, "select user_id || ' ' || events from clickstream.sessions"),
    days: await texts(db, "select user_id || ' ' || events from clickstream.user_days"),
    counted: await texts(db, "select sum(events)::text from clickstream.traffic"),
    refusals: await texts(
      db,
      `select "offset" || ' ' || coalesce(convert_from(payload, 'UTF8'), detail) from clickstream.refusals
        where topic = '${TOPIC}' and partition = 0 and not former`,
    ),
  };
}

const ROWS = ["ann 1", "ben 1", "bob 1", "cid 2"];
const EXPECTED = {
  events: ["0/1 ben", "0/5 bob", "0/6 ann", "1/0 cid", "1/1 cid"],
  sessions: ROWS,
  days: ROWS,
  counted: ["7"],
  refusals: ["2 erased with its user", '3 {"userId":"ben","page":1}', '7 {"userId":"ann","page":1}'],
};

for (const [storeEvents, limit] of [[true, 100], [true, 1], [false, 2]] as const) {
  const how = `${storeEvents ? "with" : "without"} raw events, ${limit} records in a poll`;
  Deno.test(`events from before a user was forgotten are counted and not kept: ${how}`, async () => {
    const db = await emptyDatabase();
    // Refusals of other logs at the place of one that is erased.
    await db.exec(
      `insert into clickstream.refusals (reason, topic, partition, "offset", payload, former)
           values ('empty', 'other', 0, 2, 'ann', false), ('empty', '${TOPIC}', 1, 2, 'ann', false),
                  ('empty', '${TOPIC}', 0, 2, 'ann', true)`,
    );
    await noteForgotten(db, TOPIC, "ann", ENDS.ann);
    await noteForgotten(db, TOPIC, "bob", ENDS.bob);
    const { pipeline, commits, causes } = worker(db, storeEvents, limit);
    for (let n = 0; n < 40; n++) {
      await pipeline.step();
      await pipeline.flush();
    }
    assert.deepEqual(await stored(db), { ...EXPECTED, ...storeEvents ? {} : { events: [] } });
    assert.equal(
      (await texts(db, "select payload::text from clickstream.refusals where payload = 'ann'")).length,
      3,
    );
    const reached = commits.flatMap(({ advances }) => advances.map(({ partition, next }) => `${partition}/${next}`));
    assert.ok(["0/5", "0/6", "0/8", "1/1", "1/2"].every((place) => reached.includes(place)), String(reached));
    if (limit === 100) assert.deepEqual(causes, [null, "reassigned", "reassigned"]);
  });
}

Deno.test("a commit that began before a user was forgotten is not applied, and is made again without the user", async () => {
  const db = await emptyDatabase();
  const { pipeline, causes } = worker(db);
  await pipeline.step();
  await noteForgotten(db, TOPIC, "ann", new Map([[0, 8], [1, 2]]));
  await assert.rejects(pipeline.flush(), UserForgotten);
  assert.deepEqual(await texts(db, "select partition::text from clickstream.progress"), []);
  for (let n = 0; n < 3; n++) {
    await pipeline.step();
    await pipeline.flush();
  }
  const { events, sessions, counted } = await stored(db);
  assert.deepEqual(events, ["0/1 ben", "0/4 bob", "0/5 bob", "1/0 cid", "1/1 cid"]);
  assert.deepEqual([sessions, counted], [["ben 1", "bob 2", "cid 2"], ["7"]]);
  // `flush` leaves the restart to the next step, and to the supervisor the cause of it.
  assert.deepEqual(causes, [null, null, "reassigned"]);
  assert.equal(new UserForgotten("").restartCause, "user_forgotten");
});

Deno.test("users stay forgotten without stored events, whichever partitions they were in", async () => {
  const db = await emptyDatabase();
  await noteForgotten(db, TOPIC, "cid", new Map([[1, 2]]));
  await noteForgotten(db, TOPIC, "ben", new Map([[0, 8]]));
  const { pipeline } = worker(db, false);
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual((await stored(db)).sessions, ["ann 2", "bob 2"]);
});

Deno.test("a partition is held until the first forgotten user's events are committed", async () => {
  const db = await emptyDatabase();
  const forgotten = new Forgotten();
  const sink = new ForgettingSink(db, forgotten, (guarded) => new SqlSink(guarded, "test"));
  const held = async (...partitions: number[]) => {
    await sink.positions(TOPIC, partitions);
    const erased = ["ann", "bob", "cid"].filter((user) => partitions.some((p) => forgotten.erases(p, user)));
    return [forgotten.known, Object.fromEntries(forgotten.limits), erased.join()];
  };
  assert.deepEqual(await held(0, 1), ["0", {}, ""]);
  await db.exec(
    `insert into clickstream.forgotten (user_hash, topic, partitions, below) values
         ('\\x${userHash("ann")}', '${TOPIC}', '{0,1}', '{5,7}'), ('\\x${
      userHash("bob")
    }', '${TOPIC}', '{0,2}', '{3,0}'),
         ('\\x${userHash("cid")}', 'other', '{0}', '{1}')`,
  );
  assert.deepEqual(await held(0, 2), ["3", { 0: 3 }, "ann,bob"]);
  assert.deepEqual(await held(1), ["3", { 1: 7 }, "ann"]);
  for (const [next, limits, erased] of [[2, { 0: 3 }, "ann,bob"], [3, { 0: 5 }, "ann"], [5, {}, ""]] as const) {
    await db.exec(
      `insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset, consumed, stored)
         values ('${TOPIC}', 0, 0, ${next}, 0, ${next}, ${next}) on conflict (topic, partition)
         do update set next_offset = excluded.next_offset, consumed = excluded.consumed, stored = excluded.stored`,
    );
    assert.deepEqual(await held(0), ["3", limits, erased]);
  }
  assert.equal((await sink.hashKey()).length, TEST_KEY.length);
});

Deno.test("a held source stops at its limits, and asks for a restart once they are committed", async () => {
  const inner = new WatchedSource(LOG.map((records) => [...records]), 100);
  const forgotten = new Forgotten();
  forgotten.note(0, 2, "x");
  const source = new HeldSource(inner, forgotten, 200);
  assert.deepEqual([source.topic, await source.assigned(), source.topicId()], [TOPIC, [0, 1], "memory"]);
  source.seek(new Map([[0, null], [1, null]]), new Map());
  const places = (await source.poll(1000)).map(({ partition, next, count }) => [partition, next, count]);
  assert.deepEqual(places, [[0, 2, 2], [1, 2, 2]]);
  await source.committed(new Map([[0, 1], [1, 2]]));
  assert.deepEqual(await source.poll(50), []);
  await source.committed(new Map([[0, 2]]));
  await assert.rejects(source.poll(50), Rebalanced);
  source.seek(new Map([[0, 2]]));
  forgotten.clear();
  const [rest] = await source.poll(50);
  assert.deepEqual([rest!.next, rest!.count], [8, 6]);
  assert.deepEqual([inner.waits, inner.told], [[200, 50, 50], [{ 0: 1, 1: 2 }, { 0: 2 }]]);
  assert.deepEqual(inner.seeks, [{ 0: null, 1: null }, { 0: 2 }]);
});

Deno.test("a held source waits as long as asked if it has no limit of its own", async () => {
  const inner = new WatchedSource([[]], 100);
  await new HeldSource(inner, new Forgotten()).poll(1000);
  assert.deepEqual(inner.waits, [1000]);
});
