import assert from "node:assert/strict";
import { MOST_HELD_ROUNDS, PARTITION_BYTES, ROUND_BYTES, roundBytesAfter, Turns } from "./turns.ts";

Deno.test("the partition read up to the earliest time comes first, and held ones last", () => {
  const turns = new Turns();
  for (const [partition, time] of [[0, 300], [1, 100], [2, 200]] as const) turns.reached(partition, 0, time);
  assert.deepEqual(turns.inTurn([0, 1, 2, 3], new Set()), [3, 1, 2, 0]);
  assert.deepEqual(turns.inTurn([0, 1, 2, 3], new Set([1])), [3, 2, 0, 1]);
  turns.reached(0, 0, 100);
  assert.deepEqual(turns.inTurn([2, 1, 0], new Set()), [1, 0, 2], "of equal ones, the one that has waited longest");
});

Deno.test("a partition is held while it is further ahead of the slowest than one round", () => {
  const turns = new Turns();
  assert.deepEqual(turns.ahead([]), new Set());
  turns.reached(0, 0, 100);
  assert.deepEqual(turns.ahead([0, 1]), new Set([0]), "nothing of partition 1 has been read");
  turns.reached(1, 0, 900);
  assert.deepEqual(turns.ahead([0, 1]), new Set([1]));
  assert.deepEqual(turns.ahead([1]), new Set(), "partition 0 has no more to read");
  turns.reached(0, 100, 500);
  assert.deepEqual(turns.ahead([0, 1]), new Set(), "the next round of partition 0 reaches partition 1");
  turns.clear();
  assert.deepEqual(turns.ahead([0, 1]), new Set());
});

Deno.test("partitions of any sizes stay within two rounds of each other", () => {
  const turns = new Turns();
  // How far a round brings each partition.
  const steps = [30, 40, 70, 400];
  const times = steps.map(() => 0);
  for (let round = 0; round < 1000; round++) {
    const held = turns.ahead([0, 1, 2, 3]);
    for (const partition of turns.inTurn([0, 1, 2, 3], held)) {
      if (held.has(partition)) continue;
      turns.reached(partition, times[partition]!, times[partition]! += steps[partition]!);
    }
    const apart = Math.max(...times) - Math.min(...times);
    assert.ok(apart <= 400 + 30, `they were ${apart} apart after ${round + 1} rounds`);
  }
  assert.ok(Math.min(...times) > 5000);
});

Deno.test("a backlog of one partition doesn't keep the others waiting: each has its turn, one in a round", () => {
  const turns = new Turns();
  for (const partition of [1, 2, 3]) turns.reached(partition, 1e6, 1e6 + 1);
  turns.reached(0, 0, 1);
  const turnsOf = new Map<number, number[]>();
  for (let round = 1; round <= 400; round++) {
    const held = turns.ahead([0, 1, 2, 3]);
    assert.ok(!held.has(0) && held.size >= 2, "at most one of them is let through");
    const [first, second] = turns.inTurn([0, 1, 2, 3], held);
    assert.equal(held.size === 2 ? second : first, 0, "the backlog goes on");
    if (held.size === 2) turnsOf.set(first!, [...turnsOf.get(first!) ?? [], round]);
    // What a turn brings may be empty: records of an aborted transaction. Even then the next turn is for another one.
    turns.reached(0, round, round + 1);
  }
  for (const partition of [1, 2, 3]) {
    const rounds = turnsOf.get(partition)!;
    const longest = Math.max(...rounds.map((round, n) => round - (rounds[n - 1] ?? 0)));
    assert.ok(longest <= MOST_HELD_ROUNDS + 3, `partition ${partition} waited for ${longest} rounds`);
    assert.ok(rounds.length > 8);
  }
});

Deno.test("rounds shrink while batches decompress to more than is allowed, and grow again", () => {
  // A topic that decompresses to 10 times its size, with an allowance of 16 MiB.
  const left = (bytes: number) => 1 - bytes * 10 / (16 * 1024 * 1024);
  let bytes: number = ROUND_BYTES;
  for (let round = 0; round < 10; round++) bytes = roundBytesAfter(bytes, left(bytes));
  assert.equal(bytes, ROUND_BYTES / 4);
  for (let round = 0; round < 10; round++) bytes = roundBytesAfter(bytes, -3);
  assert.equal(bytes, PARTITION_BYTES);
  for (let round = 0; round < 10; round++) bytes = roundBytesAfter(bytes, 1);
  assert.equal(bytes, ROUND_BYTES);
});
