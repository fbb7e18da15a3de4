/**
 * The simulated shop, into Kafka or a file.
 * @module
 */
import { type KafkaSettings, produce } from "../kafka/producer.ts";
import { writeLines } from "../../generator/ndjson.ts";
import type { CompleteOptions } from "../../generator/options.ts";
import { Simulator } from "../../generator/simulator.ts";
import type { SimulatedRecord } from "../../generator/records.ts";
import type { Counts } from "../../generator/records.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import { type Output, Progress, withCommas } from "./cli/progress.ts";

/** What to make, and how fast. */
export interface GenerateOptions {
  /** Records a second, on average. */
  readonly rate: number;
  /** How much time is simulated; without it until now, or, where that is when it starts, until stopped. */
  readonly seconds?: number | undefined;
  readonly seed: number;
  /** How many shoppers there are; as many as suit the rate if left out. */
  readonly users?: number | undefined;
  /** Share of records that can't be events. */
  readonly bad: number;
  /** Share of records that repeat an event. */
  readonly duplicates: number;
  /** Share of events that are sent late. */
  readonly late: number;
  /** How many times faster than people shoppers think; what suits the time if left out. */
  readonly pace?: number | undefined;
  /** For how many days events are kept: what is made to be expired is older. */
  readonly keepDays?: number | undefined;
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

/**
 * Makes records and sends them, then says how many of each kind; returns the exit code.
 *
 * @throws {WrongUse} naming an option that can't be, its value and what is allowed
 */
export async function generate(options: GenerateOptions, settings: KafkaSettings, output: Output): Promise<number> {
  const { out, signal = new AbortController().signal } = options;
  const nowMs = Date.now();
  const live = options.fromMs === undefined && options.fast !== true && out === undefined;
  const shop = open(options, spanOf(options, live, nowMs));
  const progress = new Progress(output);
  if (out !== undefined) await write(out, untilStopped(shop, signal, progress));
  else {
    if (shop.options.fromMs < nowMs - RETENTION_MS) {
      output.writeError("Kafka may drop what is older than 7 days: see the topic's retention.ms\n");
    }
    const records = live ? inTime(shop, signal) : untilStopped(shop, signal);
    const warn = (message: string) => output.writeError(`${message}\n`);
    const { created } = await produce(records, { ...settings, warn }, (sent) => progress.at(sent));
    if (created) output.writeError(`created topic ${settings.topic} with ${settings.partitions} partitions\n`);
  }
  const counts = shop.counts;
  if (options.json === true) output.print(JSON.stringify({ ...counts, options: shown(shop.options) }));
  else for (const line of table(counts)) output.print(line);
  output.writeError(`${out ?? `topic ${settings.topic}`}: ${summary(shop.options, counts, progress.seconds)}\n`);
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
  const { seed, rate, users, bad, duplicates, late, pace, keepDays } = options;
  try {
    return new Simulator({ ...span, seed, rate, users, bad, duplicates, late, pace, keepDays });
  } catch (error) {
    throw error instanceof RangeError ? new WrongUse(error.message) : error;
  }
}

function* untilStopped(
  shop: Simulator,
  signal: AbortSignal,
  progress?: Progress,
): Generator<SimulatedRecord, void, void> {
  let count = 0;
  for (const record of shop) {
    yield record;
    progress?.at(++count);
    if (signal.aborted) return;
  }
}

/** Records when their time has come. */
async function* inTime(shop: Simulator, signal: AbortSignal): AsyncGenerator<SimulatedRecord, void, void> {
  for (const record of shop) {
    while (record.timestampMs > Date.now() && !signal.aborted) {
      await pause(Math.max(TICK_MS, record.timestampMs - Date.now()), signal);
    }
    // It has been counted, so it is sent, be it a moment too early.
    yield record;
    if (signal.aborted) return;
  }
}

/** Resolves after a time, or as soon as the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, Math.min(ms, 60_000));
    signal.addEventListener("abort", over);
  });
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
function table(counts: Counts): string[] {
  const { records, events, late, duplicates, refusals, eventTypes, revenueCents, users } = counts;
  const bad = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  const rows: [string, string | number][] = [
    ["records", records],
    ["  events", events],
    ...Object.entries(eventTypes).map(([type, count]): [string, number] => [`    ${type}`, count]),
    ["  duplicates", duplicates],
    ["  bad", bad],
    ...Object.entries(refusals).map(([reason, count]): [string, number] => [`    ${reason}`, count]),
    ["late events", late],
    ["users", users],
    ["revenue", (revenueCents / 100).toLocaleString("en", { minimumFractionDigits: 2 })],
  ];
  const shownRows = rows.map(([what, count]) => [what, typeof count === "number" ? withCommas(count) : count] as const);
  const left = Math.max(...shownRows.map(([what]) => what.length));
  const right = Math.max(...shownRows.map(([, count]) => count.length));
  return shownRows.map(([what, count]) => `${what.padEnd(left)}  ${count.padStart(right)}`);
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
