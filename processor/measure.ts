/**
 * Measures: what a view adds up. Each is a commutative monoid (a zero and a merge that may be done in any order), which
 * alone is why late events, several instances and crashes can't change a figure.
 * @module
 */
import { type Batch, type Dictionaries, type Dimension, DIMENSIONS, type Quantity } from "./batch.ts";
import { type Dictionary, NONE } from "./dictionary.ts";
import { Distinct, MemberSet } from "./distinct.ts";
import { EMPTY_FUNNEL, Funnel } from "./funnel.ts";

/** A value as PostgreSQL takes it. Times are epoch milliseconds in a column of type `timestamptz`. */
export type Cell = number | string | Uint8Array | null;

/** A column of a view's table. */
export interface Column {
  readonly name: string;
  readonly type: "bigint" | "smallint" | "text" | "timestamptz" | "date" | "bytea";
  readonly nullable: boolean;
}

/** Only events whose dimensions have one of the given values. */
export type Filter = { readonly [dimension in Dimension]?: readonly string[] };

/** Adds events up, for many rows at once. */
export interface Accumulator<V> {
  /** Adds each event `i` of `batch` to row `rows[i]`, passing those whose row is negative. */
  add(batch: Batch, rows: Int32Array): void;
  /** What has been added up for a row; the measure's zero for one that got nothing. */
  value(row: number): V;
}

/** A way of adding events up. */
export interface Measure<V = unknown> {
  readonly kind: string;
  readonly where: Filter;
  readonly zero: V;
  /** Associative and commutative, with `zero` as its identity. Changes neither side. */
  merge(a: V, b: V): V;
  accumulator(words: Dictionaries): Accumulator<V>;
  /** The columns that hold a value, for a measure called `name`. */
  columns(name: string): readonly Column[];
  /** A value as cells of its columns. */
  encode(value: V): readonly Cell[];
  /** The value back from its cells. */
  decode(cells: readonly Cell[]): V;
  /** True where SQL's `+` merges the cells, so that nothing needs to be read before it is written. */
  readonly additive: boolean;
}

/** Number of events. */
export function count(where: Filter = {}): Measure<number> {
  return total("count", where, () => 1);
}

/** Sum of a quantity, in its unit (revenue: integer cents). */
export function sum(of: Quantity, where: Filter = {}): Measure<number> {
  return total("sum", where, (batch, i) => batch[of][i]!);
}

function total(kind: string, where: Filter, amount: (batch: Batch, i: number) => number): Measure<number> {
  return {
    kind,
    where,
    zero: 0,
    additive: true,
    merge: (a, b) => a + b,
    columns: (name) => [{ name, type: "bigint", nullable: false }],
    encode: (value) => [value],
    decode: ([cell]) => cell as number,
    accumulator(words) {
      const matches = matcher(where, words);
      let totals = new Float64Array(64);
      return {
        add(batch, rows) {
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0 || !matches(batch, i)) continue;
            if (row >= totals.length) totals = grown(totals, row);
            totals[row]! += amount(batch, i);
          }
        },
        value: (row) => totals[row] ?? 0,
      };
    },
  };
}

/**
 * Number of different users: exact up to 4,096 in a row, at most 1 % off beyond (standard error).
 */
export function distinctUsers(where: Filter = {}): Measure<Distinct> {
  return {
    kind: "distinct",
    where,
    zero: Distinct.EMPTY,
    additive: false,
    merge: (a, b) => a.union(b),
    columns: (name) => [
      { name, type: "bigint", nullable: false },
      { name: `${name}_state`, type: "bytea", nullable: false },
    ],
    encode: (value) => [value.count, value.bytes],
    decode: ([, bytes]) => Distinct.of(bytes as Uint8Array),
    accumulator(words) {
      const matches = matcher(where, words);
      const members = new MemberSet();
      return {
        add(batch, rows) {
          const users = batch.codes.user;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row >= 0 && matches(batch, i)) members.add(row, users[i]!);
          }
        },
        value: (row) => Distinct.from(members.of(row), (code) => words.user.hash(code)),
      };
    },
  };
}

/** The value at one end of a row's events, and the event that it was taken from. */
export interface Pick {
  readonly time: number;
  readonly id: string;
  readonly value: string | null;
}

/** Names of the columns that hold the time and the id of the event that a value was picked from. */
export interface PickColumns {
  readonly at: string;
  readonly by: string;
}

/** Value of a dimension in the earliest event; of two at the same time, in the one with the smaller id. */
export function first(of: Dimension, columns: PickColumns, where: Filter = {}): Measure<Pick | null> {
  return pick("first", of, columns, where, (a, b) => compareAt(a, b) <= 0);
}

/** Value of a dimension in the latest event; of two at the same time, in the one with the greater id. */
export function last(of: Dimension, columns: PickColumns, where: Filter = {}): Measure<Pick | null> {
  return pick("last", of, columns, where, (a, b) => compareAt(a, b) >= 0);
}

function pick(
  kind: string,
  of: Dimension,
  { at, by }: PickColumns,
  where: Filter,
  wins: (a: Pick, b: Pick) => boolean,
): Measure<Pick | null> {
  const better = (a: Pick | null, b: Pick | null) => a === null ? b : b === null || wins(a, b) ? a : b;
  return {
    kind,
    where,
    zero: null,
    additive: false,
    merge: better,
    columns: (name) => [
      { name, type: "text", nullable: true },
      { name: at, type: "timestamptz", nullable: true },
      { name: by, type: "text", nullable: true },
    ],
    encode: (value) => value === null ? [null, null, null] : [value.value, value.time, value.id],
    decode: ([value, time, id]) =>
      time === null ? null : { value: value as string | null, time: time as number, id: id as string },
    accumulator(words) {
      const matches = matcher(where, words);
      const picks: (Pick | null)[] = [];
      return {
        add(batch, rows) {
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0 || !matches(batch, i)) continue;
            const mine = picks[row] ?? null;
            const time = batch.time[i]!;
            if (mine !== null && (kind === "first" ? mine.time < time : mine.time > time)) continue;
            picks[row] = better(mine, { time, id: batch.id(i), value: batch.text(of, i) });
          }
        },
        value: (row) => picks[row] ?? null,
      };
    },
  };
}

/**
 * How far events get through steps that must follow each other in event time, at the same time or later; what a later
 * event could still change is kept in the column `state`.
 */
export function funnel(steps: readonly [string, string, string], state: string): Measure<Funnel> {
  return {
    kind: "funnel",
    where: { type: steps },
    zero: EMPTY_FUNNEL,
    additive: false,
    merge: (a, b) => a.merge(b),
    columns: (name) => [
      { name, type: "smallint", nullable: false },
      { name: state, type: "bytea", nullable: true },
    ],
    encode: (value) => [value.step, value.bytes],
    decode: ([step, bytes]) => Funnel.of(step as number, bytes as Uint8Array | null),
    accumulator(words) {
      // Thinned out once, at the end: merging event by event would take the square of a robot's thousands of events.
      const gathered: { first: number; middle: number[]; last: number }[] = [];
      let stepOf = new Int8Array(0);
      return {
        add(batch, rows) {
          stepOf = table(words.type, stepOf, (type) => steps.indexOf(type));
          const types = batch.codes.type;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            const step = stepOf[types[i]!]!;
            if (row < 0 || step < 0) continue;
            const time = batch.time[i]!;
            const mine = gathered[row] ??= { first: Infinity, middle: [], last: -Infinity };
            if (step === 0) mine.first = Math.min(mine.first, time);
            else if (step === 1) mine.middle.push(time);
            else mine.last = Math.max(mine.last, time);
          }
        },
        value(row) {
          const mine = gathered[row];
          return mine === undefined ? EMPTY_FUNNEL : Funnel.from(mine.first, mine.middle, mine.last);
        },
      };
    },
  };
}

/** Orders picks by time, then by id; where one id came with two values, by these, so that the order of merging can't tell. */
function compareAt(a: Pick, b: Pick): number {
  return a.time - b.time || compareText(a.id, b.id) || compareText(a.value ?? "", b.value ?? "");
}

/** Orders strings by code point, which is how PostgreSQL's collation "C" orders UTF-8; negative, zero or positive. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    // A surrogate stands for a code point above every other code unit.
    if (x !== y) return (x >= 0xd800 && x < 0xe000 ? x + 0x10000 : x) - (y >= 0xd800 && y < 0xe000 ? y + 0x10000 : y);
  }
  return a.length - b.length;
}

/** Tells which events pass a filter; looks each string of a dictionary up once. */
export function matcher(where: Filter, words: Dictionaries): (batch: Batch, i: number) => boolean {
  const tests = DIMENSIONS.filter((dimension) => where[dimension] !== undefined).map((dimension) => {
    const allowed = new Set(where[dimension]);
    let flags = new Int8Array(0);
    return (batch: Batch, i: number): boolean => {
      const code = batch.codes[dimension][i]!;
      if (code === NONE) return false;
      if (code >= flags.length) flags = table(words[dimension], flags, (text) => allowed.has(text) ? 1 : 0);
      return flags[code] === 1;
    };
  });
  const [only] = tests;
  if (only === undefined) return () => true;
  return tests.length === 1 ? only : (batch, i) => tests.every((test) => test(batch, i));
}

/** A small number for each string of a dictionary, worked out once for each. */
function table(words: Dictionary, known: Int8Array<ArrayBuffer>, of: (text: string) => number) {
  if (known.length >= words.count) return known;
  const all = new Int8Array(words.count);
  all.set(known);
  for (let code = known.length; code < all.length; code++) all[code] = of(words.text(code));
  return all;
}

function grown(values: Float64Array<ArrayBuffer>, row: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(Math.max(row + 1, values.length * 2));
  larger.set(values);
  return larger;
}
