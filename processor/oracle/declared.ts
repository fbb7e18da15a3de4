/**
 * The series of a declared view, computed from the rows of its table with loops and maps.
 * @module
 */
import type { Question } from "./questions.ts";
import type { Cell, Row } from "./table_shapes.ts";
import { compareText, isoTime, localDay, startOfDay } from "./values.ts";
import { groupBy } from "./windows.ts";

/** The arguments of `declared_series`. */
export interface SeriesAsked {
  readonly from: string;
  readonly to: string;
  readonly stepMs: number;
  /** A measure that is a number. */
  readonly measure: string;
  readonly bots: boolean;
  readonly timeZone?: string;
}

/** A point of a series. */
export type Point = readonly [time: string, series: string, value: number | null];

const DAY_MS = 86_400_000;
const MOST_SERIES = 10;

/** What `declared_series` returns of a view with these rows, in its order. */
export function declaredSeriesOf(view: Question, rows: readonly Row[], asked: SeriesAsked): Point[] {
  const { kind } = view.measures[asked.measure]!;
  const stepOf = stepsOf(view, asked);
  const [first, last] = [stepOf(Date.parse(asked.from)), stepOf(Date.parse(asked.to) - 1)];
  const inside = rows.filter((row) => asked.bots || row["is_bot"] === false).filter((row) => {
    const atMs = startMs(row, asked);
    return stepOf(atMs) >= first && stepOf(atMs) <= last && atMs < Date.parse(asked.to);
  });
  const keys = view.by.filter((dimension) => dimension !== "bot").length;
  const keyOf = (row: Row): string => {
    const { is_bot: _, window_start: _s, window_end: _e, day: _d, ...others } = row;
    return keys === 0 ? asked.measure : Object.values(others).slice(0, keys).join(", ");
  };
  const numberOf = (row: Row) => row[asked.measure] === null ? null : Number(row[asked.measure]);
  const sumOf = (of: readonly Row[]) => {
    const numbers = of.map(numberOf).filter((number) => number !== null);
    return numbers.length === 0 ? -Infinity : numbers.reduce((sum, number) => sum + number, 0);
  };
  const ranked = [...groupBy(inside, keyOf)]
    .sort(([a, ofA], [b, ofB]) => sumOf(ofB) - sumOf(ofA) || compareText(a, b));
  const names = new Map(ranked.map(([key], place) => {
    return [key, place < MOST_SERIES ? key : kind === "distinct" ? null : "(others)"];
  }));
  const named = inside.filter((row) => names.get(keyOf(row)) !== null);
  const overlaps = view.window.kind === "hopping";
  const inStep = kind === "min" ? least : kind === "max" || kind === "distinct" || overlaps ? most : total;
  const inWindow = kind === "min" ? least : kind === "max" ? most : total;
  const steps = [...new Set(named.map((row) => stepOf(startMs(row, asked))))];
  if (steps.length === 0) return [];
  const points: Point[] = [];
  for (let step = Math.min(...steps); step <= Math.max(...steps); step++) {
    for (const [name, ofName] of groupBy(named, (row) => names.get(keyOf(row))!)) {
      const ofStep = ofName.filter((row) => stepOf(startMs(row, asked)) === step);
      const windows = [...groupBy(ofStep, (row) => startMs(row, asked)).values()];
      const value = inStep(windows.map((of) => inWindow(of.map(numberOf))));
      points.push([timeOf(view, asked, step), name, value ?? (kind === "min" || kind === "max" ? null : 0)]);
    }
  }
  return points.sort(([a, x], [b, y]) => compareText(a, b) || compareText(x, y));
}

type Numbers = readonly (number | null)[];

function total(numbers: Numbers): number | null {
  const there = numbers.filter((number) => number !== null);
  return there.length === 0 ? null : there.reduce((sum, number) => sum + number, 0);
}

function least(numbers: Numbers): number | null {
  const there = numbers.filter((number) => number !== null);
  return there.length === 0 ? null : Math.min(...there);
}

function most(numbers: Numbers): number | null {
  const there = numbers.filter((number) => number !== null);
  return there.length === 0 ? null : Math.max(...there);
}

/** Milliseconds from one window to the next. */
function everyMsOf({ window }: Question): number {
  if (window.kind === "tumbling") return window.widthMs;
  return window.kind === "hopping" ? window.everyMs : DAY_MS;
}

/** Whole windows of a step. */
function windowsOf(view: Question, { stepMs }: SeriesAsked): number {
  return Math.max(1, Math.ceil(stepMs / everyMsOf(view)));
}

/** Numbers the step of each time from 1970. */
function stepsOf(view: Question, asked: SeriesAsked): (timeMs: number) => number {
  const stepMs = windowsOf(view, asked) * everyMsOf(view);
  if (view.window.kind !== "day") return (timeMs) => Math.floor(timeMs / stepMs);
  return (timeMs) => Math.floor(Date.parse(localDay(timeMs, asked.timeZone)) / stepMs);
}

function timeOf(view: Question, asked: SeriesAsked, step: number): string {
  const timeMs = step * windowsOf(view, asked) * everyMsOf(view);
  if (view.window.kind !== "day") return isoTime(timeMs);
  return isoTime(startOfDay(isoTime(timeMs).slice(0, 10), asked.timeZone));
}

function startMs(row: Readonly<Record<string, Cell>>, { timeZone }: SeriesAsked): number {
  return typeof row["day"] === "string" ? startOfDay(row["day"], timeZone) : Date.parse(String(row["window_start"]));
}
