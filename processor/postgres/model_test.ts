/** What the simulation relies on, on a real server: its model of the database, and that each snapshot is a prefix. */
import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { runs } from "../../testing/effort.ts";
import { startPostgres } from "../../testing/servers/postgres.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { partitioned, randomLog } from "../testing/clicks.ts";
import { assertAgreement } from "../testing/contracts/model_agreement.ts";
import { MemorySource } from "../testing/fakes/memory.ts";
import { decoder } from "../testing/scenario.ts";
import { VIEWS } from "../views/mod.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { migrate } from "./operations/migrations.ts";
import { SqlSink } from "./sink/sql_sink.ts";

const TOPIC = "clickstream-events";

Deno.test("a PostgreSQL server and the database in memory agree on any commits", async () => {
  await using server = await startPostgres();
  const opened: Database[] = [];
  try {
    await assertAgreement(
      async () => {
        const db = await openPostgres(await server.createDatabase());
        opened.push(db);
        await migrate(db, MIGRATIONS);
        return db;
      },
      2,
      runs(6),
    );
  } finally {
    for (const db of opened) await db.close();
  }
});

Deno.test("what a reader sees is the log before the positions, while two instances commit", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const [reader, ...connections] = await Promise.all([1, 2, 3].map(() => openPostgres(url)));
  await migrate(reader!, MIGRATIONS);
  const partitions = partitioned(randomLog(7, { events: 600, users: 12, spanMs: 30 * 60_000, anonymous: true }), 3);
  const instances = connections.map((db, n) => consume(db, `i${n}`, partitions, 5 + 6 * n));
  let isOver = false;
  const over = Promise.all(instances).then(() => null, (error: unknown) => error).finally(() => isOver = true);
  const seen = new Set<string>();
  while (!isOver) seen.add(await snapshot(reader!, partitions));
  assert.equal(await over, null);
  assert.equal(await snapshot(reader!, partitions), partitions.map(({ length }) => length).join(" "));
  assert.ok(seen.size > 5, `${seen.size} different prefixes`);
  for (const db of [reader!, ...connections]) await db.close();
});

/** Reads everything with a pipeline of its own. */
async function consume(db: Database, name: string, log: ReturnType<typeof partitioned>, size: number): Promise<void> {
  const sink = new SqlSink(db, name);
  const pipeline = new Pipeline({
    ...{ source: new MemorySource(log, 4), sink, views: VIEWS, decoder: decoder(), storeEvents: true },
    ...{ now: () => performance.now(), commitEveryMs: 10, commitRecords: size },
  });
  const isIn = async () => {
    const { byPartition: positions } = await sink.positions(TOPIC, [...log.keys()]);
    return log.every(({ length }, p) => (positions.get(p)?.next ?? 0) === length);
  };
  while (!await isIn()) await pipeline.step();
}

/** Compares a snapshot with what the records before its positions must give; returns the positions. */
async function snapshot(db: Database, log: ReturnType<typeof partitioned>): Promise<string> {
  return await db.transaction(async (tx) => {
    await tx.exec("set transaction isolation level repeatable read, read only");
    const { rows } = await tx.query<{ partition: number; next: number }>(
      "select partition, next_offset::float8 as next from clickstream.progress",
    );
    const next = new Map(rows.map((row) => [row.partition, row.next]));
    const prefix: OracleLog = {
      topic: TOPIC,
      partitions: log.map((records, p) =>
        records.slice(0, next.get(p) ?? 0).map(({ value, time }, offset) => ({ offset, value, time }))
      ),
    };
    const expected = expectedOf(prefix, { keepDays: 30, views: VIEWS });
    const known = { ...expected, progress: expected.progress.filter(({ partition }) => next.has(Number(partition))) };
    assert.equal(formatDifferences(await compareTables(tx, known)), "every table agrees");
    return log.map((_, p) => next.get(p) ?? 0).join(" ");
  });
}
