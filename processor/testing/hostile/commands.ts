/**
 * Hostile arguments of the command line, files that users hand over, and answers that `status` gets.
 * @module
 */
import assert from "node:assert/strict";
import { type Command, CommanderError } from "commander";
import { CONFIG_FILE, WrongSettings } from "../../config/sources.ts";
import { visible, visibleLines } from "../../config/visible.ts";
import { judge } from "../../commands/judge.ts";
import { program } from "../../commands/program.ts";
import { reportText } from "../../commands/status.ts";
import { MAX_EVENT_BYTES } from "../../event.ts";
import { Activity } from "../../status/activity.ts";
import { History } from "../../status/history.ts";
import { statusReport } from "../../status/report.ts";
import { MAX_LINE_BYTES, readLines } from "../../../generator/ndjson.ts";
import type { Random } from "../../../generator/random.ts";
import { message } from "../scan_inputs.ts";
import { mutated, TOKENS } from "./mutate.ts";
import { bytesOf, concat, type Opened, split, type Target, textOf } from "./target.ts";

const COMMAND_LINES = [
  ...["run", "demo --rate 100 --seconds 5 --seed 1 --port 0 --data /tmp/x", "generate --rate 10 --seconds 5 --json"],
  ...["generate --fast --from 2026-11-20T00:00:00Z --out x.ndjson --users 5 --bad 0.1 --duplicates 0.1 --late 0.1"],
  ...["produce --check --json -", "produce events.ndjson", "migrate --check", "flink", "maintain", "doctor --json"],
  ...["forget u-17 --yes", "rebuild --from 2026-11-20T00:00:00Z --yes", "adopt-topic --yes", "gaps list --json"],
  ...[
    "gaps acknowledge 1 2 3",
    "status --once --json",
    "refusals show 7 --json",
    "refusals replay 17 18 --if-accepted",
  ],
  ...[
    "refusals list --reason bad_value --field price --partition 3 --from 2026-11-20T00:00:00Z --limit 5 --open --json",
  ],
  ...["config check", "config show --json", "completions bash", "manual", "version --json"],
  ...["--config x.env run", "--version", "--help", "help run", "run --help", "rum", "gaps", ""],
].map((line) => line.split(" ").filter((arg) => arg !== ""));

/** Arguments, between NULs, to a command. */
export const commandLines: Target = {
  name: "arguments",
  about: "arguments are a command with checked options, or an error of use in visible text; never an exception",
  open: (): Opened => ({ draw: drawArguments, check: checkArguments }),
};

async function checkArguments(input: Uint8Array): Promise<string> {
  const args = split(input, 0).map(textOf).filter((arg) => arg !== "");
  let printed = "";
  let ran = "";
  const whole = program(() => {});
  // The commands' own work is not done: only what they are given counts.
  const each = (command: Command) => {
    command.configureOutput({ writeOut: (text) => void (printed += text), writeErr: (text) => void (printed += text) });
    if (command.commands.length === 0) command.action((...given: unknown[]) => void (ran = checkGiven(command, given)));
    command.commands.forEach(each);
  };
  each(whole);
  try {
    await whole.parseAsync(args, { from: "user" });
  } catch (error) {
    // A file of settings is read before a command.
    if (error instanceof WrongSettings) return "wrong settings";
    if (!(error instanceof CommanderError)) throw error;
    const length = args.reduce((sum, arg) => sum + arg.length, 0);
    assert.ok(printed.length <= 20_000 + 4 * length, `${printed.length} characters printed`);
    assert.ok(!/\n +at /.test(visibleLines(printed)), printed);
    return error.exitCode === 0 ? "help" : "refused";
  } finally {
    // `--config` sets it.
    Deno.env.delete(CONFIG_FILE);
  }
  return ran === "" ? "nothing" : ran;
}

/** Checks that numbers are numbers in words' bounds; returns the command's name. */
function checkGiven(command: Command, given: readonly unknown[]): string {
  for (const [name, value] of Object.entries(command.opts() as Record<string, unknown>)) {
    assert.ok(["string", "number", "boolean"].includes(typeof value), `${name} is ${value}`);
    assert.ok(typeof value !== "number" || Number.isFinite(value), `${name} is ${value}`);
  }
  assert.ok(given.length >= 2);
  return command.name();
}

function drawArguments(random: Random): Uint8Array {
  const args = [...random.pick(COMMAND_LINES)];
  const strange = () => random.chance(0.5) ? random.pick(TOKENS) : random.pick(random.pick(COMMAND_LINES)) ?? "";
  for (let left = random.below(4); left > 0; left--) {
    const at = random.below(args.length + 1);
    if (random.chance(0.5)) args.splice(at, 0, strange());
    else if (at < args.length) args[at] = strange();
  }
  const bytes = bytesOf(args.join("\0"));
  return random.chance(0.3) ? mutated(random, bytes, 2) : bytes;
}

const KEEP_DAYS = 30;

/** Sizes of pieces by the first byte of a case. Small ones are slow, and rare. */
const SIZES: readonly number[] = [1, 3, 7, 64, 64, 64, 300, 300, 300, 300, 1000, 1000, 1000, 1000, 1000, 1000];

/** A file's bytes, after one for the size of the pieces that it comes in, to judged lines. */
export const files: Target = {
  name: "files",
  about: "every byte of a file belongs to a line, a line end or a mark; every line is judged; never an exception",
  open: (): Opened => ({ draw: drawFile, check: checkFile }),
};

async function checkFile(input: Uint8Array): Promise<string> {
  const bytes = input.slice(1);
  const size = SIZES[input[0] ?? 0] ?? 65_536;
  const pieces = Array.from(
    { length: Math.ceil(bytes.length / size) },
    (_, n) => bytes.slice(n * size, (n + 1) * size),
  );
  const skipped = { emptyLines: 0, byteOrderMarks: 0 };
  const refusalOf = judge(KEEP_DAYS);
  let [read, lines, refused] = [0, 0, 0];
  try {
    for await (const { number, value } of readLines(ReadableStream.from(pieces), skipped)) {
      lines++;
      read += value.length;
      assert.equal(number, lines + skipped.emptyLines, "lines are numbered");
      const refusal = refusalOf(value);
      if (refusal === null) continue;
      refused++;
      assert.ok(refusal.payload.length <= MAX_EVENT_BYTES && refusal.detail.length < 600);
    }
  } catch (error) {
    assert.ok(error instanceof Error && error.constructor === Error, `another error: ${error}`);
    assert.match(error.message, /^(line \d+ is longer than|the file is UTF-16)/);
    return "unreadable";
  }
  const ends = split(bytes, 10);
  const returns = ends.filter((line) => line.at(-1) === 13).length;
  const marked = skipped.byteOrderMarks * 3;
  assert.equal(read + ends.length - 1 + returns + marked, bytes.length, "bytes that belong to nothing");
  assert.ok(bytes.length < MAX_LINE_BYTES || lines > 0);
  return lines === 0 ? "no line" : refused === 0 ? "all taken" : refused === lines ? "all refused" : "some refused";
}

function drawFile(random: Random): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(random.below(2 * SIZES.length))];
  const ends = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\n\ufeff", ""];
  if (random.chance(0.1)) parts.push(bytesOf(random.pick(["\ufeff", "\ufeff\ufeff", "\r", "\n"])));
  for (let left = random.below(8); left > 0; left--) {
    parts.push(message(random, Date.UTC(2026, 10, 24)), bytesOf(random.pick(ends)));
  }
  if (random.chance(0.001)) parts.push(new Uint8Array(MAX_LINE_BYTES - 5 + random.below(10)).fill(97));
  const all = concat(parts);
  return random.chance(0.4) ? concat([all.subarray(0, 1), mutated(random, all.subarray(1), 4)]) : all;
}

/** The bytes that answer at `HTTP_LISTEN` to what `status` prints. */
export const reports: Target = {
  name: "reports",
  about: "`status` prints any answer as visible text or as JSON, or says that another program answers",
  open: openReports,
};

function openReports(): Opened {
  const activity = new Activity(() => 0);
  const at = (next: number) => ({ next, leaderEpoch: null, replay: 0, watermark: 0, topicId: null });
  const cause = { kind: "database_unavailable" as const, message: "gone\x1b[2J" };
  activity.take({ kind: "started", partitions: new Map([[0, at(12_000)], [3, at(345)]]), cause });
  const about = { version: "1.2.3", instance: "here/1", topic: "clicks", startedAt: 0, settings: { WORKERS: "1" } };
  const moment = { now: 0, stopping: false, database: null };
  const report = bytesOf(JSON.stringify(statusReport(about, activity, new History(activity), moment)));
  const check = (input: Uint8Array) => {
    const text = textOf(input);
    const printed = [true, false].map((json) => {
      try {
        return reportText(text, json);
      } catch (error) {
        assert.ok(error instanceof Error && error.message.startsWith("another program answers there"), `${error}`);
        return null;
      }
    });
    const [json, lines] = printed;
    if (json !== null) {
      assert.equal(visible(json!), json, "JSON with invisible characters");
      assert.equal(JSON.stringify(JSON.parse(json!)), JSON.stringify(JSON.parse(text)), "other values");
    }
    if (lines !== null) assert.equal(visibleLines(lines!), lines, "a table with invisible characters");
    return lines === null ? "refused" : "printed";
  };
  return { check, draw: (random) => random.chance(0.95) ? mutated(random, report, 3) : report };
}
