import assert from "node:assert/strict";
import type { Commit } from "./commit.ts";
import type { Records } from "../records.ts";
import { JsonDecoder } from "../decode/json.ts";
import { recordsOf } from "../testing/fakes/memory.ts";
import { at, record } from "../testing/scenario.ts";
import { bad, click, clicksFrom, GatedSink, harness, late, settled } from "../testing/pipeline_harness.ts";
import { tablesOf } from "../testing/fakes/tables.ts";
import { DAY_MS } from "../views/view.ts";
import { VIEWS } from "../views/mod.ts";
import { pages } from "../views/pages.ts";
import { traffic } from "../views/traffic.ts";

const NOON = at("12:00:00");

function stored(commits: readonly Commit[]): number[] {
  return commits.map(({ advances }) => advances.reduce((sum, advance) => sum + advance.stored, 0));
}

Deno.test("a commit starts when the oldest event has waited commitEveryMs, not before", async () => {
  const { pipeline, source, sink, clock } = harness([[click("a"), click("b", 1), click("c", 2)]], { limit: 1 });
  clock.ms = 500;
  await pipeline.step();
  clock.ms = 1499;
  await pipeline.step();
  await settled();
  assert.equal(sink.commits, 0);
  clock.ms = 1500;
  await pipeline.step();
  await settled();
  assert.deepEqual([sink.commits, [...sink.events]], [1, ["a", "b", "c"]]);
  assert.deepEqual(source.told, [{ 0: 3 }]);
});

Deno.test("without records there is no commit, and polls wait for commitEveryMs", async () => {
  const { pipeline, source, sink, clock } = harness([[], []]);
  for (clock.ms = 0; clock.ms < 10_000; clock.ms += 700) await pipeline.step();
  await pipeline.flush();
  assert.equal(sink.commits, 0);
  assert.deepEqual(new Set(source.waits), new Set([1000]));
});

Deno.test("a poll waits no longer than until the next commit is due", async () => {
  const { pipeline, source, clock } = harness([[click("a")]]);
  await pipeline.step();
  clock.ms = 400;
  await pipeline.step();
  assert.deepEqual(source.waits, [1000, 600]);
});

Deno.test("however many records arrive at once, a commit has at most commitRecords of them", async () => {
  for (
    const [commitRecords, sizes] of [[3, [3, 3, 3, 1]], [1, new Array<number>(10).fill(1)], [10, [10]], [11, [
      10,
    ]]] as const
  ) {
    const commits: Commit[] = [];
    const { pipeline, sink } = harness([clicksFrom("a", 7), clicksFrom("b", 3)], {
      commitRecords,
      observer: { committed: (commit) => void commits.push(commit) },
    });
    await pipeline.step();
    await pipeline.flush();
    assert.deepEqual(stored(commits), sizes);
    assert.equal(sink.events.length, 10);
    assert.deepEqual(commits.map(({ advances }) => advances.length > 0), sizes.map(() => true));
  }
});

Deno.test("a full commit starts at once", async () => {
  const { pipeline, sink } = harness([clicksFrom("a", 4)], { commitRecords: 2, limit: 2 });
  await pipeline.step();
  await settled();
  assert.equal(sink.commits, 1);
});

Deno.test("the lag is reported before records are folded, which may wait for a commit", async () => {
  const ends: number[] = [];
  const { pipeline, sink } = harness([clicksFrom("a", 9)], {
    commitRecords: 2,
    observer: { read: (_partition, _next, end) => void ends.push(end) },
  });
  sink.gates = [];
  const step = pipeline.step();
  await settled();
  assert.deepEqual([sink.gates.length, ends], [1, [9]]);
  while (sink.commits < 4) {
    sink.gates.shift()?.open();
    await settled();
  }
  await step;
});

Deno.test("reading and folding continue while a commit is in flight; the next commit waits for it", async () => {
  const { pipeline, source, sink, clock } = harness([clicksFrom("a", 6)], { limit: 2 });
  const gates = sink.gates = [];
  await pipeline.step();
  clock.ms = 1000;
  await pipeline.step();
  assert.equal(gates.length, 1, "one commit is under way");
  clock.ms = 5000;
  await pipeline.step();
  clock.ms = 9000;
  await pipeline.step();
  assert.equal(gates.length, 1, "the next is overdue, and waits");
  assert.equal(source.waits.at(-1), 20, "polls don't spin meanwhile");
  sink.gates[0]!.open();
  await settled();
  assert.deepEqual(sink.events, ["a0", "a1", "a2", "a3"]);
  await pipeline.step();
  assert.equal(gates.length, 2);
  sink.gates[1]!.open();
  await pipeline.flush();
  assert.deepEqual(sink.events, ["a0", "a1", "a2", "a3", "a4", "a5"]);
  assert.equal(sink.commits, 2);
});

Deno.test("the event loop gets turns between records while a commit is in flight, and only then", async () => {
  let turns = 0;
  const yieldToEventLoop = () => Promise.resolve(void turns++);
  const log = ["a", "b", "c"].map((prefix) => clicksFrom(prefix, 1950));
  const { pipeline, sink, clock } = harness(log, { limit: 650, commitRecords: 100_000, yieldToEventLoop });
  const gates = sink.gates = [];
  await pipeline.step();
  clock.ms = 1000;
  await pipeline.step();
  assert.deepEqual([gates.length, turns], [1, 0]);
  await pipeline.step();
  assert.deepEqual([gates.length, turns], [1, 1]);
  sink.gates[0]!.open();
  sink.gates = null;
  await pipeline.flush();
  assert.equal(sink.events.length, 5850);
});

Deno.test("each record is stored, a duplicate or refused, and progress counts it", async () => {
  const log = [click("a"), click("a", 1), bad(), click(null), click(null), click("b"), click("a"), bad()];
  const commits: Commit[] = [];
  const observer = { committed: (commit: Commit) => void commits.push(commit) };
  const { pipeline, sink } = harness([log, clicksFrom("c", 2)], { commitRecords: 3, observer });
  await pipeline.step();
  await pipeline.flush();
  for (const { advances } of commits) {
    for (const { consumed, stored, duplicates, refused } of advances) {
      assert.equal(consumed, stored + duplicates + refused);
    }
  }
  assert.deepEqual(sink.progress.get(0), {
    ...{ next: 8, replay: 0, watermark: NOON - 10_000, consumed: 8, stored: 4, duplicates: 2, refused: 2 },
    ...{ topicId: "memory", leaderEpoch: null, first: 0, skipped: 0, gaps: 0 },
  });
  assert.deepEqual(tablesOf(sink).totals, { consumed: 10, stored: 6, duplicates: 2, refused: 2 });
  assert.deepEqual(sink.events, ["a", "clickstream-events/0/3", "clickstream-events/0/4", "b", "c0", "c1"]);
});

Deno.test("the event-time watermark is 10 s behind the latest stored event; refused, duplicate and late events don't move it", async () => {
  const future = click("f", 60, { timestamp: NOON + 60_000 + 300_001 });
  const log = [
    click("a", 60),
    late("b", 61),
    future,
    click("a", 90, { timestamp: NOON + 90_000 }),
    bad(95),
    click("c", 59),
  ];
  const { pipeline, sink } = harness([log, [bad()]]);
  await pipeline.step();
  await pipeline.flush();
  assert.equal(sink.progress.get(0)!.watermark, NOON + 50_000);
  assert.equal(sink.progress.get(1)!.watermark, null);
});

Deno.test("lateness is reported for events behind the event-time watermark", async () => {
  const told: number[] = [];
  const log = [click("a", 60), click("b", 50), click("c", 60, { timestamp: NOON + 49_999 }), late("d", 60)];
  const { pipeline } = harness([log], { observer: { late: (ms) => void told.push(ms) } });
  await pipeline.step();
  assert.deepEqual(told, [1, DAY_MS - 10_000]);
});

Deno.test("a commit ends when its texts fill the memory, however few records it has", async () => {
  const commits: Commit[] = [];
  const page = (n: number) => `/${"x".repeat(1000)}/${n}`;
  const log = Array.from({ length: 4000 }, (_, n) => click(`v${n}`, 0, { page: page(n) }));
  const { pipeline, sink } = harness([log], {
    limit: 20_000,
    commitRecords: 100_000,
    commitTextBytes: 1_000_000,
    views: [pages],
    storeEvents: false,
    observer: { committed: (commit) => void commits.push(commit) },
  });
  await pipeline.step();
  await pipeline.flush();
  // Each page counts for its text and for its row, so some 500 fill it; it may take a run of 64 more.
  for (const events of stored(commits).slice(0, -1)) assert.ok(events >= 490 && events <= 565, `${events} events`);
  assert.equal(sink.rows(pages).length, 4000);
});

Deno.test("the largest texts fill a commit within a run of 64 events, with the refused payloads beside them", async () => {
  const commits: Commit[] = [];
  const texts = Array.from({ length: 400 }, (_, n) => click(`v${n}`, 0, { referrer: `${n}-${"x".repeat(60_000)}` }));
  const refused = Array.from({ length: 100 }, () => record("x".repeat(60_000), NOON));
  const { pipeline, sink } = harness([[...texts, ...refused]], {
    limit: 20_000,
    commitRecords: 100_000,
    commitTextBytes: 1_000_000,
    views: [traffic],
    storeEvents: true,
    observer: { committed: (commit) => void commits.push(commit) },
  });
  await pipeline.step();
  await pipeline.flush();
  const sizes = commits.map(({ advances }) => advances[0]!.consumed);
  for (const records of sizes) assert.ok(records <= 64 + 17, `commits of ${sizes.join(", ")} records`);
  // Refused records come one by one.
  assert.ok(commits.every(({ refusals }) => refusals.length <= 17), "refused payloads count as texts do");
  assert.equal(sink.events.length, 400);
});

Deno.test("usual events fill no commit with their texts, whatever columns are wanted", async () => {
  for (const views of [[traffic], VIEWS]) {
    const commits: Commit[] = [];
    const { pipeline } = harness([clicksFrom("v", 28_672)], {
      limit: 30_000,
      commitRecords: 100_000,
      commitTextBytes: 1_000_000,
      views,
      storeEvents: false,
      observer: { committed: (commit) => void commits.push(commit) },
    });
    await pipeline.step();
    await pipeline.flush();
    assert.deepEqual(stored(commits), [4096, 8192, 16_384]);
  }
});

Deno.test("revenue is committed before sums could become inexact", async () => {
  const most = { eventType: "purchase", price: 10_000_000_000 };
  const commits: Commit[] = [];
  const purchases = Array.from({ length: 8_100 }, (_, n) => click(`p${n}`, 0, most));
  // The first commit has 4,096 records in any case.
  const { pipeline, sink } = harness([[...clicksFrom("v", 4096), ...purchases]], {
    limit: 20_000,
    commitRecords: 100_000,
    views: [traffic],
    observer: { committed: (commit) => void commits.push(commit) },
  });
  await pipeline.step();
  await pipeline.flush();
  // A commit may take a run of 64 records more than it should.
  const [, full] = stored(commits);
  assert.ok(full! > 8000 && full! <= 8064, `${full} events`);
  assert.deepEqual(stored(commits), [4096, full, 8100 - full!]);
  assert.ok(commits.every(({ deltas }) => Number.isSafeInteger(deltas[0]!.values[2]!.at(0))));
  const sold = sink.rows(traffic).filter(({ key }) => key[0] === "purchase");
  assert.deepEqual(sold.map(({ values }) => values[2]), [8100 * 1e12]);
});

Deno.test("refused payloads are committed before they fill memory", async () => {
  const commits: Commit[] = [];
  const large = record("x".repeat(70_000), NOON);
  const { pipeline } = harness([new Array(600).fill(large)], {
    limit: 600,
    observer: { committed: (commit) => void commits.push(commit) },
  });
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(commits.map(({ refusals }) => refusals.length), [513, 87]);
});

Deno.test("offsets without a record for us are skipped and committed", async () => {
  const { pipeline, source, sink } = harness([[click("a")]]);
  const skipped: Records = { ...recordsOf(0, 5, [], 9), next: 9, skipped: 4 };
  source.poll = () => Promise.resolve([skipped]);
  await pipeline.step();
  await pipeline.flush();
  assert.deepEqual(sink.progress.get(0), {
    ...{ next: 9, replay: 9, watermark: null, consumed: 0, stored: 0, duplicates: 0, refused: 0 },
    ...{ topicId: "memory", leaderEpoch: null, first: 5, skipped: 4, gaps: 0 },
  });
});

Deno.test("each commit has the leader epoch of the record before its next offset", async () => {
  const commits: Commit[] = [];
  const observer = { committed: (commit: Commit) => void commits.push(commit) };
  const { pipeline, source, sink } = harness([[]], { commitRecords: 2, observer });
  const run = (first: number, count: number, leaderEpoch: number | null, more: Partial<Records> = {}): Records => (
    { ...recordsOf(0, first, clicksFrom(`e${first}`, count), 30), leaderEpoch, ...more }
  );
  const skipped = { ...run(9, 0, 6), next: 12, skipped: 3 };
  const gap = { ...run(12, 0, null), next: 14, gap: { from: 12, to: 14 } };
  const detail = "batch of offsets 16 to 17, 2 records: damaged";
  const damaged = {
    ...run(16, 0, null),
    next: 18,
    skipped: 1,
    unreadable: { ...{ offset: 16, from: 16, to: 18, detail }, bytes: new Uint8Array() },
  };
  const polls = [[run(0, 3, 4)], [run(3, 2, 4), run(5, 4, 6)], [skipped], [gap], [run(14, 2, 6)], [damaged], [
    run(18, 1, 7),
  ]];
  source.poll = () => Promise.resolve(polls.shift() ?? []);
  while (polls.length > 0) {
    await pipeline.step();
    await pipeline.flush();
  }
  assert.deepEqual(
    commits.map(({ advances }) => advances.map(({ next, leaderEpoch }) => [next, leaderEpoch])).flat(),
    [[2, 4], [3, 4], [5, 4], [7, 6], [9, 6], [12, 6], [14, null], [16, 6], [18, null], [19, 7]],
  );
  assert.equal(sink.progress.get(0)?.leaderEpoch, 7);
});

Deno.test("if raw events are not stored, commits leave them out but count them", async () => {
  for (const views of [undefined, [traffic]]) {
    const { pipeline, sink } = harness([clicksFrom("a", 2000)], {
      ...{ storeEvents: false, limit: 2000, commitRecords: 5000, ...views === undefined ? {} : { views } },
    });
    await pipeline.step();
    await pipeline.flush();
    assert.deepEqual([sink.events.length, sink.progress.get(0)!.stored, sink.commits], [0, 2000, 1]);
    const counted = sink.rows(traffic).reduce((sum, row) => sum + Number(row.values[0]), 0);
    assert.equal(counted, 2000);
  }
});

/** Counts each event twice. */
class MiscountingDecoder extends JsonDecoder {
  override decode(...[records, i, batch]: Parameters<JsonDecoder["decode"]>): ReturnType<JsonDecoder["decode"]> {
    if (super.decode(records, i, batch) === null) batch.keep();
    return super.decode(records, i, batch);
  }
}

Deno.test("a miscount by our own code is not committed", async () => {
  const { pipeline, sink } = harness([clicksFrom("a", 3)], { decoder: new MiscountingDecoder(DAY_MS) });
  await pipeline.step();
  await assert.rejects(pipeline.flush(), /not conserved: 3 records were read, 6 stored/);
  assert.equal(sink.commits, 0);
  const other = harness([clicksFrom("a", 3)], { share: [] });
  other.source.poll = () => Promise.resolve([recordsOf(0, 0, clicksFrom("a", 1))]);
  await assert.rejects(other.pipeline.step(), /partition 0 was read but not assigned/);
  const twice = harness([clicksFrom("a", 3)]);
  twice.source.poll = () => Promise.resolve([recordsOf(0, 0, clicksFrom("a", 1)), recordsOf(0, 0, clicksFrom("a", 1))]);
  await assert.rejects(twice.pipeline.step(), /offset 0 of partition 0 was read twice/);
  assert.ok(twice.sink instanceof GatedSink && twice.sink.commits === 0);
});
