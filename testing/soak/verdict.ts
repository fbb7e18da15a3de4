/**
 * Judges whether a soak stayed flat: the median of its last quarter against that of its second. The first quarter is
 * for warming up.
 * @module
 */
import { table } from "../../processor/status/text.ts";
import type { Sample, TableSize } from "./sample.ts";

/** Most growth from the second quarter to the last. */
const MOST_GROWTH = 0.05;

/** Least size of a table that is judged, in bytes: below it, a single page counts for much. */
const LEAST_BYTES = 4_000_000;

/**
 * Most dead rows, as a share of the live ones, and how many are always allowed: autovacuum begins at a fifth of the
 * table, and may take a while.
 */
const MOST_DEAD = 0.4;
const FEW_DEAD = 20_000;

/**
 * Tables of which each commit writes the latest rows again, and these are large and few: what autovacuum has yet to free
 * follows the commits of the last minute, which is how often it comes by, and not the rows.
 */
const REWRITTEN: ReadonlySet<string> = new Set(["active_users"]);

/** Seconds over which commits are counted for these. */
const VACUUM_SECONDS = 60;

/** A figure of a soak, and whether it stayed within its bound. */
export interface Finding {
  readonly what: string;
  /** Medians of the second and of the last quarter. */
  readonly second: number;
  readonly last: number;
  readonly unit: string;
  /** In words. */
  readonly bound: string;
  readonly isWithin: boolean;
}

/** The figures that must stay flat. Of what varies as a whole by some MB, so much more is allowed. */
const FLAT: readonly (readonly [what: string, unit: string, of: (sample: Sample) => number, slack?: number])[] = [
  ["RSS", "MB", ({ rssMb }) => rssMb],
  ["handles", "", ({ handles }) => handles],
  ["threads", "", ({ threads }) => threads],
  ["private memory of PostgreSQL's backends", "MB", ({ backendsMb }) => backendsMb, 4],
];

/** Judges the samples of a soak. */
export function judge(samples: readonly Sample[]): Finding[] {
  const second = quarter(samples, 2);
  const last = quarter(samples, 4);
  const medians = (of: (sample: Sample) => number) => ({ second: median(second.map(of)), last: median(last.map(of)) });
  const flat = (what: string, unit: string, of: (sample: Sample) => number, slack = 0): Finding => {
    const both = medians(of);
    const bound = `at most ${MOST_GROWTH * 100} %${slack === 0 ? "" : ` or ${slack} ${unit}`} more`;
    return {
      what,
      unit,
      ...both,
      bound,
      isWithin: both.last - both.second <= Math.max(slack, both.second * MOST_GROWTH),
    };
  };
  const perCommit = (name: string) =>
    flat(`${name}, table and indexes per commit/s`, "bytes", (sample) => {
      const size = sample.tables[name];
      return size === undefined ? 0 : bytesOf(size) / commitsPerSecond(sample, samples);
    });
  const names = Object.keys(last.at(-1)?.tables ?? {});
  const sizes = names.filter((name) => bytesOf(last.at(-1)!.tables[name]!) >= LEAST_BYTES);
  return [
    ...FLAT.map(([what, unit, of, slack]) => flat(what, unit, of, slack)),
    ...sizes.map((name) =>
      REWRITTEN.has(name)
        ? perCommit(name)
        : flat(`${name}, table and indexes per row`, "bytes", ({ tables }) => perRow(tables[name]))
    ),
    ...sizes.map((name): Finding => {
      const both = medians(({ tables }) => tables[name]?.deadRows ?? 0);
      const most = FEW_DEAD + MOST_DEAD * median(last.map(({ tables }) => tables[name]?.liveRows ?? 0));
      return { what: `${name}, dead rows`, unit: "", ...both, bound: bounded(most), isWithin: both.last <= most };
    }),
    keepsUp(medians(({ lag }) => lag), last),
  ];
}

/** The service keeps up: the lag is at most what comes in 10 s. */
function keepsUp(both: { readonly second: number; readonly last: number }, last: readonly Sample[]): Finding {
  const [first, end] = [last[0], last.at(-1)];
  const rate = first === undefined || end === undefined ? 0 : (end.sent - first.sent) / (end.seconds - first.seconds);
  const most = rate * 10;
  return { what: "lag", unit: "records", ...both, bound: bounded(most), isWithin: both.last <= most };
}

/** Commits/s in the time before a sample in which autovacuum comes by. */
function commitsPerSecond(sample: Sample, samples: readonly Sample[]): number {
  const before = samples.findLast(({ seconds }) => seconds <= sample.seconds - VACUUM_SECONDS);
  const [commits, seconds] = before === undefined ? [0, 0] : [before.commits, before.seconds];
  return (sample.commits - commits) / (sample.seconds - seconds);
}

function bounded(most: number): string {
  return `at most ${Math.round(most).toLocaleString("en")}`;
}

/** The findings as a table for a terminal. */
export function findingsTable(findings: readonly Finding[]): string[] {
  return table(
    ["", "second quarter", "last quarter", "bound", ""],
    findings.map(({ what, unit, second, last, bound, isWithin }) => [
      unit === "" ? what : `${what}, ${unit}`,
      shown(second),
      shown(last),
      bound,
      isWithin ? "✓" : "✗",
    ]),
  );
}

function shown(n: number): string {
  return n.toLocaleString("en", { maximumFractionDigits: n < 100 ? 1 : 0 });
}

/** The samples of a quarter, 1 to 4, by time. */
export function quarter(samples: readonly Sample[], n: number): readonly Sample[] {
  const whole = samples.at(-1)?.seconds ?? 0;
  return samples.filter(({ seconds }) => seconds > whole * (n - 1) / 4 && seconds <= whole * n / 4);
}

/** Bytes of a table and its indexes. */
export function bytesOf({ tableBytes, indexBytes }: TableSize): number {
  return tableBytes + indexBytes;
}

/** Bytes of a table and its indexes for each live row; 0 of an empty one. */
export function perRow(size: TableSize | undefined): number {
  return size === undefined || size.liveRows === 0 ? 0 : bytesOf(size) / size.liveRows;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}
