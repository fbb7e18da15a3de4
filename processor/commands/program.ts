/**
 * The command line: what can be typed, and what it starts. A command's own code is loaded when it runs.
 * @module
 */
import { Command, Option } from "commander";
import { isSet, readSettings } from "../config/config.ts";
import { print, stopSignal, write, writeError } from "../host/terminal.ts";
import { VERSION } from "../version.ts";
import { clusterOf } from "./cli/cluster.ts";
import type { GenerateOptions } from "./generate.ts";
import { examples, settingsRead } from "./cli/help.ts";
import { addOperations } from "./operations.ts";
import { GENERATE_DEFAULTS, numberOption, shareOption, timeArgument } from "./cli/options.ts";
import { READS } from "./cli/reads.ts";

const AFTER = `
Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 the schema is missing or behind.
Settings are environment variables; "clickstream COMMAND --help" lists those that a command reads.
`;

/** The program. `ends` is told the exit code of the command that ran. */
export function program(ends: (code: number) => void): Command {
  const clickstream = new Command("clickstream")
    .description("Clicks of a shop: from Kafka, counted exactly, into PostgreSQL.")
    .version(VERSION, "--version", "says which version this is")
    .helpOption("-h, --help", "says what can be typed")
    .helpCommand("help [command]", "says what a command does")
    .configureOutput({ writeOut: write, writeErr: writeError })
    .showHelpAfterError("(--help says what is allowed)")
    .exitOverride()
    .addHelpText("after", AFTER);
  addRun(clickstream, ends);
  addDemo(clickstream, ends);
  addGenerate(clickstream, ends);
  addProduce(clickstream, ends);
  addMigrate(clickstream, ends);
  addFlink(clickstream, ends);
  addOperations(clickstream, ends);
  return clickstream;
}

function addRun(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("run")
    .description("the service: Kafka into PostgreSQL until SIGTERM, then commits what it has")
    .addHelpText(
      "after",
      examples(["DATABASE_URL=postgres://me@db/shop clickstream run", "with brokers on localhost:9092"]),
    )
    .addHelpText("after", () => settingsRead(READS.run))
    .action(async () => {
      const settings = readSettings(READS.run);
      const signal = stopSignal();
      const { run } = await import("./run/run.ts");
      ends(await run(settings, signal));
    });
}

interface DemoFlags {
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly port?: number;
  readonly data?: string;
}

function addDemo(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("demo")
    .description("everything in one process and nothing installed; prints what it counted")
    .addOption(numberOption("--rate <records>", "records a second", { least: 1, most: 20_000, default: 500 }))
    .addOption(
      numberOption("--seconds <seconds>", "how long the shop is open", { least: 1, most: 86_400, default: 30 }),
    )
    .addOption(
      numberOption("--seed <number>", "which shop it is", { least: 0, most: 2 ** 32, whole: true, default: 1 }),
    )
    .addOption(
      numberOption("--port <port>", "where the status page is, 0 for any; 8080, or any where that is taken", {
        least: 0,
        most: 65_535,
        whole: true,
      }),
    )
    .addOption(new Option("--data <folder>", "keeps everything there, to go on from next time"))
    .addHelpText(
      "after",
      examples(
        ["clickstream demo", "half a minute of a shop"],
        ["clickstream demo --data /tmp/shop --seconds 300", "five minutes, to go on from later"],
      ),
    )
    .action(async ({ data, port, ...flags }: DemoFlags) => {
      const { demo } = await import("./demo/demo.ts");
      ends(await demo({ ...flags, data: data ?? null, port: port ?? null, print, writeError, signal: stopSignal() }));
    });
}

interface GenerateFlags extends GenerateOptions {
  readonly from?: number;
}

function addGenerate(clickstream: Command, ends: (code: number) => void): void {
  const { rate, seed, bad, duplicates, late } = GENERATE_DEFAULTS;
  clickstream.command("generate")
    .description("a simulated shop into Kafka, in real time; says how many records of each kind it made")
    .addOption(numberOption("--rate <records>", "records a second", { least: 0.001, most: 1_000_000, default: rate }))
    .addOption(
      numberOption("--seconds <seconds>", "how much time; until stopped if left out", { least: 0.001, most: 1e9 }),
    )
    .addOption(
      numberOption("--seed <number>", "which shop it is", { least: 0, most: 2 ** 32, whole: true, default: seed }),
    )
    .addOption(numberOption("--users <number>", "how many shoppers", { least: 1, most: 10_000_000, whole: true }))
    .addOption(shareOption("--bad <share>", "share of records that can't be events", bad))
    .addOption(shareOption("--duplicates <share>", "share of records that repeat an event", duplicates))
    .addOption(shareOption("--late <share>", "share of events that are sent late", late))
    .addOption(numberOption("--pace <factor>", "how many times faster than people", { least: 0.01, most: 10_000_000 }))
    .addOption(new Option("--from <time>", "when the simulated time starts; nothing waits").argParser(timeArgument))
    .option("--fast", "nothing waits: what is simulated ends now")
    .option("--out <file>", "writes NDJSON to a file instead; nothing waits")
    .option("--json", "says the counts as one line of JSON")
    .addHelpText(
      "after",
      examples(
        ["clickstream generate --rate 2000", "a busy shop, until Ctrl-C"],
        ["clickstream generate --fast --seconds 3600", "an hour of it, at once"],
        ["clickstream generate --seconds 60 --out clicks.ndjson", "a minute of it, into a file"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.generate))
    .action(async ({ from, ...flags }: GenerateFlags) => {
      const settings = readSettings(READS.generate);
      const { generate } = await import("./generate.ts");
      const cluster = { ...clusterOf(settings), partitions: settings.KAFKA_PARTITIONS };
      const options = { ...flags, fromMs: from, keepDays: settings.EVENTS_KEEP_DAYS, signal: stopSignal() };
      ends(await generate(options, cluster, { print, writeError }));
    });
}

function addProduce(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("produce")
    .description("send a file of your own events, one JSON object a line, to Kafka; say which will be refused, and why")
    .argument("<file>", "the file; - is standard input")
    .option("--check", "send nothing, only say which lines can't be events")
    .option("--json", "print the result as one line of JSON")
    .addHelpText(
      "after",
      examples(
        ["clickstream produce events.ndjson", "a bad line is sent as it is; then the exit code is 1"],
        ["clickstream produce --check events.ndjson", "tries every line, without Kafka"],
        ["tail -f shop.log | clickstream produce -", "as they come"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.produce))
    .action(async (file: string, flags: { readonly check?: true; readonly json?: true }) => {
      const settings = readSettings(READS.produce);
      const { produceFile } = await import("./produce.ts");
      const cluster = { ...clusterOf(settings), partitions: settings.KAFKA_PARTITIONS };
      ends(await produceFile({ file, keepDays: settings.EVENTS_KEEP_DAYS, ...flags }, cluster, { print, writeError }));
    });
}

function addMigrate(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("migrate")
    .description("brings the schema up to date")
    .option("--check", "only says whether it is; exit code 3 if not")
    .addHelpText(
      "after",
      examples(
        ["DATABASE_URL=postgres://owner@db/shop clickstream migrate", "makes the schema, or what is missing of it"],
        ["DATABASE_URL=postgres://owner@db/shop clickstream migrate --check", "changes nothing"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.migrate))
    .action(async ({ check }: { readonly check?: true }) => {
      const settings = readSettings(READS.migrate);
      const { migrateCommand } = await import("./migrate.ts");
      ends(await migrateCommand({ check: check === true }, settings, print));
    });
}

function addFlink(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("flink")
    .description("prints the same views as a job in Flink SQL, with placeholders for what is secret or not set")
    .addHelpText(
      "after",
      examples(
        ["clickstream flink > views.sql", "with the settings of the service; without DATABASE_URL a placeholder"],
        ["sql-client.sh -f views.sql", "once the placeholders are filled in, by a Flink cluster"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.flink))
    .addHelpText("after", "  DATABASE_URL          where the tables are; its password is left out")
    .action(async () => {
      const given = isSet("DATABASE_URL") ? readSettings(["DATABASE_URL"]) : { DATABASE_URL: null };
      const settings = { ...readSettings(READS.flink), ...given };
      const { flink } = await import("./flink.ts");
      ends(flink(settings, write));
    });
}
