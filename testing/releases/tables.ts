/**
 * The tables of a release as SQL, kept so that every later version is tried on them.
 * @module
 */
import type { Database } from "../../processor/postgres/database.ts";

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

/** SQL that fills the tables of a database with the same schema as this database's are filled. */
export async function tablesAsSql(db: Database): Promise<string> {
  const tables = await tablesOf(db);
  const parts = [
    // Without triggers: what they wrote is in the tables.
    "set session_replication_role = replica;",
    `truncate ${tables.map(({ name }) => `clickstream.${name}`).join(", ")};`,
  ];
  for (const { name, columns } of tables) {
    const { rows } = await db.query<{ line: string }>(
      `select format('  (%s)', concat_ws(', ', ${
        columns.map((column) => `quote_nullable("${column}"::text)`).join(", ")
      }))
        as line from clickstream.${name} order by 1`,
    );
    if (rows.length === 0) continue;
    const list = columns.map((column) => `"${column}"`).join(", ");
    const values = rows.map(({ line }) => line).join(",\n");
    parts.push(`insert into clickstream.${name} (${list}) overriding system value values\n${values};`);
  }
  const { rows: sequences } = await db.query<{ line: string }>(
    `select format('select setval(%L, %s);', schemaname || '.' || sequencename, last_value) as line
      from pg_sequences where schemaname = 'clickstream' and last_value is not null order by 1`,
  );
  return [...parts, ...sequences.map(({ line }) => line), "reset session_replication_role;"].join("\n\n");
}

/** Every table but partitions, whose rows are those of the table above them. */
async function tablesOf(db: Database): Promise<readonly Table[]> {
  const { rows } = await db.query<{ name: string; columns: string }>(
    `select relname as name, string_agg(attname, ' ' order by attnum) as columns
      from pg_class join pg_attribute on attrelid = pg_class.oid
      where relnamespace = 'clickstream'::regnamespace and relkind in ('r', 'p') and not relispartition
        and attnum > 0 and not attisdropped and attgenerated = ''
      group by relname order by relname`,
  );
  return rows.map(({ name, columns }) => ({ name, columns: columns.split(" ") }));
}
