/**
 * The dashboards and the files from which Grafana provisions them.
 * @module
 */
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { ANALYTICS } from "./analytics.ts";
import { BEHAVIOR } from "./behavior.ts";
import { RUNBOOK } from "./runbook.ts";
import { SYSTEM } from "./system.ts";
import { VIEWS } from "./views.ts";

/** Dashboards with data, by their file names in `dashboards/`. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  "analytics.json": ANALYTICS,
  "behavior.json": BEHAVIOR,
  "system.json": SYSTEM,
  "views.json": VIEWS,
};

/** All files of `dashboards/`: those with data, and the runbook. */
export const FILES: Readonly<Record<string, Dashboard>> = { ...DASHBOARDS, "runbook.json": RUNBOOK };

/** Returns the content of a dashboard's file. */
export function fileOf(dashboard: Dashboard): string {
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
