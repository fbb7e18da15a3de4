/**
 * The operator's commands: they maintain, inspect and repair the tables.
 * @module
 */
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { readSettings } from "../config/config.ts";
import { REASONS } from "../event.ts";
import { type Format, FORMATS } from "../export/format.ts";
import type { RefusalFilter } from "../postgres/operations/refusals.ts";
import { ask, clearScreen, isTerminal, print, stopSignal, write, writeError } from "../host/terminal.ts";
import { examples, settingsRead } from "./cli/help.ts";
import { numberOption, timeArgument } from "./cli/options.ts";
import { READS } from "./cli/reads.ts";
import { settingsFor } from "./cli/settings.ts";
import { type Form, FORMS } from "./report/render.ts";

type Ends = (code: number) => void;

const output = { print, writeError };

/** Adds the operator's commands. Calls `ends` with the exit code of the one that ran. */
export function addOperations(clickstream: Command, ends: Ends): void {
  addMaintain(clickstream, ends);
  addExport(clickstream, ends);
  addReport(clickstream, ends);
  addRefusals(clickstream, ends);
  addForget(clickstream, ends);
  addRates(clickstream, ends);
  addRebuild(clickstream, ends);
  addViews(clickstream, ends);
  addAdoptTopic(clickstream, ends);
  addGaps(clickstream, ends);
  addStatus(clickstream, ends);
  addDoctor(clickstream, ends);
}

function addMaintain(clickstream: Command, ends: Ends): void {
  clickstream.command("maintain")
    .description("Create tomorrow's partitions, drop expired ones, delete old windows; run it once a day")
    .addHelpText(
      "after",
      examples(["DATABASE_URL=postgres://owner@db/shop clickstream maintain", "safe beside a running service"]),
    )
    .addHelpText("after", () => settingsRead(READS.maintain))
    .action(async () => {
      const settings = await settingsFor(READS.maintain);
      const { maintainCommand } = await import("./maintain.ts");
      ends(await maintainCommand(settings, output));
    });
}

interface ExportFlags {
  readonly from: number;
  readonly to?: number;
  readonly bots?: true;
  readonly format?: Format;
  readonly out?: string;
}

function addExport(clickstream: Command, ends: Ends): void {
  clickstream.command("export")
    .description("Write a report or a table as CSV, NDJSON or Parquet")
    .argument("<name>", "Report or table, such as top_pages or sessions")
    .addOption(new Option("--from <time>", "Start of the time").argParser(timeArgument).makeOptionMandatory())
    .addOption(new Option("--to <time>", "End of the time, which is not in it (default: now)").argParser(timeArgument))
    .option("--bots", "Count bots too in a report")
    .addOption(
      new Option("--format <format>", "Format (default: by the ending of --out, otherwise csv)").choices(FORMATS),
    )
    .option("--out <file>", "File to write, which appears when it is whole (default: standard output)")
    .addHelpText(
      "after",
      examples(
        ["clickstream export top_pages --from 2026-11-01T00:00:00Z", "the pages since then, as CSV"],
        ["clickstream export sessions --from 2026-11-01T00:00:00Z --out sessions.parquet", "a table, for DuckDB"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.export))
    .action(async (name: string, { to, ...flags }: ExportFlags) => {
      const settings = await settingsFor(READS.export);
      const { exportCommand } = await import("./export.ts");
      ends(await exportCommand({ name, to: to ?? Date.now(), ...flags }, settings, output));
    });
}

function addReport(clickstream: Command, ends: Ends): void {
  clickstream.command("report")
    .description("Print what happened in a day or a week, beside the one before")
    .addArgument(
      new Argument("<period>", "Day, or week from Monday on; of the shop's time zone").choices(
        ["daily", "weekly"] as const,
      ),
    )
    .addOption(
      new Option("--at <time>", "A time in that day or week (default: the last one that is over)")
        .argParser(timeArgument),
    )
    .addOption(
      new Option("--format <format>", "For a terminal, a mail, a program, or Slack's incoming webhooks")
        .choices(FORMS).default("text" satisfies Form),
    )
    .addHelpText(
      "after",
      examples(
        ["clickstream report daily", "yesterday"],
        ["clickstream report weekly --format slack | curl -sd @- -H 'Content-Type: application/json' $URL", "to Slack"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.report))
    .action(async (name: "daily" | "weekly", { at, format }: { readonly at?: number; readonly format: Form }) => {
      const settings = await settingsFor(READS.report);
      const { reportCommand } = await import("./report/report.ts");
      ends(
        await reportCommand({ name, ...at === undefined ? {} : { at }, form: format }, settings, { write, writeError }),
      );
    });
}

function addForget(clickstream: Command, ends: Ends): void {
  clickstream.command("forget")
    .description("Erase one user from all tables; anonymous counts stay")
    .argument("<user>", "userId of the user")
    .option("--yes", "Erase; without it, only report what would be erased")
    .addHelpText(
      "after",
      examples(["clickstream forget u-17", "report what would be erased"], [
        "clickstream forget u-17 --yes",
        "erase it",
      ]),
    )
    .addHelpText("after", () => settingsRead(READS.forget))
    .action(async (user: string, { yes }: { readonly yes?: true }) => {
      const settings = await settingsFor(READS.forget);
      const { forget } = await import("./forget.ts");
      ends(await forget({ user, yes: yes === true }, settings, output));
    });
}

function addRates(clickstream: Command, ends: Ends): void {
  clickstream.command("rates")
    .description("Fill the rates of currencies from a CSV file, or list them")
    .argument("[file]", "File with the lines currency,from_day,rate; - is standard input; `list` lists them", "list")
    .option("--json", "List one JSON object per line")
    .addHelpText(
      "after",
      examples(
        ["clickstream rates rates.csv", "add or change these rates; all lines or none"],
        ["clickstream rates --json", "list all rates"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.rates))
    .action(async (file: string, { json }: { readonly json?: true }) => {
      const settings = await settingsFor(READS.rates);
      const { fillRates, listRates } = await import("./rates.ts");
      ends(
        file === "list"
          ? await listRates({ json: json === true }, settings, output)
          : await fillRates({ file }, settings, output),
      );
    });
}

function addRebuild(clickstream: Command, ends: Ends): void {
  clickstream.command("rebuild")
    .description("Rebuild the tables from the log beside those in use, then swap them in one transaction")
    .addOption(
      new Option("--from <time>", "Rebuild rows from the start of this day on; the log must reach back that far")
        .argParser(timeArgument).makeOptionMandatory(),
    )
    .option("--view <name>", "Rebuild this view alone, such as one that was just declared")
    .option("--yes", "Do not ask before starting")
    .addHelpText(
      "after",
      examples(
        ["clickstream rebuild --from 2026-11-20T00:00:00Z", "beside a running service, with its settings"],
        ["clickstream rebuild --from 2026-11-20T00:00:00Z --yes", "without a terminal"],
        ["TIME_ZONE=Europe/Berlin clickstream rebuild --from 2026-11-20T00:00:00Z", "from then on, by days of Berlin"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.rebuild))
    .action(async ({ from, view, yes }: { readonly from: number; readonly view?: string; readonly yes?: true }) => {
      const settings = await settingsFor(READS.rebuild);
      const { rebuild } = await import("./rebuild/rebuild.ts");
      const only = view === undefined ? {} : { view };
      ends(await rebuild({ fromMs: from, ...only, yes: yes === true, ask }, settings, output));
    });
}

interface ViewsFlags {
  readonly json?: true;
  readonly drop?: true;
}

function addViews(clickstream: Command, ends: Ends): void {
  const views = clickstream.command("views").description(
    "Declare views, goals and funnels of your own: check, plan and apply a file",
  );
  const reads = () => settingsRead([...READS.views, "VIEWS_FILE"]);
  const FILE = ["[file]", "File of views (default: VIEWS_FILE)"] as const;
  views.command("check").description("Check a file; exit code 2 and a line for each fault").argument(...FILE)
    .addHelpText("after", examples(["clickstream views check views.yaml", "needs no database"]))
    .action(async (file: string | undefined) => {
      const { checkViews } = await import("./views.ts");
      ends(checkViews(file, output));
    });
  views.command("plan").description("Print what applying a file would change in the database").argument(...FILE)
    .option("--json", "Print one JSON object per line")
    .addHelpText("after", reads)
    .action(async (file: string | undefined, { json }: ViewsFlags) => {
      const settings = await settingsFor(READS.views);
      const { planViews } = await import("./views.ts");
      ends(await planViews({ ...file === undefined ? {} : { file }, json: json === true }, settings, output));
    });
  views.command("apply").description("Create the tables and columns of a file, so that the service can count into them")
    .argument(...FILE)
    .option("--drop", "Drop the counts of what has changed or is no longer in the file")
    .addHelpText(
      "after",
      examples([
        "DATABASE_URL=postgres://owner@db/shop clickstream views apply views.yaml",
        "then restart the service",
      ]),
    )
    .addHelpText("after", reads)
    .action(async (file: string | undefined, { drop }: ViewsFlags) => {
      const settings = await settingsFor(READS.views);
      const { applyViews } = await import("./views.ts");
      ends(await applyViews({ ...file === undefined ? {} : { file }, drop: drop === true }, settings, output));
    });
  views.command("list").description("List what was applied")
    .option("--json", "Print one JSON object per line")
    .addHelpText("after", () => settingsRead(READS.views))
    .action(async ({ json }: ViewsFlags) => {
      const settings = await settingsFor(READS.views);
      const { listViews } = await import("./views.ts");
      ends(await listViews({ json: json === true }, settings, output));
    });
  views.command("schema").description("Print the JSON Schema of a file, for editors")
    .action(async () => {
      const { printSchema } = await import("./views.ts");
      ends(printSchema(output));
    });
}

function addAdoptTopic(clickstream: Command, ends: Ends): void {
  clickstream.command("adopt-topic")
    .description("Accept a topic that was recreated or truncated; print first what changes")
    .option("--yes", "Do not ask before starting")
    .addHelpText(
      "after",
      examples(
        ["clickstream adopt-topic", "print what would change, and ask"],
        ["clickstream adopt-topic --yes", "without a terminal; safe to repeat"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.adoptTopic))
    .action(async ({ yes }: { readonly yes?: true }) => {
      const settings = await settingsFor(READS.adoptTopic);
      const { adoptTopic } = await import("./adopt_topic.ts");
      ends(await adoptTopic({ yes: yes === true, ask }, settings, output));
    });
}

function addGaps(clickstream: Command, ends: Ends): void {
  const gaps = clickstream.command("gaps")
    .description("List or acknowledge records that Kafka deleted before they were read");
  gaps.command("list")
    .description("List the topic's gaps, newest first")
    .option("--json", "Print one JSON object per line")
    .addHelpText("after", () => settingsRead(READS.gaps))
    .action(async ({ json }: { readonly json?: true }) => {
      const settings = await settingsFor(READS.gaps);
      const { listGaps } = await import("./gaps.ts");
      ends(await listGaps({ json: json === true }, settings, output));
    });
  gaps.command("acknowledge")
    .description("Acknowledge gaps, which ends their alert")
    .argument("[ids...]", "Numbers of the gaps (default: all)", idsArgument)
    .addHelpText("after", () => settingsRead(READS.gaps))
    .action(async (ids: readonly string[]) => {
      const settings = await settingsFor(READS.gaps);
      const { acknowledge } = await import("./gaps.ts");
      ends(await acknowledge({ ids: ids.length === 0 ? null : ids }, settings, output));
    });
}

function addStatus(clickstream: Command, ends: Ends): void {
  clickstream.command("status")
    .description("Show what the running service does; on a terminal, refreshed in place")
    .option("--once", "Print it once")
    .option("--json", "Print one line of JSON")
    .addHelpText("after", examples(["clickstream status", "ask the service at HTTP_LISTEN"]))
    .addHelpText("after", () => settingsRead(READS.status))
    .action(async ({ json, once }: { readonly json?: true; readonly once?: true }) => {
      const { HTTP_LISTEN: address } = readSettings(READS.status);
      const { status } = await import("./status.ts");
      const watch = !json && !once && isTerminal();
      ends(await status({ json: json === true, watch, clear: clearScreen, signal: stopSignal() }, address, output));
    });
}

function addDoctor(clickstream: Command, ends: Ends): void {
  clickstream.command("doctor")
    .description("Check every connection, right, topic, schema and clock that the service needs, and print what to do")
    .option("--json", "Print one line of JSON")
    .addHelpText("after", examples(["clickstream doctor", "on its host, with its settings"]))
    .addHelpText("after", () => settingsRead(READS.doctor))
    .action(async ({ json }: { readonly json?: true }) => {
      const settings = await settingsFor(READS.doctor);
      const { doctor } = await import("./doctor/doctor.ts");
      ends(await doctor({ json: json === true }, settings, output));
    });
}

interface FilterFlags {
  readonly reason?: string;
  readonly field?: string;
  readonly partition?: number;
  readonly from?: number;
  readonly to?: number;
}

function withFilter(command: Command): Command {
  return command
    .addOption(new Option("--reason <reason>", "Only refusals with this reason").choices(REASONS))
    .option("--field <field>", "Only refusals of this field")
    .addOption(
      numberOption("--partition <number>", "Only refusals of this partition", {
        least: 0,
        most: 2 ** 31 - 1,
        whole: true,
      }),
    )
    .addOption(new Option("--from <time>", "Only refusals since this time").argParser(timeArgument))
    .addOption(new Option("--to <time>", "Only refusals before this time").argParser(timeArgument));
}

function filterOf({ reason, field, partition, from, to }: FilterFlags): RefusalFilter {
  return { reason, field, partition, fromMs: from, toMs: to };
}

function addRefusals(clickstream: Command, ends: Ends): void {
  const refusals = clickstream.command("refusals")
    .description("List, show or replay refused records");
  withFilter(refusals.command("list").description("List refusals, newest first"))
    .option("--replayed", "Only refusals that were replayed")
    .option("--open", "Only refusals that were not replayed")
    .addOption(numberOption("--limit <rows>", "Number of rows", { least: 1, most: 100_000, whole: true, default: 50 }))
    .option("--json", "Print one JSON object per line, with the whole payload")
    .addHelpText("after", examples(["clickstream refusals list --reason bad_value --field price", "the newest 50"]))
    .addHelpText("after", () => settingsRead(READS.refusals))
    .action(async ({ limit, json, replayed, open, ...flags }: FilterFlags & {
      readonly limit: number;
      readonly json?: true;
      readonly replayed?: true;
      readonly open?: true;
    }) => {
      const settings = await settingsFor(READS.refusals);
      const { listRefusals } = await import("./refusals.ts");
      const which = replayed === open ? {} : { replayed: replayed === true };
      const filter = { ...filterOf(flags), ...which };
      ends(await listRefusals({ filter, limit, json: json === true }, settings, output));
    });
  refusals.command("show")
    .description("Show one refusal with its payload")
    .argument("<id>", "Number of the refusal", idArgument)
    .option("--json", "Print one line of JSON")
    .addHelpText("after", () => settingsRead(READS.refusals))
    .action(async (id: string, { json }: { readonly json?: true }) => {
      const settings = await settingsFor(READS.refusals);
      const { showRefusal } = await import("./refusals.ts");
      ends(await showRefusal({ id, json: json === true }, settings, output));
    });
  withFilter(refusals.command("replay").description("Send refused records to the topic again, each at most once"))
    .argument("[ids...]", "Numbers of the refusals (default: all that were not replayed yet)", idsArgument)
    .option("--if-accepted", "Only records that would be accepted now")
    .addHelpText(
      "after",
      examples(
        ["clickstream refusals replay --reason expired --if-accepted", "after EVENTS_KEEP_DAYS was raised"],
        ["clickstream refusals replay 17 18", "only these two"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.replay))
    .action(async (ids: readonly string[], { ifAccepted, ...flags }: FilterFlags & { readonly ifAccepted?: true }) => {
      const settings = await settingsFor(READS.replay);
      const { replayRefusals } = await import("./refusals.ts");
      const filter = { ...filterOf(flags), ...(ids.length === 0 ? {} : { ids }) };
      ends(await replayRefusals({ filter, ifAccepted: ifAccepted === true }, settings, output));
    });
}

function idArgument(text: string): string {
  if (/^\d{1,18}$/.test(text)) return text;
  throw new InvalidArgumentError("Allowed: an id that `list` shows.");
}

function idsArgument(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...before ?? [], idArgument(text)];
}
