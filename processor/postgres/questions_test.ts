/** Reports of products, orders and searches, of weeks and months, and beside the time before. */
import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { at, type Message } from "../testing/scenario.ts";
import type { Database } from "./database.ts";

const MONDAY = ["2026-11-02T00:00Z", "2026-11-03T00:00Z"] as const;
const TUESDAY = ["2026-11-03T00:00Z", "2026-11-04T00:00Z"] as const;
const NEVER = ["2026-01-01T00:00Z", "2026-02-01T00:00Z"] as const;

let events = 0;

function event(time: string, userId: string, eventType: string, more: Message = {}): Message {
  return { eventId: `e${events++}`, userId, eventType, page: "/", timestamp: at(time), ...more };
}

/** Ann buys two products in one order on Monday, and one on Tuesday. Bob's order has the same id; he buys twice. */
function sales(): Message[] {
  const bought = (time: string, user: string, productId: string, price: number, more: Message = {}) =>
    event(time, user, "purchase", { productId, price, ...more });
  return [
    event("2026-11-02T10:00:00.000", "ann", "page_view", { productId: "P1" }),
    event("2026-11-02T10:01:00.000", "ann", "add_to_cart", { productId: "P1", quantity: 3 }),
    bought("2026-11-02T10:02:00.000", "ann", "P1", 10, { quantity: 3, orderId: "o-1" }),
    bought("2026-11-02T10:02:00.000", "ann", "P2", 5, { orderId: "o-1" }),
    bought("2026-11-02T11:00:00.000", "bob", "P2", 5, { orderId: "o-1" }),
    bought("2026-11-02T11:00:00.000", "bob", "P2", 5),
    bought("2026-11-02T23:59:59.999", "bob", "P2", 5),
    bought("2026-11-03T00:00:00.000", "ann", "P1", 10),
    bought("2026-11-03T01:00:00.000", "cat", "P1", 8),
    event("2026-11-03T02:00:00.000", "dan", "page_view", { productId: "P3" }),
    event("2026-11-03T02:00:00.000", "dan", "page_view"),
  ];
}

function searching(): Message[] {
  const pages: [user: string, page: string][] = [
    ["ann", "/search?q=Red+Shoes"],
    ["ann", "/search?page=2&q=red%20shoes+"],
    ["bob", "/search?q=red+shoes&q=not+this#results"],
    ["bob", "/find?keyword=gr%C3%BCne%20Tasche"],
    ["bob", "/#/find?s=gr%c3%bcne+tasche"],
    ["cat", "/search?q=100%25+50%"],
    // No UTF-8; no value; no such parameter.
    ["cat", "/search?q=%FF+A"],
    ["cat", "/search?q=&x=1"],
    ["cat", "/search?req=x"],
  ];
  return [
    ...pages.map(([user, page]) => event("2026-11-02T10:00:00.000", user, "search", { page })),
    event("2026-11-02T10:00:00.000", "dan", "page_view", { page: "/search?q=no+search" }),
  ];
}

async function filled(db: Database, messages: readonly Message[]): Promise<Database> {
  await storeEvents(db, messages, at("2026-11-03T12:00:00.000"));
  return db;
}

onEachDatabase("questions of a shop", {
  "count products and orders, checked by hand": async (open) => {
    const db = await filled(await migrated(open), sales());
    assert.deepEqual(await report(db, "products", MONDAY), [["P1", 1, 1, 1, 3000], ["P2", 0, 0, 4, 2000]]);
    assert.deepEqual(await report(db, "products", TUESDAY), [["P1", 0, 0, 2, 1800], ["P3", 1, 0, 0, 0]]);
    // Ann's order, and Bob's three.
    assert.deepEqual(await report(db, "orders", MONDAY), [[4, 5000, 1250, 2, 0]]);
    // Of Ann and Cat, Ann had bought before.
    assert.deepEqual(await report(db, "orders", TUESDAY), [[2, 1800, 900, 2, 1]]);
    assert.deepEqual(await report(db, "orders", [MONDAY[0], TUESDAY[1]]), [[6, 6800, 6800 / 6, 3, 1]]);
    assert.deepEqual(await report(db, "orders", NEVER), [[0, 0, null, 0, 0]]);
  },

  "count searches by what was typed, checked by hand": async (open) => {
    const db = await filled(await migrated(open), searching());
    assert.deepEqual(await report(db, "searches", MONDAY), [
      ["red shoes", 3, 2],
      ["grüne tasche", 2, 1],
      ["%ff a", 1, 1],
      ["100% 50%", 1, 1],
    ]);
    assert.deepEqual(await report(db, "searches", TUESDAY), []);
  },

  "follow the pages of sessions from both ends, checked by hand": async (open) => {
    const view = (time: string, user: string, page: string) =>
      event(`2026-11-02T${time}:00.000`, user, "page_view", { page });
    const db = await filled(await migrated(open), [
      ...[view("10:00", "ann", "/?utm_source=mail"), view("10:01", "ann", "/a#top"), view("10:02", "ann", "/cart")],
      event("2026-11-02T10:03:00.000", "ann", "purchase", { price: 7, page: "/thanks" }),
      // Sent in another order; at the same time, the smaller id is first.
      ...[view("11:02", "bob", "/b"), view("11:00", "bob", "/"), view("11:01", "bob", "/a")],
      event("2026-11-02T12:00:00.000", "cat", "page_view", { page: "/a", eventId: "z2" }),
      event("2026-11-02T12:00:00.000", "cat", "page_view", { page: "/#/route?x=1", eventId: "z1" }),
      // Another session of the same user, and one without a page view.
      view("13:00", "cat", "?from=mail"),
      event("2026-11-02T10:00:00.000", "dan", "search", { page: "/search?q=x" }),
    ]);
    const paths = async (...more: unknown[]) =>
      (await db.query<Record<string, unknown>>(
        `select path, sessions::int, share, conversions::int, conversion_rate, revenue_cents::int
           from clickstream.paths($1::timestamptz, $2::timestamptz, $3::int, $4::text, $5::boolean)`,
        [...MONDAY, ...more],
      )).rows.map((row) => Object.values(row));
    assert.deepEqual(await paths(2, "start", true), [
      ["/ → /a", 2, 0.5, 1, 0.5, 700],
      ["/", 1, 0.25, 0, 0, 0],
      ["/#/route → /a", 1, 0.25, 0, 0, 0],
    ]);
    assert.deepEqual(await paths(2, "end", false), [
      ["/", 1, 0.25, 0, 0, 0],
      ["/ → /a", 1, 0.25, 0, 0, 0],
      ["/a → /b", 1, 0.25, 0, 0, 0],
      ["/a → /cart", 1, 0.25, 1, 1, 700],
    ]);
    // All steps, and those of the funnel, tell of the same sessions.
    const [first] = await report(db, "funnel", MONDAY);
    assert.equal((await paths(20, "start", true)).reduce((sum, [, sessions]) => sum + Number(sessions), 0), first![2]);
    await assert.rejects(paths(0, "start", true), /paths: steps is 0/);
    await assert.rejects(paths(2, "middle", true), /paths: direction is 'middle'/);
  },

  "tell an unusual hour, checked by hand": async (open) => {
    const db = await migrated(open);
    const sell = (day: string, visitors: number, buyers: number, price: number) =>
      Array.from({ length: visitors }, (_, n) => {
        const type = n < buyers ? "purchase" : "page_view";
        return event(`2026-${day}T10:30:00.000`, `${day}-${n}`, type, type === "purchase" ? { price } : {});
      });
    const asked = async () => {
      const { rows } = await db.query<Record<string, unknown>>(
        `select measure, hour = '2026-11-29T10:00Z' as is_right, value, lowest, highest, deviation
           from clickstream.unusual_hours('2026-11-29T12:59:00Z')`,
      );
      return rows.map((row) => Object.values(row));
    };
    const store = (topic: string, messages: Message[]) =>
      storeEvents(db, messages, at("2026-11-29T13:00:00.000"), topic);
    await store("three weeks", [
      ...[...sell("11-22", 100, 50, 10), ...sell("11-15", 100, 25, 10), ...sell("11-08", 100, 30, 10)],
      // Another hour, and another day.
      event("2026-11-22T11:00:00.000", "late", "purchase", { price: 999 }),
      event("2026-11-21T10:30:00.000", "early", "purchase", { price: 999 }),
    ]);
    assert.deepEqual(await asked(), [], "of one week nothing is known");
    await store("the fourth", sell("11-01", 50, 10, 10));
    assert.deepEqual(await asked(), [
      ["conversion_rate", true, 0, 0.2, 0.5, 100],
      ["revenue_cents", true, 0, 10_000, 50_000, 100],
    ]);
    await store("this hour", sell("11-29", 10, 4, 250));
    assert.deepEqual(await asked(), [
      ["conversion_rate", true, 0.4, 0.2, 0.5, 1],
      ["revenue_cents", true, 100_000, 10_000, 50_000, 2],
    ]);
    await store(
      "more of it",
      sell("11-29", 40, 0, 0).map((message) => ({ ...message, userId: `${message["userId"]}x` })),
    );
    assert.deepEqual((await asked())[0], ["conversion_rate", true, 0.08, 0.2, 0.5, 0.2 / 0.08]);
    await db.exec("delete from clickstream.sessions where user_id ~ '^11-22-[12]' and purchases > 0");
    assert.deepEqual(await asked(), [], "fewer than a hundred have bought");
  },

  "put the time before beside each number, checked by hand": async (open) => {
    const db = await filled(await migrated(open), sales());
    assert.deepEqual(await report(db, "conversion_compared", TUESDAY), [
      // Sessions, conversions, rate, users, buyers, revenue.
      [3, 3, 2, 3, 2 / 3, 1, 3, 2, 2, 2, 1800, 5000],
    ]);
    assert.deepEqual(await report(db, "products_compared", TUESDAY), [
      ["P3", 1, 0, 0, 0, 0, 0, 0, 0],
      ["P1", 0, 1, 0, 1, 2, 1, 1800, 3000],
      ["P2", 0, 0, 0, 0, 0, 4, 0, 2000],
    ]);
    const rates = await report(db, "top_pages_compared", ["2026-11-03T12:00Z", "2026-11-04T12:00Z"]);
    // Where a page was not seen, there is no rate.
    assert.deepEqual(rates, [["/", 0, 2, 0, 1, 0, 0, null, 0, 0, 1, null, 0.5]]);
    assert.deepEqual(await report(db, "new_users_compared", ["2026-11-03", "2026-11-04"]), [
      ["2026-11-03", 3, 2, 2, 2, 1, 0],
    ]);
  },

  "compare with the same length before, also in a zone where the clocks change": async (open) => {
    const db = await filled(await migrated(open), [
      event("2026-10-24T21:30:00.000", "ann", "page_view"),
      event("2026-10-25T22:30:00.000", "bob", "page_view"),
    ]);
    await db.exec("set timezone = 'Europe/Berlin'");
    const day = ["2026-10-25T22:00Z", "2026-10-26T22:00Z"] as const;
    assert.deepEqual(await report(db, "page_views_compared", day), [["/", 1, 0]]);
    const longer = ["2026-10-25T21:45Z", "2026-10-26T22:00Z"] as const;
    assert.deepEqual(await report(db, "page_views_compared", longer), [["/", 1, 1]]);
  },

  "answer as docs/questions.md says": async (open) => {
    const db = await filled(await migrated(open), sales());
    const text = await Deno.readTextFile(new URL("../../docs/questions.md", import.meta.url));
    const examples = [...text.matchAll(/^```sql\n(.*?)^```/gms)].map(([, sql]) => sql!);
    assert.ok(examples.length > 0);
    for (const sql of examples) await db.query(sql);
    const { rows } = await db.query<{ name: string }>(
      `select distinct proname as name from pg_proc
        where pronamespace = 'clickstream'::regnamespace and proretset
          and has_function_privilege('clickstream_reader', oid, 'execute')`,
    );
    const reports = rows.map(({ name }) => name).filter((name) => !/_compared$|_between$|_by_minute$/.test(name));
    const parts = ["bounces", "event_rates", "session_funnel"];
    assert.deepEqual(reports.filter((name) => !text.includes(`\`${name}`)).sort(), parts);
  },

  "follow cohorts over complete weeks and months": async (open) => {
    const db = await migrated(open);
    await db.transaction(async (tx) => {
      const { rows: [days] } = await tx.query<Record<string, string>>(
        `with x as (
           select date_trunc('week', now() at time zone 'UTC')::date as week,
             date_trunc('month', now() at time zone 'UTC')::date as month
         )
         select week as w0, week - 1 as w1_sunday, week - 7 as w1, week - 8 as w2_sunday, week - 14 as w2,
           (month - interval '1 month')::date as m1, month - 1 as m1_end, (month - interval '2 months')::date as m2,
           month as m0
         from x`,
      );
      const { w0, w1_sunday, w1, w2_sunday, w2, m0, m1, m1_end, m2 } = days as Record<string, string>;
      const came = async (users: Record<string, string[]>) => {
        await tx.exec("truncate clickstream.user_days");
        for (const [user, on] of Object.entries(users)) {
          for (const day of on) {
            await tx.query("insert into clickstream.user_days values ($1, $2, 1, 0, 0)", [user, day]);
          }
        }
      };
      await came({ ann: [w2!, w2_sunday!, w1_sunday!, w0!], bob: [w2_sunday!], cat: [w1!], dan: [w0!] });
      const weeks = (from: string, to: string) => report(tx, "retention_weeks", [from, to]);
      assert.deepEqual(await weeks(w2!, w0!), [[w2, 2, 0, 2, 1], [w2, 2, 1, 1, 0.5], [w1, 1, 0, 1, 1]]);
      // Weeks that begin in the time, and no part of a week.
      assert.deepEqual(await weeks(w2_sunday!, w1!), []);
      assert.deepEqual(await weeks(w2_sunday!, w1_sunday!), [[w1, 1, 0, 1, 1]]);
      await came({ ann: [m2!, m1!, m1_end!, m0!], bob: [m2!], cat: [m1_end!], dan: [m0!] });
      const months = (from: string, to: string) => report(tx, "retention_months", [from, to]);
      assert.deepEqual(await months(m2!, m0!), [[m2, 2, 0, 2, 1], [m2, 2, 1, 1, 0.5], [m1, 1, 0, 1, 1]]);
      assert.deepEqual(await months(m1_end!, m0!), []);
    });
  },
});
