/** Twenty declared views of all kinds, in the compiled program. */
import assert from "node:assert/strict";
import { formatDifferences } from "../../processor/oracle/differences.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres } from "../servers/postgres.ts";
import { countDeclared, TWENTY } from "./declared.ts";

Deno.test(
  "twenty declared views equal the oracle, though the service is killed",
  { sanitizeOps: false, sanitizeResources: false },
  async () => {
    await using broker = await startKafka();
    await using server = await startPostgres();
    const counted = await countDeclared(broker, server, {
      ...{ rate: 2, seconds: 10_800, users: 3000, commitEveryMs: 10 },
    });
    assert.ok(counted.killedAt < counted.records, "it was killed too late");
    assert.equal(formatDifferences(counted.differences), "every table agrees");
    assert.equal(TWENTY.length, 20);
    assert.ok(counted.records > counted.stored && counted.stored > 20_000);
    assert.deepEqual(TWENTY.filter(({ name }) => counted.rows[name] === 0).map(({ name }) => name), []);
    // Each kind is among them.
    const kinds = (list: readonly string[]) => [...new Set(list)].sort();
    assert.deepEqual(kinds(TWENTY.map(({ window }) => window.kind)), ["day", "hopping", "tumbling"]);
    assert.deepEqual(kinds(TWENTY.flatMap(({ by }) => by)), [
      ...["bot", "campaign", "device", "pagePath", "product", "region", "type"],
    ]);
    assert.deepEqual(kinds(TWENTY.flatMap(({ measures }) => Object.values(measures).map(({ kind }) => kind))), [
      ...["count", "distinct", "first", "last", "max", "min", "sum"],
    ]);
    assert.deepEqual(kinds(TWENTY.flatMap(({ where }) => Object.keys(where ?? {}))), [
      ...["campaign", "device", "pagePath", "product", "region", "type"],
    ]);
  },
);
