/**
 * Measures that take a value from the earliest or the latest event of a row.
 * @module
 */
import { type Dimension, OPTIONAL } from "../columns/batch.ts";
import { Texts } from "../columns/cells.ts";
import { NONE } from "../columns/strings.ts";
import { grown, NO_DOUBLES, NO_INTEGERS } from "../columns/grown.ts";
import { type Filter, type Measure, selector } from "./measure.ts";

/** A value from the first or last event of a row, and the event that has it. */
export interface Pick {
  readonly time: number;
  readonly id: string;
  readonly value: string | null;
}

/** Columns for the time and the id of the event that a value comes from. */
export interface PickColumns {
  readonly at: string;
  readonly by: string;
}

/** Value of a dimension in the earliest event; at equal times, in the one with the smaller id. */
export function first(of: Dimension, columns: PickColumns, where: Filter = {}): Measure<Pick | null> {
  return pick("first", of, columns, where, -1);
}

/** Value of a dimension in the latest event; at equal times, in the one with the greater id. */
export function last(of: Dimension, columns: PickColumns, where: Filter = {}): Measure<Pick | null> {
  return pick("last", of, columns, where, 1);
}

function pick(
  kind: "first" | "last",
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
    columns: (name) => [
      { name, type: "text", nullable: mayBeNone || OPTIONAL.includes(of) },
      { name: at, type: "timestamptz", nullable: mayBeNone },
      { name: by, type: "text", nullable: mayBeNone },
    ],
    encode: (value) => value === null ? [null, null, null] : [value.value, value.time, value.id],
    decode: ([value, time, id]) =>
      time === null ? null : { value: value as string | null, time: time as number, id: id as string },
    accumulator(words) {
      const select = selector(where, words);
      const { ids } = words;
      let times = NO_DOUBLES;
      /** Index in `ids` of the event that gave each row its value, plus one; 0 if there is none. */
      let events = NO_INTEGERS;
      /** Code of the value. */
      let codes = NO_INTEGERS;
      const textOf = (code: number) => code === NONE ? null : words[of].text(code);
      /** Whether event `a` with value `x` wins over `b` with `y` at the same time. */
      const winsTie = (a: number, x: number, b: number, y: number) =>
        (ids.compare(a, b) || compareText(textOf(x) ?? "", textOf(y) ?? "")) * sign > 0;
      /** Gives a row an event, by its index plus one, if it wins over the row's current event. */
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
          const values = new Int32Array(rows.length).fill(NONE);
          const at = new Float64Array(rows.length).fill(NaN);
          const by = new Int32Array(rows.length).fill(NONE);
          for (let r = 0; r < rows.length; r++) {
            const row = rows[r]!;
            const event = events[row] ?? 0;
            if (event === 0) continue;
            values[r] = codes[row]!;
            at[r] = times[row]!;
            by[r] = event - 1;
          }
          return [new Texts(words[of], values), at, new Texts(ids, by)];
        },
        clear: () => void events.fill(0),
      };
    },
  };
}

/**
 * Orders picks by time, then by id, then by value: one id may come with two values, and the merge order must not
 * matter.
 */
function compareAt(a: Pick, b: Pick): number {
  return a.time - b.time || compareText(a.id, b.id) || compareText(a.value ?? "", b.value ?? "");
}

/** Orders strings by code point, as PostgreSQL's collation "C" orders UTF-8; negative, zero or positive. */
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
