/**
 * Sends the simulator's records to Kafka, or writes them to a file.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { type KafkaSettings, produce } from "../kafka/producer.ts";
import { writeLines } from "../../generator/ndjson.ts";
import type { CompleteOptions, SimulatorOptions } from "../../generator/options.ts";
import { Simulator } from "../../generator/simulator.ts";
import type { SimulatedRecord } from "../../generator/records.ts";
import type { Counts } from "../../generator/records.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { type Output, Progress } from "./cli/progress.ts";
import { table, withCommas } from "../status/text.ts";

/** What to simulate, for how long, and where to write it. */
export interface GenerateOptions extends Omit<SimulatorOptions, "fromMs" | "toMs" | "identified"> {
  /** Simulated time in seconds; without it, until now after `fromMs`, otherwise until stopped. */
  readonly seconds?: number | undefined;
  /** Start of the simulated time, epoch milliseconds; with it, records are sent at once. */
  readonly fromMs?: number | undefined;
  /** Sends at once; the simulated time ends now. */
  readonly fast?: boolean | undefined;
  /** File to write instead of a topic, at once. */
  readonly out?: string | undefined;
  /** Prints the counts as one line of JSON. */
  readonly json?: boolean | undefined;
  /** Ends it early; records that were generated are still sent. */
  readonly signal?: AbortSignal | undefined;
}

/** Kafka's default retention by record timestamp, in milliseconds. */
const RETENTION_MS = 7 * 86_400_000;

/** Shortest wait for a record's time, in milliseconds, so that not every record needs a timer. */
const TICK_MS = 20;

/** Longest wait, in milliseconds, before the clock is read again: it may have been set. */
const MOST_MS = 60_000;

/**
 * Generates records and sends them, then prints how many of each kind; returns the exit code.
 *
 * @throws {WrongUse} naming the invalid option, its value and what is allowed
 */
export async function generate(options: GenerateOptions, settings: KafkaSettings, output: Output): Promise<number> {
  const { out, signal = new AbortController().signal } = options;
  const nowMs = Date.now();
  const live = options.fromMs === undefined && options.fast !== true && out === undefined;
  const simulator = open(options, spanOf(options, live, nowMs));
  const progress = new Progress(output);
  if (out !== undefined) await write(out, untilStopped(simulator, signal, progress));
  else {
    if (simulator.options.fromMs < nowMs - RETENTION_MS) {
      output.writeError("Kafka may delete records older than 7 days at once: check the topic's retention.ms\n");
    }
    const records = live ? inTime(simulator, signal) : untilStopped(simulator, signal);
    const warn = (message: string) => output.writeError(`${message}\n`);
    const { created } = await produce(records, { ...settings, warn }, (sent) => progress.at(sent));
    if (created) output.writeError(`created topic ${settings.topic} with ${settings.partitions} partitions\n`);
  }
  const counts = simulator.counts;
  if (options.json === true) output.print(JSON.stringify({ ...counts, options: shown(simulator.options) }));
  else for (const line of countsTable(counts)) output.print(line);
  output.writeError(`${out ?? `topic ${settings.topic}`}: ${summary(simulator.options, counts, progress.seconds)}\n`);
  return EXIT.done;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

function spanOf({ fromMs, seconds }: GenerateOptions, live: boolean, nowMs: number): Span {
  const spanMs = seconds === undefined ? undefined : Math.round(seconds * 1000);
  if (live) return { fromMs: nowMs, toMs: nowMs + (spanMs ?? Infinity) };
  if (fromMs !== undefined) return { fromMs, toMs: spanMs === undefined ? nowMs : fromMs + spanMs };
  if (spanMs !== undefined) return { fromMs: nowMs - spanMs, toMs: nowMs };
  throw new WrongUse("--fast and --out need an end: set --seconds or --from");
}

function open(options: GenerateOptions, span: Span): Simulator {
  try {
    return new Simulator({ ...options, ...span });
  } catch (error) {
    throw error instanceof RangeError ? new WrongUse(error.message) : error;
  }
}

function* untilStopped(
  simulator: Simulator,
  signal: AbortSignal,
  progress?: Progress,
): Generator<SimulatedRecord, void, void> {
  let count = 0;
  for (const record of simulator) {
    yield record;
    progress?.at(++count);
    if (signal.aborted) return;
  }
}

/** Yields each record at its time. */
async function* inTime(simulator: Simulator, signal: AbortSignal): AsyncGenerator<SimulatedRecord, void, void> {
  for (const record of simulator) {
    while (record.timestampMs > Date.now() && !signal.aborted) {
      const waitMs = Math.min(MOST_MS, Math.max(TICK_MS, record.timestampMs - Date.now()));
      await setTimeout(waitMs, undefined, { signal }).catch(() => {});
    }
    // The record was counted, so it must be sent, even before its time.
    yield record;
    if (signal.aborted) return;
  }
}

async function write(path: string, records: Iterable<SimulatedRecord>): Promise<void> {
  let file: Deno.FsFile;
  try {
    file = await Deno.create(path);
  } catch (error) {
    throw new Error(`cannot write ${path}: ${error instanceof Error ? error.message : error}; choose another file`);
  }
  await ReadableStream.from(writeLines(records)).pipeTo(file.writable);
}

/** The counts as a table. */
function countsTable(counts: Counts): string[] {
  const { records, events, late, duplicates, refusals, eventTypes, revenueCents, users } = counts;
  const bad = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  const rows = [
    ["records", withCommas(records)],
    ["  events", withCommas(events)],
    ...Object.entries(eventTypes).map(([type, count]) => [`    ${type}`, withCommas(count)]),
    ["  duplicates", withCommas(duplicates)],
    ["  refused", withCommas(bad)],
    ...Object.entries(refusals).map(([reason, count]) => [`    ${reason}`, withCommas(count)]),
    ["late events", withCommas(late)],
    ["users", withCommas(users)],
    ["revenue", (revenueCents / 100).toLocaleString("en", { minimumFractionDigits: 2 })],
  ];
  return table(null, rows);
}

/** Options for JSON; the end is null if there is none. */
function shown({ fromMs, toMs, ...others }: CompleteOptions): Record<string, unknown> {
  return {
    from: new Date(fromMs).toISOString(),
    to: toMs === Infinity ? null : new Date(toMs).toISOString(),
    ...others,
  };
}

function summary({ seed }: CompleteOptions, { records }: Counts, seconds: number): string {
  const rate = withCommas(Math.round(records / seconds));
  return `${withCommas(records)} records in ${seconds.toFixed(1)} s, ${rate} records/s, seed ${seed}`;
}
