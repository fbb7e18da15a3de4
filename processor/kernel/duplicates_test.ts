import assert from "node:assert/strict";
import { Random } from "../../generator/random.ts";
import { PIECE_LENGTHS } from "../pipeline/duplicates.ts";
import { KernelDuplicates } from "./duplicates.ts";
import { Memory } from "./memory.ts";

const MIB = 2 ** 20;
const START_MS = Date.UTC(2026, 10, 1);

/** Passes events with ids of their own at so many in a minute; returns how to pass one of them again. */
function filled(memory: Memory, events: number, perMinute: number, mostBytes = Infinity) {
  const ids = new KernelDuplicates(memory, PIECE_LENGTHS, mostBytes);
  const random = new Random(1);
  const hashes = Int32Array.from({ length: events * 3 }, () => random.next() * 2 ** 32);
  const timeOf = (n: number) => START_MS + Math.floor(n * 60_000 / perMinute);
  let repeated = 0;
  for (let n = 0; n < events; n++) {
    ids.pass(n, timeOf(n));
    if (ids.seen(hashes, n * 3, timeOf(n))) repeated++;
  }
  assert.equal(repeated, 0);
  return { ids, isKnown: (n: number) => ids.seen(hashes, n * 3, timeOf(events)) };
}

Deno.test("ids never fill the memory: the oldest are forgotten early, and what may repeat them is unchecked", () => {
  const memory = new Memory(16);
  const { ids, isKnown } = filled(memory, 400_000, 40_000);
  assert.ok(memory.functions.takenBytes() <= 8 * MIB, `${memory.functions.takenBytes()} bytes`);
  // What is kept for the texts of commits can be had.
  memory.functions.alloc(4 * MIB);
  assert.ok(isKnown(399_000), "an event of the last minute");
  assert.ok(!isKnown(100), "an event of ten minutes ago");
  assert.ok(ids.takeUnchecked() > 100_000);
  const first = ids.replayFrom(0);
  assert.ok(first > 200_000 && first < 380_000, `a restart reads again from ${first}`);
  memory.functions.checkGuards();
});

Deno.test("the ids of a partition take no more than their share, and leave the rest to others", () => {
  const memory = new Memory(64);
  const first = filled(memory, 400_000, 40_000, 4 * MIB);
  assert.ok(memory.functions.takenBytes() <= 4.5 * MIB, `${memory.functions.takenBytes()} bytes`);
  assert.deepEqual([first.isKnown(399_000), first.isKnown(100)], [true, false]);
  assert.ok(first.ids.takeUnchecked() > 100_000);
  // Another one has a share of its own, and 128 KiB in any case.
  for (const [events, mostBytes] of [[80_000, 4 * MIB], [3_000, 0]] as const) {
    const other = filled(memory, events, events / 10, mostBytes);
    assert.ok(other.isKnown(100));
    assert.equal(other.ids.takeUnchecked(), 0);
  }
  memory.functions.checkGuards();
});

Deno.test("a single minute may have more ids than the memory", () => {
  const memory = new Memory(16);
  const { ids, isKnown } = filled(memory, 500_000, 10_000_000);
  assert.ok(memory.functions.takenBytes() <= 8 * MIB);
  assert.ok(isKnown(499_999));
  assert.ok(ids.replayFrom(0) > 0);
});

Deno.test("with enough memory, no id of twelve minutes is forgotten", () => {
  const { ids, isKnown } = filled(new Memory(64), 400_000, 40_000);
  assert.ok(isKnown(100));
  assert.deepEqual([ids.takeUnchecked(), ids.replayFrom(1)], [0, 0]);
});
