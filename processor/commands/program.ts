/**
 * The command line: what can be typed, and what it starts. A command's own code is loaded when it runs.
 * @module
 */
import { Command, Option } from "commander";
import { readSettings } from "../config.ts";
import { print, stopSignal, write, writeError } from "../io/terminal.ts";
import { VERSION } from "../version.ts";
import { examples, settingsRead } from "./help.ts";
import { numberOption } from "./options.ts";
import { READS } from "./reads.ts";

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
  addMigrate(clickstream, ends);
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
      const { run } = await import("./run.ts");
      ends(await run(settings, signal));
    });
}

interface DemoFlags {
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly data?: string;
}

function addDemo(clickstream: Command, ends: (code: number) => void): void {
  clickstream.command("demo")
    .description("everything in one process and nothing installed; prints what it counted")
    .addOption(numberOption("--rate <records>", "records a second", { least: 1, most: 20_000, otherwise: 500 }))
    .addOption(
      numberOption("--seconds <seconds>", "how long the shop is open", { least: 1, most: 86_400, otherwise: 30 }),
    )
    .addOption(
      numberOption("--seed <number>", "which shop it is", { least: 0, most: 2 ** 32, whole: true, otherwise: 1 }),
    )
    .addOption(new Option("--data <folder>", "keeps everything there, to go on from next time"))
    .addHelpText(
      "after",
      examples(
        ["clickstream demo", "half a minute of a shop"],
        ["clickstream demo --data /tmp/shop --seconds 300", "five minutes, to go on from later"],
      ),
    )
    .action(async ({ data, ...flags }: DemoFlags) => {
      const { demo } = await import("./demo.ts");
      ends(await demo({ ...flags, data: data ?? null, print, signal: stopSignal() }));
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
