import assert from "node:assert/strict";
import type { ClickEvent } from "../../event.ts";
import { recounted } from "./recount.ts";

const NOON = Date.UTC(2026, 10, 25, 12);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

type Clicks = readonly (readonly [atMs: number, eventType: string, more?: Partial<ClickEvent>])[];

function counted(clicks: Clicks) {
  const events = clicks.map(([atMs, eventType, more]) => ({
    ...{ userId: "ann", eventType, page: "/", timestamp: new Date(NOON + atMs).toISOString(), ...more },
  }));
  const encoder = new TextEncoder();
  const records = events.map((event, offset) => ({
    ...{ partition: 0, offset, time: NOON + 61 * MINUTE_MS, value: encoder.encode(JSON.stringify(event)) },
  }));
  return recounted(records, 30, NOON);
}

const SCENES: Readonly<Record<string, readonly [Clicks, Partial<ReturnType<typeof recounted>>]>> = {
  "a pause of 30 minutes stays in one session, a millisecond more starts another": [
    [[0, "search"], [30 * MINUTE_MS, "search"], [60 * MINUTE_MS + 1, "search"]],
    { sessions: 2, conversions: 0, funnel: [0, 0, 0] },
  ],
  "session ids of the client separate sessions": [
    [[0, "page_view", { sessionId: "a" }], [0, "page_view", { sessionId: "b" }], [0, "page_view"]],
    { sessions: 3, funnel: [3, 0, 0] },
  ],
  "steps at the same time count in any order": [
    [[0, "purchase"], [0, "add_to_cart"], [0, "page_view"]],
    { conversions: 1, funnel: [1, 1, 1] },
  ],
  "a purchase before the cart does not count in the funnel": [
    [[0, "page_view"], [1, "purchase"], [2, "add_to_cart"]],
    { conversions: 1, funnel: [1, 1, 0] },
  ],
  "devices are grouped": [
    [[0, "a", { device: "mobile" }], [0, "a", { device: "fridge" }], [0, "a", { device: null }], [0, "a"]],
    { devices: { mobile: 1, other: 1, unknown: 2 } },
  ],
  "a user counts once for each day that is over": [
    [[-DAY_MS, "a"], [-DAY_MS + 1, "a"], [-2 * DAY_MS, "a", { timestamp: NOON - 2 * DAY_MS }], [0, "a"]],
    { retained: 2 },
  ],
};

for (const [name, [clicks, expected]] of Object.entries(SCENES)) {
  Deno.test(`recounted: ${name}`, () => {
    const counts = counted(clicks);
    assert.deepEqual({ ...counts, ...expected }, counts);
  });
}
