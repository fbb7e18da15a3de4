import { emptyDatabase } from "../testing/contracts/empty_database.ts";
import { sinkContract } from "../testing/contracts/sink_contract.ts";
import { sinkUnderTest } from "../testing/contracts/sql_reading.ts";

sinkContract("embedded sink", async () => sinkUnderTest(await emptyDatabase(), () => Promise.resolve()));
