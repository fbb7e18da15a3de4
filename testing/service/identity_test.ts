/**
 * The identity of events: colliding ids, wrong clocks, and sketches stored before hashes had a key. Runs on a real
 * broker and a real PostgreSQL, and compares with the oracle, which shares no code with the processor.
 */
import assert from "node:assert/strict";
import { Kafka, logLevel } from "kafkajs";
import { fileURLToPath } from "node:url";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { openPostgres } from "../../processor/postgres/postgres.ts";
import { migrate } from "../../processor/postgres/operations/migrations.ts";
import { SqlSink } from "../../processor/postgres/sink/sql_sink.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { ingest, KEEP_DAYS } from "../../processor/testing/ingest_schedules.ts";
import { onEachDatabase } from "../servers/databases.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { startKafka } from "../servers/kafka.ts";
import { readTopic } from "../../processor/testing/fakes/log.ts";
import { expectedOf } from "../../processor/oracle/oracle.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { firstHalf, upgradeLog, withoutSources } from "./upgrade_log.ts";
import upgraded from "./testdata/schema_0009.sql" with { type: "text" };

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));
// kafkajs leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const MINUTE = 60_000;

interface Click {
  readonly eventId: string;
  readonly userId: string;
  /** Both its Kafka timestamp and its event time, epoch milliseconds. */
  readonly time: number;
  readonly page?: string;
}

/** Two texts with the same MD5, by M. Stevens. */
const SAME_MD5 = ["A", "E"].map((letter) =>
  `TEXTCOLLBYfGiJUETHQ4h${letter}cKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak`
);

/** Pairs of ids that collide in all 64 bits of the former hash. */
function colliding(count: number): string[] {
  return Array.from({ length: count / 2 }, (_, n) => [`H'6kloM|${n}`, `uXg\`CSLH${n}`]).flat();
}

onEachDatabase("tables from before hashes had a key", {
  "keep every number, and continue to count exactly": async (open) => {
    const db = await open();
    const before = MIGRATIONS.findIndex(({ name }) => name > "0009_operations.sql");
    await migrate(db, MIGRATIONS.slice(0, before));
    await db.exec(upgraded);
    await migrate(db, MIGRATIONS);
    const log = upgradeLog();
    assert.deepEqual(await wrongRollups(db), {});
    assert.equal(
      formatDifferences(await compareTables(db, withoutSources(expectedOf(firstHalf(log), { keepDays: KEEP_DAYS })))),
      "every table agrees",
    );
    await ingest(log, new SqlSink(db, "new"), { inAPoll: 100, inACommit: 120, turnsOfALife: 3 });
    assert.equal(
      formatDifferences(await compareTables(db, withoutSources(expectedOf(log, { keepDays: KEEP_DAYS })))),
      "every table agrees",
    );
    assert.deepEqual(await wrongRollups(db), {});
    const { rows } = await db.query<{ scheme: number; windows: number }>(
      `select get_byte(users_state, 0) / 2 as scheme, count(*)::integer as windows from clickstream.pages
        group by 1 order by 1`,
    );
    assert.ok(rows.length === 2 && rows.every(({ windows }) => windows > 10), "windows of both kinds");
  },
});

Deno.test("no reader can see the key, and all instances share it", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  await using(url, async (db) => {
    await migrate(db, MIGRATIONS);
    const sees = async (role: string) => {
      const { rows } = await db.query<{ sees: boolean }>(
        "select has_table_privilege($1::text, 'clickstream.hash_key', 'select') as sees",
        [role],
      );
      return rows[0]!.sees;
    };
    assert.deepEqual([await sees("clickstream_writer"), await sees("clickstream_reader")], [true, false]);
    const key = await new SqlSink(db, "one").hashKey();
    assert.equal(key.length, 16);
    assert.deepEqual(await new SqlSink(db, "two").hashKey(), key);
    await migrate(db, MIGRATIONS);
    assert.deepEqual(await new SqlSink(db, "three").hashKey(), key);
    await assert.rejects(db.exec("insert into clickstream.hash_key values (true, decode(repeat('00', 16), 'hex'))"));
    const other = await openPostgres(await server.createDatabase());
    await migrate(other, MIGRATIONS);
    assert.notDeepEqual(await new SqlSink(other, "four").hashKey(), key);
    await other.close();
  });
});

Deno.test("with crafted ids and wrong clocks, every table equals the oracle's", leaky, async (t) => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir();
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  for (const workers of [1, 2]) {
    await t.step(`${workers} worker${workers === 1 ? "" : "s"}`, async () => {
      const topic = `ids-${workers}`;
      await broker.createTopic(topic, 2);
      const url = await server.createDatabase();
      const env = {
        ...{ KAFKA_BROKERS: broker.bootstrap, KAFKA_TOPIC: topic, KAFKA_GROUP_ID: topic, DATABASE_URL: url },
        ...{ HTTP_LISTEN: `127.0.0.1:${freePort()}`, WORKERS: String(workers), LOG_LEVEL: "warn" },
      };
      await using(url, (db) => migrate(db, MIGRATIONS));
      const send = async (clicks: readonly Click[]) => {
        const messages = clicks.map(({ time, ...click }) => ({
          key: click.userId,
          value: JSON.stringify({ eventType: "page_view", page: "/", ...click, timestamp: time }),
          timestamp: String(time),
        }));
        await producer.send({ topic, messages });
      };
      const start = () => Child.start(BINARY, ["run"], `${folder}/${workers}.log`, env);
      const sums = async () =>
        await using(url, async (db) => {
          const { rows } = await db.query<Record<"consumed" | "stored" | "duplicates", string>>(
            `select coalesce(sum(consumed), 0)::text as consumed, sum(stored)::text as stored,
                    sum(duplicates)::text as duplicates from clickstream.progress`,
          );
          return rows[0]!;
        });
      const takenIn = (records: number) =>
        until(`${records} records are taken in`, async () => Number((await sums()).consumed) === records);

      const now = Date.now() - 20 * MINUTE;
      const minute = now - now % MINUTE;
      const ids = colliding(4096);
      await send(ids.map((eventId) => ({ eventId, userId: "crafty", time: minute })));
      await send(ids.map((userId, n) => ({ eventId: `e${n}`, userId, time: minute })));
      await send(
        [...SAME_MD5, "/a\\b", "\\x41"].map((page) => ({ eventId: page, userId: "paula", time: minute, page })),
      );
      const d1 = (time: number) => ({ eventId: "d1", userId: "ann", time });
      await send([d1(minute), { eventId: "fast", userId: "ann", time: minute + 60 * MINUTE }, d1(minute + 1000)]);
      const running = start();
      await takenIn(2 * 4096 + 7);
      assert.deepEqual(await sums(), { consumed: "8199", stored: "8198", duplicates: "1" });
      // The same after a restart.
      assert.equal(await running.end("SIGTERM"), 0, await running.tail());
      const again = start();
      await send([{ eventId: "faster", userId: "ann", time: minute + 70 * MINUTE }, d1(minute + 2000)]);
      await takenIn(2 * 4096 + 9);
      assert.equal(await again.end("SIGTERM"), 0, await again.tail());
      assert.deepEqual(await sums(), { consumed: "8201", stored: "8199", duplicates: "2" });

      const expected = expectedOf(await readTopic({ brokers: [broker.bootstrap], topic }), { keepDays: KEEP_DAYS });
      assert.equal(Math.max(...expected.active_users.map(({ users }) => users)), 4096 + 3);
      const differences = await using(url, (db) => compareTables(db, expected));
      // More than 4,096 users are estimated; the tables by minute have fewer.
      const exact = differences.filter(({ table }) => table !== "active_users");
      assert.equal(formatDifferences(exact), "every table agrees");
    });
  }
  await producer.disconnect();
  await Deno.remove(folder, { recursive: true });
});
