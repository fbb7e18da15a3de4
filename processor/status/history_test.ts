import assert from "node:assert/strict";
import { Activity } from "./activity.ts";
import type { WorkerEvent } from "./worker_events.ts";
import { distribution } from "../pipeline/distribution.ts";
import { History } from "./history.ts";

const NOON = Date.UTC(2026, 10, 1, 12);

/** A commit of `stored` events and `refused` records. */
function commit(next: number, stored: number, refused = 0): WorkerEvent {
  const consumed = stored + refused;
  return {
    kind: "committed",
    advances: [{
      ...{ partition: 0, topicId: null, from: 0, first: 0, next, leaderEpoch: null, replay: 0, watermark: NOON },
      ...{ consumed, stored, duplicates: 0, refused, skipped: next - consumed, gap: null },
    }],
    refused: Array.from({ length: refused }, () => "not_json" as const),
    rows: [["traffic", 400], ["refusals", 100]],
    lateness: distribution([1]),
    eventLatency: distribution([1]),
    produceLatency: distribution([1]),
    waitedMs: 300,
    unchecked: 0,
    tookMs: 200,
    spent: { readMs: 50, decodeMs: 100, foldMs: 40, encodeMs: 10, oldest: NOON },
  };
}

function watched(workers = 1) {
  let now = NOON;
  const activity = new Activity(() => now, workers);
  const history = new History(activity);
  activity.take({
    kind: "started",
    partitions: new Map([[0, { next: 0, leaderEpoch: null, replay: 0, watermark: null, topicId: null }]]),
    cause: null,
  });
  history.look(now);
  return {
    activity,
    history,
    /** Applies the events, and looks one second later. */
    second(...events: WorkerEvent[]) {
      now += 1000;
      for (const event of events) activity.take(event);
      return history.look(now);
    },
  };
}

Deno.test("gives the rates of the last seconds", () => {
  const { history, second } = watched();
  assert.deepEqual(history.rates.consumed, 0);
  second({ kind: "read", partition: 0, end: 4000 }, commit(1000, 900, 100));
  const point = second({ kind: "read", partition: 0, end: 5000 }, commit(2000, 950, 50));
  const { consumed, stored, refused, commits, rows, arrived } = history.rates;
  assert.deepEqual({ consumed, stored, refused, commits, rows }, {
    consumed: 1000,
    stored: 925,
    refused: 75,
    commits: 1,
    rows: 500,
  });
  assert.equal(arrived, 2500);
  assert.deepEqual(point, {
    at: NOON + 2000,
    stored: 925,
    duplicates: 0,
    refused: 75,
    commitMs: 200,
    latencyMs: 2000,
    lag: 3000,
  });
  assert.deepEqual(history.lastMinute, { consumed: 2000, refused: 150 });
});

Deno.test("gives the time of the workers per stage", () => {
  const { history, second } = watched(2);
  for (let i = 1; i <= 4; i++) second(commit(1000 * i, 1000));
  assert.deepEqual(history.stages.map(({ name, unit, rate, busy, eachUs }) => [name, unit, rate, busy, eachUs]), [
    ["Kafka", "records", 1000, 0.025, 50],
    ["decode", "records", 1000, 0.05, 100],
    ["fold", "events", 1000, 0.02, 40],
    ["commit", "commits", 1, 0.005, 10_000],
    ["PostgreSQL", "rows", 500, 0.1, 400],
  ]);
});

Deno.test("rates fall to 0 when records stop, and ten minutes of points are kept", () => {
  const { history, second } = watched();
  second(commit(1000, 1000));
  for (let i = 0; i < 5; i++) second();
  assert.equal(history.rates.consumed, 0);
  assert.equal(second().latencyMs, null);
  assert.equal(history.lastMinute.consumed, 1000);
  for (let i = 0; i < 700; i++) second();
  assert.equal(history.lastMinute.consumed, 0);
  assert.equal(history.points.length, 600);
  assert.equal(history.points.at(-1)!.at - history.points[0]!.at, 599_000);
});

Deno.test("rates do not fall to 0 in a commit that takes long, but they do when its worker stops", () => {
  const { activity, history, second } = watched();
  activity.take({ kind: "notReady", why: null });
  second({ kind: "read", partition: 0, end: 90_000 });
  second(commit(8000, 8000));
  for (let i = 0; i < 7; i++) second({ kind: "committing" });
  // 8,000 records in the second of their commit and the seven since.
  assert.equal(history.rates.consumed, 1000);
  assert.deepEqual(history.stages.map(({ rate }) => rate), [1000, 1000, 1000, 0.125, 62.5]);
  // The charts show each moment by itself.
  assert.equal(history.points.at(-1)!.stored, 0);
  for (let i = 0; i < 40; i++) second();
  assert.equal(history.rates.consumed, 0);
  second(commit(16_000, 8000));
  for (let i = 0; i < 7; i++) second({ kind: "committing" });
  assert.equal(history.rates.consumed, 1000);
  activity.take({ kind: "notReady", why: { kind: "postgres_unreachable", reason: "refused" } });
  assert.equal(history.rates.consumed, 0);
});

Deno.test("measures the usual rate, and the time without records", () => {
  /** The silence after phases of `perSecond` records/s, each of so many seconds. */
  function silenceAfter(...times: readonly (readonly [perSecond: number, seconds: number])[]) {
    const { history, second } = watched();
    let next = 0;
    for (const [perSecond, seconds] of times) {
      for (let i = 0; i < seconds; i++) {
        next += perSecond;
        if (perSecond === 0) second();
        else second({ kind: "read", partition: 0, end: next }, commit(next, perSecond));
      }
    }
    return history.silence;
  }
  assert.deepEqual(silenceAfter([200, 300]), { silentMs: 0, usual: 200 });
  assert.deepEqual(silenceAfter([200, 300], [0, 120]), { silentMs: 120_000, usual: 200 });
  // The usual rate stays, however long the silence lasts.
  assert.deepEqual(silenceAfter([200, 300], [0, 3600]), { silentMs: 3_600_000, usual: 200 });
  // A shop that has just started, one without records, one that slows down, and a file that was sent at once.
  assert.deepEqual(silenceAfter([200, 60], [0, 600]), { silentMs: 600_000, usual: 0 });
  assert.deepEqual(silenceAfter([0, 600]), { silentMs: 600_000, usual: 0 });
  assert.deepEqual(silenceAfter([200, 300], [1, 600], [0, 60]), { silentMs: 60_000, usual: 1 });
  assert.deepEqual(silenceAfter([0, 300], [5000, 20], [0, 90]), { silentMs: 90_000, usual: 0 });
});

Deno.test("consuming a backlog does not count as arrivals", () => {
  const { history, second } = watched();
  second({ kind: "read", partition: 0, end: 600_000 });
  for (let i = 1; i <= 600; i++) second(commit(1000 * i, 1000));
  assert.deepEqual(history.silence, { silentMs: 600_000, usual: 0 });
});

Deno.test("lists no restart that another worker of the same process caused", () => {
  const { activity, second } = watched(2);
  const cause = { kind: "positions_moved" as const, message: "another instance has moved some of clicks" };
  const given = (partitions: readonly number[]) => new Map(partitions.map((n) => [n, null]));
  // The second worker joins and is assigned the first one's partition; either commits it before the other.
  activity.take({ kind: "started", partitions: given([]), cause: null }, 0);
  activity.take({ kind: "started", partitions: given([0]), cause: null }, 1);
  second();
  activity.take({ kind: "started", partitions: given([0]), cause }, 1);
  activity.take({ kind: "started", partitions: given([]), cause }, 0);
  assert.deepEqual(activity.restarts, []);
  assert.equal(activity.restartsByCause.get("positions_moved"), 2);
  // Long after that, another instance must be the cause.
  for (let i = 0; i < 60; i++) second();
  activity.take({ kind: "started", partitions: given([0]), cause }, 1);
  assert.equal(activity.restarts.length, 1);
});
