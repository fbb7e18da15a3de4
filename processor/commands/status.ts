/**
 * Shows the status of a running service as a table.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { addressText } from "../config/address.ts";
import type { Address } from "../config/address.ts";
import { inWords } from "../config/secret.ts";
import type { StatusReport } from "../status/report.ts";
import { table, visible, withCommas } from "../status/text.ts";
import { EXIT } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";

/** How to show the status. */
export interface StatusOptions {
  /** Prints the report as one line of JSON. */
  readonly json: boolean;
  /** Refreshes it in place until the signal is aborted. */
  readonly watch: boolean;
  readonly signal: AbortSignal;
}

/** A report of another version may have more fields, or fewer. */
type Report = StatusReport & {
  readonly verdict?: { readonly title: string; readonly detail: string; readonly advice: string | null };
};

const EVERY_MS = 1000;
const TIMEOUT_MS = 3000;

/** Moves to the top and clears the screen. */
const HOME = "\x1b[H\x1b[2J";

/**
 * Shows the status of the service at `address`; returns the exit code.
 *
 * @throws {Error} if the service does not answer the first request
 */
export async function status(
  { json, watch, signal }: StatusOptions,
  address: Address,
  output: Output,
): Promise<number> {
  for (let first = true;; first = false) {
    const asked = `http://${addressText(reachable(address))}/api/status`;
    const report = await ask(asked).catch((error: unknown) => {
      if (first) throw new Error(unreachable(asked, error));
      return null;
    });
    const lines = report === null ? [`no answer from ${asked}`] : linesOf(report);
    if (json) output.print(JSON.stringify(report));
    else output.print((watch ? HOME : "") + lines.join("\n"));
    if (!watch) return EXIT.done;
    await setTimeout(EVERY_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return EXIT.done;
  }
}

async function ask(url: string): Promise<Report> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  const report = JSON.parse(text);
  if (typeof report?.state !== "string") throw new Error("another program answers there");
  return report;
}

function unreachable(url: string, error: unknown): string {
  return `Cannot get the status from ${url}: ${
    inWords(error)
  }. Check that the service runs (\`clickstream run\`) and that ` +
    "HTTP_LISTEN is the same for both; `clickstream doctor` shows what keeps the service from starting";
}

/** The address to connect to: a service that listens on all addresses is reached at localhost. */
function reachable({ hostname, port }: Address): Address {
  if (hostname === "0.0.0.0") return { hostname: "127.0.0.1", port };
  return { hostname: hostname === "::" ? "::1" : hostname, port };
}

function linesOf(report: Report): string[] {
  const { verdict, state, reason, totals, lastCommit, partitions } = report;
  const lag = partitions.reduce((sum, partition) => sum + (partition.lag ?? 0), 0);
  const head = verdict === undefined
    ? [state === "running" ? "running" : `${state}: ${reason ?? ""}`]
    : [verdict.title, verdict.detail, ...(verdict.advice === null ? [] : [verdict.advice])];
  const counts = `${withCommas(totals.consumed)} records: ${withCommas(totals.stored)} stored, ` +
    `${withCommas(totals.duplicates)} duplicates, ${withCommas(totals.refused)} refused, ${
      withCommas(totals.late)
    } late`;
  const commit = lastCommit === null
    ? "no commit yet"
    : `${withCommas(report.commits)} commits, the last at ${lastCommit.at} of ${
      withCommas(lastCommit.records)
    } records ` +
      `in ${Math.round(lastCommit.tookMs)} ms`;
  const rows = partitions.map(({ partition, next, end, lag, watermark }) => [
    ...[String(partition), amount(next), amount(end), amount(lag), watermark ?? "-"],
  ]);
  return [
    ...head.filter((line) => line !== ""),
    "",
    `clickstream ${report.version} as ${report.instance}, topic ${report.topic}, since ${report.startedAt}`,
    counts,
    commit,
    `lag: ${withCommas(lag)} records; recent restarts: ${withCommas(report.restarts.length)}`,
    ...report.restarts.slice(0, 3).map(({ at, cause, message }) => `  ${at} ${cause}: ${message}`),
    "",
    ...table(["partition", "next offset", "high watermark", "lag", "event-time watermark"], rows),
  ].map(visible);
}

function amount(value: number | null): string {
  return value === null ? "-" : withCommas(value);
}
