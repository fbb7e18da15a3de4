import assert from "node:assert/strict";
import { type Commit, PositionsMoved, Unavailable } from "./commit.ts";
import { Rebalanced } from "./source.ts";
import { at } from "../testing/scenario.ts";
import { bad, click, clicksFrom, down, GatedSink, harness, settled } from "../testing/pipeline_harness.ts";
import { placesOf, tablesOf } from "../testing/fakes/tables.ts";

const NOON = at("12:00:00");

Deno.test("if positions have moved, the pipeline drops its state and continues from the new positions", async () => {
  const log = [clicksFrom("a", 6), clicksFrom("b", 2)];
  const one = harness(log, { limit: 3 });
  const causes: unknown[] = [];
  const observer = { started: (_: unknown, cause: unknown) => void causes.push(cause) };
  const other = harness(log, { sink: one.sink, limit: 3, observer });
  await other.pipeline.step();
  await one.pipeline.step();
  await one.pipeline.flush();
  assert.equal(one.sink.progress.get(0)!.next, 3);
  other.clock.ms = 1000;
  await other.pipeline.step();
  await settled();
  assert.equal(one.sink.commits, 1, "the stale commit is refused whole");
  await other.pipeline.step();
  assert.deepEqual(causes.map((cause) => cause instanceof PositionsMoved), [false, true]);
  for (let n = 0; n < 3; n++) await other.pipeline.step();
  await other.pipeline.flush();
  const alone = harness(log);
  await alone.pipeline.step();
  await alone.pipeline.flush();
  assert.deepEqual(tablesOf(one.sink), tablesOf(alone.sink));
  assert.deepEqual(placesOf(one.sink), placesOf(alone.sink));
});

Deno.test("if two pipelines start on an empty sink, one commits and the other notices", async () => {
  const log = [clicksFrom("a", 3)];
  const one = harness(log);
  const other = harness(log, { sink: one.sink });
  await one.pipeline.step();
  await other.pipeline.step();
  await one.pipeline.flush();
  await assert.rejects(other.pipeline.flush(), PositionsMoved);
  assert.deepEqual(one.sink.events, ["a0", "a1", "a2"]);
});

Deno.test("a new assignment drops uncommitted records of the old one", async () => {
  const { pipeline, source, sink } = harness([clicksFrom("a", 3), clicksFrom("b", 3)], { share: [0] });
  await pipeline.step();
  source.share = [1];
  source.failure = new Rebalanced("a member has joined");
  await pipeline.step();
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(sink.events, ["b0", "b1", "b2"]);
  source.share = [0, 1];
  source.failure = new Rebalanced("it has left");
  await pipeline.step();
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(source.seeks, [{ 0: null }, { 1: null }, { 0: null, 1: 0 }]);
  assert.deepEqual([...sink.events].sort(), ["a0", "a1", "a2", "b0", "b1", "b2"]);
});

Deno.test("after a rebalance, positions are read only when the commit in flight has ended", async () => {
  const { pipeline, source, sink, clock } = harness([clicksFrom("a", 3)], { limit: 2 });
  const gates = sink.gates = [];
  await pipeline.step();
  clock.ms = 1000;
  await pipeline.step();
  source.failure = new Rebalanced("again");
  const restarting = pipeline.step();
  await settled();
  assert.deepEqual(source.seeks, [{ 0: null }], "not yet");
  sink.gates[0]!.open();
  await restarting;
  assert.deepEqual(source.seeks, [{ 0: null }, { 0: 0 }]);
  assert.equal(sink.progress.get(0)!.next, 3);
  sink.gates = null;
  await pipeline.step();
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual([gates.length, sink.events], [1, ["a0", "a1", "a2"]]);
});

Deno.test("while a service is down a step fails, and the next one starts again", async () => {
  const { pipeline, source, sink, clock } = harness([[click("a"), bad(), click("b", 1)]]);
  source.failure = down("the broker");
  await assert.rejects(pipeline.step(), Unavailable);
  await pipeline.step();
  sink.gates = [];
  clock.ms = 1000;
  await pipeline.step();
  sink.gates[0]!.fail(down("the database"));
  await settled();
  await assert.rejects(pipeline.step(), { name: "Unavailable", message: "the database" });
  assert.deepEqual([sink.commits, sink.refusals.length], [0, 0]);
  sink.gates = null;
  const positions = sink.positions;
  sink.positions = () => Promise.reject(down("still"));
  await assert.rejects(pipeline.step(), Unavailable);
  sink.positions = positions;
  for (let n = 0; n < 2; n++) await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(tablesOf(sink).totals, { consumed: 3, stored: 2, duplicates: 0, refused: 1 });
});

/** Applies the first commit, and loses the reply. */
class LosingSink extends GatedSink {
  override async commit(commit: Commit): Promise<void> {
    await super.commit(commit);
    if (this.commits === 1) throw down("the connection was lost");
  }
}

Deno.test("a commit with a lost reply counts once: rows, refusals and offsets", async () => {
  const log = [[click("a"), bad(), click("a", 1), click("b", 2)], [bad()]];
  const { pipeline, sink } = harness(log, { sink: new LosingSink(), commitRecords: 3 });
  await assert.rejects(async () => {
    await pipeline.step();
    await pipeline.flush();
  }, Unavailable);
  const afterwards = harness(log, { sink });
  await afterwards.pipeline.step();
  await afterwards.pipeline.flush();
  const alone = harness(log);
  await alone.pipeline.step();
  await alone.pipeline.flush();
  assert.deepEqual(tablesOf(sink), tablesOf(alone.sink));
  assert.deepEqual(placesOf(sink), placesOf(alone.sink));
});

Deno.test("flush commits pending records, waits for the commit, and throws if it fails", async () => {
  const { pipeline, sink } = harness([clicksFrom("a", 2)]);
  await pipeline.flush();
  assert.equal(sink.commits, 0, "nothing has been started");
  await pipeline.step();
  sink.gates = [];
  const flushing = pipeline.flush();
  await settled();
  sink.gates[0]!.fail(down());
  await assert.rejects(flushing, Unavailable);
  assert.equal(sink.commits, 0);
  sink.gates = null;
  await pipeline.start();
  await pipeline.step();
  await pipeline.flush();
  await pipeline.flush();
  assert.deepEqual([sink.commits, sink.events], [1, ["a0", "a1"]]);
});

Deno.test("a failed commit is not lost if the pipeline continues", async () => {
  const { pipeline, sink, clock } = harness([clicksFrom("a", 4)], { limit: 2 });
  await pipeline.step();
  sink.gates = [];
  const flushing = pipeline.flush();
  await settled();
  sink.gates[0]!.fail(down());
  await assert.rejects(flushing, Unavailable);
  sink.gates = null;
  for (clock.ms = 1000; clock.ms < 9000; clock.ms += 1000) await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(sink.events, ["a0", "a1", "a2", "a3"]);
});

Deno.test("after a restart the log is replayed from the oldest remembered ids, and nothing counts twice", async () => {
  const minute = 60;
  const log = [[
    click("old", 0),
    // Each starts a piece of the log; thirteen pieces are remembered.
    ...Array.from({ length: 13 }, (_, n) => bad((n + 1) * minute)),
    click("a", 14 * minute),
    bad(14 * minute),
    click("b", 20 * minute),
    click("a", 24 * minute, { timestamp: NOON + 14 * minute * 1000 }),
    click("a", 34 * minute, { timestamp: NOON + 14 * minute * 1000 }),
    click("old", 34 * minute, { timestamp: NOON }),
    click("a", 44 * minute + 1, { timestamp: NOON + 14 * minute * 1000 }),
  ]];
  const alone = harness(log);
  await alone.pipeline.step();
  await alone.pipeline.flush();
  assert.deepEqual(alone.sink.events, ["old", "a", "b", "old", "a"]);
  for (let cut = 1; cut < log[0]!.length; cut++) {
    const before = harness(log, { limit: cut });
    await before.pipeline.step();
    await before.pipeline.flush();
    const after = harness(log, { sink: before.sink });
    await after.pipeline.step();
    await after.pipeline.flush();
    const replayFrom = cut <= 13 ? 0 : [1, 2, 2, 3, 4, 5, 5][cut - 14];
    assert.deepEqual(after.source.seeks, [{ 0: replayFrom }]);
    assert.deepEqual(tablesOf(after.sink), tablesOf(alone.sink), `cut at ${cut}`);
    assert.deepEqual(placesOf(after.sink), placesOf(alone.sink), `cut at ${cut}`);
  }
});

Deno.test("a replay reads no more of the log than is remembered", async () => {
  const { pipeline, sink } = harness([Array.from({ length: 40 }, (_, minute) => click(`m${minute}`, minute * 60))]);
  await pipeline.step();
  await pipeline.flush();
  const again = harness([sink.events.map((id, minute) => click(id, minute * 60))], { sink });
  await again.pipeline.step();
  assert.deepEqual(again.source.seeks, [{ 0: 27 }]);
  assert.equal(sink.progress.get(0)!.replay, 27);
});

Deno.test("a failed offset commit to the group does not delay commits", async () => {
  const failures: unknown[] = [];
  const observer = { groupCommitFailed: (error: unknown) => void failures.push(error) };
  const { pipeline, source, sink } = harness([clicksFrom("a", 4)], { limit: 2, observer });
  source.deaf = down("the coordinator");
  for (let n = 0; n < 2; n++) {
    await pipeline.step();
    await pipeline.flush();
  }
  assert.deepEqual([sink.commits, failures], [2, [source.deaf, source.deaf]]);
});

Deno.test("the event-time watermark and the counts continue after a restart", async () => {
  const log = [[click("a", 60), click("b", 30), bad(30)]];
  const first = harness(log, { limit: 1 });
  await first.pipeline.step();
  await first.pipeline.flush();
  const late: number[] = [];
  const second = harness(log, { sink: first.sink, observer: { late: (ms) => void late.push(ms) } });
  await second.pipeline.step();
  await second.pipeline.flush();
  assert.deepEqual(late, [20_000]);
  assert.deepEqual(first.sink.progress.get(0), {
    ...{ next: 3, replay: 0, watermark: NOON + 50_000, consumed: 3, stored: 2, duplicates: 0, refused: 1 },
    ...{ topicId: "memory", leaderEpoch: null, first: 0, skipped: 0, gaps: 0 },
  });
});
