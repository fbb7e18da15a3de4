/** The size of commits, and the search for a record that no commit can be made with. */
import assert from "node:assert/strict";
import type { Measure } from "../measures/measure.ts";
import { count } from "../measures/totals.ts";
import { recordsOf } from "../testing/fakes/memory.ts";
import { bad, clicksFrom, GatedSink, type Harness, harness } from "../testing/pipeline_harness.ts";
import { traffic } from "../views/traffic.ts";
import { type Commit, PositionsMoved, Unstorable } from "./commit.ts";
import { CommitSize, type Taken } from "./commit_size.ts";

const TOPIC = "clickstream-events";
const STORED: Taken = { topic: TOPIC, partition: 2, offset: 7, leaderEpoch: 5, isStored: true };
const atStart = () => 0;

Deno.test("commits grow from 4,096 records to the most, and are small again when the log is read", () => {
  const size = new CommitSize(10_000);
  const goals = [false, false, true, false].map((isCaughtUp) => {
    size.sent(isCaughtUp);
    return size.goal;
  });
  assert.deepEqual([new CommitSize(10_000).goal, ...goals], [4096, 8192, 10_000, 4096, 8192]);
  assert.equal(new CommitSize(100).goal, 100);
  size.restart(new PositionsMoved("moved"), atStart);
  assert.equal(size.goal, 4096);
});

Deno.test("after a commit that cannot be made, commits halve and do not grow until all its records are committed", () => {
  const size = new CommitSize(10_000);
  const error = size.blame(new RangeError("too large"), 9, STORED);
  assert.ok(error instanceof Unstorable && error.message === "too large");
  size.restart(error, atStart);
  assert.equal(size.goal, 4);
  const goals = [3, 5, 1].map((records) => {
    size.sent(false);
    const before = size.goal;
    size.applied(records);
    return before;
  });
  size.sent(false);
  assert.deepEqual([...goals, size.goal], [4, 4, 4, 8]);
});

Deno.test("a single record that cannot be stored is the culprit, until it is committed", () => {
  const size = new CommitSize(100);
  const error = new Unstorable("no");
  assert.equal(size.hasCulprits, false);
  assert.equal(size.blame(error, 1, STORED), error);
  assert.deepEqual([size.goal, size.hasCulprits], [1, true]);
  const others = [{ offset: 6 }, { offset: 8 }, { partition: 1 }, { leaderEpoch: 6 }, { leaderEpoch: null }];
  assert.deepEqual([{}, ...others].map((other) => size.culprit({ ...STORED, ...other })), [
    "no",
    ...others.map(() => null),
  ]);
  size.sent(false);
  assert.equal(size.goal, 2, "the search is over");
  size.restart(error, (partition) => partition === 2 ? 7 : 9);
  assert.equal(size.culprit(STORED), "no");
  size.restart(error, (partition) => partition === 2 ? 8 : 0);
  assert.equal(size.hasCulprits, false);
});

Deno.test("errors that no record is to blame for are passed on, and change nothing", () => {
  const size = new CommitSize(100);
  const ours = new TypeError("undefined is not a function");
  for (
    const [error, records, last] of [
      [new PositionsMoved("moved"), 1, STORED],
      [ours, 0, STORED],
      [ours, 1, null],
      [null, 5, STORED],
    ] as const
  ) assert.equal(size.blame(error, records, last), error);
  assert.deepEqual([size.goal, size.hasCulprits], [100, false]);
});

Deno.test("a record that can neither be stored nor refused is named by an error that ends the service", () => {
  for (const isStored of [true, false]) {
    const size = new CommitSize(100);
    // The first time a stored record is refused instead; a refused one cannot be.
    if (isStored) size.blame(new Unstorable("no"), 1, STORED);
    const error = size.blame(new Unstorable("still"), 1, { ...STORED, isStored }) as Error;
    assert.ok(!(error instanceof Unstorable));
    const where = `offset 7 of partition 2 of ${TOPIC}`;
    assert.equal(error.message, `${where} can't be stored, and not be refused either: still`);
  }
});

/** A sink that cannot store some events. */
class PickySink extends GatedSink {
  readonly #refused: ReadonlySet<string>;
  attempts = 0;

  constructor(refused: readonly string[]) {
    super();
    this.#refused = new Set(refused);
  }

  override commit(commit: Commit): Promise<void> {
    this.attempts++;
    const ids = commit.events?.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => batch.id(i))) ?? [];
    const wrong = ids.find((id) => this.#refused.has(id));
    return wrong === undefined ? super.commit(commit) : Promise.reject(new Unstorable(`no ${wrong}`));
  }
}

async function drained({ pipeline, sink, clock }: Harness, partitions: readonly number[]): Promise<void> {
  const isDone = () => partitions.every((length, p) => sink.progress.get(p)?.next === length);
  for (let n = 0; n < 200 && !isDone(); n++) {
    try {
      await pipeline.step();
      clock.ms += 1000;
      await pipeline.flush();
    } catch (error) {
      // As the supervisor does.
      assert.ok(error instanceof Unstorable, String(error));
      await pipeline.start(error);
    }
  }
  assert.ok(isDone());
}

Deno.test("records that the sink cannot store are found by halving and refused, and all others are stored", async () => {
  for (const refused of [["a0"], ["a40"], ["a31", "a32", "b7"], ["b9"]]) {
    for (const commitRecords of [7, 64, 1000]) {
      const sink = new PickySink(refused);
      const all = harness([[...clicksFrom("a", 40), bad(40), ...clicksFrom("a4", 1)], clicksFrom("b", 10)], {
        ...{ sink, commitRecords },
      });
      await drained(all, [42, 10]);
      const found = sink.refusals.filter(({ reason }) => reason === "bad_value");
      assert.deepEqual(
        found.map(({ detail }) => detail).sort(),
        refused.map((id) => `it cannot be stored: no ${id}`).sort(),
      );
      for (const { payload, detail } of found) {
        const { eventId } = JSON.parse(new TextDecoder().decode(payload)) as { eventId: string };
        assert.equal(detail, `it cannot be stored: no ${eventId}`);
      }
      assert.equal(sink.events.length, 51 - refused.length);
      assert.equal(sink.refusals.length, 1 + refused.length);
      assert.ok(sink.attempts < 70, `${sink.attempts} commits`);
    }
  }
});

Deno.test("a record is not refused for another one that was at its offset before a truncation", async () => {
  for (const after of [{ leaderEpoch: 2 }, { topicId: "recreated" }]) {
    const sink = new PickySink(["a0"]);
    const { pipeline, source } = harness([[]], { sink });
    const read = async (id: string, { leaderEpoch = 1, topicId = "first" }) => {
      source.topicId = () => topicId;
      source.poll = () => Promise.resolve([{ ...recordsOf(0, 0, clicksFrom(id, 1)), leaderEpoch }]);
      await pipeline.step();
    };
    await read("a", {});
    const error = await pipeline.flush().catch((error: unknown) => error);
    assert.ok(error instanceof Unstorable);
    source.topicId = () => after.topicId ?? "first";
    await pipeline.start(error);
    await read("b", after);
    await pipeline.flush();
    assert.deepEqual([sink.refusals, sink.events.length], [[], 1]);
  }
});

Deno.test("a record that cannot be stored is found beside duplicates and refused records as well", async () => {
  for (const others of [clicksFrom("a", 1), [bad()], [...clicksFrom("a", 1), bad()]]) {
    const sink = new PickySink(["a0"]);
    const log = [...clicksFrom("a", 1), ...others];
    await drained(harness([log], { sink }), [log.length]);
    assert.deepEqual(sink.refusals.map(({ offset }) => offset)[0], 0);
    assert.deepEqual([sink.events.length, sink.progress.get(0)!.consumed], [0, log.length]);
  }
});

Deno.test("a record that cannot be folded is refused as well, if commits are folded at the end or on the way", async () => {
  for (const events of [300, 30]) {
    const picky: Measure<number> = {
      ...count(),
      accumulator(words) {
        const inner = count().accumulator(words);
        return {
          ...inner,
          add(batch, ...more) {
            for (let i = 0; i < batch.count; i++) if (batch.id(i) === "a20") throw new RangeError("too many");
            inner.add(batch, ...more);
          },
        };
      },
    };
    const views = [{ ...traffic, measures: { events: picky as Measure } }];
    const all = harness([clicksFrom("a", events)], { views, limit: 400 });
    await drained(all, [events]);
    assert.deepEqual(all.sink.refusals.map(({ offset, detail }) => [offset, detail]), [
      [20, "it cannot be stored: too many"],
    ]);
    assert.equal(all.sink.events.length, events - 1);
  }
});
