/**
 * Shows the status of a running service as a table.
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { addressText } from "../config/address.ts";
import type { Address } from "../config/address.ts";
import { inWords } from "../config/secret.ts";
import type { StatusReport } from "../status/report.ts";
import { moneyFault } from "../currency.ts";
import { jsonLine, visible } from "../config/visible.ts";
import { table, withCommas } from "../status/text.ts";
import { EXIT } from "./cli/exit.ts";
import type { Output } from "./cli/progress.ts";

/** How to show the status. */
export interface StatusOptions {
  /** Prints the report as one line of JSON. */
  readonly json: boolean;
  /** Refreshes it in place until the signal is aborted. */
  readonly watch: boolean;
  /** Clears the terminal before the next report. */
  readonly clear: () => void;
  readonly signal: AbortSignal;
}

/** A report of another version may have more fields, or fewer. */
type Report = Omit<StatusReport, "money"> & {
  readonly money?: StatusReport["money"];
  readonly verdict?: { readonly title: string; readonly detail: string; readonly advice: string | null };
};

const EVERY_MS = 1000;
const TIMEOUT_MS = 3000;

/** Most bytes of an answer; a report of 10,000 partitions has 2 MB. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Shows the status of the service at `address`; returns the exit code.
 *
 * @throws {Error} if the service does not answer the first request
 */
export async function status(
  { json, watch, clear, signal }: StatusOptions,
  address: Address,
  output: Output,
): Promise<number> {
  for (let first = true;; first = false) {
    const asked = `http://${addressText(reachable(address))}/api/status`;
    const shown = await ask(asked, json).catch((error: unknown) => {
      if (first) throw new Error(unreachable(asked, error));
      return json ? "null" : `no answer from ${asked}`;
    });
    if (watch && !json) clear();
    output.print(shown);
    if (!watch) return EXIT.done;
    await setTimeout(EVERY_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return EXIT.done;
  }
}

async function ask(url: string, json: boolean): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await textOf(response);
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return reportText(text, json);
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`its answer has more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * What is printed of an answer: the table of its report, or the report as one line of JSON.
 *
 * @throws {Error} if the answer is no report
 */
export function reportText(text: string, json: boolean): string {
  try {
    const report: Report = JSON.parse(text);
    const lines = typeof report.state === "string" ? linesOf(report) : null;
    if (lines !== null) return json ? jsonLine(report) : lines.join("\n");
  } catch {
    // A field that every report has is missing, or is of another type.
  }
  throw new Error("another program answers there, or another version of clickstream");
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
    `clickstream ${report.version} as ${report.instance}, topic ${report.topic}, since ${report.startedAt}, ` +
    `bots by isbot ${report.isbot}`,
    counts,
    commit,
    ...moneyLines(report.money ?? null),
    `lag: ${withCommas(lag)} records; recent restarts: ${withCommas(report.restarts.length)}`,
    ...report.restarts.slice(0, 3).map(({ at, cause, message }) => `  ${at} ${cause}: ${message}`),
    "",
    ...table(["partition", "next offset", "high watermark", "lag", "event-time watermark"], rows),
  ].map(visible);
}

/** How revenue is counted, in a line; none where nothing is to be said. */
function moneyLines(state: StatusReport["money"]): string[] {
  if (state === null) return [];
  const fault = moneyFault(state);
  if (fault !== null) return [`revenue: ${fault.title}. ${fault.detail}`];
  return state.currency === null ? [] : [`revenue: in ${state.currency}`];
}

function amount(value: number | null): string {
  return value === null ? "-" : withCommas(value);
}
