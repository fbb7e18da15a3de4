import { MIGRATIONS } from "../../migrations/mod.ts";
import { sinkContract } from "../testing/contracts/sink_contract.ts";
import { sinkUnderTest } from "../testing/contracts/sql_reading.ts";
import { openEmbedded } from "./embedded.ts";
import { migrate } from "../postgres/operations/migrations.ts";

sinkContract("embedded sink", async () => {
  const db = await openEmbedded();
  await migrate(db, MIGRATIONS);
  return sinkUnderTest(db, () => db.close());
});
