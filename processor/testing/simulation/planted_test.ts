import assert from "node:assert/strict";
import { LAWLESS } from "./faulty_views.ts";
import { assertLawsOf } from "../contracts/laws.ts";
import { runs } from "../../../testing/effort.ts";
import { PLANTED, seedThatFinds } from "./planted.ts";
import { simulate } from "./simulation.ts";
import { variantOf } from "./variant.ts";

/** Seeds in which a planted fault must show; the correct processor passes all of them. */
const SEEDS = 1_000;

Deno.test("at least 20 faults are planted", () => assert.ok(PLANTED.length >= 20));

for (const fault of PLANTED) {
  Deno.test(`planted, and found by the simulation: ${fault.name}`, async () => {
    const { seed, others } = await seedThatFinds(fault, SEEDS);
    assert.notEqual(seed, null, `nobody noticed in ${SEEDS} seeds; what else was said: ${others.join("\n")}`);
  });
}

for (const [name, measure] of LAWLESS) {
  Deno.test(`planted, and found by the laws: ${name}`, () => {
    assert.throws(() => assertLawsOf([[name, measure]], 11, 150), /Property failed/);
  });
}

Deno.test("without a fault nothing is found", async () => {
  for (let seed = 0; seed < runs(60); seed++) assert.equal((await simulate(variantOf(seed))).failure, null);
});
