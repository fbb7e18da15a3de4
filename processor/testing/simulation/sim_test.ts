import assert from "node:assert/strict";
import { runs } from "../../../testing/effort.ts";
import { PLANTED } from "./planted.ts";
import { shrink } from "./shrink.ts";
import { simulate } from "./simulation.ts";
import { argumentsOf, variantOf } from "./variant.ts";
import type { Counts } from "./world.ts";

const SEEDS = runs(500);

/** What must have happened often, or the simulation proves nothing: at least this many times in a hundred seeds. */
const OFTEN: Readonly<Record<string, number>> = {
  ...{ "commit": 500, "read": 100, "reply overtaken": 5_000, "crash": 100, "asked to stop": 20, "frozen": 100 },
  ...{ "zombie": 50, "zombie with a commit": 3, "clock jump": 100, "connections torn": 100, "database down": 30 },
  ...{ "rebalance": 100, "rebalance during a commit": 10, "start after reassigned": 300 },
  ...{ "start after unavailable": 300, "start after positions_moved": 20, "start after unstorable": 50 },
  ...{ "commit failed": 30, "commit given up": 30, "commit unknown": 30, "positions failed": 30 },
  ...{ "late commit applied": 20, "late commit refused": 5, "connect to the database failed": 20, "fetch failed": 20 },
  ...{ "metadata failed": 10, "list offsets failed": 5, "join failed": 10, "no broker answers": 5 },
  ...{ "group commit failed": 5, "leader change": 100, "new leader reports an earlier end": 50, "retention": 50 },
  ...{ "retention passes the committed offset": 20, "retention passes the replay offset": 20 },
  ...{ "ids forgotten by retention": 30, "truncation": 20, "truncated topic is reported": 5 },
  ...{ "zombie while its partition is truncated": 10, "zombie wakes after an adoption": 1 },
  ...{ "topic recreated": 15, "recreated topic is reported": 15, "topic adopted": 15, "partition added": 20 },
  ...{ "added partition is noticed": 8 },
  ...{ "batch sent twice": 50, "id sent again much later": 50, "poison": 50, "compacted batch": 50 },
  ...{ "control batch": 20, "damaged batch": 30, "batch the broker cannot read": 20 },
};

Deno.test("worlds that have failed before fail no more", async () => {
  for (const seed of [27, 2352, 3525, 10_004_047, 30_002_126, 40_004_014, 70_052_272, 83_167_317]) {
    assert.equal((await simulate(variantOf(seed))).failure, null, `seed ${seed}`);
  }
});

Deno.test(`in ${SEEDS} simulated worlds every read is a prefix of the log, and the last one all of it`, async () => {
  const all: Counts = {};
  for (let seed = 0; seed < SEEDS; seed++) {
    const { failure, counts } = await simulate(variantOf(seed));
    assert.equal(failure, null, `${failure}; again: deno task sim --seed ${seed}`);
    for (const [what, times] of Object.entries(counts)) all[what] = (all[what] ?? 0) + times;
  }
  for (const [what, times] of Object.entries(OFTEN)) {
    // Few seeds may have few of what is rare.
    const least = SEEDS < 500 ? Math.min(1, Math.floor(times / 20)) : times * SEEDS / 100;
    assert.ok((all[what] ?? 0) >= least, `${what}: ${all[what] ?? 0} times in ${SEEDS} seeds, and not ${least}`);
  }
});

Deno.test("the same seed gives the same run", async () => {
  for (const seed of [1, 2, 3]) assert.deepEqual(await simulate(variantOf(seed)), await simulate(variantOf(seed)));
});

Deno.test("only the mishaps that are told happen, and without any a world is calm", async () => {
  const whole = await simulate(variantOf(3));
  const [first, second] = whole.happened;
  const some = await simulate({ ...variantOf(3), only: [first!] });
  assert.deepEqual([some.failure, some.happened], [null, [first]]);
  assert.notEqual(second, undefined);
  const calm = await simulate({ ...variantOf(3), calmAfter: 0, events: 10 });
  assert.deepEqual([calm.failure, calm.counts["crash"]], [null, undefined]);
});

Deno.test("a failing simulation is made small, and its command repeats it", async () => {
  const fault = PLANTED.find(({ name }) => name === "a sink that does not check positions")!;
  const run = (variant: Parameters<typeof simulate>[0]) => simulate(variant, fault.parts());
  const left: number[] = [];
  for (let seed = 0; left.length < 3; seed++) {
    const whole = { variant: variantOf(seed), outcome: await run(variantOf(seed)) };
    if (whole.outcome.failure === null) continue;
    const { variant, outcome } = await shrink(whole, run, () => false);
    left.push(outcome.happened.length);
    assert.ok(outcome.happened.length < whole.outcome.happened.length);
    assert.deepEqual(await run(variant), outcome);
    assert.match(argumentsOf(variant), /^--seed \d+ --events \d+ .*--only '[a-z #0-9,]*'$/);
  }
  // Some failures need many mishaps, but few do.
  assert.ok(left.sort((a, b) => a - b)[1]! <= 8, `${left} mishaps are left`);
});
