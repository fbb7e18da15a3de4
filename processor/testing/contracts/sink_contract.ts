/**
 * The contract of every sink: the same tests run against each.
 * @module
 */
import assert from "node:assert/strict";
import { type Advance, type Commit, type Position, PositionsMoved, type Sink } from "../../pipeline/commit.ts";
import { Pipeline } from "../../pipeline/pipeline.ts";
import { TopicChanged } from "../../pipeline/source.ts";
import type { TopicNow } from "../../postgres/operations/adopt.ts";
import type { Row } from "../../views/view.ts";
import { VIEWS } from "../../views/mod.ts";
import { decoder } from "../scenario.ts";
import { type LogRecord, MemorySource } from "../fakes/memory.ts";

/** A sink under test, and what is visible from outside. */
export interface SinkUnderTest {
  readonly sink: Sink;
  /** Rows of a view, sorted by key and window. */
  rows(view: string): Promise<readonly Pick<Row, "start" | "end" | "key">[]>;
  /** Sums over `progress`. */
  totals(): Promise<{ consumed: number; stored: number; duplicates: number; refused: number }>;
  /** Reason and payload of the refusals, in log order. */
  refusals(): Promise<readonly { reason: string; payload: Uint8Array }[]>;
  /** The recorded gaps, in log order. */
  gaps(): Promise<readonly { partition: number; from: number; to: number }[]>;
  /** Ids of stored events, sorted. */
  events(): Promise<readonly string[]>;
  /** Makes the tables follow the topic as Kafka has it now, as `adopt-topic` does. */
  adopt(now: TopicNow): Promise<unknown>;
  close(): Promise<void>;
}

const NOON = Date.UTC(2026, 10, 1, 12);
const TOPIC = "clickstream-events";
const text = new TextEncoder();

function click(user: string, seconds: number, more: Readonly<Record<string, unknown>> = {}): LogRecord {
  const time = NOON + seconds * 1000;
  const event = { eventId: `${user}-${seconds}`, userId: user, eventType: "page_view", page: "/a", timestamp: time };
  return { time, value: text.encode(JSON.stringify({ ...event, ...more })) };
}

function pipelineInto(sink: Sink, partitions: LogRecord[][], id = "memory"): Pipeline {
  const source = new MemorySource(partitions, 100);
  source.id = id;
  return new Pipeline({
    source,
    sink,
    views: VIEWS,
    decoder: decoder(),
    storeEvents: true,
    now: () => 0,
    commitEveryMs: 1000,
    commitRecords: 1000,
  });
}

/** Reads everything in the log, in one commit. */
async function drain(pipeline: Pipeline): Promise<void> {
  await pipeline.step();
  await pipeline.flush();
}

/** A commit with nothing but offsets. */
function moving(topicId: string | null, ...advances: readonly Partial<Advance>[]): Commit {
  const counts = { consumed: 0, stored: 0, duplicates: 0, refused: 0, skipped: 0, gap: null };
  const place = { partition: 0, topicId, from: null, first: 0, next: 0, leaderEpoch: null, replay: 0, watermark: null };
  return {
    ...{ topic: TOPIC, topicId, adoptions: 0, deltas: [], events: null, refusals: [] },
    advances: advances.map((advance) => ({ ...place, ...counts, ...advance })),
  };
}

/** The topic as Kafka has it now, with one partition that ends here and was perhaps truncated. */
function onePartition(id: string | null, end: number, truncatedTo: number | null = null): TopicNow {
  return {
    ...{ topic: TOPIC, id, partitions: [{ partition: 0, begin: 0, end }] },
    truncated: new Map(truncatedTo === null ? [] : [[0, truncatedTo]]),
  };
}

async function positionOf(sink: Sink, partition: number): Promise<Position | undefined> {
  return (await sink.positions(TOPIC, [partition])).byPartition.get(partition);
}

/** Registers the tests that any sink must pass. `make` returns an empty one each time. */
export function sinkContract(name: string, make: () => Promise<SinkUnderTest>): void {
  const test = (promise: string, body: (under: SinkUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${promise}`, async () => {
      const under = await make();
      try {
        await body(under);
      } finally {
        await under.close();
      }
    });

  test("knows no position of a partition that was never committed", async ({ sink }) => {
    assert.deepEqual(await sink.positions(TOPIC, [0, 1]), { adoptions: 0, byPartition: new Map<number, Position>() });
  });

  test("moves positions together with the rows", async ({ sink, rows, totals, events }) => {
    await drain(pipelineInto(sink, [[click("u1", 0), click("u1", 1)], [click("u2", 0)]]));
    const { byPartition: positions } = await sink.positions(TOPIC, [0, 1, 2]);
    assert.deepEqual([...positions.keys()].sort(), [0, 1]);
    assert.equal(positions.get(0)!.next, 2);
    assert.equal(positions.get(0)!.replay, 0);
    assert.equal(positions.get(0)!.watermark, NOON + 1000 - 10_000);
    assert.deepEqual(await totals(), { consumed: 3, stored: 3, duplicates: 0, refused: 0 });
    assert.deepEqual(await events(), ["u1-0", "u1-1", "u2-0"]);
    assert.equal((await rows("sessions")).length, 2);
    assert.equal((await rows("active_users")).length, 5);
    assert.equal((await rows("traffic")).length, 1);
  });

  test("rejects a commit with outdated positions, and changes nothing", async ({ sink, totals, rows }) => {
    const log = [[click("u1", 0)]];
    const [ahead, behind] = [pipelineInto(sink, log), pipelineInto(sink, log)];
    await behind.start();
    await drain(ahead);
    await behind.step();
    await assert.rejects(behind.flush(), PositionsMoved);
    assert.deepEqual(await totals(), { consumed: 1, stored: 1, duplicates: 0, refused: 0 });
    assert.equal((await rows("user_days")).length, 1);
  });

  test("moves all partitions of a commit or none", async ({ sink, totals }) => {
    const first = [click("u1", 0)];
    const both = pipelineInto(sink, [first, [click("u2", 0)]]);
    await both.start();
    await drain(pipelineInto(sink, [first]));
    await both.step();
    await assert.rejects(both.flush(), PositionsMoved);
    assert.deepEqual(await totals(), { consumed: 1, stored: 1, duplicates: 0, refused: 0 });
  });

  test("keeps the topic's id, and rejects commits for another topic", async ({ sink, totals }) => {
    const log = [click("u1", 0)];
    await drain(pipelineInto(sink, [log], "old"));
    assert.equal((await positionOf(sink, 0))!.topicId, "old");
    await assert.rejects(pipelineInto(sink, [log], "new").start(), TopicChanged);
    const next = { from: 1, first: 1, next: 2, skipped: 1 };
    await assert.rejects(sink.commit(moving("new", next)), PositionsMoved);
    assert.equal((await positionOf(sink, 0))!.next, 1);
    await sink.commit(moving("old", next));
    assert.equal((await positionOf(sink, 0))!.next, 2);
    assert.deepEqual(await totals(), { consumed: 1, stored: 1, duplicates: 0, refused: 0 });
  });

  test("fills in a topic id that was unknown", async ({ sink }) => {
    await sink.commit(moving(null, { next: 1, skipped: 1 }));
    assert.equal((await positionOf(sink, 0))!.topicId, null);
    await sink.commit(moving("new", { from: 1, first: 1, next: 2, skipped: 1 }));
    await sink.commit(moving(null, { from: 2, first: 2, next: 3, skipped: 1 }));
    const { topicId, next } = (await positionOf(sink, 0))!;
    assert.deepEqual({ topicId, next }, { topicId: "new", next: 3 });
    await assert.rejects(sink.commit(moving("old", { from: 3, first: 3, next: 4, skipped: 1 })), PositionsMoved);
  });

  test("rejects a commit from before an adoption, although it begins at the current offset", async (under) => {
    const { sink, events } = under;
    const log = [click("u1", 0)];
    await drain(pipelineInto(sink, [log]));
    log.push(click("lost", 1));
    const [ahead, behind] = [pipelineInto(sink, [log]), pipelineInto(sink, [log])];
    await behind.step();
    await drain(ahead);
    log[1] = click("new", 2);
    await under.adopt(onePartition("memory", 2, 1));
    assert.equal((await positionOf(sink, 0))!.next, 1);
    await assert.rejects(behind.flush(), PositionsMoved);
    assert.deepEqual(await events(), ["lost-1", "u1-0"]);
    await drain(behind);
    assert.equal((await positionOf(sink, 0))!.next, 2);
    assert.deepEqual(await events(), ["lost-1", "new-2", "u1-0"]);
  });

  test("rejects a first commit of a partition from before an adoption that removed it", async (under) => {
    const { sink, totals } = under;
    const first = moving("old", { partition: 1, next: 3, consumed: 3, stored: 3 });
    await sink.commit(moving("old", { next: 1, consumed: 1, stored: 1 }));
    await sink.commit(first);
    await under.adopt(onePartition("new", 5));
    await assert.rejects(sink.commit(first), PositionsMoved);
    assert.equal(await positionOf(sink, 1), undefined);
    assert.deepEqual(await totals(), { consumed: 0, stored: 0, duplicates: 0, refused: 0 });
    const { adoptions } = await sink.positions(TOPIC, [0, 1]);
    assert.equal(adoptions, 2);
    await sink.commit({ ...moving("new", { partition: 1, next: 2, consumed: 2, stored: 2 }), adoptions });
    assert.equal((await positionOf(sink, 1))!.next, 2);
  });

  test("rejects a commit from before an adoption of a topic without ids", async (under) => {
    const { sink, totals } = under;
    await sink.commit(moving(null, { next: 3, consumed: 3, stored: 3 }));
    await under.adopt(onePartition(null, 0));
    const next = { next: 1, from: 0, consumed: 1, stored: 1 };
    await assert.rejects(sink.commit(moving(null, next)), PositionsMoved);
    await sink.commit({ ...moving(null, next), adoptions: 1 });
    assert.deepEqual(await totals(), { consumed: 1, stored: 1, duplicates: 0, refused: 0 });
  });

  test("records gaps together with the offsets that pass them", async ({ sink, gaps }) => {
    const [one, two] = [{ from: 50, to: 60 }, { from: 60, to: 61 }];
    await sink.commit(moving("memory", { first: 40, next: 60, skipped: 10, gap: one }));
    const passed = { from: 60, first: 60, next: 61, gap: two };
    await assert.rejects(
      sink.commit(moving("memory", passed, { partition: 1, from: 7, first: 7, next: 8, skipped: 1 })),
    );
    assert.deepEqual(await gaps(), [{ partition: 0, ...one }]);
    await sink.commit(moving("memory", passed));
    assert.deepEqual(await gaps(), [{ partition: 0, ...one }, { partition: 0, ...two }]);
  });

  test("merges sessions that a late event joins, and leaves no part behind", async ({ sink, rows }) => {
    const log = [click("u1", 0), click("u1", 3600)];
    const pipeline = pipelineInto(sink, [log]);
    await drain(pipeline);
    assert.equal((await rows("sessions")).length, 2);
    log.push(click("u1", 1800));
    await drain(pipeline);
    const [session, ...others] = await rows("sessions");
    assert.equal(others.length, 0);
    assert.deepEqual([session!.start, session!.end], [NOON, NOON + 3_600_000]);
  });

  test("moves the start of a session when an earlier event comes late", async ({ sink, rows }) => {
    const log = [click("u1", 600), click("u1", 601, { sessionId: "s" })];
    const pipeline = pipelineInto(sink, [log]);
    await drain(pipeline);
    log.push(click("u1", 0));
    await drain(pipeline);
    assert.deepEqual((await rows("sessions")).map((row) => [...row.key, row.start, row.end]), [
      ["u1", "s", NOON + 601_000, NOON + 601_000],
      ["u1", null, NOON, NOON + 600_000],
    ]);
  });

  test("keeps refused records byte for byte", async ({ sink, refusals, totals }) => {
    const bytes = Uint8Array.of(0xff, 0x00, 0x5c, 0x7b);
    await drain(pipelineInto(sink, [[{ time: NOON, value: bytes }, click("u1", 0), { time: NOON, value: null }]]));
    assert.deepEqual((await refusals()).map(({ reason, payload }) => [reason, [...payload]]), [
      ["not_utf8", [...bytes]],
      ["empty", []],
    ]);
    assert.deepEqual(await totals(), { consumed: 3, stored: 1, duplicates: 0, refused: 2 });
  });

  test("stores texts that look like syntax", async ({ sink, events, rows }) => {
    const odd = ["\\N", "tab\tnew\nline\rend", "{\"a\",'b'}", "NULL", "ünïcödé 💥", "\\x00", '"'];
    await drain(pipelineInto(sink, [odd.map((id, i) => click("u1", i, { eventId: id, page: id, region: id }))]));
    assert.deepEqual(await events(), [...odd].sort());
    assert.equal((await rows("pages")).length, odd.length);
  });

  test("keeps a page that is longer than an index entry may be", async ({ sink, rows }) => {
    let page = "/";
    for (let i = 1; page.length < 2048; i++) page += String.fromCodePoint(0x4e00 + (i * 7919) % 20_000);
    await drain(pipelineInto(sink, [[click("u1", 0, { page }), click("u2", 1, { page })]]));
    assert.equal((await rows("pages")).length, 1);
  });

  test("restores an event-time watermark that never falls", async ({ sink }) => {
    const log = [click("u1", 100)];
    const pipeline = pipelineInto(sink, [log]);
    await drain(pipeline);
    log.push(click("u1", 0));
    await drain(pipeline);
    assert.equal((await positionOf(sink, 0))!.watermark, NOON + 90_000);
  });
}
