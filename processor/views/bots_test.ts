/** Marks of bots: what tells a session, and the days of its user, at the edges and in any order. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { runs } from "../../testing/effort.ts";
import { BOT, PERSON } from "../testing/clicks.ts";
import type { MemorySink } from "../testing/fakes/memory.ts";
import { rowsOf } from "../testing/fakes/tables.ts";
import { at, type Message, tableAfter, tablesAfter } from "../testing/scenario.ts";
import { activeUsers } from "./active_users.ts";
import { pages } from "./pages.ts";
import { sessions } from "./sessions.ts";
import { traffic } from "./traffic.ts";
import { userDays } from "./user_days.ts";
import type { View } from "./view.ts";

const NOON = at("12:00:00.000");
let made = 0;

/** A page view of ann, this long after noon. */
function view(ms: number, more: Message = {}): Message {
  return { eventId: `e${made++}`, userId: "ann", eventType: "page_view", page: "/", timestamp: NOON + ms, ...more };
}

/** So many events, evenly from 0 to `lastMs`. */
function evenly(count: number, lastMs: number, more: Message = {}): Message[] {
  return Array.from({ length: count }, (_, n) => view(Math.floor((n * lastMs) / Math.max(1, count - 1)), more));
}

/** Cells of a view's rows after these events, in each of some orders and commits; they must be the same. */
async function after(of: View, messages: readonly Message[], columns: readonly string[]): Promise<string[]> {
  const half = Math.floor(messages.length / 2);
  const orders = [messages, messages.toReversed(), [...messages.slice(half), ...messages.slice(0, half)]];
  let first: string[] | null = null;
  for (const order of orders) {
    for (const inACommit of [10_000, 37]) {
      const sink = await tableAfter(of, order, inACommit);
      const lines = rowsOf(sink, of).map((cells) => columns.map((column) => String(cells.get(column))).join(" "))
        .sort();
      if (first === null) first = lines;
      else assert.deepEqual(lines, first);
    }
  }
  return first!;
}

const SESSIONS: readonly (readonly [says: string, messages: () => Message[], rows: readonly string[]])[] = [
  ["199 events in a second are a person's", () => evenly(199, 999), ["199 0 0"]],
  ["200 events in a second are a bot's", () => evenly(200, 999), ["200 0 1"]],
  ["200 events at one time are a bot's", () => evenly(200, 0), ["200 0 1"]],
  ["200 in four started minutes are a person's", () => evenly(200, 3 * 60_000), ["200 0 0"]],
  ["200 in three started minutes are a bot's", () => evenly(200, 3 * 60_000 - 1), ["200 0 1"]],
  ["exactly 60 per started minute are a person's", () => evenly(240, 4 * 60_000 - 1), ["240 0 0"]],
  ["one more is a bot's", () => evenly(241, 4 * 60_000 - 1), ["241 0 1"]],
  ["a minute that begins counts", () => evenly(241, 4 * 60_000), ["241 0 0"]],
  ["a slow end makes a person of it", () => [...evenly(300, 60_000), view(20 * 60_000)], ["301 0 0"]],
  ["a late event before it does, too", () => [...evenly(300, 60_000), view(-20 * 60_000)], ["301 0 0"]],
  [
    "two halves of 100, joined by a late event, are a bot's",
    () => [...evenly(100, 0), ...evenly(100, 0).map((e) => ({ ...e, timestamp: NOON + 120_000 })), view(60_000)],
    ["201 0 1"],
  ],
  [
    "halves that nothing joins are two sessions of people",
    () => [...evenly(100, 0), ...evenly(100, 0).map((e) => ({ ...e, timestamp: NOON + 30 * 60_000 + 1 }))],
    ["100 0 0", "100 0 0"],
  ],
  ["one event on the list is enough", () => [...evenly(5, 60_000), view(1, { userAgent: BOT })], ["6 1 1"]],
  ["a browser is not on the list", () => evenly(5, 60_000, { userAgent: PERSON }), ["5 0 0"]],
  ["an event on the list in another session does not matter", () => [
    view(0),
    view(0, { sessionId: "s", userAgent: BOT }),
    view(0, { userId: "bob" }),
  ], ["1 0 0", "1 0 0", "1 1 1"]],
];

for (const [says, messages, rows] of SESSIONS) {
  Deno.test(`sessions: ${says}`, async () => {
    assert.deepEqual(await after(sessions, messages(), ["events", "bot_events", "is_bot"]), rows);
  });
}

Deno.test("windows have a row for each mark, with users of their own", async () => {
  const messages = [
    view(0, { userAgent: PERSON }),
    view(1, { userAgent: BOT }),
    view(2, { userAgent: BOT, userId: "bob" }),
    view(3),
  ];
  const columns = ["is_bot", "users"];
  assert.deepEqual(await after(traffic, messages, ["event_type", ...columns, "events"]), [
    "page_view false 1 2",
    "page_view true 2 2",
  ]);
  assert.deepEqual(await after(pages, messages, ["page", ...columns, "views"]), ["/ false 1 2", "/ true 2 2"]);
  assert.deepEqual(
    await after(activeUsers, messages, columns),
    ["false 1", "true 2"].flatMap((line) => [line, line, line, line, line]),
  );
});

Deno.test("without a user agent or a view that asks for marks, all is as it was", async () => {
  assert.deepEqual(await after(traffic, [view(0), view(1)], ["is_bot", "events"]), ["false 2"]);
  const unmarked: View = { ...traffic, name: "unmarked", by: ["type"] };
  assert.deepEqual(await after(unmarked, [view(0), view(1, { userAgent: BOT })], ["event_type", "events"]), [
    "page_view 2",
  ]);
});

/** The days of users after these events, by a pipeline with sessions. */
async function days(messages: readonly Message[], inACommit: number): Promise<string[]> {
  const sink = await tablesAfter([userDays, sessions], messages, inACommit);
  return rowsOf(sink, userDays).map((cells) =>
    [
      cells.get("user_id"),
      new Date(Number(cells.get("day"))).getUTCDate(),
      cells.get("bot_sessions"),
      cells.get("is_bot"),
    ]
      .join(" ")
  ).sort();
}

Deno.test("a user's day is a bot's if a session of a bot has an event on it", async () => {
  const midnight = 12 * 3_600_000;
  const messages = [
    // From the evening into the next day, and marked by an event before midnight.
    view(midnight - 1000, { userAgent: BOT }),
    view(midnight + 1000),
    // The same user as a person, earlier on the first day and later on the second.
    view(0),
    view(midnight + 6 * 3_600_000),
    view(0, { userId: "bob" }),
    view(midnight, { userId: "bob", sessionId: "s", userAgent: BOT }),
  ];
  for (const inACommit of [100, 1, 2]) {
    for (const order of [messages, messages.toReversed()]) {
      assert.deepEqual(await days(order, inACommit), ["ann 2 1 1", "ann 3 1 1", "bob 2 0 0", "bob 3 1 1"]);
    }
  }
});

Deno.test("marks of sessions do not depend on the order of events or the size of commits", async () => {
  const burst = fc.record({
    count: fc.constantFrom(1, 30, 99, 100, 101, 199, 200),
    startMs: fc.integer({ min: 0, max: 8 }).map((n) => n * 15 * 60_000),
    lengthMs: fc.constantFrom(0, 59_999, 60_000, 119_999, 240_000),
    userAgent: fc.constantFrom(undefined, undefined, undefined, PERSON, BOT),
  });
  const property = fc.asyncProperty(fc.array(burst, { minLength: 1, maxLength: 5 }), fc.nat(), async (bursts, seed) => {
    const messages = bursts.flatMap(({ count, startMs, lengthMs, userAgent }) =>
      evenly(count, lengthMs).map((event) => ({
        ...event,
        timestamp: (event["timestamp"] as number) + startMs,
        ...userAgent !== undefined && { userAgent },
      }))
    );
    const shuffled = messages.toSorted((a, b) => scatter(a, seed) - scatter(b, seed));
    const columns = ["started_at", "ended_at", "events", "bot_events", "is_bot"];
    const straight = await tableAfter(sessions, messages, 10_000);
    const other = await tableAfter(sessions, shuffled, 61);
    const lines = (sink: MemorySink) =>
      rowsOf(sink, sessions).map((cells) => columns.map((column) => String(cells.get(column))).join(" ")).sort();
    assert.deepEqual(lines(other), lines(straight));
  });
  await fc.assert(property, { seed: 31, numRuns: runs(25) });
});

function scatter({ eventId }: Message, seed: number): number {
  return Math.imul(Number(String(eventId).slice(1)) + 1, 0x9e3779b1 ^ seed) >>> 0;
}
