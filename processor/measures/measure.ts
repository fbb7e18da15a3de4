/**
 * Measures: what a view adds up. Each is a commutative monoid (a zero and a merge that may be done in any order), which
 * alone is why late events, several instances and crashes can't change a figure.
 * @module
 */
import { type Batch, type Dictionaries, type Dimension, DIMENSIONS, type Quantity } from "../columns/batch.ts";
import { type Cell, type Cells, codesOf, numbersOf, Texts } from "../columns/cells.ts";
import { type Dictionary, NONE } from "../columns/dictionary.ts";
import { Distinct, MemberSet } from "./distinct.ts";
import { EMPTY_FUNNEL, Funnel } from "./funnel.ts";
import { grown } from "../columns/grown.ts";

export type { Cell };

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
  /** Adds each event `i` of `batch` to row `rows[i]`, passing those whose row is negative; rows are below `rowCount`. */
  add(batch: Batch, rows: Int32Array, rowCount: number): void;
  /** Adds what row `from` has got to row `into`. Both are below the `rowCount` of the last `add`. */
  merge(into: number, from: number): void;
  /** What has been added up for a row; the measure's zero for one that got nothing. */
  value(row: number): V;
  /** The cells of these rows, for each of the measure's columns; without it, values are encoded one by one. */
  cells?(rows: Int32Array): readonly Cells[];
  /** Forgets all that has been added, and keeps the room that it had. */
  clear(): void;
}

/** A way of adding events up. */
export interface Measure<V = unknown> {
  readonly kind: string;
  readonly where: Filter;
  /** What is added up or picked, for translations: the quantity of a sum, the dimension of `first` and `last`. */
  readonly of?: Quantity | Dimension;
  /** The steps of a funnel, for translations. */
  readonly steps?: readonly string[];
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
  /**
   * How SQL merges the cells of two rows, `stored` and `added`, of a measure called `name`: an expression for each column.
   * Without it they must be read and merged here before they are written.
   */
  readonly merged?: (name: string, stored: string, added: string) => Readonly<Record<string, string>>;
}

/** Number of events. */
export function count(where: Filter = {}): Measure<number> {
  return total("count", where, null);
}

/** Sum of a quantity, in its unit (revenue: integer cents). */
export function sum(of: Quantity, where: Filter = {}): Measure<number> {
  return total("sum", where, of);
}

function total(kind: string, where: Filter, of: Quantity | null): Measure<number> {
  return {
    kind,
    where,
    ...(of === null ? {} : { of }),
    zero: 0,
    merged: (name, stored, added) => ({ [name]: `${stored}.${name} + ${added}.${name}` }),
    merge: (a, b) => a + b,
    columns: (name) => [{ name, type: "bigint", nullable: false }],
    encode: (value) => [value],
    decode: ([cell]) => cell as number,
    accumulator(words) {
      const select = selector(where, words);
      let totals = new Float64Array(64);
      return {
        add(batch, allRows, rowCount) {
          const rows = select(batch, allRows);
          const column = of === null ? null : batch[of];
          if (rowCount > totals.length) totals = grown(totals, rowCount);
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row >= 0) totals[row]! += column === null ? 1 : column[i]!;
          }
        },
        merge(into, from) {
          totals[into]! += totals[from]!;
        },
        value: (row) => totals[row] ?? 0,
        cells: (rows) => [numbersOf(rows, (row) => totals[row] ?? 0)],
        clear: () => void totals.fill(0),
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
    merge: (a, b) => a.union(b),
    columns: (name) => [
      { name, type: "bigint", nullable: false },
      { name: `${name}_state`, type: "bytea", nullable: false },
    ],
    encode: (value) => [value.count, value.bytes],
    decode: ([, bytes]) => Distinct.of(bytes as Uint8Array),
    accumulator(words) {
      const select = selector(where, words);
      const members = new MemberSet((code) => words.user.hash(code), (code) => words.user.unkeyedHash(code));
      return {
        add(batch, allRows) {
          members.add(select(batch, allRows), batch.codes.user, batch.count);
        },
        merge: (into, from) => members.merge(into, from),
        value: (row) => members.set(row),
        clear: () => members.clear(),
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
  return pick("first", of, columns, where, -1);
}

/** Value of a dimension in the latest event; of two at the same time, in the one with the greater id. */
export function last(of: Dimension, columns: PickColumns, where: Filter = {}): Measure<Pick | null> {
  return pick("last", of, columns, where, 1);
}

function pick(
  kind: string,
  of: Dimension,
  { at, by }: PickColumns,
  where: Filter,
  sign: -1 | 1,
): Measure<Pick | null> {
  // Every row has an event, but perhaps none that passes the filter.
  const mayBeNone = Object.keys(where).length > 0;
  const better = (a: Pick | null, b: Pick | null) => a === null ? b : b === null || compareAt(a, b) * sign >= 0 ? a : b;
  return {
    kind,
    where,
    of,
    zero: null,
    merge: better,
    merged(name, stored, added) {
      const end = (row: string) => `(${row}.${at}, ${row}.${by} collate "C", coalesce(${row}.${name}, '') collate "C")`;
      // Comparing with what is missing is neither true nor false, and leaves what is stored.
      const wins = `${stored}.${at} is null or ${end(added)} ${sign < 0 ? "<" : ">"} ${end(stored)}`;
      const pickOf = (column: string) => `case when ${wins} then ${added}.${column} else ${stored}.${column} end`;
      return { [name]: pickOf(name), [at]: pickOf(at), [by]: pickOf(by) };
    },
    columns: (name) => [
      { name, type: "text", nullable: mayBeNone || of === "session" },
      { name: at, type: "timestamptz", nullable: mayBeNone },
      { name: by, type: "text", nullable: mayBeNone },
    ],
    encode: (value) => value === null ? [null, null, null] : [value.value, value.time, value.id],
    decode: ([value, time, id]) =>
      time === null ? null : { value: value as string | null, time: time as number, id: id as string },
    accumulator(words) {
      const select = selector(where, words);
      const { ids } = words;
      let times = new Float64Array(64);
      /** Place in `ids` of the event that each row's value is from, plus one; 0 where there is none. */
      let events = new Int32Array(64);
      /** Code of the value. */
      let codes = new Int32Array(64);
      const textOf = (code: number) => code === NONE ? null : words[of].text(code);
      /** Whether the event `a` with value `x` goes before `b` with `y`, which happened at the same time. */
      const winsTie = (a: number, x: number, b: number, y: number) =>
        (ids.compare(a, b) || compareText(textOf(x) ?? "", textOf(y) ?? "")) * sign > 0;
      /** Gives a row an event, by its place plus one, if it goes before the one that the row has. */
      const take = (row: number, time: number, event: number, code: number) => {
        const ahead = (time - times[row]!) * sign;
        const known = events[row]!;
        if (known > 0 && (ahead < 0 || ahead === 0 && !winsTie(event - 1, code, known - 1, codes[row]!))) return;
        times[row] = time;
        events[row] = event;
        codes[row] = code;
      };
      return {
        add(batch, allRows, rowCount) {
          const rows = select(batch, allRows);
          if (rowCount > times.length) {
            times = grown(times, rowCount);
            events = grown(events, rowCount);
            codes = grown(codes, rowCount);
          }
          const time = batch.time;
          const values = batch.codes[of];
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0) continue;
            take(row, time[i]!, batch.first + i + 1, values[i]!);
          }
        },
        merge(into, from) {
          if (events[from]! > 0) take(into, times[from]!, events[from]!, codes[from]!);
        },
        value(row) {
          const event = events[row] ?? 0;
          return event === 0 ? null : { time: times[row]!, id: ids.text(event - 1), value: textOf(codes[row]!) };
        },
        cells(rows) {
          const has = (row: number) => (events[row] ?? 0) > 0;
          return [
            new Texts(words[of], codesOf(rows, (row) => has(row) ? codes[row]! : NONE)),
            numbersOf(rows, (row) => has(row) ? times[row]! : NaN),
            new Texts(ids, codesOf(rows, (row) => has(row) ? events[row]! - 1 : NONE)),
          ];
        },
        clear: () => void events.fill(0),
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
    steps,
    zero: EMPTY_FUNNEL,
    merge: (a, b) => a.merge(b),
    columns: (name) => [
      { name, type: "smallint", nullable: false },
      { name: state, type: "bytea", nullable: true },
    ],
    encode: (value) => [value.step, value.bytes],
    decode: ([step, bytes]) => Funnel.of(step as number, bytes as Uint8Array | null),
    accumulator(words) {
      let first = new Float64Array(0);
      let last = new Float64Array(0);
      // Thinned out once, at the end: merging event by event would take the square of a robot's thousands of events.
      const middle = new Map<number, number[]>();
      const stepOf = new Table(words.type, (type) => steps.indexOf(type));
      return {
        add(batch, rows, rowCount) {
          const stepsOf = stepOf.values();
          if (rowCount > first.length) {
            first = grown(first, rowCount, Infinity);
            last = grown(last, rowCount, -Infinity);
          }
          const types = batch.codes.type;
          const times = batch.time;
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row < 0) continue;
            const step = stepsOf[types[i]!]!;
            const time = times[i]!;
            if (step === 0 && time < first[row]!) first[row] = time;
            else if (step === 2 && time > last[row]!) last[row] = time;
            else if (step === 1) {
              const before = middle.get(row);
              if (before === undefined) middle.set(row, [time]);
              else before.push(time);
            }
          }
        },
        merge(into, from) {
          first[into] = Math.min(first[into]!, first[from]!);
          last[into] = Math.max(last[into]!, last[from]!);
          const times = middle.get(from);
          if (times !== undefined) middle.set(into, [...middle.get(into) ?? [], ...times]);
        },
        value: (row) => Funnel.from(first[row] ?? Infinity, middle.get(row) ?? [], last[row] ?? -Infinity),
        clear() {
          first.fill(Infinity);
          last.fill(-Infinity);
          middle.clear();
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

/**
 * Passes on the rows of the events that a filter lets through, and -1 for the others; looks each string of a dictionary
 * up once. What is returned stands until the next call.
 */
export function selector(where: Filter, words: Dictionaries): (batch: Batch, rows: Int32Array) => Int32Array {
  const tests = DIMENSIONS.filter((dimension) => where[dimension] !== undefined).map((dimension) => ({
    dimension,
    passes: new Table(words[dimension], (text) => where[dimension]!.includes(text) ? 1 : 0),
  }));
  let selected = new Int32Array(0);
  return (batch, rows) => {
    if (tests.length === 0) return rows;
    if (selected.length < batch.count) selected = new Int32Array(batch.capacity);
    let from = rows;
    for (const { dimension, passes } of tests) {
      const flags = passes.values();
      const codes = batch.codes[dimension];
      // An absent string has the code -1, and no flag.
      for (let i = 0; i < batch.count; i++) selected[i] = codes[i]! >= 0 && flags[codes[i]!] === 1 ? from[i]! : -1;
      from = selected;
    }
    return selected;
  };
}

/** A small number for each string of a dictionary, worked out once for each. */
class Table {
  readonly #words: Dictionary;
  readonly #of: (text: string) => number;
  #values = new Int8Array(0);
  /** Of so many strings the number is known, in this generation of the dictionary. */
  #known = 0;
  #generation = 0;

  constructor(words: Dictionary, of: (text: string) => number) {
    this.#words = words;
    this.#of = of;
  }

  /** The numbers by code; they stand until the next call. */
  values(): Int8Array {
    const words = this.#words;
    if (words.generation !== this.#generation) {
      this.#generation = words.generation;
      this.#known = 0;
    }
    if (words.count > this.#values.length) this.#values = grown(this.#values, words.count);
    for (; this.#known < words.count; this.#known++) this.#values[this.#known] = this.#of(words.text(this.#known));
    return this.#values;
  }
}
