import { MIGRATIONS } from "../../migrations/mod.ts";
import { sinkContract } from "../testing/sink_contract.ts";
import { sinkUnderTest } from "../testing/sql_reading.ts";
import { openEmbedded } from "./database.ts";
import { migrate } from "./migrations.ts";

sinkContract("embedded sink", async () => {
  const db = await openEmbedded();
  await migrate(db, MIGRATIONS);
  return sinkUnderTest(db, () => db.close());
});
