/** The short form of `deno task chaos`: one broker, and each fault that is cheap, once. */
import assert from "node:assert/strict";
import { chaos } from "./chaos.ts";
import { FAULTS } from "./faults.ts";

// The producer and kafkajs leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("every table is exact after each cheap fault", leaky, async () => {
  const said: string[] = [];
  const faults = FAULTS.filter(({ short }) => short);
  const figures = await chaos({
    seed: 20_261_129,
    minutes: 0,
    brokers: 1,
    faults,
    count: null,
    rate: 200,
    workers: [2, 1],
    otherProgram: null,
    say: (text) => said.push(text),
  });
  assert.deepEqual(figures.failures, [], said.join("\n"));
  const { sigkills, swallowed, cut, records } = figures.counted;
  assert.ok(sigkills >= 3 && swallowed >= 6 && cut >= 6 && records > 1000, figures.lines().join("\n"));
  assert.equal(figures.restartsMs.length >= 2, true);
});
