/**
 * Settings as shown in help, documentation and the status page.
 * @module
 */
import { type Address, addressText } from "./address.ts";
import { memoryMbOf, type SettingName, SETTINGS, type Settings, workersOf } from "./config.ts";
import type { Setting } from "./schemas.ts";
import { Secret } from "./secret.ts";
import type { View } from "../views/view.ts";

/** Names of all settings. */
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** Description of a setting for help and documentation. */
export interface SettingDescription {
  readonly name: SettingName;
  /** Value if it is not set; null without a default. */
  readonly default: string | null;
  /** Whether it must be set. */
  readonly required: boolean;
  readonly secret: boolean;
  readonly allowed: string;
  readonly about: string;
}

/** Describes these settings (default: all). */
export function describeSettings(names: readonly SettingName[] = SETTING_NAMES): SettingDescription[] {
  return names.map((name) => {
    const { default: fallback, allowed, about, secret }: Setting = SETTINGS[name];
    const required = fallback === undefined;
    return { name, default: fallback ?? null, required, secret: secret === true, allowed, about };
  });
}

/** The values as text, with secrets hidden; null if not set. */
export function shownSettings(settings: Partial<Settings>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, shown(value)]));
}

/** The same for a running service: where the machine decides, `auto` and what it came to. */
export function runningSettings(settings: Settings<"WORKERS" | "MEMORY_MB">): Record<string, string | null> {
  const decided = { WORKERS: workersOf(settings), MEMORY_MB: memoryMbOf(settings) };
  const shown = shownSettings(settings);
  for (const [name, value] of Object.entries(decided)) shown[name] ??= `auto: ${value}`;
  return shown;
}

type Shown = Settings[SettingName];

function shown(value: Shown): string | null {
  if (value === null) return null;
  if (Array.isArray(value)) {
    return value.map((part: string | View) => typeof part === "string" ? part : part.name).join();
  }
  if (typeof value !== "object" || value instanceof Secret) return String(value);
  return "file" in value ? value.file : addressText(value as Address);
}
