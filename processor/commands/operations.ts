/**
 * The operator's commands on the command line: what keeps the tables, and what mends them.
 * @module
 */
import type { Command } from "commander";
import { readSettings } from "../config.ts";
import { print, writeError } from "../io/terminal.ts";
import { examples, settingsRead } from "./help.ts";
import { READS } from "./reads.ts";

type Ends = (code: number) => void;

const output = { print, writeError };

/** Adds the operator's commands. `ends` is told the exit code of the one that ran. */
export function addOperations(clickstream: Command, ends: Ends): void {
  addMaintain(clickstream, ends);
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
