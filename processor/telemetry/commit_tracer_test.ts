import assert from "node:assert/strict";
import type { Advance, Commit } from "../pipeline/commit.ts";
import { PositionsMoved } from "../pipeline/commit.ts";
import type { StageTimings } from "../pipeline/observer.ts";
import type { Database } from "../postgres/database.ts";
import type { Records } from "../records.ts";
import { Random } from "../../generator/random.ts";
import type { TracedCommit } from "../status/traced_commit.ts";
import { batchBytes } from "../testing/batches.ts";
import { walk } from "../kafka/record_batch.ts";
import { CommitTracer, isChosen } from "./commit_tracer.ts";
import { summaryOf } from "./statements.ts";

const SPENT: StageTimings = { readMs: 1, decodeMs: 2, foldMs: 3, encodeMs: 4, oldest: null };

/** Records of a partition from an offset on, each with a trace of its own. */
function run(partition: number, from: number, count: number): Records {
  const records = Array.from({ length: count }, (_, n) => ({
    value: new Uint8Array(),
    headers: [["traceparent", `00-${"a".repeat(32)}-${String(from + n + 1).padStart(16, "0")}-01`]] as const,
  }));
  const end = from + count;
  const bytes = batchBytes(records, { base: from });
  const [run] = walk({ partition, bytes, aborted: [], highWatermark: end, lastStableOffset: end }, from).records;
  return run!;
}

function commitOf(...advances: readonly (readonly [partition: number, first: number, next: number])[]): Commit {
  return {
    ...{ topic: "clicks", topicId: null, adoptions: 0, deltas: [], events: null, refusals: [] },
    advances: advances.map(([partition, first, next]): Advance => ({
      ...{ partition, first, next, from: first, topicId: null, skipped: 0, gap: null, leaderEpoch: null, replay: 0 },
      ...{ watermark: null, consumed: next - first, stored: next - first, duplicates: 0, refused: 0 },
    })),
  };
}

function tracerOf({ ratio = 1, mostLinks = 128 } = {}) {
  const told: TracedCommit[] = [];
  const random = new Random(1);
  const time = { ms: 1000 };
  const tracer = new CommitTracer({
    ratio,
    mostLinks,
    tell: (commit) => told.push(structuredClone(commit)),
    clock: {
      now: () => time.ms,
      epoch: () => 1_700_000_000_000 + time.ms,
      random: () => random.next(),
      bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
    },
  });
  return { tracer, told, time };
}

Deno.test("a commit links the records between its offsets, and no others", () => {
  const { tracer, told, time } = tracerOf();
  tracer.decoded(run(0, 0, 10), 0);
  tracer.decoded(run(1, 50, 3), 1);
  tracer.onBatchReady(SPENT);
  const fields = tracer.fields;
  // Read and folded while that commit is under way; the first two were of a run that the commit has cut.
  tracer.decoded(run(0, 8, 5), 0);
  time.ms += 30;
  tracer.committed(commitOf([0, 0, 10], [1, 50, 53]), { waitedMs: 20 });
  tracer.onBatchReady(SPENT);
  tracer.committed(commitOf([0, 10, 13]), { waitedMs: 5 });
  const offsets = told.map(({ links }) => links.map(({ partition, offset }) => `${partition}:${offset}`));
  assert.deepEqual(offsets[0], [...Array.from({ length: 10 }, (_, n) => `0:${n}`), "1:51", "1:52"]);
  assert.deepEqual(offsets[1], ["0:10", "0:11", "0:12"]);
  const [first, second] = told;
  assert.deepEqual(fields, { trace_id: first!.traceId, span_id: first!.spanId, trace_flags: "01" });
  assert.notEqual(first!.traceId, second!.traceId);
  assert.equal(first!.links[3]!.spanId, "0000000000000004");
  assert.deepEqual([first!.consumed, first!.waitedMs, first!.tookMs, first!.spent], [13, 20, 30, SPENT]);
});

Deno.test("a large commit links at most so many records, chosen from all of it, and looks at few", () => {
  const { tracer, told } = tracerOf({ mostLinks: 16 });
  for (let n = 0; n < 200; n++) tracer.decoded(run(0, n * 100, 100), 0);
  tracer.onBatchReady(SPENT);
  tracer.committed(commitOf([0, 0, 20_000]), { waitedMs: 0 });
  const [{ links, linksLeftOut }] = told as [TracedCommit];
  assert.equal(links.length, 16);
  // All of the first 16 records, and four of each later run.
  assert.equal(linksLeftOut, 199 * 4);
  assert.ok(links.filter(({ offset }) => offset > 10_000).length >= 3, "late records are chosen too");
  const none = tracerOf({ mostLinks: 0 });
  none.tracer.decoded(run(0, 0, 10), 0);
  none.tracer.onBatchReady(SPENT);
  none.tracer.committed(commitOf([0, 0, 10]), { waitedMs: 0 });
  assert.deepEqual([none.told[0]!.links, none.told[0]!.linksLeftOut], [[], 0]);
});

Deno.test("a commit that failed is told with its error, and lines about the error name it", () => {
  const { tracer, told } = tracerOf();
  assert.deepEqual(tracer.fields, {});
  tracer.decoded(run(0, 0, 2), 0);
  tracer.onBatchReady(SPENT);
  const error = new PositionsMoved("another instance has moved it; see postgres://a:secret@db");
  tracer.commitFailed(commitOf([0, 0, 2]), error);
  const [commit] = told;
  assert.deepEqual(commit!.failure, {
    kind: "conflict",
    message: "another instance has moved it; see postgres://a@db",
  });
  assert.equal(commit!.links.length, 2);
  const fields = { trace_id: commit!.traceId, span_id: commit!.spanId, trace_flags: "01" };
  assert.deepEqual(tracer.fieldsOf(error), fields);
  assert.deepEqual(tracer.fieldsOf(new Error("another")), {});
  assert.deepEqual(tracer.fieldsOf(null), {});
  // What was read for the next commit is read again.
  tracer.decoded(run(0, 2, 2), 0);
  tracer.started();
  tracer.decoded(run(0, 0, 4), 0);
  tracer.onBatchReady(SPENT);
  tracer.committed(commitOf([0, 0, 4]), { waitedMs: 0 });
  assert.equal(told[1]!.links.length, 4);
});

Deno.test("commits that are not chosen are not told, but their lines have ids", () => {
  const { tracer, told } = tracerOf({ ratio: 0.25 });
  let chosen = 0;
  for (let n = 0; n < 2000; n++) {
    tracer.onBatchReady(SPENT);
    const fields = tracer.fields as { trace_flags: string; trace_id: string };
    assert.match(fields.trace_id, /^[0-9a-f]{32}$/);
    if (fields.trace_flags === "01") chosen++;
    tracer.committed(commitOf([0, n, n + 1]), { waitedMs: 0 });
  }
  assert.equal(told.length, chosen);
  assert.ok(Math.abs(chosen - 500) < 100, `${chosen} of 2000`);
  const last = "f".repeat(32);
  assert.deepEqual([isChosen(last, 0), isChosen(last, 1e-9), isChosen("0".repeat(32), 1)], [false, true, true]);
});

Deno.test("measures the statements of a commit one after another, and a bounded number of them", async () => {
  const { tracer, told, time } = tracerOf();
  const waiting = (ms: number) => Promise.resolve().then(() => void (time.ms += ms));
  const fake: Database = {
    pooled: false,
    query: async <R>() => {
      await waiting(5);
      return { rows: [] as R[], rowCount: 0 };
    },
    exec: () => waiting(1),
    copyIn: () => waiting(7),
    close: () => Promise.resolve(),
    async transaction(body) {
      const value = await body(fake);
      await waiting(9);
      return value;
    },
  };
  const db = tracer.measured(fake);
  const commits = async (statements: number) => {
    tracer.onBatchReady(SPENT);
    await db.transaction(async (tx) => {
      await tx.exec("set local enable_hashjoin = off");
      await tx.copyIn("copy clickstream.events (a) from stdin", []);
      for (let n = 0; n < statements; n++) await tx.query("delete from clickstream.events where a = $1", [n]);
    });
    tracer.committed(commitOf([0, 0, 1]), { waitedMs: 0 });
  };
  await commits(1);
  assert.deepEqual(told[0]!.statements, [
    { operation: "SET", table: null, startMs: 0, endMs: 1 },
    { operation: "COPY", table: "clickstream.events", startMs: 1, endMs: 8 },
    { operation: "DELETE", table: "clickstream.events", startMs: 8, endMs: 13 },
    { operation: "COMMIT", table: null, startMs: 13, endMs: 22 },
  ]);
  await commits(1000);
  assert.deepEqual([told[1]!.statements.length, told[1]!.statementsLeftOut], [64, 1002 - 63]);
  assert.equal(told[1]!.statements.at(-1)!.operation, "COMMIT");
  // Outside of a commit nothing is measured.
  await db.transaction((tx) => tx.exec("select 1"));
  assert.equal(told.length, 2);
  assert.equal(told[1]!.statements.length, 64);
});

Deno.test("names statements by what they do and their table, without values", () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ["insert into clickstream.traffic as t select 1", "INSERT", "clickstream.traffic"],
    ["update clickstream.progress p set a = 1", "UPDATE", "clickstream.progress"],
    ["with v as (select 1) insert into clickstream.pages select * from v", "INSERT", "clickstream.pages"],
    ["select o.a from unnest($1) as v join clickstream.sessions o on true", "SELECT", "clickstream.sessions"],
    ["select set_config('a.b', 'c', true)", "SELECT", null],
    ["COMMIT", "COMMIT", null],
    ["", "UNKNOWN", null],
  ];
  for (const [sql, operation, table] of cases) assert.deepEqual(summaryOf(sql), { operation, table }, sql);
});
