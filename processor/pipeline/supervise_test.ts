import assert from "node:assert/strict";
import fc from "fast-check";
import { PositionsMoved, Unavailable } from "./commit.ts";
import { Rebalanced } from "./source.ts";
import { type Clock, type Listener, pauseMsAfter, STOP_WITHIN_MS, supervise, type Task } from "./supervise.ts";

/** A scripted task: each turn takes the next of `turns`; after the last it is told to stop. */
class Scripted implements Task, Listener, Clock {
  readonly said: string[] = [];
  readonly stop = new AbortController();
  chance = 0.5;
  outOfTime = false;
  flushing: () => Promise<void> = () => Promise.resolve();
  #nowMs = 0;
  readonly #turns: (() => void | Promise<void>)[];

  constructor(turns: (() => void | Promise<void>)[]) {
    this.#turns = turns;
  }

  start(cause: unknown): Promise<void> {
    this.said.push(cause === null ? "start" : `start after ${(cause as Error).message}`);
    return Promise.resolve();
  }

  async step(): Promise<void> {
    const turn = this.#turns.shift();
    if (this.#turns.length === 0) this.stop.abort();
    await turn?.();
  }

  flush(): Promise<void> {
    this.said.push("flush");
    return this.flushing();
  }

  ready(failures: number): void {
    this.said.push(`ready after ${failures}`);
  }

  failed({ error, again, pauseMs }: Parameters<Listener["failed"]>[0]): void {
    this.said.push(`${again ? "again" : "failed"}: ${error.message}, ${pauseMs} ms`);
  }

  unfinished(error: Error): void {
    this.said.push(`unfinished: ${error.message}`);
  }

  now(): number {
    return this.#nowMs;
  }

  random(): number {
    return this.chance;
  }

  pause(ms: number): Promise<void> {
    // Stopping times out only in the tests of that.
    if (ms === STOP_WITHIN_MS) return this.outOfTime ? Promise.resolve() : new Promise(() => {});
    this.#nowMs += ms;
    return Promise.resolve();
  }

  worksFor(ms: number): void {
    this.#nowMs += ms;
  }

  async run(): Promise<string[]> {
    await supervise(this, this.stop.signal, this, this);
    return this.said;
  }
}

const down = (message = "down") => () => {
  throw new Unavailable(message, { kind: "kafka_unreachable" });
};
const fine = () => {};

Deno.test("works until stopped, then finishes pending work", async () => {
  assert.deepEqual(await new Scripted([fine, fine]).run(), ["start", "ready after 0", "flush"]);
});

Deno.test("restarts after a failure, and reports which failures are new", async () => {
  const work = new Scripted([down(), down(), down("still down"), fine, fine]);
  assert.deepEqual(await work.run(), [
    "start",
    "ready after 0",
    "failed: down, 50 ms",
    "start after down",
    "ready after 1",
    "again: down, 100 ms",
    "start after down",
    "ready after 2",
    "failed: still down, 200 ms",
    "start after still down",
    "ready after 3",
    "flush",
  ]);
});

Deno.test("restarts with the cause after moved positions and rebalances", async () => {
  for (const error of [new PositionsMoved("moved"), new Rebalanced("divided")]) {
    const work = new Scripted([() => Promise.reject(error), fine]);
    assert.ok((await work.run()).includes(`start after ${error.message}`));
  }
});

Deno.test("waits longer after every failure, and briefly again after working for a while", async () => {
  const work = new Scripted([...Array.from({ length: 9 }, () => down()), () => {
    work.worksFor(10_000);
    down()();
  }, fine]);
  work.chance = 0.999;
  const pauses = (await work.run()).flatMap((said) => /, ([\d.]+) ms$/.exec(said)?.[1] ?? []).map(Number);
  const caps = [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 100];
  assert.deepEqual(pauses.map(Math.round), caps.map((cap) => Math.round(cap * 0.999)));
});

Deno.test("pauses a random time of at most two seconds after any number of failures", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, chance) => {
        const pauseMs = pauseMsAfter(n, () => chance);
        assert.ok(pauseMs >= 0 && pauseMs < 2_000);
        assert.ok(pauseMs <= pauseMsAfter(n + 1, () => chance));
      },
    ),
  );
});

Deno.test("our own errors end the process without a commit", async () => {
  const work = new Scripted([() => Promise.reject(new Error("not conserved")), fine]);
  await assert.rejects(work.run(), /not conserved/);
  assert.deepEqual(work.said, ["start", "ready after 0"]);
});

Deno.test("reports unfinished work, whether it fails or takes too long", async () => {
  const failing = new Scripted([fine]);
  failing.flushing = () => Promise.reject(new Unavailable("gone", { kind: "kafka_unreachable" }));
  assert.deepEqual((await failing.run()).slice(2), ["flush", "unfinished: gone"]);
  const hanging = new Scripted([fine]);
  const never = Promise.withResolvers<void>();
  hanging.flushing = () => never.promise;
  hanging.outOfTime = true;
  assert.deepEqual((await hanging.run()).slice(2), ["flush", `unfinished: not finished within ${STOP_WITHIN_MS} ms`]);
  never.reject(new Unavailable("too late for anybody to care", { kind: "kafka_unreachable" }));
});

Deno.test("does not wait for a turn that never ends when stopped", async () => {
  const never = Promise.withResolvers<void>();
  const work = new Scripted([() => never.promise]);
  work.outOfTime = true;
  assert.deepEqual((await work.run()).slice(2), [`unfinished: not finished within ${STOP_WITHIN_MS} ms`]);
  never.resolve();
});

Deno.test("does not start if stopped before", async () => {
  const work = new Scripted([fine]);
  work.stop.abort();
  assert.deepEqual(await work.run(), ["flush"]);
});
