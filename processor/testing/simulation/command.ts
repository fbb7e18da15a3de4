/**
 * `deno task sim [--seeds N] [--from N] [--minutes N] [--workers N]`: simulates seeds on all cores, each a world with
 * several instances and every failure between them. Ends with 1 at the first failure, with a trace of the smallest variant
 * that fails and the command that repeats it.
 *
 * `--planted` shows which seed finds each planted fault. `--seed N` repeats one world and prints what happens in it;
 * `--events`, `--instances`, `--calm-after` and `--only` make it smaller, and `--fault NAME` plants a fault.
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { PLANTED, seedThatFinds } from "./planted.ts";
import { type Failing, shrink } from "./shrink.ts";
import { type Outcome, simulate } from "./simulation.ts";
import { argumentsOf, type Variant, variantOf } from "./variant.ts";
import type { Counts } from "./world.ts";

/** Longest time to make a failing simulation smaller, in milliseconds. */
const SHRINK_MS = 60_000;

/** Seeds between two reports of a worker. */
const REPORT_EVERY = 50;

/**
 * A worker has one thread, much that lives for a moment, and errors of which nobody reads the stack.
 */
const V8_FLAGS = "--single-threaded,--min-semi-space-size=64,--max-semi-space-size=64,--stack-trace-limit=0";

/** Most seeds in which a planted fault must show. */
const PLANTED_SEEDS = 1_000;

/** What a worker process prints, a line each. */
interface Report {
  readonly seeds: number;
  readonly counts: Counts;
  /** The seed that failed; null if none did. */
  readonly failed: number | null;
}

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "0" },
    minutes: { type: "string", default: "Infinity" },
    workers: { type: "string", default: String(navigator.hardwareConcurrency) },
    planted: { type: "boolean", default: false },
    fault: { type: "string" },
    seed: { type: "string" },
    events: { type: "string", default: "Infinity" },
    instances: { type: "string", default: "Infinity" },
    "calm-after": { type: "string", default: "Infinity" },
    only: { type: "string" },
    /** Used by the task itself: simulate each so many seeds, and print reports. */
    step: { type: "string" },
  },
});

const fault = values.fault === undefined ? null : PLANTED.find(({ name }) => name === values.fault) ?? null;
if (values.fault !== undefined && fault === null) {
  console.error(`no such fault; there are: ${PLANTED.map(({ name }) => `\n  ${name}`).join("")}`);
  Deno.exit(2);
}

function run(variant: Variant, trace: string[] | null = null): Promise<Outcome> {
  return simulate(variant, fault?.parts(), trace);
}

/** Repeats one world and prints what happens. Returns the exit code. */
async function repeat(variant: Variant): Promise<number> {
  const trace: string[] = [];
  const { failure, turns } = await run(variant, trace);
  console.log(trace.join("\n"));
  console.log(failure === null ? `nothing is wrong after ${turns} turns` : `wrong after ${turns} turns: ${failure}`);
  return failure === null ? 0 : 1;
}

/** Makes a failing seed smaller and shows it. */
async function explain(seed: number): Promise<void> {
  const variant = variantOf(seed);
  const whole: Failing = { variant, outcome: await run(variant) };
  console.log(`\nseed ${seed} fails: ${whole.outcome.failure}`);
  const planted = fault === null ? "" : ` --fault '${fault.name}'`;
  console.log(`again: deno task sim --seed ${seed}${planted}`);
  if (whole.outcome.failure === null) return console.log("but not when it is repeated: something of it is not by seed");
  const { happened, turns } = whole.outcome;
  console.log(`making it smaller: ${happened.length} mishaps in ${turns} turns, for at most ${SHRINK_MS / 1000} s …`);
  const until = performance.now() + SHRINK_MS;
  const small = await shrink(whole, run, () => performance.now() > until);
  console.log(`smallest: ${small.outcome.happened.length} mishaps in ${small.outcome.turns} turns\n`);
  await repeat(small.variant);
  console.log(`again: deno task sim ${argumentsOf(small.variant)}${planted}`);
}

/** Shows which seed finds each planted fault. Returns the exit code. */
async function planted(): Promise<number> {
  let missed = 0;
  for (const each of PLANTED) {
    const { seed, others } = await seedThatFinds(each, PLANTED_SEEDS);
    if (seed === null) missed++;
    const found = seed === null ? `in none of ${PLANTED_SEEDS} seeds` : `seed ${seed}`;
    console.log(`${found.padEnd(10)} ${each.name}${seed === null ? `; what else was said: ${others.join("; ")}` : ""}`);
  }
  console.log(`${PLANTED.length - missed} of ${PLANTED.length} planted faults are found`);
  return missed === 0 ? 0 : 1;
}

/** Simulates each `step`th seed and prints reports. */
async function work(step: number): Promise<void> {
  const from = Number(values.from);
  const until = from + Number(values.seeds);
  let seeds = 0;
  let counts: Counts = {};
  for (let seed = from; seed < until; seed += step) {
    const outcome = await run(variantOf(seed));
    for (const [what, times] of Object.entries(outcome.counts)) counts[what] = (counts[what] ?? 0) + times;
    const failed = outcome.failure === null ? null : seed;
    if (++seeds < REPORT_EVERY && failed === null && seed + step < until) continue;
    const report: Report = { seeds, counts, failed };
    console.log(JSON.stringify(report));
    if (failed !== null) return;
    seeds = 0;
    counts = {};
  }
}

/** Simulates all seeds on all cores. Returns the exit code. */
async function all(): Promise<number> {
  const workers = Math.max(1, Math.min(Number(values.workers), Number(values.seeds)));
  const sinceMs = performance.now();
  const counts: Counts = {};
  let done = 0;
  const failed: number[] = [];
  const stop = new AbortController();
  const minutes = Number(values.minutes);
  const timer = minutes < Infinity ? setTimeout(() => stop.abort(), minutes * 60_000) : undefined;
  let toldMs = sinceMs;
  const take = ({ seeds, counts: more, failed: seed }: Report) => {
    done += seeds;
    for (const [what, times] of Object.entries(more)) counts[what] = (counts[what] ?? 0) + times;
    if (seed !== null) {
      failed.push(seed);
      stop.abort();
    }
    if (performance.now() - toldMs < 10_000) return;
    toldMs = performance.now();
    console.log(`${done.toLocaleString("en")} seeds in ${Math.round((toldMs - sinceMs) / 1000)} s`);
  };
  await Promise.all(Array.from({ length: workers }, (_, n) => child(n, workers, stop.signal, take)));
  clearTimeout(timer);
  const seconds = (performance.now() - sinceMs) / 1000;
  console.log(Object.entries(counts).sort(([, a], [, b]) => b - a).map(([what, n]) => `${n} ${what}`).join(", "));
  console.log(
    `${done.toLocaleString("en")} seeds from ${values.from} on in ${seconds.toFixed(0)} s: ${failed.length} failed`,
  );
  if (failed.length === 0) return 0;
  await explain(Math.min(...failed));
  return 1;
}

/** A process for each `workers`th seed; passes on what it reports, until it ends or is stopped. */
async function child(n: number, workers: number, signal: AbortSignal, take: (report: Report) => void): Promise<void> {
  const args = [
    ...["run", "-A", "--quiet", `--v8-flags=${V8_FLAGS}`, fileURLToPath(import.meta.url)],
    ...["--step", String(workers), "--from", String(Number(values.from) + n)],
    ...["--seeds", String(Number(values.seeds) - n), ...values.fault === undefined ? [] : ["--fault", values.fault]],
  ];
  const process = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const kill = () => process.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  let rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(JSON.parse(line) as Report);
  }
  signal.removeEventListener("abort", kill);
  const { success } = await process.status;
  if (!success && !signal.aborted) throw new Error(`worker ${n} has failed`);
}

if (values.step !== undefined) {
  await work(Number(values.step));
  Deno.exit(0);
}
if (values.planted) Deno.exit(await planted());
if (values.seed !== undefined) {
  const { events, instances, only } = values;
  Deno.exit(
    await repeat({
      seed: Number(values.seed),
      events: Number(events),
      instances: Number(instances),
      calmAfter: Number(values["calm-after"]),
      only: only === undefined ? null : only === "" ? [] : only.split(","),
    }),
  );
}
Deno.exit(await all());
