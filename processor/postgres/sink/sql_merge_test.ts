import assert from "node:assert/strict";
import fc from "fast-check";
import type { Measure } from "../../measures/measure.ts";
import { count, sum } from "../../measures/totals.ts";
import { EVENT, folded } from "../../testing/contracts/laws.ts";
import { VIEWS } from "../../views/mod.ts";
import { day, type View, view } from "../../views/view.ts";
import { arrayOf, NUMBER, rowsOfArrays } from "../binary.ts";
import { mergedBy, mergesInSql } from "../dialect.ts";
import { openEmbedded } from "../../embedded/embedded.ts";
import { cellFrom, selected } from "./sql_sessions.ts";

const MEASURES: readonly (readonly [string, string, Measure])[] = [
  ...VIEWS.flatMap((view) =>
    Object.entries(view.measures).map(([name, measure]) => [view.name, name, measure as Measure] as const)
  ),
  ["none", "n", count() as Measure],
  ["none", "cents", sum("revenue") as Measure],
];

/** A view with only this measure. */
function alone(name: string, measure: Measure): View {
  return view({ name: "alone", about: "", window: day(), by: [], measures: { [name]: measure } });
}

Deno.test("SQL merges cells as memory merges values", async () => {
  const db = await openEmbedded();
  const events = fc.array(EVENT, { maxLength: 6 });
  const pairs = fc.sample(fc.tuple(events, events), { seed: 21, numRuns: 400 });
  let checked = 0;
  for (const [of, name, measure] of MEASURES) {
    if (!mergesInSql(measure)) continue;
    const columns = measure.columns(name);
    const values = pairs.map((pair) => pair.map((part) => folded(measure, part)) as [unknown, unknown]);
    const cells = values.map(([a, b]) => [...measure.encode(a), ...measure.encode(b)]);
    const sources = [...columns, ...columns];
    const merged = mergedBy(alone(name, measure), "a", "b");
    const { rows } = await db.query<Record<string, string | null>>(
      `select ${columns.map(selected).join(", ")}
         from ${rowsOfArrays(sources.map(({ type }, c) => ({ name: `c${c}`, type })))}
        cross join lateral (select ${columns.map((column, c) => `c${c} as ${column.name}`).join(", ")}) a
        cross join lateral (select ${
        columns.map((column, c) => `c${c + columns.length} as ${column.name}`).join(", ")
      }) b
        cross join lateral (select ${
        columns.map((column) => `${merged.get(column.name)} as ${column.name}`).join(", ")
      }) t
        order by v.${NUMBER.name}`,
      sources.map(({ type }, c) => arrayOf(cells.map((row) => row[c]!), type)),
    );
    assert.equal(rows.length, pairs.length);
    rows.forEach((row, r) => {
      const found = columns.map((column) => cellFrom(row[column.name]!, column.type));
      assert.deepEqual(found, [...measure.encode(measure.merge(...values[r]!))], `${of}.${name}, ${r}`);
      checked++;
    });
  }
  assert.ok(checked >= 10 * pairs.length);
  await db.close();
});
