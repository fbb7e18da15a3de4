/**
 * The commands `config check` and `config show`: whether the settings are valid, and where each comes from.
 * @module
 */
import { memoryMbOf, readSettings, type SettingName, workersOf, WrongSettings } from "../config/config.ts";
import { describeSettings, SETTING_NAMES, shownSettings } from "../config/settings_shown.ts";
import { CONFIG_FILE, configFile, find, settingsIn } from "../config/sources.ts";
import { jsonLine } from "../config/visible.ts";
import { table } from "../status/text.ts";
import { EXIT } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";
import { settingsFor } from "./cli/settings.ts";
import { similarTo } from "./cli/similar.ts";

/** Names that a file of settings may set: each setting, and the file that contains it. */
const ALLOWED: readonly string[] = SETTING_NAMES.flatMap((name) => [name, `${name}_FILE`]);

/**
 * Takes settings from a file from now on, below the environment; every thread reads it.
 *
 * @throws {WrongSettings} if it cannot be read, or sets what is no setting
 */
export function useConfig(path: string): void {
  Deno.env.set(CONFIG_FILE, path);
  const unknown = [...settingsIn(path).keys()].filter((name) => !ALLOWED.includes(name));
  if (unknown.length === 0) return;
  throw new WrongSettings(`${path} sets what is no setting: ${unknown.map(unknownName).join(", ")}`);
}

/** Checks all settings. Warns of environment variables whose names are nearly those of settings. */
export async function checkConfig({ print, writeError }: Output): Promise<number> {
  for (const name of Object.keys(Deno.env.toObject())) {
    if (ALLOWED.includes(name) || similarTo(name, ALLOWED) === null) continue;
    writeError(`clickstream: the environment variable ${unknownName(name)} is no setting\n`);
  }
  await settingsFor(SETTING_NAMES);
  const file = configFile();
  print(`All settings are valid${file === null ? "" : `, those of ${file} included`}.`);
  return EXIT.done;
}

/** A setting as it is shown. */
interface ShownSetting {
  readonly name: SettingName;
  /** Null if it is not set and has no default. */
  readonly value: string | null;
  /** `environment`, the path of a file, or `default`; null if it is not set. */
  readonly source: string | null;
}

/**
 * Prints every setting with its value and where it comes from; secrets are hidden.
 *
 * @throws {WrongSettings} if a setting is invalid; one that is required may be absent
 */
export function showConfig({ json }: { readonly json?: true }, { print }: Pick<Output, "print">): number {
  const readable = describeSettings().filter(({ name, required }) => !required || find(name) !== undefined);
  const settings = readSettings(readable.map(({ name }) => name));
  // Where the machine decides, its decision is shown.
  const values = shownSettings({ ...settings, WORKERS: workersOf(settings), MEMORY_MB: memoryMbOf(settings) });
  const shown = SETTING_NAMES.map((name): ShownSetting => {
    const value = values[name] ?? null;
    return { name, value, source: find(name)?.source ?? (value === null ? null : "default") };
  });
  if (json) {
    for (const each of shown) print(jsonLine(each));
  } else {
    const rows = shown.map(({ name, value, source }) => [name, value ?? "(not set)", source ?? ""]);
    print(table(["setting", "value", "from"], rows).join("\n"));
  }
  return EXIT.done;
}

function unknownName(name: string): string {
  const meant = similarTo(name, ALLOWED);
  return meant === null ? name : `${name} (did you mean ${meant}?)`;
}
