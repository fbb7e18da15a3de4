/**
 * Measures: what a view computes. Each is a commutative monoid: it has a zero, and a merge that works in any order.
 * This is the only reason why late events, several instances and crashes can't change a figure.
 * @module
 */
import { type Batch, type Dictionaries, type Dimension, DIMENSIONS, type Quantity } from "../columns/batch.ts";
import { type Cell, cellAt, type Cells } from "../columns/cells.ts";
import type { Dictionary } from "../columns/strings.ts";
import { grown, NO_INTEGERS } from "../columns/grown.ts";

export type { Cell };

/** A column of a view's table. */
export interface Column {
  readonly name: string;
  readonly type: "bigint" | "smallint" | "boolean" | "text" | "timestamptz" | "date" | "bytea";
  readonly nullable: boolean;
  /** SQL of the value in rows that do not name the column: those that are older than it, and those of other writers. */
  readonly default?: string;
}

/** Selects events by dimension: each must have a value that one of these matches. An absent value matches nothing. */
export type Filter = { readonly [dimension in Dimension]?: readonly Matcher[] };

/** Matches a text that equals it, or a pattern: the texts around its wildcards, each of which stands for any text. */
export type Matcher = string | { readonly around: readonly string[] };

/** Matches every text. */
export const ANY: Matcher = { around: ["", ""] };

/** Whether a text matches. */
export function matches(matcher: Matcher, text: string): boolean {
  if (typeof matcher === "string") return text === matcher;
  const [first, last] = [matcher.around[0]!, matcher.around.at(-1)!];
  const middle = matcher.around.slice(1, -1);
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of middle) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

/** Computes a measure for many rows at once. */
export interface Accumulator<V> {
  /** Adds each event `i` of `batch` to row `rows[i]`; skips negative rows. Rows are below `rowCount`. */
  add(batch: Batch, rows: Int32Array, rowCount: number): void;
  /** Merges row `from` into row `into`; both are below the `rowCount` of the last `add`. */
  merge(into: number, from: number): void;
  /** The value of a row; the measure's zero for a row without events. */
  value(row: number): V;
  /** The cells of these rows, one column per measure column; without this method, values are encoded one by one. */
  cells?(rows: Int32Array): readonly Cells[];
  /** Removes all values, and keeps their memory. */
  clear(): void;
}

/**
 * The kinds of measures. Each has a translation to the SQL of PostgreSQL, and to that of Flink, where it has no
 * columns if Flink cannot compute it: without both it does not compile.
 */
export type MeasureKind =
  | "count"
  | "sum"
  | "min"
  | "max"
  | "distinct"
  | "first"
  | "last"
  | "funnel"
  | "acquisition"
  | "bot";

/** A measure: how it folds, merges and stores events. */
export interface Measure<V = unknown> {
  readonly kind: MeasureKind;
  readonly where: Filter;
  /** For translations: the quantity of `sum`, `min` and `max`, or the dimension of `first` and `last`. */
  readonly of?: Quantity | Dimension;
  /** The steps of a funnel. */
  readonly steps?: readonly Filter[];
  /** The site's own hosts, for an acquisition. */
  readonly siteHosts?: readonly string[];
  readonly zero: V;
  /** Associative and commutative, with `zero` as its identity. Changes neither argument. */
  merge(a: V, b: V): V;
  accumulator(words: Dictionaries): Accumulator<V>;
  /** The columns of a measure called `name`. */
  columns(name: string): readonly Column[];
  /** A value as cells of its columns. */
  encode(value: V): readonly Cell[];
  /** Reads a value from its cells. */
  decode(cells: readonly Cell[]): V;
  /** Like `mergedCells`, without an object for each row. */
  mergeCells?(
    stored: readonly Cells[],
    storedRows: Int32Array,
    added: Added<V>,
    addedRows: Int32Array,
  ): readonly Cells[];
}

/** Values to merge into stored ones, by row. */
export interface Added<V> {
  /** Their columns. */
  readonly cells: readonly Cells[];
  /** The value of a row. */
  at(row: number): V;
}

/** The columns of a measure, merged: a cell for each pair of a stored row and an added one. */
export function mergedCells<V>(
  measure: Measure<V>,
  stored: readonly Cells[],
  storedRows: Int32Array,
  added: Added<V>,
  addedRows: Int32Array,
): readonly Cells[] {
  if (measure.mergeCells !== undefined) return measure.mergeCells(stored, storedRows, added, addedRows);
  const merged = stored.map((): Cell[] => []);
  for (let i = 0; i < storedRows.length; i++) {
    const before = measure.decode(stored.map((cells) => cellAt(cells, storedRows[i]!)));
    const cells = measure.encode(measure.merge(before, added.at(addedRows[i]!)));
    cells.forEach((cell, c) => merged[c]!.push(cell));
  }
  return merged;
}

/**
 * Returns the rows of the events that pass a filter, and -1 for the others; looks each string of a dictionary up once.
 * The result is valid until the next call.
 */
export function selector(where: Filter, words: Dictionaries): (batch: Batch, rows: Int32Array) => Int32Array {
  const tests = DIMENSIONS.filter((dimension) => where[dimension] !== undefined).map((dimension) => ({
    dimension,
    passes: new CodeTable(words[dimension], (text) => +where[dimension]!.some((matcher) => matches(matcher, text))),
  }));
  let selected = NO_INTEGERS;
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

/** A small number for each string of a dictionary, computed once per string. */
export class CodeTable {
  readonly #words: Dictionary;
  readonly #of: (text: string) => number;
  #values = new Int8Array(0);
  /** Number of strings with a known number, in this generation of the dictionary. */
  #known = 0;
  #generation = 0;

  constructor(words: Dictionary, of: (text: string) => number) {
    this.#words = words;
    this.#of = of;
  }

  /** The numbers by code; valid until the next call. */
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
