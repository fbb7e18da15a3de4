import assert from "node:assert/strict";
import { expectedOf } from "./oracle.ts";
import type { SessionRow } from "./rows.ts";
import { type Click, clicks } from "./logs.ts";
import { compareText } from "./values.ts";

function sessionsOf(...rows: Click[]): readonly SessionRow[] {
  return expectedOf(clicks(rows), { keepDays: 30 }).sessions;
}

Deno.test("the oracle ends a session after a pause of more than 30 minutes", () => {
  const sessions = sessionsOf(
    ["u", "10:30:00.000", "search", "/"],
    ["u", "10:00:00.000", "search", "/"],
    ["u", "11:00:00.001", "search", "/"],
    ["u", "10:10", "search", "/", { sessionId: "s" }],
    ["u2", "10:10", "search", "/"],
  );
  const spans = sessions.map(({ user_id, session_id, started_at, ended_at, events }) =>
    `${user_id} ${session_id} ${started_at.slice(11, 23)}-${ended_at.slice(11, 23)} ${events}`
  );
  assert.deepEqual(spans, [
    "u null 10:00:00.000-10:30:00.000 2",
    "u null 11:00:00.001-11:00:00.001 1",
    "u s 10:10:00.000-10:10:00.000 1",
    "u2 null 10:10:00.000-10:10:00.000 1",
  ]);
});

Deno.test("the oracle takes a session's values from its events in order of time, then id", () => {
  const [session] = sessionsOf(
    ["u", "10:05", "purchase", "/pay", { price: 1.5, quantity: 2 }],
    ["u", "10:09", "page_view", "/z?late", { eventId: "x9" }],
    ["u", "10:09", "page_view", "/y#late", { eventId: "x10" }],
    ["u", "10:00", "search", "/s", { device: "mobile", region: "eu", eventId: "b" }],
    ["u", "10:00", "search", "/s", { device: "tablet", region: "us", eventId: "a", referrer: "https://www.bing.com/" }],
    ["u", "10:02", "page_view", "/first?x", { device: "desktop" }],
    ["u", "10:03", "add_to_cart", "/c"],
  );
  assert.deepEqual(session, {
    ...{ user_id: "u", session_id: null, started_at: "2026-03-01T10:00:00.000Z", ended_at: "2026-03-01T10:09:00.000Z" },
    ...{ events: 7, page_views: 3, entry_page: "/first", exit_page: "/z", device: "tablet", region: "us" },
    ...{ carts: 1, purchases: 1, revenue_cents: "300", funnel_step: 3, bounced: false },
    ...{ source: "bing.com", medium: "organic", campaign: null, first_event_id: "a", bot_events: 0, is_bot: false },
  });
});

Deno.test("the oracle breaks ties by the bytes of ids in UTF-8", () => {
  // U+FF5E sorts before U+1F600 in UTF-8 and after it in UTF-16.
  const [session] = sessionsOf(
    ["u", "10:00", "search", "/", { eventId: "\u{1F600}", device: "mobile" }],
    ["u", "10:00", "search", "/", { eventId: "\uff5e", device: "tablet" }],
  );
  assert.equal(session!.device, "tablet");
  const texts = [
    "",
    "a",
    "a\u00e9",
    "aa",
    "b",
    "\uff5e",
    "\u{1F600}",
    "\u{1F601}",
    "\u{1F600}a",
    "\u{10400}",
    "\ud7ff",
  ];
  const bytes = (text: string) =>
    new TextEncoder().encode(text).join(" ").replaceAll(/\d+/g, (byte) => byte.padStart(3));
  for (const left of texts) {
    for (const right of texts) {
      const order = bytes(left) < bytes(right) ? -1 : bytes(left) > bytes(right) ? 1 : 0;
      assert.equal(Math.sign(compareText(left, right)), order, `${left} ${right}`);
    }
  }
});

Deno.test("the oracle's funnel reaches as far as a chain in event time", () => {
  const cases: [number, boolean, string][] = [
    [0, false, "10:00 search"],
    [0, false, "10:00 add_to_cart, 10:01 purchase"],
    [1, true, "10:00 page_view"],
    [1, false, "10:00 page_view, 10:01 page_view"],
    [1, false, "10:00 page_view, 10:01 search"],
    [1, false, "10:00 page_view, 10:01 purchase"],
    [1, false, "10:00 add_to_cart, 10:01 page_view, 10:02 purchase"],
    [2, false, "10:00 page_view, 10:01 add_to_cart"],
    [2, false, "10:00 purchase, 10:01 page_view, 10:02 add_to_cart"],
    [2, false, "10:00 page_view, 10:01 purchase, 10:02 add_to_cart"],
    [3, false, "10:00 page_view, 10:01 add_to_cart, 10:02 purchase"],
    [3, false, "10:00 purchase, 10:00 add_to_cart, 10:00 page_view"],
    [3, false, "10:00 add_to_cart, 10:01 page_view, 10:02 add_to_cart, 10:03 purchase"],
    [3, false, "10:00 page_view, 10:01 purchase, 10:02 add_to_cart, 10:03 page_view, 10:04 purchase"],
  ];
  for (const [step, bounced, story] of cases) {
    const [session] = sessionsOf(
      ...story.split(", ").map((click): Click => {
        const [at, type] = click.split(" ") as [string, string];
        return ["u", at, type, "/"];
      }),
    );
    assert.deepEqual([session!.funnel_step, session!.bounced], [step, bounced], story);
  }
});
