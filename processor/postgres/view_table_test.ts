/** What a view gets from its declaration alone, tested with views that are in no list. */
import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { distinctUsers } from "../measures/distinct_users.ts";
import { max, min } from "../measures/extremes.ts";
import { ANY } from "../measures/measure.ts";
import { first, last } from "../measures/picks.ts";
import { count, sum } from "../measures/totals.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { clicks } from "../oracle/logs.ts";
import { expectedOf } from "../oracle/oracle.ts";
import { ingest, KEEP_DAYS } from "../testing/ingest_schedules.ts";
import { insertOf, sinkTable } from "../translate/flink_view.ts";
import { hopping, minutes, session, tumbling, type View, view } from "../views/view.ts";
import type { Database } from "./database.ts";
import { flinkPreparation } from "./dialect.ts";
import { eraseRows } from "./erase.ts";
import { agingOf, maintain } from "./operations/maintenance.ts";
import { missingRights } from "./operations/rights.ts";
import { SqlSink } from "./sink/sql_sink.ts";
import { createTable, writerRights } from "./view_table.ts";

/** A view by page, shared by all users, with a set of users: it is read, merged and written back. */
const landings: View = view({
  name: "landings",
  about: "Page views by page and region, every ten minutes.",
  where: { type: ["page_view"] },
  window: hopping(minutes(20), minutes(10)),
  by: ["pagePath", "region"],
  measures: { views: count(), users: distinctUsers(), revenue_cents: sum("revenue") },
});

/** A view by user, with measures that SQL merges, and a column derived from others. */
const errands: View = view({
  name: "errands",
  about: "Events of one user with at most ten minutes between them.",
  window: session(minutes(10)),
  by: ["user", "session"],
  measures: {
    events: count(),
    searches: count({ type: ["search"] }),
    first_type: first("type", { at: "first_at", by: "first_id" }),
    last_search: last("pagePath", { at: "search_at", by: "search_id" }, { type: ["search"] }),
  },
  derived: { only_a_search: { events: 1, searches: 1 } },
  keep: "forever",
});

/** A view by texts that may be long and absent, with measures that SQL merges. */
const baskets: View = view({
  name: "baskets",
  about: "Carts by product and campaign, each hour.",
  where: { type: ["add_to_cart"], product: [ANY], campaign: [{ around: ["spring", ""] }, "x"] },
  window: tumbling(minutes(60)),
  by: ["product", "campaign"],
  measures: {
    carts: count(),
    price_cents: sum("price"),
    least_cents: min("price"),
    most_cents: max("price", { device: ["mobile"] }),
    last_device: last("device", { at: "last_at", by: "last_id" }),
  },
});

const SCRATCH = [landings, errands, baskets];

const LOG = clicks([
  ["ann", "09:00", "page_view", "/home?x=1", { region: "eu" }],
  ["ann", "09:09", "search", "/search#top", { region: "eu" }],
  ["bob", "09:05", "page_view", "/home", { region: "us", sessionId: "s" }],
  ["bob", "09:05", "search", "/find", { region: "us" }],
  ["ann", "09:19", "page_view", "/", {}],
  ["ann", "09:29:01", "purchase", "/pay", { price: 5 }],
  ["cat", "09:12", "page_view", "/home", { region: "eu" }],
  ["cat", "09:13", "add_to_cart", "/p", { productId: "p".repeat(3000), campaign: "spring", price: 2.5 }],
  ["ann", "09:14", "add_to_cart", "/p", {
    productId: "p".repeat(3000),
    campaign: "spring",
    price: 1,
    device: "mobile",
  }],
  ["ann", "09:58", "add_to_cart", "/p", { productId: "p".repeat(3000), campaign: "spring", device: "tablet" }],
  ["bob", "09:15", "add_to_cart", "/p", { productId: "'\\\"", campaign: "spring sale" }],
  ["bob", "09:16", "add_to_cart", "/p", { productId: "q", campaign: "x", price: 7 }],
  ["bob", "10:00", "add_to_cart", "/p", { productId: "q", campaign: "x", price: 8 }],
  ["bob", "09:17", "add_to_cart", "/p", { productId: "q", campaign: "xy", price: 7 }],
  ["bob", "09:17", "add_to_cart", "/p", { productId: "q" }],
  ["bob", "09:17", "add_to_cart", "/p", { campaign: "spring" }],
]);

async function made(db: Database): Promise<Database> {
  await db.exec("set role clickstream_owner");
  for (const scratch of SCRATCH) await db.exec(createTable(scratch));
  await db.exec("reset role");
  return db;
}

async function rowsIn(db: Database, { name }: View): Promise<number> {
  const { rows } = await db.query<{ n: number }>(`select count(*)::int as n from clickstream.${name}`);
  return rows[0]!.n;
}

onEachDatabase("a view that is only declared", {
  "has the rows that the oracle computes from its declaration": async (open) => {
    const db = await made(await migrated(open));
    await ingest(LOG, new SqlSink(db, "test"), { inAPoll: 2, inACommit: 3, turnsOfALife: 2 }, SCRATCH);
    const expected = expectedOf(LOG, { keepDays: KEEP_DAYS, views: SCRATCH });
    const tables = SCRATCH.map(({ name }) => name);
    assert.deepEqual(tables.map((name) => expected.others[name]!.rows.length), [7, 7, 4]);
    assert.equal(formatDifferences(await compareTables(db, expected, { tables })), "every table agrees");
  },

  "has rights that are checked": async (open) => {
    const db = await made(await migrated(open));
    assert.deepEqual(SCRATCH.map(writerRights), [
      ["select", "insert", "update"],
      ["select", "insert", "update", "delete"],
      ["select", "insert", "update"],
    ]);
    await db.exec("set role clickstream_writer");
    assert.deepEqual(await missingRights(db, SCRATCH), []);
    await db.exec(
      "reset role; revoke delete on clickstream.errands from clickstream_writer; set role clickstream_writer",
    );
    assert.deepEqual(await missingRights(db, SCRATCH), ["delete on errands"]);
  },

  "loses rows that expire, unless they are kept, and rows of a forgotten user": async (open) => {
    const db = await made(await migrated(open));
    await ingest(LOG, new SqlSink(db, "test"), { inAPoll: 9, inACommit: 9, turnsOfALife: 9 }, SCRATCH);
    assert.deepEqual(agingOf(SCRATCH).map(([table]) => table), ["events_default", "landings", "baskets"]);
    const keep = { eventDays: 30_000, rollupDays: 36_000, aheadDays: 0 };
    await maintain(db, { ...keep, eventDays: 1 }, () => {}, SCRATCH);
    assert.deepEqual([await rowsIn(db, landings), await rowsIn(db, errands)], [7, 7]);
    const { removed } = await maintain(db, { ...keep, eventDays: 1, rollupDays: 2 }, () => {}, SCRATCH);
    assert.equal(removed["landings"], 7);
    assert.deepEqual([await rowsIn(db, landings), await rowsIn(db, errands)], [0, 7]);
    assert.deepEqual(await eraseRows(db, "clickstream", ["ann"], SCRATCH), { errands: 3 });
  },
});

Deno.test("a view that is only declared has a table, a query and their preparation in Flink SQL", () => {
  assert.match(sinkTable(landings, {}), /PRIMARY KEY \(`window_start`, `page`, `region`\) NOT ENFORCED/);
  assert.match(
    insertOf(landings, { keepMs: 0 }),
    /TABLE\(HOP\(TABLE events.*INTERVAL '10' MINUTE, INTERVAL '20' MINUTE/,
  );
  assert.match(
    insertOf(errands, { keepMs: 0 }),
    /COUNT\(\*\) FILTER \(WHERE event_type IN \('search'\)\) AS `searches`/,
  );
  assert.deepEqual(flinkPreparation(landings), [
    "create unique index flink_landings on clickstream.landings (window_start, page, region) nulls not distinct;",
  ]);
});
