/**
 * The figures of a benchmark: their names, what a run yields, and their table on the terminal.
 * @module
 */
import { table } from "../processor/status/text.ts";
import type { Machine } from "../testing/servers/usage.ts";
import { split, type Spread, spreadOf } from "./statistics.ts";

/** How a figure is shown and compared. */
export interface Figure {
  readonly title: string;
  readonly digits: number;
  /** Which direction is a regression; null: it is shown and not judged. */
  readonly worse: "more" | "less" | null;
  /**
   * How it is compared with another run, maybe on another machine: divided by the calibration, as it is, or not at all.
   */
  readonly across: "calibrated" | "same" | null;
  /** It describes the machine, not the program. */
  readonly isOfMachine?: boolean;
}

const CPU = { digits: 2, worse: "more", across: "calibrated" } as const;
const SHOWN = { worse: null, across: null } as const;
const MACHINE = { ...SHOWN, isOfMachine: true } as const;

/** Every figure of a run, in the order of the table. */
export const FIGURES = {
  marginalUs: { title: "CPU µs/event, marginal", ...CPU },
  wholeUs: { title: "CPU µs/event, whole", ...CPU },
  startSeconds: { title: "start-up CPU s", digits: 2, ...SHOWN },
  databaseMarginalUs: { title: "PostgreSQL CPU µs/event, marginal", ...CPU },
  databaseWholeUs: { title: "PostgreSQL CPU µs/event, whole", ...CPU },
  perSecond: { title: "events/s", digits: 0, worse: "less", across: null },
  firstResultSeconds: { title: "first result s", digits: 2, ...SHOWN },
  peakMb: { title: "peak RSS MB", digits: 0, worse: "more", across: "same" },
  p50Ms: { title: "latency p50 ms", digits: 0, ...SHOWN },
  p99Ms: { title: "latency p99 ms", digits: 0, ...SHOWN },
  missing: { title: "missing %", digits: 2, ...SHOWN },
  usersOff: { title: "users off %", digits: 1, ...SHOWN },
  othersCores: { title: "cores used by other processes", digits: 2, ...MACHINE },
  loadAverage: { title: "load average", digits: 1, ...MACHINE },
  calibrationMs: { title: "calibration CPU ms", digits: 0, ...MACHINE },
} as const satisfies Readonly<Record<string, Figure>>;

/** Name of a figure. */
export type FigureName = keyof typeof FIGURES;

/** Figures of one run; what was not measured is absent. */
export type Run = Readonly<Partial<Record<FigureName, number>>>;

/** The runs of a program in a case. Runs at the same index were made in the same round. */
export interface Row {
  readonly case: string;
  readonly program: string;
  readonly runs: readonly Run[];
}

/** The load that was drained. */
export interface Load {
  readonly events: number;
  /** Events of the small topic, which is drained to know the cost of the start. */
  readonly smallEvents: number;
  readonly users: number;
  readonly partitions: number;
  /** Whether the simulator made it. */
  readonly shop: boolean;
}

/** Everything that a benchmark has measured: the content of its JSON file. */
export interface Report {
  /** Time of its start, ISO 8601. */
  readonly date: string;
  /** Measured commit, with `-dirty` if files were changed; `unknown` outside a repository. */
  readonly commit: string;
  readonly machine: Machine;
  readonly load: Load;
  /** Load of the latency measurement; 0 seconds if there was none. */
  readonly live: { readonly perSecond: number; readonly seconds: number };
  readonly rows: readonly Row[];
}

/** The case that the peers run too. */
export const PEERS_CASE = "windows only";

/** Name of the program of this checkout in a report. */
export const THIS = "this";

/** Name of the other version in a report. */
export const AGAINST = "against";

/** Measurements of one drain. */
export interface Drained {
  readonly events: number;
  readonly cpuSeconds: number;
  readonly databaseCpuSeconds: number;
  /** Rate from the first commit to the last; null if there was only one. */
  readonly perSecond: number | null;
  readonly firstResultSeconds: number;
  readonly peakMb: number;
}

/** The figures of a drain of the full topic, with one of the small topic to tell the cost of the start apart. */
export function figuresOf(small: Drained, full: Drained): Run {
  const cost = (of: "cpuSeconds" | "databaseCpuSeconds") =>
    split({ events: small.events, seconds: small[of] }, { events: full.events, seconds: full[of] });
  const { marginalUs, wholeUs, startSeconds } = cost("cpuSeconds");
  const database = cost("databaseCpuSeconds");
  return {
    marginalUs,
    wholeUs,
    startSeconds,
    databaseMarginalUs: database.marginalUs,
    databaseWholeUs: database.wholeUs,
    ...full.perSecond !== null && { perSecond: full.perSecond },
    firstResultSeconds: full.firstResultSeconds,
    peakMb: full.peakMb,
  };
}

/** Median and range of a figure; null if no run has it. */
export function spreadIn(row: Row, name: FigureName): Spread | null {
  return spreadOf(row.runs.flatMap((run) => run[name] ?? []));
}

/** Median and range of a figure of `row` divided by that of `other`, round by round; null if no round has both. */
export function ratioIn(row: Row, other: Row, name: FigureName): Spread | null {
  return spreadOf(row.runs.flatMap((run, round) => {
    const [mine, theirs] = [run[name], other.runs[round]?.[name]];
    return mine === undefined || theirs === undefined || theirs === 0 ? [] : mine / theirs;
  }));
}

/** The runs of a program in a case, if there are any. */
export function rowOf({ rows }: Report, of: string, program: string): Row | undefined {
  return rows.find((row) => row.case === of && row.program === program);
}

/** A spread as text: the median, and the range in brackets if there was more than one value. */
export function shown(spread: Spread | null, digits: number): string {
  if (spread === null) return "";
  const [median, min, max] = [spread.median, spread.min, spread.max].map((number) => number.toFixed(digits));
  return min === max ? median! : `${median} (${min}–${max})`;
}

/** The figures of a case: a column for each program, and for the others their ratio to this one. */
export function caseTable(report: Report, of: string): string[] {
  const rows = report.rows.filter((row) => row.case === of);
  const ours = rowOf(report, of, THIS);
  const heads = rows.flatMap(({ program }) => program === THIS ? [program] : [program, "÷ this"]);
  const lines = (Object.keys(FIGURES) as FigureName[]).flatMap((name) => {
    const { title, digits, isOfMachine = false }: Figure = FIGURES[name];
    const cells = rows.flatMap((row) => {
      const cell = shown(spreadIn(row, name), digits);
      if (row.program === THIS) return [cell];
      return [cell, ours === undefined || isOfMachine ? "" : shown(ratioIn(row, ours, name), 2)];
    });
    return cells.every((cell) => cell === "") ? [] : [[title, ...cells]];
  });
  return table([of, ...heads], lines);
}

/** Above this many cores that other processes used in the median run, a report says that it is noisy. */
export const NOISY_CORES = 0.2;

/** How far the load of the machine disturbed the runs, in one sentence. */
export function noise({ machine, rows }: Report): string {
  const of = (name: FigureName) => spreadOf(rows.flatMap(({ runs }) => runs.flatMap((run) => run[name] ?? [])));
  const [others, load] = [of("othersCores"), of("loadAverage")];
  if (others === null || load === null) return "The load of the machine is unknown.";
  const said = `other processes used ${shown(others, 2)} of ${machine.cores} cores, load average ${shown(load, 1)}`;
  if (others.median <= NOISY_CORES) return `Quiet: ${said}.`;
  return `NOISY: ${said}. Ratios within this run hold better than its absolute figures.`;
}
