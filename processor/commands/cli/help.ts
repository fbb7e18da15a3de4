/**
 * What `--help` prints besides the options.
 * @module
 */
import type { SettingName } from "../../config/config.ts";
import { describeSettings } from "../../config/settings_shown.ts";
import { table } from "../../status/text.ts";

/** The examples of a command, each with a comment. */
export function examples(...lines: readonly (readonly [command: string, does: string])[]): string {
  return `\nExamples:\n${indented(lines.map(([command, does]) => [command, `# ${does}`]))}`;
}

/** The settings that a command reads: name, meaning, default and what is allowed. */
export function settingsRead(names: readonly SettingName[]): string {
  const rows = describeSettings(names).flatMap(({ name, about, allowed, default: fallback, required }) => {
    const rest = required ? " (required)" : fallback === null ? "" : ` (default: ${fallback})`;
    return [[name, `${about}${rest}`], ["", allowed]];
  });
  return `\nSettings, from environment variables, from the files that NAME_FILE names or that are in ` +
    `$CREDENTIALS_DIRECTORY, or from --config:\n${indented(rows)}`;
}

function indented(rows: readonly (readonly string[])[]): string {
  return table(null, rows).map((line) => `  ${line}`).join("\n");
}
