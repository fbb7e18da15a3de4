import assert from "node:assert/strict";
import { FAULTS } from "./faults.ts";
import { LAWLESS, VIEW_FAULTS } from "./faulty_views.ts";
import { assertLawsOf } from "../contracts/laws.ts";
import { runs } from "../../../testing/effort.ts";
import { simulate } from "./simulation.ts";

/** Seeds in which a planted fault must show; the correct processor passes all of them. */
const SEEDS = 60;

for (const { name, breaks, parts } of [...FAULTS, ...VIEW_FAULTS]) {
  Deno.test(`planted, and found by the simulation: ${name}`, async () => {
    const failures: string[] = [];
    for (let seed = 0; seed < SEEDS; seed++) {
      const { failure } = await simulate(seed, parts());
      if (failure !== null && breaks.test(failure)) return;
      if (failure !== null) failures.push(failure);
    }
    assert.fail(`nobody noticed in ${SEEDS} seeds; what else was said: ${failures.slice(0, 3).join("\n")}`);
  });
}

for (const [name, measure] of LAWLESS) {
  Deno.test(`planted, and found by the laws: ${name}`, () => {
    assert.throws(() => assertLawsOf([[name, measure]], 11, 150), /Property failed/);
  });
}

Deno.test("without a fault nothing is found", async () => {
  for (let seed = 0; seed < runs(SEEDS); seed++) assert.equal((await simulate(seed)).failure, null);
});
