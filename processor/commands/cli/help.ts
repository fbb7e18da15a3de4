/**
 * What `--help` says besides the options.
 * @module
 */
import type { SettingName } from "../../config/config.ts";
import { describeSettings } from "../../config/settings_shown.ts";

/** Examples, each a command line and what it does. */
export function examples(...lines: readonly (readonly [command: string, does: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length)) + 2;
  return `\nExamples:\n${lines.map(([command, does]) => `  ${command.padEnd(width)}# ${does}`).join("\n")}`;
}

/** The settings that a command reads: name, meaning, default and what is allowed. */
export function settingsRead(names: readonly SettingName[]): string {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const lines = describeSettings(names).flatMap(({ name, about, allowed, default: otherwise, required }) => {
    const rest = required ? " (required)" : otherwise === null ? "" : ` (default: ${otherwise})`;
    return [`  ${name.padEnd(width)}${about}${rest}`, `  ${" ".repeat(width)}${allowed}`];
  });
  return `\nSettings, read from the environment, or from files of their names in $CREDENTIALS_DIRECTORY:\n${
    lines.join("\n")
  }`;
}
