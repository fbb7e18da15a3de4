import assert from "node:assert/strict";
import { simulate } from "./simulation.ts";
import type { Counts } from "./world.ts";

/** Seeds to simulate: `SIM_SEEDS` of them, from `SIM_FROM` on. */
const SEEDS = Number(Deno.env.get("SIM_SEEDS") ?? 400);
const FROM = Number(Deno.env.get("SIM_FROM") ?? 0);

/** What must have happened often, or the simulation proves nothing. */
const MISHAPS = [
  ...["crash", "rebalance", "reassigned", "pause", "positions moved", "reply lost", "commit failed", "commit given up"],
  ...["late commit refused", "poll failed", "positions failed", "assigned failed", "committed failed", "commit"],
];

Deno.test(`${SEEDS} simulated worlds end as one straight pass does`, async () => {
  const all: Counts = {};
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    const { failure, counts } = await simulate(seed);
    assert.equal(failure, null, failure ?? "");
    for (const [what, times] of Object.entries(counts)) all[what] = (all[what] ?? 0) + times;
  }
  for (const what of MISHAPS) {
    assert.ok((all[what] ?? 0) >= SEEDS / 20, `${what}: ${all[what] ?? 0} times in ${SEEDS} seeds`);
  }
  if (Deno.env.has("SIM_SEEDS")) console.log(all);
});

Deno.test("the same seed gives the same run", async () => {
  for (const seed of [1, 2, 3]) assert.deepEqual(await simulate(seed), await simulate(seed));
});
