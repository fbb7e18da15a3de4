import assert from "node:assert/strict";
import { type Commit, PositionsMoved, Unavailable } from "../../pipeline/commit.ts";
import { MemorySink } from "../../testing/fakes/memory.ts";
import { DatabaseError, DatabaseUnavailable } from "../database_errors.ts";
import { ReopeningSink } from "./reopening_sink.ts";

const NOTHING: Commit = {
  ...{ topic: "t", topicId: null, adoptions: 0, advances: [], deltas: [], events: null, refusals: [] },
};

/** A memory sink that fails on demand, and counts how often it was closed. */
class Failing extends MemorySink {
  failure: Error | null = null;
  closed = 0;

  override commit(commit: Commit): Promise<void> {
    return this.failure === null ? super.commit(commit) : Promise.reject(this.failure);
  }

  override close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

function reopening(): { sink: ReopeningSink; opened: Failing[]; down: { is: boolean } } {
  const opened: Failing[] = [];
  const down = { is: false };
  const sink = new ReopeningSink(() => {
    if (down.is) return Promise.reject(new Unavailable("down", { kind: "kafka_unreachable" }));
    const inner = new Failing();
    opened.push(inner);
    return Promise.resolve(inner);
  });
  return { sink, opened, down };
}

Deno.test("opens one connection and keeps it", async () => {
  const { sink, opened } = reopening();
  await Promise.all([sink.open(), sink.open(), sink.commit(NOTHING), sink.positions("t", [0])]);
  assert.equal(opened.length, 1);
  assert.equal(opened[0]!.commits, 1);
  await sink.close();
  assert.equal(opened[0]!.closed, 1);
});

Deno.test("opens another connection after a failure, and closes the failed one", async () => {
  const { sink, opened } = reopening();
  await sink.open();
  opened[0]!.failure = new Unavailable("gone", { kind: "kafka_unreachable" });
  await assert.rejects(sink.commit(NOTHING), Unavailable);
  await sink.commit(NOTHING);
  assert.deepEqual(opened.map(({ closed, commits }) => [closed, commits]), [[1, 0], [0, 1]]);
});

Deno.test("retries to open after opening failed", async () => {
  const { sink, opened, down } = reopening();
  down.is = true;
  await assert.rejects(sink.open(), Unavailable);
  await assert.rejects(sink.positions("t", [0]), Unavailable);
  down.is = false;
  await sink.open();
  assert.equal(opened.length, 1);
});

Deno.test("keeps the connection when positions have moved", async () => {
  const { sink, opened } = reopening();
  await sink.open();
  opened[0]!.failure = new PositionsMoved("moved");
  await assert.rejects(sink.commit(NOTHING), PositionsMoved);
  await sink.open();
  assert.deepEqual(opened.map(({ closed }) => closed), [0]);
});

Deno.test("a login or a right that was taken away is worth a retry, and one that was never there is not", async () => {
  const refused = (code: string) => new DatabaseError(`refused with ${code}`, code, { kind: "postgres_refuses" });
  const { sink, opened } = reopening();
  const commit = async (code: string) => {
    await sink.open();
    opened.at(-1)!.failure = refused(code);
    return sink.commit(NOTHING);
  };
  for (const code of ["28P01", "28000", "3D000", "42501"]) await assert.rejects(commit(code), DatabaseError, code);
  await sink.positions("t", [0]);
  for (const code of ["28P01", "28000", "3D000"]) await assert.rejects(commit(code), DatabaseUnavailable, code);
  await assert.rejects(commit("42501"), DatabaseError);
  await sink.commit(NOTHING);
  await assert.rejects(commit("42501"), DatabaseUnavailable);
  await assert.rejects(commit("42P01"), DatabaseError);
});
