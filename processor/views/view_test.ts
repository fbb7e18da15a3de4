import assert from "node:assert/strict";
import { count } from "../measures/totals.ts";
import { day, DAY_MS, hopping, minutes, paneMs, session, tumbling, type View, view } from "./view.ts";
import { VIEWS } from "./mod.ts";

const GOOD: View = { name: "good", about: "", window: tumbling(60_000), by: ["user"], measures: { events: count() } };

Deno.test("an inconsistent view is refused by name when it is built", () => {
  const refused: readonly (readonly [Partial<View>, RegExp])[] = [
    [{ name: "" }, /view "": a name/],
    [{ name: "Traffic" }, /view "Traffic": a name/],
    [{ name: "a".repeat(64) }, /a name/],
    [{ name: "drop table" }, /a name/],
    [{ by: ["user", "user"] }, /view "good": groups twice by the same dimension: user, user/],
    [{ measures: {} }, /measures nothing/],
    [{ window: tumbling(0) }, /whole milliseconds above 0/],
    [{ window: tumbling(0.5) }, /whole milliseconds above 0/],
    [{ window: hopping(60_000, -1) }, /whole milliseconds above 0/],
    [{ window: hopping(minutes(5), minutes(2)) }, /300000 ms can't be put together from panes of 120000 ms/],
    [{ window: session(NaN) }, /whole milliseconds above 0/],
    [{ window: session(1), by: ["session"] }, /a session belongs to a user/],
  ];
  for (const [part, message] of refused) {
    assert.throws(() => view({ ...GOOD, ...part }), { name: "RangeError", message });
  }
});

Deno.test("a consistent view is returned as it was written", () => {
  assert.equal(view(GOOD), GOOD);
  for (const one of VIEWS) assert.equal(view(one), one);
});

Deno.test("windows consist of panes; sessions have none", () => {
  assert.deepEqual([tumbling(7), hopping(10, 5), day()].map(paneMs), [7, 5, DAY_MS]);
  assert.throws(() => paneMs(session(1)), TypeError);
});

Deno.test("views have names and tables of their own", () => {
  assert.equal(new Set(VIEWS.map(({ name }) => name)).size, VIEWS.length);
});
