import assert from "node:assert/strict";
import { expectedOf } from "./oracle.ts";
import { activityHeatmap, conversion, devices, funnel, type Range, retention, topPages, topUsers } from "./reports.ts";
import { type Click, clicks, fromJson } from "./logs.ts";
import type { Row } from "./table_shapes.ts";

const DAY: Range = { from: "2026-03-01T00:00:00.000Z", to: "2026-03-02T00:00:00.000Z" };
// Begins in the minute of ann's first session, after its start: neither the session nor the minute is in the range.
const LATER: Range = { from: "2026-03-01T10:00:00.500Z", to: "2026-03-01T23:00:00.000Z" };
const NEVER: Range = { from: "2026-04-01T00:00:00.000Z", to: "2026-05-01T00:00:00.000Z" };

const SHOP: Click[] = [
  ["ann", "10:00:00", "page_view", "/a?x", { device: "mobile" }],
  ["ann", "10:01:00", "add_to_cart", "/a", { device: "mobile" }],
  ["ann", "10:02:00", "purchase", "/b", { device: "mobile", price: 5 }],
  ["ann", "10:03:00", "page_view", "/b", { device: "desktop" }],
  ["ann", "12:00:00", "page_view", "/a"],
  ["bob", "11:00:00", "page_view", "/a"],
  ["bob", "11:20:00", "page_view", "/b"],
  ["bob", "13:00:00", "purchase", "/c", { price: 1 }],
  ["cat", "09:59:59", "search", "/a"],
];
const expected = expectedOf(clicks(SHOP), { keepDays: 30 });

function table(rows: readonly Row[]): string[] {
  return rows.map((row) => Object.values(row).join(" ")).sort();
}

Deno.test("the oracle's conversion counts the sessions that start in the range", () => {
  assert.deepEqual(table(conversion(expected, DAY)), ["5 2 0.4 3 2 600"]);
  assert.deepEqual(table(conversion(expected, LATER)), [`3 1 ${1 / 3} 2 1 100`]);
  assert.deepEqual(conversion(expected, NEVER)[0], {
    ...{ sessions: 0, conversions: 0, conversion_rate: null, users: 0, buyers: 0, revenue_cents: "0" },
  });
});

Deno.test("the oracle's top pages count views by the minute, entries and exits by the session", () => {
  assert.deepEqual(table(topPages(expected, DAY)), [`/a 3 3 1 ${1 / 3} 1 ${1 / 3}`, "/b 2 0 0  2 1"]);
  // ann's view of /b at 10:03 is in the range, her session is not.
  assert.deepEqual(table(topPages(expected, LATER)), ["/a 2 2 1 0.5 1 0.5", "/b 2 0 0  1 0.5"]);
  // bob enters on /a within the range; the minutes of both page views and of his exit from /b are outside.
  const sliver = { from: "2026-03-01T11:00:00.000Z", to: "2026-03-01T11:00:00.001Z" };
  assert.deepEqual(table(topPages(expected, sliver)), ["/a 1 1 0 0 0 0", "/b 0 0 0  1 "]);
});

Deno.test("the oracle's devices count events by the minute, sessions by the session", () => {
  assert.deepEqual(table(devices(expected, DAY)), ["desktop 1 0", "mobile 3 1", "unknown 5 4"]);
  assert.deepEqual(table(devices(expected, LATER)), ["desktop 1 0", "mobile 2 0", "unknown 4 3"]);
});

Deno.test("the oracle's heatmap counts Sunday, 1 March 2026, as day 7", () => {
  assert.deepEqual(table(activityHeatmap(expected, DAY)), ["7 10 4", "7 11 2", "7 12 1", "7 13 1", "7 9 1"]);
});

Deno.test("the oracle's funnel divides by the step before and by the first", () => {
  assert.deepEqual(table(funnel(expected, DAY)), [
    "1 page_view 3  1",
    `2 add_to_cart 1 ${1 / 3} ${1 / 3}`,
    `3 purchase 1 1 ${1 / 3}`,
  ]);
  assert.deepEqual(table(funnel(expected, NEVER)), ["1 page_view 0  ", "2 add_to_cart 0  ", "3 purchase 0  "]);
});

Deno.test("the oracle's top users add up the sessions that start in the range", () => {
  assert.deepEqual(table(topUsers(expected, DAY)), [
    "ann 5 2 1 500 2026-03-01T12:00:00.000Z",
    "bob 3 2 1 100 2026-03-01T13:00:00.000Z",
    "cat 1 1 0 0 2026-03-01T09:59:59.000Z",
  ]);
});

Deno.test("the oracle's retention follows cohorts by the day of the first event, for complete days", () => {
  const visit = (userId: string, day: string) => ({
    ...{ userId, eventType: "search", page: "/", timestamp: `2026-02-${day}T12:00Z` },
  });
  // The earliest event by time counts, not the first to arrive.
  const visits = [
    visit("a", "11"),
    visit("a", "10"),
    visit("b", "10"),
    visit("b", "12"),
    visit("c", "12"),
    visit("c", "13"),
  ];
  const retained = expectedOf(fromJson(visits), { keepDays: 30 });
  const days = { from: "2026-02-10", to: "2026-02-13" };
  assert.deepEqual(table(retention(retained, days, Date.UTC(2026, 1, 13))), [
    "2026-02-10 2 0 2 1",
    "2026-02-10 2 1 1 0.5",
    "2026-02-10 2 2 1 0.5",
    "2026-02-12 1 0 1 1",
  ]);
  assert.deepEqual(table(retention(retained, { ...days, to: "2026-02-12" }, Date.UTC(2026, 1, 13) - 1)), [
    "2026-02-10 2 0 2 1",
    "2026-02-10 2 1 1 0.5",
  ]);
});
