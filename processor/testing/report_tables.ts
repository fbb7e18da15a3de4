import {
  activityHeatmap,
  conversion,
  devices,
  funnel,
  type Range,
  retention,
  topPages,
  topUsers,
} from "./oracle_reports.ts";
import type { Expected } from "./oracle_rows.ts";
import { type Cell, type Columns, type Reader, readRows, type Row } from "./table_shapes.ts";

/** A number of a report that is not what the definitions say; a whole row where `column` is null. */
export interface ReportDifference {
  readonly report: string;
  readonly range: Range;
  readonly key: string;
  readonly column: string | null;
  readonly expected: Cell;
  readonly actual: Cell;
}

/** What the reports are asked for. */
export interface ReportOptions {
  readonly ranges: readonly Range[];
  /** Days that ended by then are over. */
  readonly nowMs: number;
  /** All by default. */
  readonly reports?: readonly string[];
}

interface Report {
  readonly key: readonly string[];
  readonly columns: Columns;
  readonly isByDay?: true;
  readonly rowsOf: (expected: Expected, range: Range, nowMs: number) => Row[];
}

const RATES_MAY_DIFFER_BY = 1e-9;

/** The report functions of the contract by name, with what the definitions make of them. */
export const REPORTS: Readonly<Record<string, Report>> = {
  conversion: {
    key: [],
    columns: {
      ...{ sessions: "count", conversions: "count", conversion_rate: "rate", users: "count", buyers: "count" },
      revenue_cents: "cents",
    },
    rowsOf: conversion,
  },
  top_pages: {
    key: ["page"],
    columns: {
      ...{ page: "text", views: "count", entries: "count", bounces: "count", bounce_rate: "rate" },
      ...{ exits: "count", exit_rate: "rate" },
    },
    rowsOf: topPages,
  },
  devices: {
    key: ["device"],
    columns: { device: "text", events: "count", sessions: "count" },
    rowsOf: devices,
  },
  activity_heatmap: {
    key: ["day_of_week", "hour"],
    columns: { day_of_week: "count", hour: "count", events: "count" },
    rowsOf: activityHeatmap,
  },
  funnel: {
    key: ["step"],
    columns: { step: "count", name: "text", sessions: "count", step_rate: "rate", overall_rate: "rate" },
    rowsOf: funnel,
  },
  top_users: {
    key: ["user_id"],
    columns: {
      ...{ user_id: "text", events: "count", sessions: "count", purchases: "count", revenue_cents: "cents" },
      last_seen: "time",
    },
    rowsOf: topUsers,
  },
  retention: {
    key: ["cohort_day", "day_number"],
    columns: { cohort_day: "day", cohort_size: "count", day_number: "count", users: "count", rate: "rate" },
    isByDay: true,
    rowsOf: retention,
  },
};

/** Asks every report for every range and compares the rows, in any order, with what the definitions make of them. */
export async function compareReports(
  database: Reader,
  expected: Expected,
  options: ReportOptions,
): Promise<ReportDifference[]> {
  const differences: ReportDifference[] = [];
  for (const name of options.reports ?? Object.keys(REPORTS)) {
    const report = REPORTS[name]!;
    for (const range of options.ranges) {
      const asked = report.isByDay ? { from: range.from.slice(0, 10), to: range.to.slice(0, 10) } : range;
      const wanted = report.rowsOf(expected, asked, options.nowMs);
      for (const found of compareRows(report, wanted, await readReport(database, name, asked))) {
        differences.push({ report: name, range: asked, ...found });
      }
    }
  }
  return differences;
}

/** Calls a report of the database; hours of the heatmap in which nothing happened are left out. */
export async function readReport(database: Reader, name: string, range: Range): Promise<Row[]> {
  const { columns, isByDay } = REPORTS[name]!;
  const type = isByDay ? "date" : "timestamptz";
  const call = `clickstream.${name}($1::text::${type}, $2::text::${type})`;
  const rows = await readRows(database, columns, call, "", [range.from, range.to]);
  return name === "activity_heatmap" ? rows.filter((row) => row["events"] !== 0) : rows;
}

/** The differences as lines to read. */
export function formatReportDifferences(differences: readonly ReportDifference[]): string {
  if (differences.length === 0) return "every report agrees";
  return differences.map(({ report, range, key, column, expected, actual }) => {
    const what = column === null ? "row" : column;
    const values = `should be ${JSON.stringify(expected)}, is ${JSON.stringify(actual)}`;
    return `${report}(${range.from}, ${range.to}) ${key}: ${what} ${values}`;
  }).join("\n");
}

type Found = Omit<ReportDifference, "report" | "range">;

function* compareRows(report: Report, expected: readonly Row[], actual: readonly Row[]): Generator<Found> {
  const keyOf = (row: Row) => report.key.map((column) => `${column}=${JSON.stringify(row[column])}`).join(" ");
  const whole = (row: Row | undefined) => row === undefined ? null : JSON.stringify(row);
  const unmatched = new Map<string, Row>();
  for (const row of actual) {
    const key = keyOf(row);
    if (unmatched.has(key)) yield { key, column: null, expected: null, actual: whole(row) };
    else unmatched.set(key, row);
  }
  for (const row of expected) {
    const key = keyOf(row);
    const match = unmatched.get(key);
    unmatched.delete(key);
    if (match === undefined) yield { key, column: null, expected: whole(row), actual: null };
    else yield* compareRow(report.columns, key, row, match);
  }
  for (const [key, row] of unmatched) yield { key, column: null, expected: null, actual: whole(row) };
}

function* compareRow(columns: Columns, key: string, expected: Row, actual: Row): Generator<Found> {
  for (const [column, kind] of Object.entries(columns)) {
    const [wanted, got] = [expected[column]!, actual[column]!];
    if (wanted === got) continue;
    const areClose = kind === "rate" && typeof wanted === "number" && typeof got === "number" &&
      Math.abs(wanted - got) <= RATES_MAY_DIFFER_BY;
    if (!areClose) yield { key, column, expected: wanted, actual: got };
  }
}
