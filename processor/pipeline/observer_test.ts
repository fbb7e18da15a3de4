/** What a pipeline reports about its work. */
import assert from "node:assert/strict";
import { JsonDecoder } from "../decode/json.ts";
import type { Measure } from "../measures/measure.ts";
import { count } from "../measures/totals.ts";
import { recordsOf } from "../testing/fakes/memory.ts";
import { bad, click, clicksFrom, harness, settled } from "../testing/pipeline_harness.ts";
import { at, record } from "../testing/scenario.ts";
import { DAY_MS, hopping, minutes, view } from "../views/view.ts";
import type { Position } from "./commit.ts";
import type { StageTimings, Timing } from "./observer.ts";
import { Rebalanced } from "./source.ts";

const NOON = at("12:00:00");

/** A clock that only the work itself moves: 1 ms for decoding a record, 100 for a fold, 1,000 for each value read. */
function slowWork() {
  const time = { ms: 0 };
  const calls = { folds: 0, values: 0 };
  class SlowDecoder extends JsonDecoder {
    override decode(...args: Parameters<JsonDecoder["decode"]>): ReturnType<JsonDecoder["decode"]> {
      time.ms += 1;
      return super.decode(...args);
    }
  }
  const slow: Measure<number> = {
    ...count(),
    accumulator(words) {
      const { add, merge, value, clear } = count().accumulator(words);
      return {
        merge,
        clear,
        add(...args) {
          time.ms += 100;
          calls.folds++;
          add(...args);
        },
        value(row) {
          time.ms += 1000;
          calls.values++;
          return value(row);
        },
      };
    },
  };
  const by = view({
    ...{ name: "slow", about: "", window: hopping(minutes(2), minutes(1)), by: [], measures: { n: slow as Measure } },
  });
  return { calls, options: { views: [by], decoder: new SlowDecoder(30 * DAY_MS), now: () => time.ms }, time };
}

Deno.test("time is reported by stage, each commit's own", async () => {
  const told: StageTimings[] = [];
  const { calls, options, time } = slowWork();
  const log = [[...clicksFrom("a", 499), bad(499)]];
  const observer = { onBatchReady: (timings: StageTimings) => void told.push(timings) };
  const { pipeline, source } = harness(log, { ...options, limit: 200, observer });
  const poll = source.poll.bind(source);
  source.poll = (waitMs) => {
    time.ms += 3;
    return poll(waitMs);
  };
  // What was done before a restart is not reported.
  await pipeline.step();
  source.failure = new Rebalanced("a member has joined");
  await pipeline.step();
  const before = calls.folds;
  for (let n = 0; n < 3; n++) await pipeline.step();
  assert.ok(calls.folds > before, "a full batch is folded while others are still to be read");
  await pipeline.flush();
  // The first poll after a start counts as idle: it is not known yet that there is more.
  const first = { readMs: 6, decodeMs: 500, foldMs: 100 * (calls.folds - before), encodeMs: 1000 * calls.values };
  assert.deepEqual(told, [{ ...first, oldest: NOON }]);
  Object.assign(calls, { folds: 0, values: 0 });
  log[0]!.push(record("{", -1), click("b", 600));
  await pipeline.step();
  await pipeline.flush();
  const second = { readMs: 0, decodeMs: 2, foldMs: 100 * calls.folds, encodeMs: 1000 * calls.values };
  assert.deepEqual(told[1], { ...second, oldest: null });
  assert.ok(calls.folds > 0 && calls.values > 0);
});

Deno.test("a commit reports how long its first record waited, how long the sink took, and the times of its events", async () => {
  const told: Timing[] = [];
  const observer = { committed: (_: unknown, timing: Timing) => void told.push(timing) };
  const { pipeline, sink, clock } = harness([[bad(), click("a", 10), click("b", 20)]], { limit: 1, observer });
  clock.ms = 5;
  await pipeline.step();
  for (clock.ms = 100; clock.ms < 300; clock.ms += 100) await pipeline.step();
  sink.gates = [];
  const flushing = pipeline.flush();
  await settled();
  clock.ms = 450;
  sink.gates[0]!.open();
  await flushing;
  const [{ waitedMs, tookMs, times, unchecked }] = told as [Timing];
  assert.deepEqual([waitedMs, tookMs, unchecked], [295, 150, 0]);
  for (const  of of[times.event, times.kafka]) {
    assert.deepEqual(of.secondsBefore(NOON + 30_000, [5, 15, 25]).counts, [0, 1, 1, 0]);
  }
});

Deno.test("records that are read again are neither reported as decoded nor as forgotten", async () => {
  const decoded: (readonly [count: number, from: number])[] = [];
  const forgot: unknown[] = [];
  const observer = {
    decoded: ({ count }: { readonly count: number }, from: number) => void decoded.push([count, from]),
    forgot: (...gap: unknown[]) => void forgot.push(gap),
  };
  const log = clicksFrom("a", 6);
  const before = harness([log], { observer, limit: 3 });
  await before.pipeline.step();
  await before.pipeline.flush();
  assert.deepEqual(decoded.splice(0), [[3, 0]]);
  const after = harness([log], { sink: before.sink, observer, limit: 2 });
  for (let n = 0; n < 3; n++) await after.pipeline.step();
  await after.pipeline.flush();
  assert.deepEqual([decoded, forgot], [[[2, 1], [2, 0]], []]);
});

Deno.test("a gap that begins where the committed records end is not reported as forgotten", async () => {
  const forgot: unknown[] = [];
  const observer = { forgot: (...gap: unknown[]) => void forgot.push(gap) };
  // Without a record there is nothing to read again, so reading goes on at offset 3.
  const before = harness([[]]);
  before.source.poll = () => Promise.resolve([{ ...recordsOf(0, 0, [], 3), next: 3, skipped: 3 }]);
  await before.pipeline.step();
  await before.pipeline.flush();
  const after = harness([[]], { sink: before.sink, observer });
  after.source.poll = () => Promise.resolve([{ ...recordsOf(0, 5, [click("a")]), gap: { from: 3, to: 5 } }]);
  await after.pipeline.step();
  await after.pipeline.flush();
  assert.deepEqual(forgot, []);
  assert.deepEqual(after.sink.gaps, [{ partition: 0, from: 3, to: 5 }]);
});

Deno.test("a start is reported with the position of each assigned partition, null for one that was never committed", async () => {
  const starts: (readonly [partition: number, next: number | null])[][] = [];
  const observer = {
    started: (partitions: ReadonlyMap<number, Position | null>) =>
      void starts.push([...partitions].map(([partition, position]) => [partition, position?.next ?? null])),
  };
  const log = [clicksFrom("a", 2), []];
  const { pipeline, source } = harness(log, { observer });
  await pipeline.step();
  await pipeline.flush();
  source.failure = new Rebalanced("a member has joined");
  await pipeline.step();
  assert.deepEqual(starts, [[[0, null], [1, null]], [[0, 2], [1, null]]]);
});
