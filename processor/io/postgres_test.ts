import { MIGRATIONS } from "../../migrations/mod.ts";
import { startPostgres } from "../testing/postgres.ts";
import { sinkContract } from "../testing/sink_contract.ts";
import { sinkUnderTest } from "../testing/sql_reading.ts";
import { openPostgres } from "./database.ts";
import { migrate } from "./migrations.ts";

sinkContract("PostgreSQL sink", async () => {
  const server = await startPostgres();
  const db = await openPostgres(await server.createDatabase());
  await migrate(db, MIGRATIONS);
  return sinkUnderTest(db, async () => {
    await db.close();
    await server[Symbol.asyncDispose]();
  });
});
