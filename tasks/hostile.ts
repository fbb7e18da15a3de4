/**
 * `deno task hostile [--cases N] [--seed N] [--target NAME] [--workers N]`: feeds every parser and outlet with hostile
 * input on all cores, and prints the shrunk case that breaks a promise, if there is one. Without `--target` each target
 * gets its share of the cases.
 * @module
 */
import { parseArgs } from "node:util";
import { hunt } from "../processor/testing/hostile/hunt.ts";
import { SHARES } from "../processor/testing/hostile/mod.ts";

/** A part of the cases of a target. */
interface Job {
  readonly target: string;
  readonly cases: number;
  readonly seed: number;
  /** When it is its turn, from 0 to 1. */
  readonly turn: number;
}

/** What a worker says: how far it is, or how its job ended. */
interface Said {
  readonly done: number;
  readonly ended?: {
    readonly outcomes: ReadonlyMap<string, number>;
    readonly found: { readonly at: number; readonly input: string; readonly error: string } | null;
  };
}

/** A target that makes no progress for this long hangs, in milliseconds. */
const PATIENCE_MS = 60_000;
const SAY_EVERY_MS = 10_000;
/** Cases of a job: so few that the cores end at about the same time. */
const JOB_CASES = 10_000;

/** What became of a target's cases. */
interface Total {
  cases: number;
  ms: number;
  readonly outcomes: Map<string, number>;
}

function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: "string", default: "10000000" },
      seed: { type: "string", default: "1" },
      target: { type: "string" },
      workers: { type: "string", default: String(navigator.hardwareConcurrency) },
    },
  });
  const names = SHARES.map(({ target }) => target.name);
  if (values.target !== undefined && !names.includes(values.target)) {
    console.error(`--target is one of ${names.join(", ")}`);
    return Promise.resolve(2);
  }
  const shares = values.target === undefined ? SHARES : [{ ...SHARES[names.indexOf(values.target)]!, share: 1 }];
  const jobs = shares.flatMap(({ target, share }) => jobsOf(target.name, Number(values.cases) * share, +values.seed));
  // In turns, so that a run that is stopped has fed every target.
  return run(jobs.sort((a, b) => a.turn - b.turn), Number(values.workers));
}

function jobsOf(target: string, cases: number, seed: number): Job[] {
  const count = Math.ceil(cases / JOB_CASES);
  return Array.from({ length: count }, (_, n) => {
    return { target, cases: Math.round(cases / count), seed: seed * 1000 + n, turn: n / count };
  });
}

async function run(jobs: readonly Job[], workers: number): Promise<number> {
  const left = [...jobs];
  const totals = new Map<string, Total>();
  const startMs = performance.now();
  const all = jobs.reduce((sum, { cases }) => sum + cases, 0);
  const under = new Map<number, number>();
  let [failed, peak] = [false, 0];
  const timer = setInterval(() => {
    const done = sum([...totals.values()].map(({ cases }) => cases)) + sum([...under.values()]);
    console.error(`${done.toLocaleString("en")} of ${all.toLocaleString("en")} cases, ${seconds(startMs)} s`);
  }, SAY_EVERY_MS);
  // No more jobs are begun, and what was done is printed.
  Deno.addSignalListener("SIGINT", () => left.length = 0);
  const memory = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 250);
  await Promise.all(Array.from({ length: workers }, async (_, n) => {
    for (let job = left.shift(); job !== undefined && !failed; job = left.shift()) {
      const sinceMs = performance.now();
      const said = await work(job, (done) => under.set(n, done));
      under.delete(n);
      const total = totals.get(job.target) ?? { cases: 0, ms: 0, outcomes: new Map<string, number>() };
      totals.set(job.target, { ...total, cases: total.cases + said.done, ms: total.ms + performance.now() - sinceMs });
      for (const [name, count] of said.ended?.outcomes ?? []) {
        total.outcomes.set(name, (total.outcomes.get(name) ?? 0) + count);
      }
      if (said.ended?.found === null) continue;
      failed = true;
      report(job, said);
    }
  }));
  clearInterval(timer);
  clearInterval(memory);
  for (const [name, { cases, ms, outcomes }] of totals) {
    const each = `${(ms / cases * 1000).toFixed(0)} µs each`;
    const most = [...outcomes].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([what, count]) => `${count} ${what}`);
    console.log(`${name}: ${cases.toLocaleString("en")} cases, ${each}: ${most.join(", ")}`);
  }
  const cases = sum([...totals.values()].map(({ cases }) => cases)).toLocaleString("en");
  console.log(
    `${cases} cases in ${seconds(startMs)} s, peak RSS ${Math.round(peak / 1e6)} MB; ${failed ? 1 : 0} failed`,
  );
  return failed ? 1 : 0;
}

/** Runs a job in a worker of its own; resolves with its last words. */
function work(job: Job, progress: (done: number) => void): Promise<Said> {
  const worker = new Worker(import.meta.url, { type: "module" });
  let last: Said = { done: 0 };
  const { promise, resolve } = Promise.withResolvers<Said>();
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => resolve(last), PATIENCE_MS);
  };
  worker.onmessage = ({ data }: MessageEvent<Said>) => {
    last = data;
    wait();
    progress(data.done);
    if (data.ended !== undefined) resolve(data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const found = { at: last.done, input: "", error: `the worker has ended: ${event.message}` };
    resolve({ ...last, ended: { outcomes: new Map(), found } });
  };
  wait();
  worker.postMessage(job);
  return promise.finally(() => {
    clearTimeout(timer);
    worker.terminate();
  });
}

function report({ target, seed }: Job, { done, ended }: Said): void {
  const found = ended?.found;
  if (found === undefined || found === null) {
    console.error(`${target}: no progress for ${PATIENCE_MS / 1000} s after case ${done} of seed ${seed}: it hangs`);
  } else {
    console.error(`${target}: case ${found.at} of seed ${seed} breaks its promise: ${found.error}`);
    console.error(`the shrunk case, in base 64: ${found.input}`);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function seconds(sinceMs: number): string {
  return Math.round((performance.now() - sinceMs) / 1000).toLocaleString("en");
}

/** In a worker: does the job that it is sent. */
function serve(): void {
  const scope = self as unknown as {
    onmessage: (event: MessageEvent<Job>) => void;
    postMessage(said: Said): void;
  };
  scope.onmessage = async ({ data: { target: name, cases, seed } }) => {
    const { target } = SHARES.find(({ target }) => target.name === name)!;
    const progress = (done: number) => scope.postMessage({ done });
    const { cases: done, outcomes, found } = await hunt(target, { cases, seed, progress });
    const told = found === null
      ? null
      : { at: found.at, input: found.input.toBase64(), error: found.error.stack ?? String(found.error) };
    scope.postMessage({ done, ended: { outcomes, found: told } });
  };
}

if (typeof WorkerGlobalScope === "function") serve();
else if (import.meta.main) Deno.exit(await main());
