/**
 * Measures: what a view adds up. Each is a commutative monoid (a zero and a merge that may be done in any order), which
 * alone is why late events, several instances and crashes can't change a figure.
 * @module
 */
import { type Batch, type Dictionaries, type Dimension, DIMENSIONS, type Quantity } from "../columns/batch.ts";
import type { Cell, Cells } from "../columns/cells.ts";
import type { Dictionary } from "../columns/dictionary.ts";
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

/** The ways of adding up. Each says in PostgreSQL's and in Flink's SQL how: a new kind does not compile without. */
export type MeasureKind = "count" | "sum" | "distinct" | "first" | "last" | "funnel";

/** A way of adding events up. */
export interface Measure<V = unknown> {
  readonly kind: MeasureKind;
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
}

/**
 * Passes on the rows of the events that a filter lets through, and -1 for the others; looks each string of a dictionary
 * up once. What is returned stands until the next call.
 */
export function selector(where: Filter, words: Dictionaries): (batch: Batch, rows: Int32Array) => Int32Array {
  const tests = DIMENSIONS.filter((dimension) => where[dimension] !== undefined).map((dimension) => ({
    dimension,
    passes: new CodeTable(words[dimension], (text) => where[dimension]!.includes(text) ? 1 : 0),
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
export class CodeTable {
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
