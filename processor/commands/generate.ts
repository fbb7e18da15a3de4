/**
 * The simulator, into Kafka or a file.
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

/** What to simulate, without its span; and how fast, and where to. */
export interface GenerateOptions extends Omit<SimulatorOptions, "fromMs" | "toMs" | "identified"> {
  /** How much time is simulated; without it until now, or, where that is when it starts, until stopped. */
  readonly seconds?: number | undefined;
  /** When the simulated time starts, epoch milliseconds; with it, no record waits for its time. */
  readonly fromMs?: number | undefined;
  /** No record waits for its time: what is simulated ends now. */
  readonly fast?: boolean | undefined;
  /** File that is written instead of a topic; nothing waits either. */
  readonly out?: string | undefined;
  /** The result is one line of JSON. */
  readonly json?: boolean | undefined;
  /** Ends it early; what has been made is sent. */
  readonly signal?: AbortSignal | undefined;
}

/** A topic keeps records for this long unless told otherwise, by the time that they carry. */
const RETENTION_MS = 7 * 86_400_000;

/** Shortest wait for a record's time, so that not each one needs a timer. */
const TICK_MS = 20;

/** Longest wait, after which the clock is looked at again: it may have been set. */
const MOST_MS = 60_000;

/**
 * Makes records and sends them, then says how many of each kind; returns the exit code.
 *
 * @throws {WrongUse} naming an option that can't be, its value and what is allowed
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
      output.writeError("Kafka may drop what is older than 7 days: see the topic's retention.ms\n");
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
  throw new WrongUse("seconds is missing: without waiting there would be no end; set --seconds or --from");
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

/** Records when their time has come. */
async function* inTime(simulator: Simulator, signal: AbortSignal): AsyncGenerator<SimulatedRecord, void, void> {
  for (const record of simulator) {
    while (record.timestampMs > Date.now() && !signal.aborted) {
      const waitMs = Math.min(MOST_MS, Math.max(TICK_MS, record.timestampMs - Date.now()));
      await setTimeout(waitMs, undefined, { signal }).catch(() => {});
    }
    // It has been counted, so it is sent, even a moment too early.
    yield record;
    if (signal.aborted) return;
  }
}

async function write(path: string, records: Iterable<SimulatedRecord>): Promise<void> {
  let file: Deno.FsFile;
  try {
    file = await Deno.create(path);
  } catch (error) {
    throw new Error(`can't write ${path}: ${error instanceof Error ? error.message : error}; choose another file`);
  }
  await ReadableStream.from(writeLines(records)).pipeTo(file.writable);
}

/** The counts for people. */
function countsTable(counts: Counts): string[] {
  const { records, events, late, duplicates, refusals, eventTypes, revenueCents, users } = counts;
  const bad = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  const rows = [
    ["records", withCommas(records)],
    ["  events", withCommas(events)],
    ...Object.entries(eventTypes).map(([type, count]) => [`    ${type}`, withCommas(count)]),
    ["  duplicates", withCommas(duplicates)],
    ["  bad", withCommas(bad)],
    ...Object.entries(refusals).map(([reason, count]) => [`    ${reason}`, withCommas(count)]),
    ["late events", withCommas(late)],
    ["users", withCommas(users)],
    ["revenue", (revenueCents / 100).toLocaleString("en", { minimumFractionDigits: 2 })],
  ];
  return table(null, rows);
}

/** Options as JSON has them: null for no end. */
function shown({ fromMs, toMs, ...others }: CompleteOptions): Record<string, unknown> {
  return {
    from: new Date(fromMs).toISOString(),
    to: toMs === Infinity ? null : new Date(toMs).toISOString(),
    ...others,
  };
}

function summary({ seed }: CompleteOptions, { records }: Counts, seconds: number): string {
  const rate = withCommas(Math.round(records / seconds));
  return `${withCommas(records)} records in ${seconds.toFixed(1)} s, ${rate} a second, of seed ${seed}`;
}
