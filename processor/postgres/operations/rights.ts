/**
 * What a database user may do, and what the service needs.
 * @module
 */
import type { Database } from "../database.ts";

/** Rights of the service by table; a reader's are no business of its. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  schema_version: ["select"],
  progress: ["select", "insert", "update", "delete"],
  gaps: ["select", "insert", "update"],
  former_progress: ["select", "insert"],
  events: ["select", "insert", "delete"],
  traffic: ["select", "insert", "update"],
  pages: ["select", "insert", "update"],
  active_users: ["select", "insert", "update"],
  sessions: ["select", "insert", "update", "delete"],
  user_days: ["select", "insert", "update", "delete"],
  refusals: ["select", "insert", "update", "delete"],
  forgotten: ["select", "insert", "update"],
  replays: ["select", "insert", "update"],
};

/** Rights that are missing, such as `insert on events`. */
export async function missingRights(db: Database): Promise<string[]> {
  const all = Object.entries(NEEDED).flatMap(([table, rights]) => rights.map((right) => ({ table, right })));
  const { rows } = await db.query<{ missing: string }>(
    `select v.right || ' on ' || v.table as missing
       from jsonb_to_recordset($1::jsonb) as v("table" text, "right" text)
      where not (has_schema_privilege('clickstream', 'usage')
                 and has_table_privilege(format('clickstream.%I', v.table), v.right))`,
    [JSON.stringify(all)],
  );
  return rows.map(({ missing }) => missing);
}

/** Rights that the service has no use for, in words. */
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
