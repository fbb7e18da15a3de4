/**
 * `deno task overload [--case NAME] [--minutes N] [--scale S] [--memory MB]`: gives the compiled binary more than it can
 * take, with a real Kafka and a real PostgreSQL, and prints its peak memory for each case. Fails if it leaves its memory,
 * lets a small partition wait, is not live again, or if the tables do not hold what was sent.
 * @module
 */
import { parseArgs } from "node:util";
import { table, withCommas } from "../../processor/status/text.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres } from "../servers/postgres.ts";
import { CASES } from "./cases.ts";
import { ceilingMb, overload, type Overloaded } from "./overload.ts";

function resultsTable(runs: readonly Overloaded[]): string[] {
  return table(
    [
      "case",
      "MEMORY_MB",
      "records",
      "records/s",
      "peak RSS, MB",
      "ceiling, MB",
      "wait, s",
      "recovered, s",
      "p99, ms",
      "",
    ],
    runs.map((
      { case: name, memoryMb, records, perSecond, peakMb, waitSeconds, recoverSeconds, live, faults, delays },
    ) => [
      ...[name, String(memoryMb), withCommas(records), withCommas(perSecond), peakMb.toFixed(0)],
      ...[ceilingMb(memoryMb).toFixed(0), waitSeconds?.toFixed(1) ?? "–", recoverSeconds.toFixed(1)],
      ...[live.p99.toFixed(0), faults.length + delays.length === 0 ? "✓" : "✗"],
    ]),
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      case: { type: "string", multiple: true, default: Object.keys(CASES) },
      /** Length of the flood. */
      minutes: { type: "string", default: "10" },
      /** Share of the records. */
      scale: { type: "string", default: "1" },
      memory: { type: "string", multiple: true, default: ["300", "512"] },
      /** Seconds of the live load after each case. */
      live: { type: "string", default: "20" },
    },
  });
  const unknown = values.case.find((name) => !Object.hasOwn(CASES, name));
  if (unknown !== undefined) {
    console.error(`--case ${unknown}: there are ${Object.keys(CASES).join(", ")}`);
    return 1;
  }
  const runs: Overloaded[] = [];
  for (const name of values.case) {
    // New servers for each case: together, the topics would fill the disk.
    await using broker = await startKafka({ heapMiB: 512 });
    await using server = await startPostgres();
    runs.push(
      ...await overload({
        ...{ broker, server, name, of: CASES[name]!, scale: Number(values.scale), minutes: Number(values.minutes) },
        memoryMb: values.memory.map(Number),
        liveSeconds: Number(values.live),
        say: (line) => console.log(line),
      }),
    );
  }
  console.log(`\n${resultsTable(runs).join("\n")}`);
  for (const { case: name, memoryMb, faults, delays } of runs) {
    for (const fault of [...faults, ...delays]) console.error(`${name}, MEMORY_MB=${memoryMb}: ${fault}`);
  }
  return runs.every(({ faults, delays }) => faults.length + delays.length === 0) ? 0 : 1;
}

// Clients leave timers behind.
if (import.meta.main) Deno.exit(await main());
