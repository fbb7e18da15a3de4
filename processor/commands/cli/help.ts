/**
 * What `--help` says besides the options.
 * @module
 */
import type { SettingName } from "../../config/config.ts";
import { describeSettings } from "../../config/settings_shown.ts";
import { table } from "../../status/text.ts";

/** Examples, each a command line and what it does. */
export function examples(...lines: readonly (readonly [command: string, does: string])[]): string {
  return `\nExamples:\n${indented(lines.map(([command, does]) => [command, `# ${does}`]))}`;
}

/** The settings that a command reads: name, meaning, default and what is allowed. */
export function settingsRead(names: readonly SettingName[]): string {
  const rows = describeSettings(names).flatMap(({ name, about, allowed, default: otherwise, required }) => {
    const rest = required ? " (required)" : otherwise === null ? "" : ` (default: ${otherwise})`;
    return [[name, `${about}${rest}`], ["", allowed]];
  });
  return `\nSettings, read from the environment, or from files of their names in $CREDENTIALS_DIRECTORY:\n${
    indented(rows)
  }`;
}

function indented(rows: readonly (readonly string[])[]): string {
  return table(null, rows).map((line) => `  ${line}`).join("\n");
}
