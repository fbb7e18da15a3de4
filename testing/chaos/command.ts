/**
 * `deno task chaos [--minutes N] [--seed N]`: runs the compiled service under load against real brokers and a real
 * PostgreSQL with a standby, injects faults, and compares every table after each round. `--list` describes the faults;
 * `--only` chooses some of them by a pattern, and `--faults 0` injects each once. Rolling upgrades need `--other`, the
 * path of another build. The exit code is 1 if anything failed; then the logs are kept, and the seed repeats the round.
 * @module
 */
import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";
import { FAULTS } from "./faults.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    brokers: { type: "string", default: "3" },
    rate: { type: "string", default: "300" },
    /** Workers of each process. */
    workers: { type: "string", default: "2,1" },
    /** Faults of a round; 0: each once, in order. */
    faults: { type: "string", default: "6" },
    /** Only faults whose names match, as a regular expression. */
    only: { type: "string", default: "" },
    /** Another build of the service, for rolling upgrades. */
    other: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const faults = FAULTS.filter(({ name }) => new RegExp(values.only).test(name));
if (values.list) {
  for (const { name, does, ends, judged } of faults) {
    console.log(`${name}\n  does: ${does}\n  ends: ${ends}\n  judged: ${judged}`);
  }
  Deno.exit(0);
}
const startedMs = performance.now();
const figures = await chaos({
  seed: Number(values.seed),
  minutes: Number(values.minutes),
  brokers: Number(values.brokers),
  faults,
  count: values.faults === "0" ? null : Number(values.faults),
  rate: Number(values.rate),
  workers: values.workers.split(",").map(Number),
  otherProgram: values.other ?? null,
  say: (text) => console.log(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(5)} s  ${text}`),
});
for (const line of figures.lines()) console.log(line);
for (const failure of figures.failures) console.error(failure);
console.log(figures.json());
Deno.exit(figures.failures.length === 0 ? 0 : 1);
