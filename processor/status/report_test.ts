import assert from "node:assert/strict";
import { distribution } from "../pipeline/distribution.ts";
import { Activity } from "./activity.ts";
import { History } from "./history.ts";
import { type Moment, type StatusReport, statusReport } from "./report.ts";

const NOON = Date.UTC(2026, 10, 1, 12);
const ABOUT = { version: "1", instance: "here", topic: "clicks", startedAt: NOON, settings: {} };
const MOMENT: Moment = { now: NOON, stopping: false, database: null };

/** The stages at fault, with the text of each. */
function faultsIn({ stages }: StatusReport): (readonly [string, string])[] {
  return stages.flatMap(({ name, fault }) => fault === null ? [] : [[name, fault.text] as const]);
}

Deno.test("marks the stages at fault of all workers, and PostgreSQL where the page cannot read it", () => {
  const activity = new Activity(() => NOON, 2);
  const history = new History(activity);
  const report = (change: Partial<Moment> = {}) => statusReport(ABOUT, activity, history, { ...MOMENT, ...change });
  for (const worker of [0, 1]) activity.take({ kind: "notReady", why: null }, worker);
  assert.deepEqual(faultsIn(report()), []);
  const database = { kind: "postgres_unreachable", reason: "refused" } as const;
  assert.deepEqual(faultsIn(report({ database })), [["PostgreSQL", "can't be reached"]]);
  activity.take({ kind: "notReady", why: { kind: "kafka_unreachable", reason: "refused" } }, 1);
  assert.deepEqual(faultsIn(report({ database })), [["Kafka", "can't be reached"], ["PostgreSQL", "can't be reached"]]);
  assert.deepEqual(faultsIn(report({ database, stopping: true })), []);
});

Deno.test("marks the stage that the verdict calls the busiest, if the service falls behind", () => {
  let now = NOON;
  const activity = new Activity(() => now);
  const history = new History(activity);
  activity.take({ kind: "notReady", why: null });
  activity.take({
    kind: "started",
    partitions: new Map([[0, { next: 0, leaderEpoch: null, replay: 0, watermark: null, topicId: null }]]),
    cause: null,
  });
  history.look(now);
  activity.take({ kind: "read", partition: 0, end: 50_000 });
  now += 1000;
  history.look(now);
  const report = () => statusReport(ABOUT, activity, history, { ...MOMENT, now });
  assert.match(report().verdict.advice ?? "", /^Raise WORKERS/, "no stage has done anything");
  assert.deepEqual(faultsIn(report()), []);
  const [none, seconds] = [distribution([1]), { eventLatency: distribution([1]), produceLatency: distribution([1]) }];
  activity.take({
    kind: "committed",
    advances: [{
      ...{ partition: 0, topicId: null, from: 0, first: 0, next: 10, leaderEpoch: null, replay: 0, watermark: NOON },
      ...{ consumed: 10, stored: 10, duplicates: 0, refused: 0, skipped: 0, gap: null },
    }],
    ...{ refused: [], rows: [], lateness: none, ...seconds, waitedMs: 0, unchecked: 0, tookMs: 900 },
    spent: { readMs: 50, decodeMs: 10, foldMs: 10, encodeMs: 10, oldest: NOON },
  });
  activity.take({ kind: "read", partition: 0, end: 60_000 });
  now += 1000;
  history.look(now);
  assert.match(report().verdict.advice ?? "", /^PostgreSQL is the busiest stage/);
  assert.deepEqual(faultsIn(report()), [["PostgreSQL", "the bottleneck"]]);
});
