/**
 * Compares the rights of a database user with those that the service needs.
 * @module
 */
import { VIEWS } from "../../views/mod.ts";
import type { View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { ROLLUP_RIGHTS, writerRights } from "../view_table.ts";

/** Rights that the service needs by table, without the tables of views. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  schema_version: ["select"],
  settings: ["select"],
  progress: ["select", "insert", "update", "delete"],
  gaps: ["select", "insert", "update"],
  former_progress: ["select", "insert"],
  events: ["select", "insert", "delete"],
  refusals: ["select", "insert", "update", "delete"],
  forgotten: ["select", "insert", "update"],
  replays: ["select", "insert", "update"],
  rates: ["select"],
};

/** The reports that the status page shows, and what they are made of. */
const REPORTS = ["conversion", "funnel", "page_views", "session_funnel"];

/** Rights that the service needs and lacks, such as `insert on events`. */
export async function missingRights(db: Database, views: readonly View[] = VIEWS): Promise<string[]> {
  const needed = [...Object.entries(NEEDED), ...views.map((view) => [view.name, writerRights(view)] as const)]
    .concat(views.flatMap(({ rollups = [] }) => rollups.map(({ table }) => [table, ROLLUP_RIGHTS] as const)));
  const all = needed.flatMap(([table, rights]) => rights.map((right) => ({ table, right })));
  const { rows } = await db.query<{ missing: string }>(
    `select v.right || ' on ' || v.table as missing
       from jsonb_to_recordset($1::jsonb) as v("table" text, "right" text)
      where not (has_schema_privilege('clickstream', 'usage')
                 and has_table_privilege(format('clickstream.%I', v.table), v.right))
     union all
     select 'execute on ' || v.name from jsonb_array_elements_text($2::jsonb) as v(name)
      where not coalesce((
        select bool_and(has_function_privilege(p.oid, 'execute')) from pg_proc p
        where p.pronamespace = 'clickstream'::regnamespace and p.proname = v.name), false)`,
    [JSON.stringify(all), JSON.stringify(REPORTS)],
  );
  return rows.map(({ missing }) => missing);
}

/** Rights that the service does not need, such as `is a superuser`. */
export async function needlessRights(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ right: string }>(
    `select v.right from pg_roles r, lateral (values
         (r.rolsuper, 'is a superuser'), (r.rolcreaterole, 'makes roles'), (r.rolcreatedb, 'makes databases'),
         (r.rolreplication, 'replicates'),
         (pg_has_role(r.oid, 'clickstream_owner', 'member'), 'owns the tables (clickstream_owner)'),
         (has_schema_privilege('clickstream', 'create'), 'defines tables (create on schema clickstream)')) as v(has, "right")
      where r.rolname = current_user and v.has`,
  );
  return rows.map(({ right }) => right);
}
