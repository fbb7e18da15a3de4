/**
 * Upserts of rows.
 * @module
 */
import { columnsOf, tableOf } from "../../translate/table.ts";
import type { Delta } from "../../views/view.ts";
import { arrayOf, rowsOfArrays } from "../binary.ts";
import type { Database } from "../database.ts";
import { identityOf, mergedBy } from "../dialect.ts";

/** Upserts rows. `add` lets SQL merge them into existing rows, `replace` overwrites rows that were read and merged. */
export async function upsert(
  tx: Database,
  schema: string,
  delta: Delta,
  existing: "add" | "replace",
): Promise<void> {
  const table = tableOf(delta.view);
  const columns = [...table.window, ...table.key, ...table.measured];
  const cells = columnsOf(delta);
  const names = columns.map(({ name }) => name);
  const values = columns.map(({ name }) => `v.${name}`);
  const identity = identityOf(delta.view);
  const merged = existing === "add" ? mergedBy(delta.view, "t", "excluded") : new Map<string, string>();
  const set = [...table.window, ...table.measured].filter(({ name }) => !identity.includes(name))
    .map(({ name }) => `${name} = ${merged.get(name) ?? `excluded.${name}`}`);
  await tx.query(
    `insert into ${schema}.${table.name} as t (${names.join(", ")})
     select ${values.join(", ")} from ${rowsOfArrays(columns)}
      order by ${[...table.key, ...table.window].map(({ name }) => `v.${name}`).join(", ")}
         on conflict (${identity.join(", ")}) do update set ${set.join(", ")}`,
    columns.map(({ name, type }) => arrayOf(cells.get(name)!, type)),
  );
}
