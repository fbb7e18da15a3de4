/** What holds for every report: where its time begins and ends, and how its rows are sorted. */
import assert from "node:assert/strict";
import { Random } from "../../generator/random.ts";
import { emptyDatabase } from "../testing/contracts/empty_database.ts";
import { report, storeEvents } from "../testing/contracts/reports.ts";
import { at, type Message } from "../testing/scenario.ts";
import type { Database } from "./database.ts";

type Range = readonly [from: string, to: string];

/** Reports of a time, as calls. */
const TIMED = [
  ...["traffic_between", "pages_by_minute", "pages_between", "page_views", "conversion", "top_pages", "devices"],
  ...[
    "regions",
    "activity_heatmap",
    "funnel",
    "top_users",
    "session_lengths",
    "session_depths",
    "carts",
    "entry_paths",
    ...["products", "orders", "searches"],
  ],
].map((name) => `${name}($1, $2)`).concat(
  "conversions($1, $2, '7 minutes', null, null)",
  "event_rates($1, $2, '7 minutes', null, null)",
  "event_rates($1, $2, '1 hour', null, null)",
  "bounces($1, $2, null, null)",
  "funnel($1, $2, array['page_view', 'add_to_cart', 'purchase'])",
  "top_users($1, $2, 1000)",
  "top_users($1, $2, 2)",
);

/** How reports are sorted: columns from 1 on, negative where the largest comes first. */
const ORDERS: readonly (readonly [call: string, columns: readonly number[]])[] = [
  ["conversions($1, $2, '7 minutes', null, null)", [1]],
  ["event_rates($1, $2, '7 minutes', null, null)", [1, 2]],
  ["event_rates($1, $2, '1 hour', null, null)", [1, 2]],
  ["top_pages($1, $2)", [-2, -3, 1]],
  ["devices($1, $2)", [-2, 1]],
  ["regions($1, $2)", [-2, 1]],
  ["activity_heatmap($1, $2)", [1, 2]],
  ["funnel($1, $2)", [1]],
  ["funnel($1, $2, array['search', 'page_view', 'purchase'])", [1]],
  ["top_users($1, $2)", [-5, -2, 1]],
  ["top_users($1, $2, 1000)", [-5, -2, 1]],
  ["session_lengths($1, $2)", [1]],
  ["session_depths($1, $2)", [1]],
  ["entry_paths($1, $2)", [-4, -2, 1]],
  ["retention($1, $2)", [1, 3]],
  ["products($1, $2)", [-5, -2, 1]],
  ["searches($1, $2)", [-2, -3, 1]],
  ["top_pages_compared($1, $2)", [-2, -3, 1]],
  ["funnel_compared($1, $2)", [1]],
  ["activity_heatmap_compared($1, $2)", [1, 2]],
  ["new_users_compared($1, $2)", [1]],
  ["new_users($1, $2)", [1]],
];

function inOrder(columns: readonly number[]) {
  return (a: readonly unknown[], b: readonly unknown[]): number => {
    for (const column of columns) {
      const [x, y] = [a, b].map((row) => row[Math.abs(column) - 1] as string | number) as [string, string];
      if (x !== y) return (x < y ? -1 : 1) * Math.sign(column);
    }
    return 0;
  };
}

/** Times that begin and end within hours and days, and at their edges. */
const TIMES: readonly Range[] = [
  ["2026-11-02T10:30:00Z", "2026-11-02T15:30:00Z"],
  ["2026-11-02T10:00:00Z", "2026-11-02T12:00:00Z"],
  ["2026-11-02T10:10:00Z", "2026-11-02T10:40:00Z"],
  ["2026-11-03T00:00:00Z", "2026-11-05T00:00:00Z"],
  ["2026-11-02T22:59:00Z", "2026-11-05T00:01:00Z"],
];

/** A visitor who views a page, searches, fills a cart and buys, all in one millisecond. */
function buyer(user: string, ms: number): Message[] {
  return ["page_view", "search", "add_to_cart", "purchase"].map((eventType) => ({
    ...{ eventId: `${user} ${eventType}`, userId: user, eventType, page: `/${user}?q=${user}`, timestamp: ms },
    ...{ price: 9e6, productId: user },
  }));
}

Deno.test("reports, embedded: count what lies in a time, and nothing before or after it", async () => {
  const db = await emptyDatabase();
  const [start, end] = [at("2026-11-02T09:00:00.000"), at("2026-11-05T12:00:00.000")];
  // A view in the last and first millisecond of each half hour. The last one moves the watermark past all others.
  const halves = Array.from({ length: (end - start) / 1_800_000 }, (_, n) => start + n * 1_800_000);
  const views = halves.flatMap((ms) => [ms - 1, ms]).concat(at("2026-11-09T00:00:00.000"))
    .map((ms): Message => ({ userId: `u${ms}`, eventType: "page_view", page: "/", timestamp: ms, eventId: `${ms}` }));
  await storeEvents(db, views, at("2026-11-09T00:00:00.000"));
  const said = (tx: Database, range: Range) =>
    Promise.all(TIMED.map(async (call) => {
      const rows = await report(tx, call, range);
      return [call, rows.map((row) => JSON.stringify(row)).sort()] as const;
    }));
  for (const range of TIMES) {
    const [from, to] = range.map((text) => Date.parse(text)) as [number, number];
    const within = views.filter(({ timestamp }) => Number(timestamp) >= from && Number(timestamp) < to).length;
    const rows = await Promise.all(["devices", "top_pages"].map((name) => report(db, name, range)));
    assert.deepEqual(rows.map(([first]) => first![1]), [within, within], range.join());
    const before = await said(db, range);
    // Each buyer is stored in a transaction of its own, which is rolled back.
    for (const [ms, isWithin] of [[from - 1, false], [from, true], [to - 1, true], [to, false]] as const) {
      const undo = new Error("undo");
      await assert.rejects(
        db.transaction(async (tx) => {
          await storeEvents(tx, buyer("new", ms), at("2026-11-09T00:00:00.000"), "another");
          await tx.exec("update clickstream.progress set watermark = '2026-11-09T00:00Z'");
          const after = await said(tx, range);
          after.forEach(([call, rows], n) => {
            const what = `${call} of ${range}, with a buyer ${isWithin ? "in it" : "beside it"}, at ${ms}`;
            if (isWithin) assert.notDeepEqual(rows, before[n]![1], what);
            else assert.deepEqual(rows, before[n]![1], what);
          });
          throw undo;
        }),
        undo,
      );
    }
  }
});

Deno.test("reports, embedded: sort their rows", async () => {
  const db = await emptyDatabase();
  const random = new Random(1);
  const events = Array.from({ length: 300 }, (_, n): Message => ({
    eventId: `e${n}`,
    userId: `u${random.below(40)}`,
    eventType: random.pick(["page_view", "page_view", "add_to_cart", "purchase", "search"]),
    page: random.pick(["/a", "/B", "/b?q=b", "/é?q=é", "/c/d?q=a"]),
    device: random.pick(["mobile", "desktop", "tablet", null]),
    productId: random.pick(["b", "B", "é", null]),
    region: random.pick(["eu", "us", "asia", "EU"]),
    price: random.pick([0, 0, 1, 2]),
    timestamp: at("2026-11-02T00:00:00.000") + random.below(48 * 3600) * 1000,
  }));
  await storeEvents(db, events, at("2026-11-04T00:00:00.000"));
  const days: Range = ["2026-11-02", "2026-11-04"];
  for (const [call, columns] of ORDERS) {
    const rows = await report(db, call, days);
    assert.ok(rows.length > 1, call);
    assert.deepEqual(rows, rows.toSorted(inOrder(columns)), call);
  }
  const all = await report(db, "top_users", days);
  // Among them are buyers who paid nothing, and users with more events who bought nothing.
  for (let most = 1; most <= all.length + 1; most++) {
    assert.deepEqual(await report(db, `top_users($1, $2, ${most})`, days), all.slice(0, most));
  }
});
