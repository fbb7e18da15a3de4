import assert from "node:assert/strict";
import { Activity, JOINING } from "../../status/activity.ts";
import type { NotReady } from "../../pipeline/causes.ts";
import { Readiness } from "./readiness.ts";

const FOREIGN: NotReady = { kind: "foreign_group_member", reason: "the group's protocols are incompatible" };
const GONE: NotReady = { kind: "kafka_unreachable", reason: "could not join the group at localhost:9092" };
const MOVED: NotReady = { kind: "conflict", reason: "another instance has moved some of clicks" };

/** A worker, what it reports, and a clock. */
function worker() {
  let nowMs = 0;
  const activity = new Activity(() => nowMs);
  const stop = new AbortController();
  const readiness = new Readiness((event) => activity.take(event), stop.signal);
  const pass = (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      nowMs += 1000;
      activity.look();
    }
  };
  activity.look();
  return { activity, readiness, stop, pass };
}

Deno.test("the first join reports that the worker waits for partitions", () => {
  const { activity, readiness, pass } = worker();
  assert.equal(activity.stopped?.kind, "starting");
  readiness.joining();
  pass(15);
  assert.deepEqual([activity.stopped, activity.stalls], [JOINING, []]);
  activity.take({ kind: "started", partitions: new Map(), cause: null });
  readiness.started();
  readiness.ready();
  assert.equal(activity.notReady, null);
});

Deno.test("a join after a failure does not hide it", () => {
  const { activity, readiness, pass } = worker();
  for (const failure of [FOREIGN, MOVED, GONE]) {
    // Each retry joins the group and fails again: together they take longer than a stall.
    for (let tries = 0; tries < 20; tries++) {
      readiness.joining();
      if (tries > 0) assert.deepEqual(activity.stopped, failure);
      pass(1);
      readiness.failed(failure);
      assert.deepEqual([activity.stopped, activity.notReady], [failure, failure.reason]);
      pass(1);
    }
    assert.deepEqual(activity.stalls, []);
  }
  assert.equal(activity.retries, 60);
  readiness.joining();
  readiness.ready();
  assert.equal(activity.notReady, null);
});

Deno.test("a join after Kafka was unreachable reports that Kafka is back", () => {
  for (const kind of ["kafka_unreachable", "no_topic"] as const) {
    const { activity, readiness } = worker();
    readiness.joining();
    readiness.started();
    readiness.ready();
    // An earlier rebalance without a failure does not matter.
    readiness.joining();
    readiness.started();
    readiness.failed({ kind, reason: "could not read from Kafka" });
    assert.equal(activity.stopped?.kind, kind);
    readiness.joining();
    assert.deepEqual(activity.stopped, JOINING);
  }
});

Deno.test("a long join after a failure that is over is a stall", () => {
  const { activity, readiness, pass } = worker();
  readiness.failed(FOREIGN);
  readiness.joining();
  pass(9);
  assert.deepEqual(activity.stopped, FOREIGN);
  pass(3);
  assert.deepEqual([activity.stopped, activity.stalls.map(({ kind }) => kind)], [null, ["rebalancing"]]);
  assert.match(activity.notReady ?? "", /^the consumer group has been rebalancing for \d+ s/);
  readiness.failed(FOREIGN);
  assert.deepEqual([activity.stopped, activity.stalls], [FOREIGN, []]);
});

Deno.test("a rebalance is not a failure", () => {
  const { activity, readiness } = worker();
  readiness.ready();
  // A ready worker continues as soon as the group has assigned partitions.
  readiness.joining();
  assert.equal(activity.notReady, null);
  readiness.failed({ kind: "rebalancing", reason: "the consumer group is rebalancing" });
  readiness.joining();
  assert.deepEqual(activity.stopped, JOINING);
});

Deno.test("a worker that was told to stop reports no readiness", () => {
  const { activity, readiness, stop } = worker();
  readiness.ready();
  stop.abort();
  readiness.failed(FOREIGN);
  readiness.joining();
  assert.equal(activity.notReady, null);
});
