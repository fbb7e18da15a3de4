/**
 * `deno task release:keep`: writes testdata/VERSION.sql, the tables of this version as it fills them from the first half
 * of the log that every version is tried on. A file that is kept never changes.
 * @module
 */
import { MIGRATIONS } from "../../migrations/mod.ts";
import { openEmbedded } from "../../processor/embedded/embedded.ts";
import { migrate } from "../../processor/postgres/operations/migrations.ts";
import { SqlSink } from "../../processor/postgres/sink/sql_sink.ts";
import { ingest } from "../../processor/testing/ingest_schedules.ts";
import { VERSION } from "../../processor/version.ts";
import { firstHalf, upgradeLog } from "../service/upgrade_log.ts";
import { tablesAsSql } from "./tables.ts";

const file = new URL(`testdata/${VERSION}.sql`, import.meta.url);
await using stack = new AsyncDisposableStack();
const db = await openEmbedded();
stack.defer(() => db.close());
await migrate(db, MIGRATIONS);
await ingest(firstHalf(upgradeLog()), new SqlSink(db, VERSION), { inAPoll: 100, inACommit: 120, turnsOfALife: 3 });
const head = `-- The tables of clickstream ${VERSION}, with the schema up to ${MIGRATIONS.at(-1)!.name}.\n\n`;
await Deno.writeTextFile(file, `${head}${await tablesAsSql(db)}\n`, { createNew: true });
console.log(`testing/releases/testdata/${VERSION}.sql`);
