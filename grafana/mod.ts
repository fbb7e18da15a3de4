/**
 * The dashboards, as the files that Grafana provisions.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { ANALYTICS } from "./analytics.ts";
import { BEHAVIOR } from "./behavior.ts";
import { SYSTEM } from "./system.ts";

/** Dashboards by the name of their file in `dashboards/`. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  "analytics.json": ANALYTICS,
  "behavior.json": BEHAVIOR,
  "system.json": SYSTEM,
};

/** A dashboard as its file has it. */
export function fileOf(dashboard: Dashboard): string {
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
