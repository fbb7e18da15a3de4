/**
 * All targets, and how the cases are divided among them.
 * @module
 */
import { answers } from "./answers.ts";
import { commandLines, files, reports } from "./commands.ts";
import { frames } from "./frames.ts";
import { logs } from "./logs.ts";
import { outlets } from "./outlets.ts";
import { records } from "./records.ts";
import { heads, requests } from "./requests.ts";
import { databaseUrls, settings, settingsFiles } from "./settings.ts";
import type { Target } from "./target.ts";

/** A target, and its share of all cases: the cheaper a case is, the larger. */
export interface Share {
  readonly target: Target;
  readonly share: number;
}

/** All targets; the shares add up to 1. */
export const SHARES: readonly Share[] = [
  { target: records, share: 0.04 },
  { target: logs, share: 0.05 },
  { target: frames, share: 0.02 },
  { target: answers, share: 0.04 },
  { target: heads, share: 0.42 },
  { target: requests, share: 0.03 },
  { target: settings, share: 0.04 },
  { target: settingsFiles, share: 0.03 },
  { target: databaseUrls, share: 0.2 },
  { target: commandLines, share: 0.02 },
  { target: files, share: 0.03 },
  { target: reports, share: 0.04 },
  { target: outlets, share: 0.04 },
];
