import assert from "node:assert/strict";
import type { PartitionState } from "../pipeline/source.ts";
import { type Stall, stallInWords, StallWatch } from "./stall.ts";

/** What happens to the watch in one second, or the state of partition 0; `waiting` records are not committed. */
interface Second {
  readonly state?: Partial<PartitionState>;
  readonly more?: readonly Partial<PartitionState>[];
  readonly waiting?: number;
  /** The worker reports nothing. */
  readonly isQuiet?: boolean;
  /** How long the second takes, in milliseconds. */
  readonly tookMs?: number;
  readonly then?: (watch: StallWatch) => void;
}

const IDLE: PartitionState = { partition: 0, first: 0, next: 100, end: 100, stable: 100, answers: 0, isAsked: false };

/** The stalls after so many seconds. */
function after(seconds: number, of: (second: number) => Second): readonly Stall[] {
  const watch = new StallWatch();
  watch.started();
  let nowMs = 0;
  for (let second = 0; second < seconds; second++) {
    const { state = {}, more = [], waiting = 0, isQuiet = false, tookMs = 1000, then = () => {} } = of(second);
    if (!isQuiet) {
      watch.turned();
      // Unless the case says otherwise, the leader answers every second.
      const states = [state, ...more].map((each, partition) => ({ ...IDLE, partition, answers: second, ...each }));
      watch.states(states);
    }
    then(watch);
    watch.look(nowMs += tookMs, waiting);
  }
  return watch.stalls;
}

interface Case {
  readonly when: string;
  readonly of: (second: number) => Second;
  /** Kinds and partitions after 15 s; nothing by default. */
  readonly stalls?: readonly (readonly [Stall["kind"], number | null])[];
  readonly says?: RegExp;
  /** It was stalled before, and has recovered by itself. */
  readonly hasStalled?: boolean;
}

const CASES: readonly Case[] = [
  { when: "nothing arrives", of: () => ({}) },
  { when: "a fetch is always under way, and answered", of: () => ({ state: { isAsked: true } }) },
  {
    when: "a large backlog is drained",
    of: (s) => ({
      state: { next: s * 1000, end: 1e6, stable: 1e6, isAsked: true },
      waiting: 1e6,
      then: (watch) => s % 3 === 0 ? watch.committing() : watch.committed(),
    }),
  },
  {
    when: "other partitions are read first",
    of: (s) => ({
      state: { next: 0, end: 5000, stable: 5000 },
      more: [{ next: s * 1000, end: 1e6, stable: 1e6 }],
      waiting: 1e6,
    }),
  },
  {
    when: "a commit takes 12 s under load, and nothing is read meanwhile",
    of: (s) => ({
      state: { next: 5000, end: 9000, stable: 9000 },
      waiting: 4000,
      then: (watch) => s === 3 ? watch.committing() : s === 14 && watch.committed(),
    }),
  },
  {
    when: "a commit takes longer",
    of: (s) => ({
      state: { next: 5000, end: 9000, stable: 9000 },
      waiting: 4000,
      then: (watch) => s === 0 && watch.committing(),
    }),
    stalls: [["not_committed", null]],
    says: /^PostgreSQL has not answered a commit for 14 s, and 4,000 records wait$/,
  },
  {
    when: "commits fail, the pipeline restarts, and they fail again",
    of: (s) => ({
      waiting: 1,
      then(watch) {
        watch.started();
        if (s % 2 === 0) watch.committing();
      },
    }),
    stalls: [["not_committed", null]],
    says: / and 1 record waits$/,
  },
  {
    when: "another instance has committed the same records",
    of: (s) => ({ waiting: s < 2 ? 5 : 0, then: (watch) => s === 0 && watch.committing() }),
  },
  {
    when: "the leader of one partition does not answer",
    of: (s) => ({ state: { isAsked: true, answers: Math.min(s, 3) }, more: [{ isAsked: true }] }),
    stalls: [["leader_silent", 0]],
    says: /^the Kafka broker that leads partition 0 has not answered for 11 s$/,
  },
  {
    when: "a leader does not answer, and the worker reports only every other second",
    of: (s) => ({ state: { isAsked: true, answers: Math.min(s, 3) }, isQuiet: s % 2 === 0 }),
    stalls: [["leader_silent", 0]],
  },
  {
    when: "no leader has ever answered",
    of: () => ({ state: { isAsked: true, answers: 0, next: null, end: null, stable: null } }),
    stalls: [["leader_silent", 0]],
  },
  {
    when: "the leader answers again",
    of: (s) => ({ state: { isAsked: true, answers: s < 14 ? 3 : s } }),
    hasStalled: true,
  },
  { when: "no fetch is under way during a commit", of: () => ({ state: { answers: 7 } }) },
  {
    when: "a transaction is open",
    of: () => ({ state: { end: 300 }, more: [{}], waiting: 200 }),
    stalls: [["open_transaction", 0]],
    says: /^partition 0 has not moved for 14 s: 200 records wait for an open transaction to end$/,
  },
  {
    when: "one transaction follows another",
    of: (s) => ({ state: { next: s, stable: s, end: s + 50 }, waiting: 50 }),
  },
  {
    when: "available records are not read",
    of: () => ({ state: { next: 100, stable: 300, end: 300, isAsked: true }, waiting: 200 }),
    stalls: [["not_read", 0]],
    says: /^partition 0 has not been read for 14 s, although 200 records wait$/,
  },
  {
    when: "the group is rebalancing",
    of: (s) => ({ isQuiet: s > 0, then: (watch) => s === 1 && watch.rebalancing() }),
    stalls: [["rebalancing", null]],
    says: /^the consumer group has been rebalancing for 14 s/,
  },
  {
    when: "the group has rebalanced",
    of: (s) => ({ then: (watch) => s === 1 ? watch.rebalancing() : s === 14 && watch.started() }),
    hasStalled: true,
  },
  {
    when: "a worker makes no progress",
    of: (s) => ({ isQuiet: s > 0 }),
    stalls: [["worker_silent", null]],
    says: /^a worker has made no progress for 14 s/,
  },
  { when: "a worker never gives a sign of life, as in the demo", of: () => ({ isQuiet: true }) },
  {
    when: "the machine was suspended for an hour",
    of: (s) => ({ state: { isAsked: true, answers: s < 7 ? s : 7 }, tookMs: s === 7 ? 3_600_000 : 1000 }),
  },
  { when: "the clock is set back", of: (s) => ({ tookMs: s === 7 ? -3_600_000 : 1000 }) },
];

for (const { when, of, stalls = [], says, hasStalled = false } of CASES) {
  Deno.test(`${stalls.length === 0 ? "reports no stall" : "reports a stall"} when ${when}`, () => {
    const found = after(15, of);
    assert.deepEqual(found.map(({ kind, partition }) => [kind, partition]), stalls);
    if (says !== undefined) assert.match(stallInWords(found[0]!), says);
    // A stall is reported within 15 s, and not before it has lasted for 10 s.
    if (stalls.length > 0) assert.deepEqual(after(10, of), []);
    else for (let s = 1; s < 15 && !hasStalled; s++) assert.deepEqual(after(s, of), [], `after ${s} s`);
    if (hasStalled) assert.equal(after(14, of).length, 1);
  });
}
