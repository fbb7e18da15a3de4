/**
 * Compares figures with those of another version, and finds what became worse.
 * @module
 */
import { table } from "../processor/status/text.ts";
import {
  AGAINST,
  type FigureName,
  FIGURES,
  type Load,
  ratioIn,
  type Report,
  type Row,
  rowOf,
  shown,
  spreadIn,
  THIS,
} from "./figures.ts";
import type { Spread } from "./statistics.ts";

/** A median that is worse by more than this share is a regression. */
export const TOLERANCE = 0.15;

/** A figure of a case, as a multiple of the other version's. */
export interface Finding {
  readonly case: string;
  readonly figure: FigureName;
  readonly ratio: Spread;
  readonly isWorse: boolean;
}

/** Compares this version with the one that ran in turn with it, round by round. */
export function comparedInRun(report: Report): Finding[] {
  return findings(report, (row, name) => {
    const other = rowOf(report, row.case, AGAINST);
    return other === undefined ? null : ratioIn(row, other, name);
  });
}

/**
 * Compares with a report of another run, maybe of another machine: CPU times relative to the calibration of their run,
 * memory as it is, and nothing else.
 *
 * @throws {Error} if they drained different loads
 */
export function comparedWith(report: Report, other: Report): Finding[] {
  assertEqualLoads(report.load, other.load);
  return findings(report, (row, name) => {
    const then = rowOf(other, row.case, THIS);
    return then === undefined ? null : ratioAcross(row, then, name);
  });
}

/** Fails if the figures of two loads can't be compared. */
export function assertEqualLoads(load: Load, other: Load): void {
  const [ours, theirs] = [JSON.stringify(load), JSON.stringify(other)];
  if (ours !== theirs) throw new Error(`the loads differ: ${ours}, and ${theirs} in the report to compare with`);
}

function findings(report: Report, ratioOf: (row: Row, name: FigureName) => Spread | null): Finding[] {
  const all = report.rows.filter(({ program }) => program === THIS).flatMap((row) =>
    (Object.keys(FIGURES) as FigureName[]).flatMap((figure): Finding[] => {
      const { worse } = FIGURES[figure];
      const ratio = worse === null ? null : ratioOf(row, figure);
      if (ratio === null) return [];
      return [{ case: row.case, figure, ratio, isWorse: isWorse(ratio, worse === "less") }];
    })
  );
  if (all.length === 0) throw new Error("no case was measured of both versions");
  return all;
}

/** Whether the median is worse beyond the tolerance. */
function isWorse({ median }: Spread, whenLess: boolean): boolean {
  return (whenLess ? 1 / median : median) > 1 + TOLERANCE;
}

/** Ratio of the medians of two runs; its range is that of the extremes. */
function ratioAcross(now: Row, then: Row, name: FigureName): Spread | null {
  const { across } = FIGURES[name];
  if (across === null) return null;
  const [a, b] = [now, then].map((row) => {
    const spread = spreadIn(row, name);
    const unit = across === "calibrated" ? spreadIn(row, "calibrationMs")?.median : 1;
    if (spread === null || unit === undefined) return null;
    return { median: spread.median / unit, min: spread.min / unit, max: spread.max / unit };
  });
  if (a === null || b === null) return null;
  return { median: a!.median / b!.median, min: a!.min / b!.max, max: a!.max / b!.min };
}

/** The findings as a table, with a verdict. */
export function findingsTable(all: readonly Finding[]): string[] {
  const worse = all.filter(({ isWorse }) => isWorse).length;
  const percent = TOLERANCE * 100;
  return [
    ...table(
      ["case", "figure", "new ÷ old", ""],
      all.map(({ case: of, figure, ratio, isWorse }) => {
        return [of, FIGURES[figure].title, shown(ratio, 2), isWorse ? "✗" : "✓"];
      }),
    ),
    "",
    worse === 0
      ? `None of ${all.length} figures is more than ${percent} % worse.`
      : `${worse} of ${all.length} figures are more than ${percent} % worse.`,
  ];
}
