import assert from "node:assert/strict";
import { Activity } from "./activity.ts";
import { statusLine } from "./line.ts";

const BEFORE = { ms: 1000, consumed: 0 };
const NOW = { ms: 3000, consumed: 6428 };

function running(): Activity {
  const activity = new Activity(() => 0);
  const position = { next: 10, leaderEpoch: null, replay: 0, watermark: null, topicId: null };
  activity.take({ kind: "started", partitions: new Map([[0, position], [1, position]]), cause: null });
  activity.take({ kind: "notReady", why: null });
  return activity;
}

Deno.test("the status line shows what the service waits for, its rate, lag and refusals", () => {
  const waiting = new Activity(() => 0);
  assert.equal(statusLine(waiting, BEFORE, NOW), "waiting: starting");
  waiting.take({ kind: "notReady", why: { kind: "kafka_unreachable", reason: "could not reach Kafka" } });
  assert.equal(statusLine(waiting, BEFORE, NOW), "waiting: could not reach Kafka");

  const activity = running();
  assert.equal(statusLine(activity, BEFORE, NOW), "3,214 events/s, lag not known yet, 2 partitions, 0 refused");
  for (const [partition, end] of [[0, 1010], [1, 510]] as const) activity.take({ kind: "read", partition, end });
  assert.equal(statusLine(activity, BEFORE, NOW), "3,214 events/s, lag 1,500, 2 partitions, 0 refused");
  activity.stopping = true;
  assert.equal(statusLine(activity, BEFORE, NOW), "stopping: committing what was read");
});
