import assert from "node:assert/strict";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { migrated, onEachDatabase } from "../../../testing/servers/databases.ts";
import { MemorySource } from "../../testing/fakes/memory.ts";
import { at, clicks, decoder, record } from "../../testing/scenario.ts";
import { VIEWS } from "../../views/mod.ts";
import type { Database } from "../database.ts";
import { readFront, readShop, textOf } from "./shop_reader.ts";
import { SqlSink } from "../sink/sql_sink.ts";

// Ann's first session, and its page view, are more than an hour old at the latest event, 12:04:30. A day before, two
// users were active at this time, one of whom bought for half as much.
const CLICKS = `
  time         userId eventType   page    price quantity
  2026-11-01T11:50:00.000 eve page_view /home -     -
  2026-11-01T11:51:00.000 eve purchase  /pay  10.00 1
  2026-11-01T12:02:00.000 fay page_view /home -     -
  2026-11-01T12:04:31.000 fay page_view /home -     -
  10:59:00.000 ann    page_view   /old    -     -
  11:30:00.000 bob    page_view   /home   -     -
  11:31:00.000 bob    add_to_cart /shoes  10.00 2
  11:32:00.000 bob    purchase    /pay    10.00 2
  12:01:00.000 ann    page_view   /home   -     -
  12:04:00.000 cat    page_view   /home   -     -
  12:04:10.000 cat    page_view   /shoes  -     -
  12:04:30.000 dan    search      /search -     -
`;
const LATEST = at("12:04:30.000");

/** Stores these clicks and messages, then takes the rights of the service, read-only. Returns the topic. */
async function filled(db: Database, messages: readonly (string | Uint8Array)[] = []): Promise<string> {
  const records = [...clicks(CLICKS), ...messages].map((message) => record(message, LATEST));
  const source = new MemorySource([records], 100);
  const pipeline = new Pipeline({
    source,
    sink: new SqlSink(db, "here/1"),
    views: VIEWS,
    decoder: decoder(),
    storeEvents: true,
    now: () => 0,
    commitEveryMs: 1000,
    commitRecords: 1000,
  });
  await pipeline.step();
  await pipeline.flush();
  await db.exec("set role clickstream_writer; set default_transaction_read_only = on");
  return source.topic;
}

onEachDatabase("what the page reads", {
  "is empty before the first event": async (open) => {
    const db = await migrated(open);
    const front = await readFront(db, "clicks", LATEST);
    assert.deepEqual(front, { partitions: [], gaps: 0, watermark: null, latest: null, forgotten: [] });
    const { activeUsers, conversion, windows, topPages, refusals, revenue } = await readShop(db, front);
    assert.deepEqual({ activeUsers, conversion, windows, topPages, refusals, revenue }, {
      activeUsers: null,
      conversion: null,
      revenue: null,
      windows: [],
      topPages: [],
      refusals: [],
    });
  },

  "is the positions of the tables, and the shop as of the latest event": async (open) => {
    const db = await migrated(open);
    const topic = await filled(db);
    const front = await readFront(db, topic, LATEST + 5000);
    assert.deepEqual(front.partitions.map(({ partition, next, owner }) => [partition, next, owner]), [[
      0,
      12,
      "here/1",
    ]]);
    assert.deepEqual([front.latest, front.watermark], [LATEST, LATEST - 10_000]);
    const shop = await readShop(db, front);
    assert.deepEqual(shop.conversion, {
      sessions: 4,
      conversions: 1,
      rate: 0.25,
      revenueCents: 2000,
      views: 3,
      carts: 1,
      purchases: 1,
    });
    assert.deepEqual(shop.topPages, [{ page: "/home", views: 2 }, { page: "/shoes", views: 1 }]);
    assert.equal(shop.activeUsers!.now, 3);
    assert.deepEqual(shop.activeUsers!.series.at(-1), [at("12:05:00.000"), 3]);
    const { series, dayBefore } = shop.activeUsers!;
    assert.deepEqual([series.length, series[0]![0], series.at(-1)![0] - series.at(-2)![0]], [
      61,
      at("11:05:00.000"),
      60_000,
    ]);
    assert.equal(dayBefore!.length, series.length);
    assert.deepEqual(dayBefore!.slice(-4), [0, 1, 1, 1]);
    assert.deepEqual(
      shop.windows.map(({ view, start, count }) => [view, new Date(start).toISOString().slice(11, 16), count]),
      [
        ["traffic", "12:04", 3],
        ["active users", "12:00", 3],
        ["active users", "12:01", 3],
        ["active users", "12:02", 2],
        ["active users", "12:03", 2],
        ["active users", "12:04", 2],
      ],
    );
  },

  "has changes against the same hour a day before, of windows that are over": async (open) => {
    const db = await migrated(open);
    const shop = await readShop(db, await readFront(db, await filled(db), LATEST));
    // Of 11:59 to 12:04, which is over: ann today, fay a day before.
    assert.equal(shop.activeUsers!.change, 0);
    const { series, dayBefore, change } = shop.revenue!;
    assert.equal(change, 1);
    assert.deepEqual(series.map(([, cents]) => cents), [0, 0, 0, 0, 0, 2000, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(dayBefore, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1000, 0, 0]);
    assert.deepEqual([series[0]![0], series.at(-1)![0]], [at("11:09:30.001"), at("12:04:30.001")]);
  },

  "has no change where one of both days has nothing": async (open) => {
    const db = await migrated(open);
    const front = await readFront(db, await filled(db), LATEST);
    const shop = await readShop(db, { ...front, latest: at("2026-11-01T12:04:30.000") });
    assert.deepEqual([shop.activeUsers!.change, shop.activeUsers!.dayBefore], [null, null]);
    assert.deepEqual([shop.revenue!.change, shop.revenue!.dayBefore], [null, null]);
  },

  "names where the log ended when a user was last forgotten": async (open) => {
    const db = await migrated(open);
    const topic = await filled(db);
    const forget = `insert into clickstream.forgotten (user_hash, topic, partitions, below)
      values ('\\x01', $1::text, $2::integer[], $3::bigint[])`;
    await db.exec("set default_transaction_read_only = off");
    await db.query(forget, [topic, "{0}", "{3}"]);
    await db.query(forget, [topic, "{0,1}", "{7,2}"]);
    await db.query(forget, ["other", "{0}", "{99}"]);
    assert.deepEqual((await readFront(db, topic, LATEST)).forgotten, [[0, 7], [1, 2]]);
  },

  "is never later than now": async (open) => {
    const db = await migrated(open);
    const topic = await filled(db);
    assert.equal((await readFront(db, topic, LATEST - 60_000)).latest, LATEST - 60_000);
  },

  "is the latest refusals, with their bytes as text": async (open) => {
    const db = await migrated(open);
    const topic = await filled(db, ["<b>", new Uint8Array([0x61, 0xff, 0x00]), "é".repeat(3000)]);
    const { refusals } = await readShop(db, await readFront(db, topic, LATEST));
    assert.deepEqual(refusals.map(({ reason, offset, bytes }) => [reason, offset, bytes]), [
      ["not_json", 14, 6000],
      ["not_utf8", 13, 3],
      ["not_json", 12, 3],
    ]);
    assert.deepEqual(refusals.map(({ payload }) => payload), ["é".repeat(1024), "a\\xff\0", "<b>"]);
    assert.equal(refusals[0]!.replayedAt, null);
  },
});

Deno.test("bytes become text, and invalid UTF-8 is escaped", () => {
  const bytes = new TextEncoder().encode("aé😀");
  assert.equal(textOf(bytes, false), "aé😀");
  for (const cut of [1, 2, 3]) assert.equal(textOf(bytes.subarray(0, bytes.length - cut), true), "aé");
  assert.equal(textOf(bytes.subarray(0, 2), false), "a\\xc3");
});
