import { type Report, REPORTS } from "./report_tables.ts";
import type { Range } from "./reports.ts";
import type { Expected } from "./rows.ts";
import { type Cell, type Columns, type Reader, readRows, type Row } from "./table_shapes.ts";
import { localDay } from "./values.ts";

/** A wrong value in a report; a whole row if `column` is null. */
export interface ReportDifference {
  readonly report: string;
  readonly range: Range;
  readonly key: string;
  readonly column: string | null;
  readonly expected: Cell;
  readonly actual: Cell;
}

/** The arguments of the reports. */
export interface ReportOptions {
  readonly ranges: readonly Range[];
  /** Days that ended before this time are over. */
  readonly nowMs: number;
  /** All by default. */
  readonly reports?: readonly string[];
}

const RATES_MAY_DIFFER_BY = 1e-9;

/** Calls every report for every range and compares the rows, in any order, with the definitions. */
export async function compareReports(
  database: Reader,
  expected: Expected,
  options: ReportOptions,
): Promise<ReportDifference[]> {
  const differences: ReportDifference[] = [];
  for (const name of options.reports ?? Object.keys(REPORTS)) {
    const report = REPORTS[name]!;
    for (const range of options.ranges) {
      const dayAt = (time: string) => localDay(Date.parse(time), expected.timeZone);
      const asked = report.isByDay ? { from: dayAt(range.from), to: dayAt(range.to) } : range;
      const wanted = report.rowsOf(expected, asked, options.nowMs);
      for (const found of compareRows(report, wanted, await readReport(database, name, asked))) {
        differences.push({ report: name, range: asked, ...found });
      }
    }
  }
  return differences;
}

/** Calls a report of the database; leaves out hours of the heatmap without events. */
export async function readReport(database: Reader, name: string, range: Range): Promise<Row[]> {
  const { columns, isByDay, call } = REPORTS[name]!;
  const type = isByDay ? "date" : "timestamptz";
  const more = call === undefined ? "" : `, ${call.more}`;
  const source = `clickstream.${call?.name ?? name}($1::text::${type}, $2::text::${type}${more})`;
  const rows = await readRows(database, columns, source, "", [range.from, range.to]);
  return "hour" in columns ? rows.filter((row) => row["events"] !== 0 || (row["previous_events"] ?? 0) !== 0) : rows;
}

/** The differences as readable lines. */
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
