/**
 * The operator's commands on the command line: what keeps the tables, and what mends them.
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { readSettings } from "../config/config.ts";
import { REASONS } from "../event.ts";
import type { RefusalFilter } from "../postgres/operations/refusals.ts";
import { ask, isTerminal, print, stopSignal, writeError } from "../host/terminal.ts";
import { examples, settingsRead } from "./cli/help.ts";
import { numberOption, timeArgument } from "./cli/options.ts";
import { READS } from "./cli/reads.ts";

type Ends = (code: number) => void;

const output = { print, writeError };

/** Adds the operator's commands. `ends` is told the exit code of the one that ran. */
export function addOperations(clickstream: Command, ends: Ends): void {
  addMaintain(clickstream, ends);
  addRefusals(clickstream, ends);
  addForget(clickstream, ends);
  addRebuild(clickstream, ends);
  addAdoptTopic(clickstream, ends);
  addGaps(clickstream, ends);
  addStatus(clickstream, ends);
  addDoctor(clickstream, ends);
}

function addMaintain(clickstream: Command, ends: Ends): void {
  clickstream.command("maintain")
    .description("makes tomorrow's partitions, drops expired ones, removes windows past their age; for once a day")
    .addHelpText(
      "after",
      examples(["DATABASE_URL=postgres://owner@db/shop clickstream maintain", "beside a running service"]),
    )
    .addHelpText("after", () => settingsRead(READS.maintain))
    .action(async () => {
      const settings = readSettings(READS.maintain);
      const { maintainCommand } = await import("./maintain.ts");
      ends(await maintainCommand(settings, output));
    });
}

function addForget(clickstream: Command, ends: Ends): void {
  clickstream.command("forget")
    .description("erases one user everywhere but from the anonymous counts; says what it removes")
    .argument("<user>", "the userId")
    .option("--yes", "does it; without, only says what there is")
    .addHelpText(
      "after",
      examples(["clickstream forget u-17", "what there is"], ["clickstream forget u-17 --yes", "erases it"]),
    )
    .addHelpText("after", () => settingsRead(READS.forget))
    .action(async (user: string, { yes }: { readonly yes?: true }) => {
      const settings = readSettings(READS.forget);
      const { forget } = await import("./forget.ts");
      ends(await forget({ user, yes: yes === true }, settings, output));
    });
}

function addRebuild(clickstream: Command, ends: Ends): void {
  clickstream.command("rebuild")
    .description("makes the tables anew from the log, next to those in use, and swaps them in at once")
    .addOption(
      new Option("--from <time>", "rows from the beginning of its UTC day on; the log must reach as far back")
        .argParser(timeArgument).makeOptionMandatory(),
    )
    .option("--yes", "begins without asking")
    .addHelpText(
      "after",
      examples(
        ["clickstream rebuild --from 2026-11-20T00:00:00Z", "beside a running service, with its settings"],
        ["clickstream rebuild --from 2026-11-20T00:00:00Z --yes", "where nobody can be asked"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.rebuild))
    .action(async ({ from, yes }: { readonly from: number; readonly yes?: true }) => {
      const settings = readSettings(READS.rebuild);
      const { rebuild } = await import("./rebuild.ts");
      ends(await rebuild({ fromMs: from, yes: yes === true, ask }, settings, output));
    });
}

function addAdoptTopic(clickstream: Command, ends: Ends): void {
  clickstream.command("adopt-topic")
    .description("accept the topic that Kafka has now, where it was recreated or truncated; say before what changes")
    .option("--yes", "do it without asking")
    .addHelpText(
      "after",
      examples(
        ["clickstream adopt-topic", "says what it would do, and asks on a terminal"],
        ["clickstream adopt-topic --yes", "does it; run again, it finds nothing to do"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.adoptTopic))
    .action(async ({ yes }: { readonly yes?: true }) => {
      const settings = readSettings(READS.adoptTopic);
      const { adoptTopic } = await import("./adopt_topic.ts");
      ends(await adoptTopic({ yes: yes === true, ask }, settings, output));
    });
}

function addGaps(clickstream: Command, ends: Ends): void {
  const gaps = clickstream.command("gaps")
    .description("records that Kafka had deleted before they were read: list them, acknowledge them");
  gaps.command("list")
    .description("list the gaps of the topic, the most recent first")
    .option("--json", "one JSON object a line")
    .addHelpText("after", () => settingsRead(READS.gaps))
    .action(async ({ json }: { readonly json?: true }) => {
      const settings = readSettings(READS.gaps);
      const { listGaps } = await import("./gaps.ts");
      ends(await listGaps({ json: json === true }, settings, output));
    });
  gaps.command("acknowledge")
    .description("take note of gaps, which ends their alert")
    .argument("[ids...]", "their numbers; without any, all", idsArgument)
    .addHelpText("after", () => settingsRead(READS.gaps))
    .action(async (ids: readonly string[]) => {
      const settings = readSettings(READS.gaps);
      const { acknowledge } = await import("./gaps.ts");
      ends(await acknowledge({ ids: ids.length === 0 ? null : ids }, settings, output));
    });
}

function addStatus(clickstream: Command, ends: Ends): void {
  clickstream.command("status")
    .description("what a running processor is doing; on a terminal over and over, in place")
    .option("--once", "shows it once")
    .option("--json", "as one line of JSON")
    .addHelpText("after", examples(["clickstream status", "asks the processor at HTTP_LISTEN"]))
    .addHelpText("after", () => settingsRead(READS.status))
    .action(async ({ json, once }: { readonly json?: true; readonly once?: true }) => {
      const { HTTP_LISTEN: address } = readSettings(READS.status);
      const { status } = await import("./status.ts");
      const watch = !json && !once && isTerminal();
      ends(await status({ json: json === true, watch, signal: stopSignal() }, address, output));
    });
}

function addDoctor(clickstream: Command, ends: Ends): void {
  clickstream.command("doctor")
    .description("tries every connection, right, topic, schema and clock that the service needs; says what to do")
    .option("--json", "as one line of JSON")
    .addHelpText("after", examples(["clickstream doctor", "with the settings of the service, where it runs"]))
    .addHelpText("after", () => settingsRead(READS.doctor))
    .action(async ({ json }: { readonly json?: true }) => {
      const settings = readSettings(READS.doctor);
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
    .addOption(new Option("--reason <reason>", "only those refused for it").choices(REASONS))
    .option("--field <field>", "only those with this field at fault")
    .addOption(numberOption("--partition <number>", "only those of it", { least: 0, most: 2 ** 31 - 1, whole: true }))
    .addOption(new Option("--from <time>", "only those refused since then").argParser(timeArgument))
    .addOption(new Option("--to <time>", "only those refused before then").argParser(timeArgument));
}

function filterOf({ reason, field, partition, from, to }: FilterFlags): RefusalFilter {
  return { reason, field, partition, fromMs: from, toMs: to };
}

function addRefusals(clickstream: Command, ends: Ends): void {
  const refusals = clickstream.command("refusals")
    .description("what could not be an event: lists it, shows it, sends it back once it can");
  withFilter(refusals.command("list").description("lists refusals, the most recent first"))
    .option("--replayed", "only those that were sent back")
    .option("--open", "only those that were not sent back")
    .addOption(numberOption("--limit <rows>", "how many", { least: 1, most: 100_000, whole: true, default: 50 }))
    .option("--json", "one JSON object a line, with the whole message")
    .addHelpText("after", examples(["clickstream refusals list --reason bad_value --field price", "the last 50"]))
    .addHelpText("after", () => settingsRead(READS.refusals))
    .action(async ({ limit, json, replayed, open, ...flags }: FilterFlags & {
      readonly limit: number;
      readonly json?: true;
      readonly replayed?: true;
      readonly open?: true;
    }) => {
      const settings = readSettings(READS.refusals);
      const { listRefusals } = await import("./refusals.ts");
      const which = replayed === open ? {} : { replayed: replayed === true };
      const filter = { ...filterOf(flags), ...which };
      ends(await listRefusals({ filter, limit, json: json === true }, settings, output));
    });
  refusals.command("show")
    .description("shows all that is known of a refusal, its message included")
    .argument("<id>", "its number", idArgument)
    .option("--json", "as one line of JSON")
    .addHelpText("after", () => settingsRead(READS.refusals))
    .action(async (id: string, { json }: { readonly json?: true }) => {
      const settings = readSettings(READS.refusals);
      const { showRefusal } = await import("./refusals.ts");
      ends(await showRefusal({ id, json: json === true }, settings, output));
    });
  withFilter(refusals.command("replay").description("sends refused messages back into the topic, each at most once"))
    .argument("[ids...]", "their numbers; without any, all that were not sent back yet", idsArgument)
    .option("--if-accepted", "only those that would be taken now")
    .addHelpText(
      "after",
      examples(
        ["clickstream refusals replay --reason expired --if-accepted", "after EVENTS_KEEP_DAYS was raised"],
        ["clickstream refusals replay 17 18", "these two"],
      ),
    )
    .addHelpText("after", () => settingsRead(READS.replay))
    .action(async (ids: readonly string[], { ifAccepted, ...flags }: FilterFlags & { readonly ifAccepted?: true }) => {
      const settings = readSettings(READS.replay);
      const { replayRefusals } = await import("./refusals.ts");
      const filter = { ...filterOf(flags), ...(ids.length === 0 ? {} : { ids }) };
      ends(await replayRefusals({ filter, ifAccepted: ifAccepted === true }, settings, output));
    });
}

function idArgument(text: string): string {
  if (/^\d{1,18}$/.test(text)) return text;
  throw new InvalidArgumentError("Allowed is the number that `list` shows.");
}

function idsArgument(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...before ?? [], idArgument(text)];
}
