import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonDecoder } from "./decode.ts";
import { Pipeline } from "./pipeline.ts";
import { compareTable, formatDifferences } from "./testing/differences.ts";
import { MemorySource } from "./testing/memory.ts";
import { tablesOf, WholeSink } from "./testing/memory_tables.ts";
import { expectedOf, type OracleLog } from "./testing/oracle.ts";
import { isDecided, oracleLog } from "./testing/oracle_arbitrary.ts";
import { TABLES } from "./testing/table_shapes.ts";
import { DAY_MS } from "./view.ts";
import { VIEWS } from "./views/mod.ts";

const KEEP_DAYS = 30;
const RUNS = Number(Deno.env.get("AGREEMENT_RUNS") ?? 150);
const SEED = Number(Deno.env.get("AGREEMENT_SEED") ?? 1);

/** How a log is taken in: records in a poll and in a commit, and after how many turns the pipeline is another one. */
interface Course {
  readonly inAPoll: number;
  readonly inACommit: number;
  readonly turnsOfALife: number;
}

const course: fc.Arbitrary<Course> = fc.record({
  inAPoll: fc.constantFrom(1, 3, 17, 1_000),
  inACommit: fc.constantFrom(1, 2, 10, 1_000),
  turnsOfALife: fc.constantFrom(1, 2, 5, 1_000),
});

async function takeIn(log: OracleLog, { inAPoll, inACommit, turnsOfALife }: Course): Promise<WholeSink> {
  const sink = new WholeSink();
  const isIn = () => log.partitions.every((records, p) => (sink.progress.get(p)?.next ?? 0) === records.length);
  const records = log.partitions.map((partition) => [...partition]);
  for (let life = 0; !isIn(); life++) {
    assert.ok(life < 1_000, "the pipeline doesn't get on");
    const pipeline = new Pipeline({
      source: new MemorySource(records, inAPoll, log.topic),
      sink,
      views: VIEWS,
      decoder: new JsonDecoder(KEEP_DAYS * DAY_MS),
      storeEvents: true,
      now: () => 0,
      commitEveryMs: 0,
      commitRecords: inACommit,
    });
    // A life ends in a flush or, every other time, with what was not committed lost.
    for (let turn = 0; turn < turnsOfALife + life && !isIn(); turn++) await pipeline.step();
    if (life % 2 === 0) await pipeline.flush();
  }
  return sink;
}

Deno.test("whatever the log, memory holds what the oracle expects", async () => {
  await fc.assert(
    fc.asyncProperty(oracleLog, course, async (log, course) => {
      const expected = expectedOf(log, { keepDays: KEEP_DAYS });
      fc.pre(isDecided(expected));
      const actual = tablesOf(await takeIn(log, course), log.topic);
      const differences = TABLES.flatMap((table) => compareTable(table, expected[table], actual[table]));
      assert.equal(formatDifferences(differences), "every table agrees");
    }),
    { numRuns: RUNS, seed: SEED },
  );
});
