import assert from "node:assert/strict";
import { Kafka, logLevel } from "kafkajs";
import { exists } from "./child.ts";
import { startKafka } from "./kafka.ts";
import { startPostgres, using } from "./postgres.ts";

// kafkajs leaves timers behind when it disconnects, and they end in the next test.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("a broker keeps its records over a restart", leaky, async () => {
  await usingKafka(async (broker) => {
    await broker.createTopic("t", 2);
    const client = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
    const producer = client.producer();
    await producer.connect();
    await producer.send({ topic: "t", messages: [{ key: "k", value: "v" }] });
    await producer.disconnect();
    await broker.stop();
    await broker.start();
    const admin = client.admin();
    await admin.connect();
    const ends = await admin.fetchTopicOffsets("t");
    await admin.disconnect();
    assert.equal(ends.reduce((sum, { high }) => sum + Number(high), 0), 1);
  });
});

Deno.test("a server keeps its rows over a restart, and leaves no process behind", leaky, async () => {
  let pid = 0;
  {
    await using server = await startPostgres();
    const url = await server.createDatabase();
    await using(url, (db) => db.exec("create table t as select 1 as n"));
    await server.stop("immediate");
    await server.start();
    const { rows } = await using(
      url,
      (db) => db.query<{ n: number; pid: number }>("select n, pg_backend_pid() as pid from t"),
    );
    assert.equal(rows[0]!.n, 1);
    pid = rows[0]!.pid;
  }
  assert.equal(await exists(`/proc/${pid}`), false);
});

async function usingKafka(body: (broker: Awaited<ReturnType<typeof startKafka>>) => Promise<void>): Promise<void> {
  await using broker = await startKafka();
  await body(broker);
}
