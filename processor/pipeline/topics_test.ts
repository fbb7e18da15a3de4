/** Every offset is accounted for, and no topic is mistaken for another. */
import assert from "node:assert/strict";
import { type Gap, lengthOf, type Records } from "../records.ts";
import { type Commit, PositionsMoved } from "./commit.ts";
import { TopicChanged } from "./source.ts";
import { type LogRecord, recordsOf } from "../testing/fakes/memory.ts";
import { bad, click, clicksFrom, GatedSink, type Harness, harness, settled } from "../testing/pipeline_harness.ts";
import { tablesOf } from "../testing/fakes/tables.ts";

/** A run that begins with a gap of `gap` offsets and ends with `skipped` offsets without records. */
function run(at: number, log: LogRecord[], { gap = 0, skipped = 0 } = {}): Records {
  const first = at + gap;
  const next = first + log.length + skipped;
  return { ...recordsOf(0, first, log, next), next, skipped, gap: gap === 0 ? null : { from: at, to: first } };
}

/** Reads these runs, one per poll; commits at the end, and after each run if `flush` is true. */
async function taken({ pipeline, source }: Harness, runs: readonly Records[], flush = true): Promise<void> {
  for (const records of runs) {
    source.poll = () => Promise.resolve([records]);
    await pipeline.step();
    if (flush) await pipeline.flush();
  }
  await pipeline.flush();
}

Deno.test("consumed, skipped and gaps account for every offset, for any size of commits", async () => {
  const runs = [
    run(50, clicksFrom("a", 3), { skipped: 2 }),
    run(55, [], { gap: 10 }),
    run(65, [bad(), ...clicksFrom("b", 4)], { gap: 3, skipped: 1 }),
    run(74, [], { skipped: 4 }),
  ];
  for (const flush of [true, false]) {
    for (const commitRecords of [1, 2, 1000]) {
      const all = harness([[]], { commitRecords });
      await taken(all, runs, flush);
      const { first, next, consumed, skipped, gaps } = all.sink.progress.get(0)!;
      assert.deepEqual({ first, next, consumed, skipped, gaps }, {
        first: 50,
        next: 78,
        consumed: 8,
        skipped: 7,
        gaps: 13,
      });
      assert.deepEqual(all.sink.gaps, [{ partition: 0, from: 55, to: 65 }, { partition: 0, from: 65, to: 68 }]);
    }
  }
});

Deno.test("offsets between the records of a run count as skipped at their position", async () => {
  const all = harness([[]], { commitRecords: 1 });
  const log = clicksFrom("a", 3);
  const sparse: Records = { ...recordsOf(0, 0, log), offsets: Float64Array.of(2, 3, 7), next: 9, skipped: 6, end: 9 };
  const commits: (readonly [next: number, skipped: number])[] = [];
  const commit = all.sink.commit.bind(all.sink);
  all.sink.commit = (what) => {
    for (const { next, skipped } of what.advances) commits.push([next, skipped]);
    return commit(what);
  };
  await taken(all, [sparse]);
  assert.deepEqual(commits, [[3, 2], [4, 0], [8, 3], [9, 1]]);
});

/** A run that stands for an unreadable batch with these offsets, asked for from `at` on. */
function unreadable(at: number, from: number, to: number, bytes = Uint8Array.of(1, 2, 3)): Records {
  const batch = { offset: at, from, to, detail: `${from} to ${to}`, bytes };
  return { ...recordsOf(0, at, [], to), next: to, skipped: to - at - 1, unreadable: batch };
}

Deno.test("an unreadable batch is one refusal, with the beginning of its bytes", async () => {
  const all = harness([[]]);
  const bytes = new Uint8Array(70_000).fill(7);
  all.source.poll = () => Promise.resolve([run(3, clicksFrom("a", 1)), unreadable(4, 2, 9, bytes)]);
  await all.pipeline.step();
  bytes.fill(0);
  await all.pipeline.flush();
  const { first, next, consumed, stored, refused, skipped } = all.sink.progress.get(0)!;
  assert.deepEqual([first, next, consumed, stored, refused, skipped], [3, 9, 2, 1, 1, 4]);
  assert.deepEqual(all.sink.refusals, [{
    ...{ reason: "unreadable_batch", field: null, detail: "2 to 9", partition: 0, offset: 4 },
    payload: new Uint8Array(65_536).fill(7),
  }]);
});

Deno.test("an unreadable batch is refused from the first offset that is not committed, if there is one", async () => {
  const before = harness([[]]);
  await taken(before, [run(0, clicksFrom("a", 5))]);
  for (const [to, refused, skipped] of [[4, 0, 0], [5, 0, 0], [6, 1, 0], [9, 1, 3]] as const) {
    const after = harness([[]], { sink: Object.assign(new GatedSink(), { progress: new Map(before.sink.progress) }) });
    await taken(after, [unreadable(0, 0, to)]);
    const { next, consumed, ...others } = after.sink.progress.get(0)!;
    assert.deepEqual([next, consumed, others.refused, others.skipped], [
      Math.max(5, to),
      5 + refused,
      refused,
      skipped,
    ]);
    assert.deepEqual(after.sink.refusals.map(({ offset }) => offset), refused === 0 ? [] : [5]);
  }
});

Deno.test("an unreadable batch is refused once, even if the service restarts right after that commit", async () => {
  const before = harness([[]], { commitRecords: 1 });
  before.source.poll = () => Promise.resolve([run(0, clicksFrom("a", 1)), unreadable(1, 1, 4)]);
  await before.pipeline.step();
  await settled();
  assert.equal(before.sink.progress.get(0)!.next, 4);
  const after = harness([[]], { sink: before.sink });
  await taken(after, [run(0, clicksFrom("a", 1)), unreadable(1, 1, 4)]);
  assert.deepEqual(before.sink.refusals.map(({ offset }) => offset), [1]);
  const { next, consumed, skipped } = before.sink.progress.get(0)!;
  assert.deepEqual([next, consumed, skipped], [4, 2, 2]);
});

Deno.test("unreadable batches count towards the size of a commit, and their bytes too", async () => {
  const sizes: number[] = [];
  const observer = { committed: ({ refusals }: Commit) => void sizes.push(refusals.length) };
  const small = harness([[]], { commitRecords: 2, observer });
  const batches = [0, 2, 4].map((at) => unreadable(at, at, at + 2));
  small.source.poll = () => Promise.resolve(batches.splice(0));
  await small.pipeline.step();
  await small.pipeline.flush();
  const large = harness([[]], { observer });
  const refused = Array.from({ length: 513 }, (): LogRecord => ({ time: 0, value: new Uint8Array(65_537) }));
  const runs = [run(0, refused), unreadable(513, 513, 515)];
  large.source.poll = () => Promise.resolve(runs.splice(0));
  await large.pipeline.step();
  await large.pipeline.flush();
  assert.deepEqual(sizes, [2, 1, 513, 1]);
});

Deno.test("a run that does not account for its offsets is not committed", async () => {
  const cases: readonly (readonly [Partial<Records>, RegExp])[] = [
    [{ skipped: 0 }, /not conserved: reading partition 0 goes on at offset 3, and the run up to 8/],
    [{ skipped: 9 }, /offset -3 of partition 0 was read twice/],
    [{ gap: { from: 2, to: 4 } }, /read twice/],
  ];
  for (const [wrong, said] of cases) {
    const all = harness([[]]);
    await taken(all, [run(0, clicksFrom("a", 3))]);
    const records = { ...run(3, clicksFrom("b", 2), { skipped: 3 }), ...wrong };
    all.source.poll = () => Promise.resolve([records]);
    await assert.rejects(all.pipeline.step(), said);
    assert.equal(all.sink.progress.get(0)!.next, 3);
  }
});

Deno.test("only offsets above the committed one count as lost, exactly the missing ones", async () => {
  const log = [clicksFrom("a", 20)];
  // New first offset of the log at the next start, offsets that are lost, offsets without duplicate recognition.
  const cases: readonly (readonly [begins: number, lost: Gap | null, forgot: Gap])[] = [
    [7, null, { from: 0, to: 7 }],
    [20, null, { from: 0, to: 20 }],
    [23, { from: 20, to: 23 }, { from: 0, to: 20 }],
  ];
  for (const [begins, lost, unknown] of cases) {
    const before = harness(log);
    await taken(before, [run(0, log[0]!)]);
    const forgot: Gap[] = [];
    const after = harness(log, { sink: before.sink, observer: { forgot: (_, gap) => void forgot.push(gap) } });
    await taken(after, [
      run(0, [], { gap: begins }),
      run(begins, log[0]!.slice(begins)),
      run(Math.max(20, begins), [click("z", 99)]),
    ]);
    assert.deepEqual(after.sink.gaps, lost === null ? [] : [{ partition: 0, ...lost }]);
    assert.deepEqual(forgot, [unknown]);
    const { first, next, consumed, gaps, stored } = after.sink.progress.get(0)!;
    assert.deepEqual([first, gaps, stored], [0, lengthOf(lost), 21]);
    assert.equal(next - first, consumed + gaps);
  }
});

Deno.test("a recreated topic is refused at the start, and nothing of it is read", async () => {
  for (const records of [1, 3, 9]) {
    const before = harness([clicksFrom("a", 3)]);
    await before.pipeline.step();
    await before.pipeline.flush();
    const tables = tablesOf(before.sink);
    const after = harness([clicksFrom("b", records)], { sink: before.sink });
    after.source.id = "another";
    await assert.rejects(after.pipeline.step(), (error) => {
      assert.ok(error instanceof TopicChanged);
      const topic = "clickstream-events";
      assert.deepEqual(error.change, { kind: "recreated", topic, followed: "memory", found: "another" });
      for (const said of ["memory", "another", topic, "clickstream adopt-topic"]) {
        assert.ok(error.message.includes(said), error.message);
      }
      return true;
    });
    assert.deepEqual(after.source.seeks, []);
    assert.deepEqual(tablesOf(before.sink), tables);
  }
});

Deno.test("a log that ends before the committed offset is refused", async () => {
  const before = harness([clicksFrom("a", 5)]);
  await before.pipeline.step();
  await before.pipeline.flush();
  const after = harness([clicksFrom("a", 4)], { sink: before.sink });
  await assert.rejects(after.pipeline.step(), (error) => {
    assert.ok(error instanceof TopicChanged);
    const where = { topic: "clickstream-events", partition: 0, next: 5, end: 4 };
    assert.deepEqual(error.change, { kind: "truncated", ...where, isOverwritten: false });
    return true;
  });
});

Deno.test("a pipeline on the old topic can't commit, even if the offsets agree", async () => {
  const old = harness([clicksFrom("a", 3)], { limit: 2 });
  await old.pipeline.step();
  await old.pipeline.flush();
  await old.pipeline.step();
  const progress = old.sink.progress.get(0)!;
  old.sink.progress.set(0, { ...progress, topicId: "another" });
  await assert.rejects(old.pipeline.flush(), PositionsMoved);
  assert.equal(old.sink.progress.get(0)!.next, 2);
  // If the id is not known yet, the next commit fills it in.
  old.sink.progress.set(0, { ...progress, topicId: null });
  for (let n = 0; n < 2; n++) await old.pipeline.step();
  await old.pipeline.flush();
  assert.deepEqual([old.sink.progress.get(0)!.next, old.sink.progress.get(0)!.topicId], [3, "memory"]);
});
