import { runs } from "../../testing/effort.ts";
import { assertAgreement } from "../testing/contracts/model_agreement.ts";
import { emptyDatabase } from "../testing/contracts/empty_database.ts";

Deno.test("the embedded PostgreSQL and the database in memory agree on any commits", async () => {
  await assertAgreement(emptyDatabase, 1, runs(20));
});
