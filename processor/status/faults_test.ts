import assert from "node:assert/strict";
import { NOT_READY_KINDS, type NotReady, type NotReadyKind } from "../pipeline/causes.ts";
import { type FaultFacts, stageFaults } from "./faults.ts";
import { type Stall, type StallKind, STALLS } from "./stall.ts";

const WELL: FaultFacts = { stopping: false, topicChange: null, reasons: [], stalls: [], bottleneck: null };

const because = (...kinds: NotReadyKind[]): NotReady[] => kinds.map((kind) => ({ kind, reason: "x" }));
const stalled = (kind: StallKind): Stall => ({ kind, partition: null, forMs: 20_000, records: 3 });

/** Each stage at fault, with the level and the text of its fault. */
function faultsOf(change: Partial<FaultFacts>): string[] {
  return [...stageFaults({ ...WELL, ...change })].map(([stage, { level, text }]) => `${stage} ${level}: ${text}`);
}

Deno.test("marks the stage at which each failure is, and no other", () => {
  const expected: { readonly [kind in NotReadyKind]: readonly string[] } = {
    starting: ["Kafka starting: connecting", "PostgreSQL starting: connecting"],
    rebalancing: ["Kafka starting: rebalancing"],
    conflict: [],
    postgres_unreachable: ["PostgreSQL broken: can't be reached"],
    postgres_refuses: ["PostgreSQL broken: refuses the commits"],
    kafka_unreachable: ["Kafka broken: can't be reached"],
    no_topic: ["Kafka broken: has no such topic"],
    foreign_group_member: ["Kafka broken: another program is in the group"],
    topic_changed: [],
    internal: [],
  };
  for (const kind of NOT_READY_KINDS) assert.deepEqual(faultsOf({ reasons: because(kind) }), expected[kind], kind);
});

Deno.test("marks the stage at which each stall is", () => {
  const expected: { readonly [kind in StallKind]: readonly string[] } = {
    rebalancing: ["Kafka broken: still rebalancing"],
    leader_silent: ["Kafka broken: does not answer"],
    open_transaction: ["Kafka broken: an open transaction"],
    not_read: ["Kafka broken: nothing is read"],
    not_committed: ["PostgreSQL broken: does not answer a commit"],
    worker_silent: [],
  };
  for (const kind of STALLS) assert.deepEqual(faultsOf({ stalls: [stalled(kind)] }), expected[kind], kind);
});

Deno.test("marks every stage at fault, each with its most severe fault", () => {
  assert.deepEqual(faultsOf({ reasons: because("rebalancing", "kafka_unreachable", "postgres_refuses") }), [
    "Kafka broken: can't be reached",
    "PostgreSQL broken: refuses the commits",
  ]);
  assert.deepEqual(faultsOf({ bottleneck: "PostgreSQL", stalls: [stalled("not_committed")] }), [
    "PostgreSQL broken: does not answer a commit",
  ]);
  assert.deepEqual(faultsOf({ bottleneck: "decode" }), ["decode behind: the bottleneck"]);
  const topicChange = { kind: "recreated", topic: "clicks", followed: "AAA", found: "BBB" } as const;
  assert.deepEqual(faultsOf({ topicChange, reasons: because("topic_changed") }), [
    "Kafka broken: the topic was recreated",
  ]);
});

Deno.test("marks nothing while the service stops, or runs well", () => {
  assert.deepEqual(faultsOf({}), []);
  assert.deepEqual(faultsOf({ stopping: true, reasons: because("kafka_unreachable") }), []);
});
