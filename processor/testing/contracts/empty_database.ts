/**
 * An embedded PostgreSQL that the tests of a file share: opening one takes a second of CPU time, emptying it 20 ms.
 * @module
 */
import { MIGRATIONS } from "../../../migrations/mod.ts";
import { openEmbedded } from "../../embedded/embedded.ts";
import type { Database } from "../../postgres/database.ts";
import { VIEWS } from "../../views/mod.ts";
import { migrate } from "../../postgres/operations/migrations.ts";

let opened: Promise<Database> | null = null;

async function open(): Promise<Database> {
  const db = await openEmbedded();
  await migrate(db, MIGRATIONS);
  return db;
}

/** Tables whose rows the tests do not write: triggers empty rollups. */
const KEPT = [
  ...["schema_version", "settings", "hash_key", "sources", "channels", "declarations"],
  ...VIEWS.flatMap(({ rollups = [] }) => rollups.map(({ table }) => table)),
];

/** The database of this test file, with the schema and without rows. It stays open; the next call empties it. */
export async function emptyDatabase(): Promise<Database> {
  const db = await (opened ??= open());
  const { rows: [filled] } = await db.query<{ tables: string }>(
    `select string_agg('clickstream.' || relname, ', ') as tables from pg_class
      where relnamespace = 'clickstream'::regnamespace and relkind in ('r', 'p') and not relispartition
        and relname <> all ($1::text[])`,
    [`{${KEPT.join(",")}}`],
  );
  await db.exec(`truncate ${filled!.tables} restart identity;
    update clickstream.settings set value = 'UTC', since = null where name = 'TIME_ZONE' and value <> 'UTC'`);
  return db;
}
