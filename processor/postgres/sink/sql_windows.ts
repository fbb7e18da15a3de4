/**
 * Merges windows with measures that SQL cannot merge: reads stored rows, and merges them in memory.
 * @module
 */
import type { Cell } from "../../columns/cells.ts";
import type { Column } from "../../measures/measure.ts";
import { COLUMN_OF, columnsOf, tableOf, valuesOf } from "../../translate/table.ts";
import type { Delta } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { arrayOf, arrayParameter } from "../binary.ts";
import { keyMatch } from "../dialect.ts";

/** SQL that selects a column as text, so that the result does not depend on the client's parsers. */
export function selected({ name, type }: Column): string {
  switch (type) {
    case "timestamptz":
      return `(extract(epoch from t.${name}) * 1000)::bigint::text as ${name}`;
    case "bytea":
      return `encode(t.${name}, 'hex') as ${name}`;
    default:
      return `t.${name}::text as ${name}`;
  }
}

/** The cell from the text that `selected` returns. */
export function cellFrom(text: string | null, type: Column["type"]): Cell {
  if (text === null || type === "text") return text;
  return type === "bytea" ? Uint8Array.fromHex(text) : Number(text);
}

/** The rows of a delta, each merged with the stored row of the same window and key. */
export async function mergedWindows(tx: Database, schema: string, delta: Delta): Promise<Delta> {
  const { view } = delta;
  const table = tableOf(view);
  const place = [...table.window, ...table.key];
  const cells = columnsOf(delta);
  const same = [
    ...table.window.map(({ name }) => `t.${name} = v.${name}`),
    ...view.by.map((dimension) => keyMatch(dimension, `v.${COLUMN_OF[dimension]}`)),
  ];
  const { rows: stored } = await tx.query<Record<string, string | null>>(
    `select v.n::text as n, ${table.measured.map(selected).join(", ")}
       from unnest(${place.map(({ type }, n) => arrayParameter(n + 1, type)).join(", ")})
            with ordinality as v(${place.map(({ name }) => name).join(", ")}, n)
       join ${schema}.${table.name} t on ${same.join(" and ")}`,
    place.map(({ name, type }) => arrayOf(cells.get(name)!, type)),
  );
  const types = new Map(table.measured.map(({ name, type }) => [name, type]));
  const measures = Object.values(view.measures);
  const values = delta.values.map((column) => Array.from({ length: delta.count }, (_, r) => column.at(r)));
  for (const found of stored) {
    const r = Number(found["n"]) - 1;
    const before = valuesOf(view, (column) => cellFrom(found[column]!, types.get(column)!));
    measures.forEach((measure, m) => values[m]![r] = measure.merge(before[m], values[m]![r]));
  }
  return { ...delta, values };
}
