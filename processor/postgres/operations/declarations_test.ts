import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../../testing/servers/databases.ts";
import { type DeclaredViews, readDeclared, titleOf, withDeclared } from "../../declared/file.ts";
import { RESERVED } from "../../declared/reserved.ts";
import { compareTables, formatDifferences } from "../../oracle/differences.ts";
import { clicks } from "../../oracle/logs.ts";
import { expectedOf } from "../../oracle/oracle.ts";
import { report } from "../../testing/contracts/reports.ts";
import { ingest, KEEP_DAYS } from "../../testing/ingest_schedules.ts";
import { VIEWS } from "../../views/mod.ts";
import type { Database } from "../database.ts";
import { SchemaMismatch } from "../schema.ts";
import { SqlSink } from "../sink/sql_sink.ts";
import { missingRights } from "./rights.ts";
import {
  applyDeclarations,
  type Change,
  changesIn,
  declarationsOf,
  takenNames,
  verifyDeclarations,
} from "./declarations.ts";

function file(...views: readonly string[]): DeclaredViews {
  const text = views.map((view) => `  - ${view.trim().replaceAll("\n", "\n    ")}\n`).join("");
  return readDeclared(`views:${text === "" ? " []" : `\n${text}`}`, "views.yaml");
}

const CARTS = `
name: sale_carts
description: What is in carts, it's by product.
filter: { event: add_to_cart }
window: 15 minutes
keys: [product, device]
measures: { carts: count, people: users, price_cents: sum price, least_cents: min price, last_page: last page }
`;
const PAGES = `
name: long_pages
description: Views of pages, every ten minutes.
window: { size: 30 minutes, every: 10 minutes }
keys: [page]
measures: { page_views: { measure: count, filter: { event: page_view } } }
`;
const DAYS = `
name: region_days
description: Days of regions.
window: 1 day
keys: [region]
measures: { events: count, revenue_cents: sum revenue }
`;

const LOG = clicks([
  ["ann", "09:00", "page_view", "/home?x=1", { region: "eu" }],
  ["ann", "09:09", "add_to_cart", "/p/1", { productId: "1", price: 2.5, device: "mobile" }],
  ["bob", "09:14", "add_to_cart", "/p/1", { productId: "1", price: 2, device: "mobile" }],
  ["bob", "09:15", "add_to_cart", "/p/1", { productId: "1", price: 3, device: "mobile" }],
  ["bob", "09:16", "add_to_cart", "/p/2", { price: 3, device: "mobile" }],
  ["cat", "09:05", "purchase", "/pay", { region: "us", price: 5, quantity: 2 }],
  ["cat", "09:59", "page_view", "/home", { region: "us" }],
]);

const GOALS = `
goals:
  - name: newsletter
    description: Signed up, it's for the newsletter.
    filter: { event: page_view, page: /thanks }
  - { name: order, description: Bought something., filter: { event: purchase } }
funnels:
  - name: checkout
    description: From the cart to the order.
    steps:
      - { name: cart, filter: { event: add_to_cart } }
      - { name: address, filter: { event: page_view, page: { prefix: /checkout/address } } }
      - { name: order, filter: { event: purchase } }
  - name: usual
    description: As sessions have it.
    steps:
      - { name: page_view, filter: { event: page_view } }
      - { name: add_to_cart, filter: { event: add_to_cart } }
      - { name: purchase, filter: { event: purchase } }
  - name: browsed
    description: Two of these steps may be one event.
    steps:
      - { name: any, filter: {} }
      - { name: carted, filter: { product: { pattern: "*" } } }
      - { name: phone, filter: { device: mobile } }
      - { name: thanks, filter: { page: [{ prefix: /th }, /none] } }
`;

/** By hand: the counts of goals, and the steps of funnels. */
const BUYING = clicks([
  // Two events are late, and one comes at the same time as the one before it in the funnel.
  ["ann", "09:30", "purchase", "/pay", { device: "mobile" }],
  ["ann", "09:00", "add_to_cart", "/p/1", { productId: "1", device: "mobile" }],
  ["ann", "09:30", "page_view", "/checkout/address?x=1", { device: "mobile" }],
  ["ann", "09:40", "page_view", "/thanks#top", { device: "mobile" }],
  ["ann", "09:41", "page_view", "/thanks", { device: "mobile" }],
  // The address comes too late, and the second session begins anew.
  ["bob", "09:00", "add_to_cart", "/p/1", { productId: "1" }],
  ["bob", "09:01", "purchase", "/pay"],
  ["bob", "09:02", "page_view", "/checkout/address"],
  ["bob", "10:00", "purchase", "/pay"],
  // A late event joins two sessions into one.
  ["cat", "09:00", "add_to_cart", "/p/1", { productId: "1" }],
  ["cat", "09:50", "page_view", "/checkout/address", { device: "mobile" }],
  ["cat", "09:25", "wink", "/"],
  ["cat", "09:51", "page_view", "/thankyou"],
]);

/** The day of the clicks, and the next one. */
const [DAY, NEXT] = ["2026-03-01T00:00Z", "2026-03-02T00:00Z"];

function whole(text: string): DeclaredViews {
  return readDeclared(text, "views.yaml");
}

const SCHEDULE = { inAPoll: 2, inACommit: 3, turnsOfALife: 2 };

async function names(db: Database): Promise<string[]> {
  return (await declarationsOf(db)).views.map(({ name }) => name);
}

function kinds(changes: readonly Change[]): string[] {
  return changes.map(({ change, kind, name }) => `${change} ${titleOf(kind, name)}`);
}

/** The columns of sessions. */
async function ofSessions(db: Database) {
  const { rows } = await db.query<{ name: string; about: string | null; isNeeded: boolean }>(
    `select a.attname as name, col_description(a.attrelid, a.attnum) as about,
            a.attnotnull and not a.atthasdef as "isNeeded"
       from pg_attribute a
      where a.attrelid = 'clickstream.sessions'::regclass and a.attnum > 0 and not a.attisdropped`,
  );
  return rows;
}

onEachDatabase("declared views", {
  "have tables with the rows that the oracle computes from their declaration": async (open) => {
    const db = await migrated(open);
    const declared = file(CARTS, PAGES, DAYS);
    assert.deepEqual(kinds(await applyDeclarations(db, declared, false)), [
      ...["create sale_carts", "create long_pages", "create region_days"],
    ]);
    const views = [...VIEWS, ...declared.views];
    await ingest(LOG, new SqlSink(db, "test", { declared: declared.hash }), SCHEDULE, views);
    const expected = expectedOf(LOG, { keepDays: KEEP_DAYS, views: declared.views });
    const rows = declared.views.map(({ name }) => expected.others[name]!.rows.length);
    assert.deepEqual(rows, [2, 16, 3]);
    assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees");
    await db.exec("set role clickstream_writer");
    assert.deepEqual(await missingRights(db, views), []);
    await db.exec("reset role; set role clickstream_reader");
    const { rows: read } = await db.query("select carts from clickstream.sale_carts");
    assert.equal(read.length, 2);
  },

  "may name their columns as the statements that write them name theirs": async (open) => {
    const db = await migrated(open);
    const measures = ["n", "r", "t", "v", "x", "lo", "place", "number", "excluded"].map((name) => `${name}: users`);
    const declared = file(
      CARTS.replace(/measures: .*/, `measures: { ${measures.join(", ")}, p: count, o: first page }`),
    );
    await applyDeclarations(db, declared, false);
    const sink = new SqlSink(db, "test", { declared: declared.hash });
    await ingest(LOG, sink, SCHEDULE, [...VIEWS, ...declared.views]);
    const expected = expectedOf(LOG, { keepDays: KEEP_DAYS, views: declared.views });
    assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees");
  },

  "have a comment on each table and column": async (open) => {
    const db = await migrated(open);
    await applyDeclarations(db, file(CARTS, PAGES, DAYS), false);
    const { rows } = await db.query(
      `select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'clickstream'::regnamespace and c.relkind = 'r' and c.relname in ('sale_carts', 'long_pages', 'region_days')
          and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)`,
    );
    assert.deepEqual(rows, []);
    const { rows: [about] } = await db.query<{ text: string }>(
      "select obj_description('clickstream.sale_carts'::regclass) as text",
    );
    assert.equal(about!.text, "What is in carts, it's by product.");
  },

  "change with their file, and lose rows only if told": async (open) => {
    const db = await migrated(open);
    await applyDeclarations(db, file(CARTS, DAYS), false);
    const changed = file(CARTS.replace("15 minutes", "30 minutes"), DAYS.replace("Days of", "The days of"), PAGES);
    assert.deepEqual(kinds(changesIn(await declarationsOf(db), changed)), [
      ...["replace sale_carts", "describe region_days", "create long_pages"],
    ]);
    await assert.rejects(applyDeclarations(db, changed, false), /drops the counts of sale_carts; nothing was changed/);
    await assert.rejects(applyDeclarations(db, file(CARTS), false), /drops the counts of region_days/);
    assert.deepEqual(await names(db), ["sale_carts", "region_days"]);
    await db.exec(
      "insert into clickstream.region_days (day, region, events, revenue_cents) values ('2026-01-01', 'eu', 1, 0)",
    );
    await applyDeclarations(db, changed, true);
    assert.deepEqual(await names(db), ["sale_carts", "region_days", "long_pages"]);
    const { rows } = await db.query(
      "select events, obj_description('clickstream.region_days'::regclass) as about from clickstream.region_days",
    );
    assert.deepEqual(rows.map(({ about }) => about), ["The days of regions."]);
    assert.deepEqual(kinds(await applyDeclarations(db, changed, false)), []);
    assert.deepEqual(kinds(await applyDeclarations(db, file(), true)), [
      ...["drop sale_carts", "drop region_days", "drop long_pages"],
    ]);
    assert.deepEqual(await names(db), []);
    await verifyDeclarations(db, null);
  },

  "refuse the names of other tables and indexes": async (open) => {
    const db = await migrated(open);
    await applyDeclarations(db, file(DAYS), false);
    const wanted = file(DAYS, CARTS.replace("sale_carts", "region_days_pkey"), PAGES);
    assert.deepEqual(await takenNames(db, changesIn(await declarationsOf(db), wanted)), ["region_days_pkey"]);
  },

  "are those of whoever commits": async (open) => {
    const db = await migrated(open);
    const [old, now] = [file(DAYS), file(DAYS, CARTS)];
    await applyDeclarations(db, old, false);
    await verifyDeclarations(db, old);
    await assert.rejects(
      verifyDeclarations(db, null),
      /declares other views than the database has: region_days \(only in the database\)/,
    );
    const sink = new SqlSink(db, "old", { declared: old.hash });
    const half = { ...LOG, partitions: LOG.partitions.map((records) => records.slice(0, 3)) };
    await ingest(half, sink, SCHEDULE, [...VIEWS, ...old.views]);
    await applyDeclarations(db, now, false);
    const late = ingest(LOG, sink, SCHEDULE, [...VIEWS, ...old.views]);
    await assert.rejects(late, (error: unknown) => {
      assert.ok(error instanceof SchemaMismatch, String(error));
      assert.match(
        error.message,
        /is behind: VIEWS_FILE declares other views.*Set VIEWS_FILE.*clickstream views apply/,
      );
      return true;
    });
    const { rows: [row] } = await db.query<{ n: number }>("select sum(consumed)::int as n from clickstream.progress");
    assert.equal(row!.n, half.partitions.flat().length);
    await ingest(LOG, new SqlSink(db, "new", { declared: now.hash }), SCHEDULE, [...VIEWS, ...now.views]);
  },

  "count goals and funnels in sessions, by hand and as the oracle does": async (open) => {
    const db = await migrated(open);
    const file = whole(GOALS);
    const before = await ofSessions(db);
    assert.deepEqual(kinds(await applyDeclarations(db, file, false)), [
      ...["create goal newsletter", "create goal order"],
      ...["create funnel checkout", "create funnel usual", "create funnel browsed"],
    ]);
    const views = withDeclared(VIEWS, file);
    await ingest(BUYING, new SqlSink(db, "test", { declared: file.hash }), SCHEDULE, views);
    const { rows } = await db.query(
      `select user_id, goal_newsletter::int as newsletter, goal_order::int as "order", funnel_checkout as checkout,
              funnel_step as step, funnel_usual as usual, funnel_browsed as browsed
         from clickstream.sessions order by user_id, started_at`,
    );
    assert.deepEqual(rows, [
      { user_id: "ann", newsletter: 2, order: 1, checkout: 3, step: 1, usual: 1, browsed: 4 },
      { user_id: "bob", newsletter: 0, order: 1, checkout: 2, step: 1, usual: 1, browsed: 2 },
      { user_id: "bob", newsletter: 0, order: 1, checkout: 0, step: 0, usual: 0, browsed: 1 },
      { user_id: "cat", newsletter: 0, order: 0, checkout: 2, step: 1, usual: 1, browsed: 4 },
    ]);
    const expected = expectedOf(BUYING, { keepDays: KEEP_DAYS, declared: file.declared });
    assert.equal(formatDifferences(await compareTables(db, expected)), "every table agrees");
    // Every new column has a comment, and the service can do without any of them.
    const added = (await ofSessions(db)).filter(({ name }) => !before.some((column) => column.name === name));
    assert.equal(added.length, 8);
    assert.deepEqual(added.filter(({ about, isNeeded }) => about === null || isNeeded), []);
    assert.equal(
      added.find(({ name }) => name === "goal_newsletter")!.about,
      "Number of events that reach the goal newsletter: Signed up, it's for the newsletter.",
    );
  },

  "have reports of goals and funnels, checked by hand": async (open) => {
    const db = await migrated(open);
    const [day, before] = [[DAY, NEXT], [NEXT, "2026-03-03T00:00Z"]] as const;
    assert.deepEqual([...await report(db, "goals", day), ...await report(db, "funnels_compared", day)], []);
    await applyDeclarations(db, whole(GOALS), false);
    await ingest(BUYING, new SqlSink(db, "test"), SCHEDULE, withDeclared(VIEWS, whole(GOALS)));
    await db.exec("set role clickstream_reader");
    assert.deepEqual(await report(db, "goals", day), [["newsletter", 4, 1, 0.25, 2], ["order", 4, 3, 0.75, 3]]);
    assert.deepEqual(await report(db, "goals($1, $2, array['mobile'])", day), [
      ...[["newsletter", 1, 1, 1, 2], ["order", 1, 1, 1, 1]],
    ]);
    assert.deepEqual(await report(db, "goals($1, $2, regions => array['us'])", day), [
      ...[["newsletter", 0, 0, null, 0], ["order", 0, 0, null, 0]],
    ]);
    assert.deepEqual((await report(db, "goals_compared", before)).map((row) => row.slice(0, 5)), [
      ...[["newsletter", 0, 4, 0, 1], ["order", 0, 4, 0, 3]],
    ]);
    const funnels = await report(db, "funnels", day);
    assert.deepEqual(funnels.slice(0, 3), [
      ["checkout", 1, "cart", 3, null, 1],
      ["checkout", 2, "address", 3, 1, 1],
      ["checkout", 3, "order", 1, 1 / 3, 1 / 3],
    ]);
    assert.deepEqual(funnels.map(([funnel]) => funnel).slice(3), [
      ...Array(3).fill("usual"),
      ...Array(4).fill("browsed"),
    ]);
    assert.deepEqual((await report(db, "funnels_compared", before))[1], [
      ...["checkout", 2, "address", 0, 3, null, 1, null, 1],
    ]);
    // What is stored by hand cannot be run as SQL.
    await db.exec("reset role");
    await db.query("update clickstream.declarations set declared = $1::text::jsonb", [
      JSON.stringify({ goals: [{ name: `x" > 0), 1); drop table clickstream.sessions; --` }] }),
    ]);
    await assert.rejects(report(db, "goals", day), /column s\.goal_x" > 0.* does not exist/);
    assert.equal((await db.query("select from clickstream.sessions")).rows.length, 4);
  },

  "change goals and funnels with their file, and lose counts only if told": async (open) => {
    const db = await migrated(open);
    await applyDeclarations(db, whole(GOALS), false);
    await ingest(BUYING, new SqlSink(db, "test"), SCHEDULE, withDeclared(VIEWS, whole(GOALS)));
    const sums = async (...columns: readonly string[]) => {
      const { rows: [row] } = await db.query<Record<string, number>>(
        `select ${columns.map((column) => `sum(${column})::int as ${column}`).join(", ")} from clickstream.sessions`,
      );
      return columns.map((column) => row![column]);
    };
    const changed = whole(
      GOALS.replace("Bought something.", "Bought.").replace("/thanks }", "/thankyou }").replace(
        "name: any",
        "name: all",
      )
        .replace(
          "filter: { event: add_to_cart } }\n      - { name: address",
          "filter: { event: cart } }\n      - { name: address",
        ),
    );
    assert.deepEqual(kinds(changesIn(await declarationsOf(db), changed)), [
      ...["replace goal newsletter", "describe goal order", "replace funnel checkout", "replace funnel browsed"],
    ]);
    await assert.rejects(
      applyDeclarations(db, changed, false),
      /drops the counts of goal newsletter, funnel checkout, funnel browsed; nothing was changed/,
    );
    assert.deepEqual(await sums("goal_newsletter", "goal_order", "funnel_checkout"), [2, 3, 7]);
    await applyDeclarations(db, changed, true);
    // Columns that are new count nothing of what is there; the others stay.
    assert.deepEqual(await sums("goal_newsletter", "goal_order", "funnel_checkout", "funnel_usual"), [0, 3, 0, 3]);
    await assert.rejects(verifyDeclarations(db, whole(GOALS)), /goal newsletter \(other in the file\), goal order/);
    await assert.rejects(
      verifyDeclarations(db, null),
      /goal newsletter \(only in the database\), .*, funnel browsed \(only in the database\)/,
    );
    // A funnel may take over the column of another one's state.
    const [one, other] = ["a", "a_state"].map((name) =>
      whole(`
        funnels:
          - name: ${name}
            description: Some.
            steps: [{ name: a, filter: {} }, { name: b, filter: {} }]
      `)
    );
    await applyDeclarations(db, one!, true);
    await applyDeclarations(db, other!, true);
    await applyDeclarations(db, file(), true);
    assert.deepEqual((await ofSessions(db)).filter(({ name }) => /^goal_|^funnel_(?!step|state)/.test(name)), []);
    await verifyDeclarations(db, null);
  },

  "have no names that PostgreSQL reserves": async (open) => {
    const db = await open();
    const { rows } = await db.query<{ word: string }>("select word from pg_get_keywords() where catcode in ('R', 'T')");
    assert.deepEqual(rows.map(({ word }) => word).filter((word) => !RESERVED.has(word)), []);
  },
});
