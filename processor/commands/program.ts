/**
 * The command line: commands, options and help. A command's own code is loaded when it runs.
 * @module
 */
import { Argument, Command, Option } from "commander";
import { isSet, readSettings } from "../config/config.ts";
import { SETTING_NAMES } from "../config/settings_shown.ts";
import { configFile } from "../config/sources.ts";
import { print, stopSignal, write, writeError } from "../host/terminal.ts";
import { VERSION } from "../version.ts";
import { clusterOf } from "./cli/cluster.ts";
import type { GenerateOptions } from "./generate.ts";
import { examples, settingsRead } from "./cli/help.ts";
import { addOperations } from "./operations.ts";
import { GENERATE_DEFAULTS, numberOption, shareOption, timeArgument } from "./cli/options.ts";
import { READS } from "./cli/reads.ts";
import { settingsFor } from "./cli/settings.ts";
import { EXIT } from "./cli/exit.ts";
import type { Shell } from "./completions.ts";

const AFTER = `
Exit codes: 0 success, 1 failure, 2 wrong usage or configuration, 3 schema missing or out of date.
Settings are environment variables; "clickstream COMMAND --help" lists those that a command reads.
`;

/** The program. Calls `ends` with the exit code of the command that ran. */
export function program(ends: (code: number) => void): Command {
  const clickstream = new Command("clickstream")
    .description("Count a shop's clicks from Kafka into PostgreSQL, exactly once.")
    .version(VERSION, "--version", "Print the version")
    .option(
      "--config <file>",
      "Read settings from this file too, a NAME=value on each line; the environment takes precedence",
    )
    .helpOption("-h, --help", "Print this help")
    .configureHelp({ showGlobalOptions: true })
    .hook("preAction", async () => {
      const file = clickstream.opts<{ readonly config?: string }>().config ?? configFile();
      if (file !== null) (await import("./config.ts")).useConfig(file);
    })
    .helpCommand("help [command]", "Print the help of a command")
    .configureOutput({ writeOut: write, writeErr: writeError })
    .showHelpAfterError("(--help lists what is allowed)")
    .exitOverride()
    .addHelpText("after", AFTER);
  addRun(clickstream, ends);
  addDemo(clickstream, ends);
  addGenerate(clickstream, ends);
  addProduce(clickstream, ends);
  addMigrate(clickstream, ends);
  addFlink(clickstream, ends);
  addOperations(clickstream, ends);
  addConfig(clickstream, ends);
  addAbout(clickstream, ends);
  return clickstream;
}

function addRun(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("run")
    .description("Run the service: read Kafka into PostgreSQL until SIGTERM, then commit what was read")
    .addHelpText(
      "after",
      examples(["DATABASE_URL=postgres://me@db/shop clickstream run", "brokers on localhost:9092"]),
    )
    .addHelpText("after", () => settingsRead(READS.run))
    .action(async () => {
      const settings = await settingsFor(READS.run);
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
    .description("Run the whole pipeline in one process, with nothing installed, and print the counts")
    .addOption(numberOption("--rate <records>", "Records per second", { least: 1, most: 20_000, default: 500 }))
    .addOption(
      numberOption("--seconds <seconds>", "Duration in seconds", { least: 1, most: 86_400, default: 30 }),
    )
    .addOption(
      numberOption("--seed <number>", "Seed: the same seed generates the same shop", {
        least: 0,
        most: 2 ** 32,
        whole: true,
        default: 1,
      }),
    )
    .addOption(
      numberOption(
        "--port <port>",
        "Port of the status page; 0 picks a free one (default: 8080 if free, otherwise any)",
        {
          least: 0,
          most: 65_535,
          whole: true,
        },
      ),
    )
    .addOption(new Option("--data <folder>", "Keep the data in this folder and continue from it next time"))
    .addHelpText(
      "after",
      examples(
        ["clickstream demo", "30 seconds of a simulated shop"],
        ["clickstream demo --data /tmp/shop --seconds 300", "5 minutes, and keep the data"],
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
    .description("Send the clicks of a simulated shop to Kafka in real time, and print the counts")
    .addOption(numberOption("--rate <records>", "Records per second", { least: 0.001, most: 1_000_000, default: rate }))
    .addOption(
      numberOption("--seconds <seconds>", "Duration in seconds (default: until stopped)", { least: 0.001, most: 1e9 }),
    )
    .addOption(
      numberOption("--seed <number>", "Seed: the same seed generates the same shop", {
        least: 0,
        most: 2 ** 32,
        whole: true,
        default: seed,
      }),
    )
    .addOption(numberOption("--users <number>", "Number of shoppers", { least: 1, most: 10_000_000, whole: true }))
    .addOption(shareOption("--bad <share>", "Share of records that cannot be events", bad))
    .addOption(shareOption("--duplicates <share>", "Share of records that repeat an event", duplicates))
    .addOption(shareOption("--late <share>", "Share of events that are sent late", late))
    .addOption(numberOption("--pace <factor>", "Speed of the shoppers, as a factor", { least: 0.01, most: 10_000_000 }))
    .addOption(new Option("--from <time>", "Start of the simulated time; implies no waiting").argParser(timeArgument))
    .option("--fast", "Send at once; the simulated time ends now")
    .option("--out <file>", "Write NDJSON to a file instead, at once")
    .option("--json", "Print the counts as one line of JSON")
    .addHelpText(
      "after",
      examples(
        ["clickstream generate --rate 2000", "2,000 records/s until Ctrl-C"],
        ["clickstream generate --fast --seconds 3600", "one simulated hour, at once"],
        ["clickstream generate --seconds 60 --out clicks.ndjson", "one minute, into a file"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.generate))
    .action(async ({ from, ...flags }: GenerateFlags) => {
      const settings = await settingsFor(READS.generate);
      const { generate } = await import("./generate.ts");
      const cluster = { ...clusterOf(settings), partitions: settings.KAFKA_PARTITIONS };
      const options = { ...flags, fromMs: from, keepDays: settings.EVENTS_KEEP_DAYS, signal: stopSignal() };
      ends(await generate(options, cluster, { print, writeError }));
    });
}

function addProduce(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("produce")
    .description("Send your own events to Kafka, one JSON object per line; report which will be refused, and why")
    .argument("<file>", "File to send; - is standard input")
    .option("--check", "Send nothing; only report the lines that cannot be events")
    .option("--json", "Print the result as one line of JSON")
    .addHelpText(
      "after",
      examples(
        ["clickstream produce events.ndjson", "invalid lines are sent too; then the exit code is 1"],
        ["clickstream produce --check events.ndjson", "check every line, without Kafka"],
        ["tail -f shop.log | clickstream produce -", "send lines as they are written"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.produce))
    .action(async (file: string, flags: { readonly check?: true; readonly json?: true }) => {
      const settings = await settingsFor(READS.produce);
      const { produceFile } = await import("./produce.ts");
      const cluster = { ...clusterOf(settings), partitions: settings.KAFKA_PARTITIONS };
      ends(await produceFile({ file, keepDays: settings.EVENTS_KEEP_DAYS, ...flags }, cluster, { print, writeError }));
    });
}

function addMigrate(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("migrate")
    .description("Create or upgrade the schema")
    .option("--check", "Change nothing; exit with 3 if the schema is not up to date")
    .addHelpText(
      "after",
      examples(
        ["DATABASE_URL=postgres://owner@db/shop clickstream migrate", "create or upgrade the schema"],
        ["DATABASE_URL=postgres://owner@db/shop clickstream migrate --check", "only check it"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.migrate))
    .action(async ({ check }: { readonly check?: true }) => {
      const settings = await settingsFor(READS.migrate);
      const { migrateCommand } = await import("./migrate.ts");
      ends(await migrateCommand({ check: check === true }, settings, print));
    });
}

function addConfig(clickstream: Command, ends: (code: number) => void): void {
  const config = clickstream.command("config").description("Check or show the settings");
  config.command("check")
    .description("Check every setting; exit code 2 and a line for each that is invalid")
    .addHelpText(
      "after",
      examples(["clickstream --config /etc/clickstream/clickstream.env config check", "before a restart"]),
    )
    .addHelpText("after", () => settingsRead(SETTING_NAMES))
    .action(async () => {
      const { checkConfig } = await import("./config.ts");
      ends(await checkConfig({ print, writeError }));
    });
  config.command("show")
    .description("Print every setting, and where its value comes from; secrets are hidden")
    .option("--json", "Print one JSON object per line")
    .action(async (flags: { readonly json?: true }) => {
      const { showConfig } = await import("./config.ts");
      ends(showConfig(flags, { print }));
    });
}

/** Adds what a package of the program needs: its version, completions and manual. */
function addAbout(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("version")
    .description("Print the version")
    .option("--json", "Print one line of JSON, with the runtime and the platform")
    .action(async ({ json }: { readonly json?: true }) => {
      const { versionText } = await import("./version.ts");
      print(versionText(json === true));
      ends(EXIT.done);
    });
  clickstream.command("completions")
    .description("Print a script by which a shell completes commands and options")
    .addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      examples(["source <(clickstream completions bash)", "in this shell; each script says how to keep it"]),
    )
    .action(async (shell: Shell) => {
      const { completionScript } = await import("./completions.ts");
      write(completionScript(clickstream, shell));
      ends(EXIT.done);
    });
  clickstream.command("manual")
    .description("Print the manual page, in the format of man")
    .addHelpText("after", examples(["clickstream manual | man -l -", "read it"]))
    .action(async () => {
      const { manualPage } = await import("./manual.ts");
      write(manualPage(clickstream));
      ends(EXIT.done);
    });
}

function addFlink(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("flink")
    .description("Print the views as a Flink SQL job, with placeholders for secrets and settings that are missing")
    .addHelpText(
      "after",
      examples(
        ["clickstream flink > views.sql", "with the service's settings"],
        ["sql-client.sh -f views.sql", "run it on a Flink cluster, placeholders filled in"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.flink))
    .addHelpText("after", "  DATABASE_URL          the database, printed without its password")
    .action(async () => {
      const given = isSet("DATABASE_URL") ? readSettings(["DATABASE_URL"]) : { DATABASE_URL: null };
      const settings = { ...readSettings(READS.flink), ...given };
      const { flink } = await import("./flink.ts");
      ends(flink(settings, write));
    });
}
