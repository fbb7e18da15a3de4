/**
 * Measures of the smallest and the largest quantity.
 * @module
 */
import type { Quantity } from "../columns/batch.ts";
import { numbersOf } from "../columns/cells.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { type Filter, type Measure, selector } from "./measure.ts";

/** Smallest quantity, in integer minor units; null if no event has it. */
export function min(of: Quantity, where: Filter = {}): Measure<number | null> {
  return extreme("min", of, where, Math.min);
}

/** Largest quantity, in integer minor units; null if no event has it. */
export function max(of: Quantity, where: Filter = {}): Measure<number | null> {
  return extreme("max", of, where, Math.max);
}

function extreme(
  kind: "min" | "max",
  of: Quantity,
  where: Filter,
  better: (a: number, b: number) => number,
): Measure<number | null> {
  return {
    kind,
    where,
    of,
    zero: null,
    merge: (a, b) => a === null ? b : b === null ? a : better(a, b),
    columns: (name) => [{ name, type: "bigint", nullable: true }],
    encode: (value) => [value],
    decode: ([cell]) => cell as number | null,
    accumulator(words) {
      const select = selector(where, words);
      let values = NO_DOUBLES;
      /** 1 for a row with a value. */
      let known = NO_INTEGERS;
      const take = (row: number, value: number) => {
        values[row] = known[row] === 1 ? better(values[row]!, value) : value;
        known[row] = 1;
      };
      return {
        add(batch, allRows, rowCount) {
          const rows = select(batch, allRows);
          const column = batch[of];
          if (rowCount > values.length) {
            values = grown(values, rowCount);
            known = grown(known, rowCount);
          }
          for (let i = 0; i < batch.count; i++) {
            if (rows[i]! >= 0 && !Number.isNaN(column[i]!)) take(rows[i]!, column[i]!);
          }
        },
        merge(into, from) {
          if (known[from] === 1) take(into, values[from]!);
        },
        value: (row) => known[row] === 1 ? values[row]! : null,
        cells: (rows) => [numbersOf(rows, (row) => known[row] === 1 ? values[row]! : NaN)],
        clear: () => void known.fill(0),
      };
    },
  };
}
