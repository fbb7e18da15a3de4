/**
 * The command `manual`: the manual page, in the format of `man`, made from the commands and settings themselves.
 * @module
 */
import type { Command } from "commander";
import { describeSettings } from "../config/settings_shown.ts";
import { VERSION } from "../version.ts";

/** The manual page `clickstream(1)`. */
export function manualPage(program: Command): string {
  const name = program.name();
  return [
    `.TH ${name.toUpperCase()} 1 "" "${name} ${VERSION}" "User Commands"`,
    ".SH NAME",
    `${name} \\- ${roff(program.description().replace(/\.$/, ""))}`,
    ".SH SYNOPSIS",
    `.B ${name}`,
    "[\\-\\-config FILE] COMMAND [OPTIONS]",
    ".SH COMMANDS",
    ...program.commands.flatMap((command) => described(command, "")),
    ".SH OPTIONS",
    ...optionsOf(program),
    ".SH SETTINGS",
    "The first of these counts: the environment variable; the file that the variable NAME_FILE names; the file NAME in",
    "$CREDENTIALS_DIRECTORY; the file of \\-\\-config, with a NAME=value on each line.",
    ...describeSettings().flatMap(({ name, about, allowed, default: fallback, required }) => [
      ".TP",
      `.B ${roff(name)}`,
      `${roff(sentence(about))} Allowed: ${roff(allowed)}.` +
      (required ? " Required." : fallback === null ? "" : ` Default: ${roff(fallback)}.`),
    ]),
    ".SH EXIT STATUS",
    "0 success, 1 failure, 2 wrong usage or configuration, 3 schema missing or out of date.",
    "",
  ].join("\n");
}

/** A command with its options, and the commands below it. */
function described(command: Command, before: string): string[] {
  const path = `${before} ${command.name()}`.trim();
  if (command.name() === "help") return [];
  if (command.commands.length > 0) return command.commands.flatMap((each) => described(each, path));
  const values = command.registeredArguments.map((argument) => {
    const value = argument.name().toUpperCase();
    return argument.required ? value : `[${value}]`;
  });
  return [
    `.SS ${roff([path, ...values].join(" "))}`,
    roff(sentence(command.description())),
    ...optionsOf(command),
  ];
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap(({ flags, description }) => [
    ".TP",
    `.B ${roff(flags)}`,
    roff(sentence(description)),
  ]);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A text without meaning for roff: backslashes, hyphens, and a dot or quote at the start of a line. */
function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^([.'])/, "\\&$1");
}
