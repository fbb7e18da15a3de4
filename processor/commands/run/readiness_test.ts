import assert from "node:assert/strict";
import { Activity, JOINING } from "../../status/activity.ts";
import type { NotReady } from "../../pipeline/causes.ts";
import { Readiness } from "./readiness.ts";

const STRANGER: NotReady = { kind: "foreign_group_member", reason: "the group's protocols are incompatible" };
const GONE: NotReady = { kind: "kafka_unreachable", reason: "could not join the group at localhost:9092" };
const MOVED: NotReady = { kind: "conflict", reason: "another instance has moved some of clicks" };

/** A worker, what is said of it, and seconds that pass. */
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

Deno.test("the first join says that it waits for partitions", () => {
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
  for (const failure of [STRANGER, MOVED, GONE]) {
    // Each try joins the group, and fails again: altogether that takes longer than a stall needs.
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

Deno.test("a join after Kafka could not be reached says that it is back", () => {
  for (const kind of ["kafka_unreachable", "no_topic"] as const) {
    const { activity, readiness } = worker();
    readiness.joining();
    readiness.started();
    readiness.ready();
    // A rebalance that went well has nothing to do with it.
    readiness.joining();
    readiness.started();
    readiness.failed({ kind, reason: "could not read from Kafka" });
    assert.equal(activity.stopped?.kind, kind);
    readiness.joining();
    assert.deepEqual(activity.stopped, JOINING);
  }
});

Deno.test("a join that takes long after a failure that has gone is a stall", () => {
  const { activity, readiness, pass } = worker();
  readiness.failed(STRANGER);
  readiness.joining();
  pass(9);
  assert.deepEqual(activity.stopped, STRANGER);
  pass(3);
  assert.deepEqual([activity.stopped, activity.stalls.map(({ kind }) => kind)], [null, ["rebalancing"]]);
  assert.match(activity.notReady ?? "", /^the consumer group has been rebalancing for \d+ s/);
  readiness.failed(STRANGER);
  assert.deepEqual([activity.stopped, activity.stalls], [STRANGER, []]);
});

Deno.test("a rebalance is no failure", () => {
  const { activity, readiness } = worker();
  readiness.ready();
  // A worker that is ready goes on as soon as the group has divided the partitions.
  readiness.joining();
  assert.equal(activity.notReady, null);
  readiness.failed({ kind: "rebalancing", reason: "the consumer group is rebalancing" });
  readiness.joining();
  assert.deepEqual(activity.stopped, JOINING);
});

Deno.test("once told to stop, a worker says nothing of readiness", () => {
  const { activity, readiness, stop } = worker();
  readiness.ready();
  stop.abort();
  readiness.failed(STRANGER);
  readiness.joining();
  assert.equal(activity.notReady, null);
});
