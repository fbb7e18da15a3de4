/**
 * Sends a file of events to Kafka.
 * @module
 */
import { type KafkaSettings, produce } from "../kafka/producer.ts";
import { type Line, readLines, type Skipped } from "../../generator/ndjson.ts";
import { type Reason, REASONS } from "../event.ts";
import type { Refusal } from "../refusal.ts";
import { jsonLine, visible } from "../config/visible.ts";
import { withCommas } from "../status/text.ts";
import { EXIT } from "./cli/exit.ts";
import { judge } from "./judge.ts";
import { type Output, Progress } from "./cli/progress.ts";

/** What to send. */
export interface ProduceOptions {
  /** A file with one JSON object per line; `-` is standard input. */
  readonly file: string;
  /** Retention of events in days: the service refuses older ones. */
  readonly keepDays: number;
  /** Only reports what would be refused; sends nothing. */
  readonly check?: boolean | undefined;
  /** Prints the result as one line of JSON. */
  readonly json?: boolean | undefined;
}

/** Number of refused lines that are listed; the others are only counted. */
const NAMED_LINES = 10;

/** A line that the service would refuse. */
interface RefusedLine extends Pick<Refusal, "reason" | "field" | "detail"> {
  readonly line: number;
}

/** Counts of a file's lines. */
class Findings {
  lines = 0;
  refused = 0;
  readonly skipped: Skipped = { emptyLines: 0, byteOrderMarks: 0 };
  /** The first refused lines. */
  readonly named: RefusedLine[] = [];
  readonly #reasons = new Map<Reason, number>();

  /** Counts a line; returns its refusal if it should be listed. */
  add({ number }: Line, refusal: Refusal | null): RefusedLine | null {
    this.lines++;
    if (refusal === null) return null;
    const { reason, field, detail } = refusal;
    this.refused++;
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    if (this.named.length >= NAMED_LINES) return null;
    const named = { line: number, reason, field, detail };
    this.named.push(named);
    return named;
  }

  /** Number of refused lines by reason, without reasons that did not occur. */
  get reasons(): [Reason, number][] {
    return REASONS.flatMap((reason) => {
      const count = this.#reasons.get(reason);
      return count === undefined ? [] : [[reason, count] as [Reason, number]];
    });
  }
}

/**
 * Sends each line of a file as it is, and reports which lines the service will refuse, and why; returns the exit code:
 * 1 if it will refuse any.
 */
export async function produceFile(
  { file, keepDays, check = false, json = false }: ProduceOptions,
  settings: KafkaSettings,
  output: Output,
): Promise<number> {
  const progress = new Progress(output);
  const findings = new Findings();
  const refusalOf = judge(keepDays);
  const stream = await open(file);
  async function* judged(): AsyncGenerator<Line, void, void> {
    for await (const line of readLines(stream, findings.skipped)) {
      const named = findings.add(line, refusalOf(line.value));
      if (named !== null && !json) output.print(inWords(named));
      yield line;
    }
  }
  const reached = {
    ...settings,
    warn: (message: string) =>
      output.writeError(`${message}
`),
  };
  const work = check ? countOf(judged(), progress) : produce(judged(), reached, (count) => progress.at(count));
  const { sent, created } = await work.finally(() => stream.locked ? undefined : stream.cancel());
  if (created) output.writeError(`created topic ${settings.topic} with ${settings.partitions} partitions\n`);
  const { lines, refused, skipped, named } = findings;
  if (json) {
    const reasons = Object.fromEntries(findings.reasons);
    output.print(jsonLine({ lines, sent, refused, reasons, ...skipped, first: named }));
  } else {
    const name = file === "-" ? "standard input" : file;
    if (refused > named.length) output.print(`… and ${withCommas(refused - named.length)} more`);
    output.print(
      check
        ? `checked ${counted(lines, "line")} of ${name}; nothing was sent`
        : `sent ${counted(sent, "line")} of ${name} to topic ${settings.topic}`,
    );
    for (const line of summaryOf(findings)) output.print(line);
  }
  return refused === 0 ? EXIT.done : EXIT.failed;
}

function inWords({ line, reason, detail }: RefusedLine): string {
  return `line ${withCommas(line)}: ${reason}: ${visible(detail)}`;
}

/** Reads all lines without sending them. */
async function countOf(lines: AsyncIterable<Line>, progress: Progress): Promise<{ sent: 0; created: false }> {
  let read = 0;
  for await (const _ of lines) progress.at(++read);
  return { sent: 0, created: false };
}

/** Summary of refused and skipped lines, one text each. */
function summaryOf({ lines, refused, reasons, skipped: { emptyLines, byteOrderMarks } }: Findings): string[] {
  const skipped = [
    ...emptyLines > 0 ? [counted(emptyLines, "empty line")] : [],
    ...byteOrderMarks > 0 ? [counted(byteOrderMarks, "byte-order mark")] : [],
  ];
  const byReason = reasons.map(([reason, count]) => `${withCommas(count)} ${reason}`).join(", ");
  return [
    ...refused > 0
      ? [
        `${withCommas(refused)} of ${counted(lines, "line")} will be refused: ${byReason}`,
      ]
      : [],
    ...skipped.length > 0 ? [`skipped ${skipped.join(" and ")} (not part of any event)`] : [],
  ];
}

function counted(count: number, what: string): string {
  return `${withCommas(count)} ${what}${count === 1 ? "" : "s"}`;
}

async function open(file: string): Promise<ReadableStream<Uint8Array>> {
  if (file === "-") return Deno.stdin.readable;
  try {
    return (await Deno.open(file)).readable;
  } catch (error) {
    throw new Error(
      `cannot read ${file}: ${error instanceof Error ? error.message : error}; pass a file, or - for standard input`,
    );
  }
}
