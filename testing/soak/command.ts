/**
 * `deno task soak [--hours N] [--rate R] [--out FILE] [--svg FILE]`: runs the compiled binary for hours under a steady
 * load, and fails unless its memory, its handles and the tables stay flat, and the tables hold what was sent. Samples
 * are written as they come; `--report FILE` judges and draws those of an earlier run, also of one that was killed.
 * SIGINT and SIGTERM end it early.
 * @module
 */
import { parseArgs } from "node:util";
import { comparison } from "../../processor/commands/demo/figures.ts";
import { VERSION } from "../../processor/version.ts";
import { plot } from "./plot.ts";
import type { Sample } from "./sample.ts";
import { soak } from "./soak.ts";
import { findingsTable, judge } from "./verdict.ts";

/** What a run was, in the first line of its file. */
interface About {
  readonly version: string;
  readonly startedAt: string;
  /** Records/s. */
  readonly rate: number;
}

/** Fewest samples of a judgement: some in each quarter. */
const LEAST_SAMPLES = 16;

/** Judges and draws; returns whether everything stayed flat. */
async function report({ version, rate }: About, samples: readonly Sample[], svg: string): Promise<boolean> {
  if (samples.length < LEAST_SAMPLES) {
    console.error(`${samples.length} samples are too few to judge: it takes ${LEAST_SAMPLES}`);
    return false;
  }
  const last = samples.at(-1)!;
  const minutes = last.seconds / 60;
  const time = minutes < 100 ? `${minutes.toFixed(0)} minutes` : `${(minutes / 60).toFixed(1)} hours`;
  const title = `Soak: ${time} at ${rate.toLocaleString("en")} records/s, version ${version}`;
  await Deno.writeTextFile(svg, plot(samples, title));
  const findings = judge(samples);
  console.log(
    `\n${title}; ${last.consumed.toLocaleString("en")} records, ${last.commits.toLocaleString("en")} commits`,
  );
  for (const line of findingsTable(findings)) console.log(line);
  const failed = findings.filter(({ isWithin }) => !isWithin).length;
  console.log(
    failed === 0 ? `\nAll ${findings.length} figures are flat.` : `\n${failed} of ${findings.length} are not.`,
  );
  return failed === 0;
}

/** The samples of a file; the last line may be cut off. */
async function read(file: string): Promise<{ about: About; samples: Sample[] }> {
  const lines = (await Deno.readTextFile(file)).split("\n").slice(0, -1);
  const [about, ...samples] = lines.map((line) => JSON.parse(line) as unknown);
  return { about: about as About, samples: samples as Sample[] };
}

async function run(hours: number, rate: number, options: Record<"out" | "svg" | "seed" | "maintain", string>) {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stopping.abort());
  const about: About = { version: VERSION, startedAt: new Date().toISOString(), rate };
  await Deno.mkdir(options.out.replace(/[^/]*$/, "") || ".", { recursive: true });
  await Deno.writeTextFile(options.out, `${JSON.stringify(about)}\n`);
  const { samples, compared } = await soak({
    ...{ rate, seconds: hours * 3600, seed: Number(options.seed), sampleMs: 15_000, signal: stopping.signal },
    maintainMs: Number(options.maintain) * 60_000,
    say: (line) => console.log(line),
    async sampled(sample) {
      await Deno.writeTextFile(options.out, `${JSON.stringify(sample)}\n`, { append: true });
      const { seconds, sent, lag, rssMb, handles, commitMs } = sample;
      const minutes = (seconds / 60).toFixed(1).padStart(6);
      const commits = commitMs === null ? "none" : `${commitMs.mean} ms`;
      console.log(
        `${minutes} min: sent ${sent}, lag ${lag}, RSS ${rssMb.toFixed(0)} MB, ${handles} handles, ${commits}`,
      );
    },
  });
  for (const line of comparison(compared)) console.log(line);
  const agrees = compared.every(({ made, stored }) => made === stored);
  const isFlat = await report(about, samples, options.svg);
  return agrees && isFlat ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      hours: { type: "string", default: "3" },
      rate: { type: "string", default: "500" },
      seed: { type: "string", default: "1" },
      /** Minutes between runs of `maintain`. */
      maintain: { type: "string", default: "5" },
      /** File for the samples. */
      out: { type: "string", default: "dist/soak.ndjson" },
      /** File for the drawing. */
      svg: { type: "string", default: "docs/soak.svg" },
      /** File of an earlier run to report on. */
      report: { type: "string" },
    },
  });
  if (values.report !== undefined) {
    const { about, samples } = await read(values.report);
    return await report(about, samples, values.svg) ? 0 : 1;
  }
  return await run(Number(values.hours), Number(values.rate), values);
}

// Clients leave timers behind.
if (import.meta.main) Deno.exit(await main());
