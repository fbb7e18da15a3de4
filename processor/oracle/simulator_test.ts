import assert from "node:assert/strict";
import { Simulator } from "../../generator/simulator.ts";
import { logOfRecords } from "../testing/fakes/log.ts";
import { expectedOf } from "./oracle.ts";

Deno.test("the oracle's counts of the simulator's log match what the simulator reports", () => {
  const fromMs = Date.UTC(2026, 2, 1);
  const simulator = new Simulator({
    ...{ seed: 5, fromMs, toMs: fromMs + 3_600_000, rate: 6, bad: 0.05, duplicates: 0.05, late: 0.05 },
  });
  const expected = expectedOf(logOfRecords(simulator, "t", 4), { keepDays: 30 });
  const counts = simulator.counts;
  const sum = (of: "consumed" | "stored" | "duplicates") => expected.progress.reduce((all, row) => all + row[of], 0);
  assert.deepEqual([sum("consumed"), sum("stored"), sum("duplicates")], [
    counts.records,
    counts.events,
    counts.duplicates,
  ]);
  assert.ok(counts.records > 10_000 && counts.duplicates > 100);
  for (const [reason, count] of Object.entries(counts.refusals)) {
    assert.equal(expected.refusals.filter((row) => row.reason === reason).length, count, reason);
  }
  assert.equal(new Set(expected.events.map((row) => row.user_id)).size, counts.users);
  const revenueOf = (rows: readonly { revenue_cents: string }[]) =>
    rows.reduce((cents, row) => cents + Number(row.revenue_cents), 0);
  for (const rows of [expected.events, expected.traffic, expected.sessions, expected.user_days]) {
    assert.equal(revenueOf(rows), counts.revenueCents);
  }
});
