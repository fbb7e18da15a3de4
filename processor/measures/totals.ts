/**
 * Measures that sum: the number of events, or a quantity.
 * @module
 */
import type { Quantity } from "../columns/batch.ts";
import { numbersOf } from "../columns/cells.ts";
import { grown, NO_DOUBLES } from "../columns/grown.ts";
import { type Filter, type Measure, selector } from "./measure.ts";

/** Number of events. */
export function count(where: Filter = {}): Measure<number> {
  return total("count", where, null);
}

/** Sum of a quantity, in integer minor units. An event without it adds 0. */
export function sum(of: Quantity, where: Filter = {}): Measure<number> {
  return total("sum", where, of);
}

function total(kind: "count" | "sum", where: Filter, of: Quantity | null): Measure<number> {
  return {
    kind,
    where,
    ...(of === null ? {} : { of }),
    zero: 0,
    merge: (a, b) => a + b,
    columns: (name) => [{ name, type: "bigint", nullable: false }],
    encode: (value) => [value],
    decode: ([cell]) => cell as number,
    accumulator(words) {
      const select = selector(where, words);
      let totals = NO_DOUBLES;
      return {
        add(batch, allRows, rowCount) {
          const rows = select(batch, allRows);
          const column = of === null ? null : batch[of];
          if (rowCount > totals.length) totals = grown(totals, rowCount);
          for (let i = 0; i < batch.count; i++) {
            const row = rows[i]!;
            if (row >= 0) totals[row]! += column === null ? 1 : column[i]! || 0;
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
