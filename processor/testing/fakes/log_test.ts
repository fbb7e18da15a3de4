import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { startKafka } from "../../../testing/servers/kafka.ts";
import { readTopic } from "./log.ts";
import type { OracleLog } from "../../oracle/oracle.ts";

// kafkajs leaves timers behind when it disconnects.
const leaky = { sanitizeOps: false, sanitizeResources: false };

function shown({ partitions }: OracleLog): string[][] {
  return partitions.map((records) =>
    records.map(({ offset, value, time }) => `${offset} ${value === null ? null : Buffer.from(value)} ${time}`)
  );
}

Deno.test("a topic is read completely: values or none, timestamps, committed records only", leaky, async () => {
  await using broker = await startKafka();
  await broker.createTopic("t", 3);
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const sent = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, i) => ({ value: `v${from + i}`, timestamp: String(1e12 + from + i), partition: 0 }),
    );
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "t", messages: sent(0, 2_000) });
  const odd = [{ value: null, timestamp: "5", partition: 0 }, { value: "", timestamp: "4", partition: 0 }];
  await producer.send({ topic: "t", messages: odd, compression: CompressionTypes.GZIP });
  await producer.disconnect();
  const careful = kafka.producer({ transactionalId: "tx", idempotent: true, maxInFlightRequests: 1 });
  await careful.connect();
  for (const [value, ending] of [["kept", "commit"], ["lost", "abort"]] as const) {
    const transaction = await careful.transaction();
    await transaction.send({ topic: "t", messages: [{ value, timestamp: "7", partition: 1 }] });
    await transaction[ending]();
  }
  await careful.disconnect();

  const log = await readTopic({ brokers: [broker.bootstrap], topic: "t" });
  const many = sent(0, 2_000).map(({ value, timestamp }, offset) => `${offset} ${value} ${timestamp}`);
  assert.deepEqual(shown(log), [[...many, "2000 null 5", "2001  4"], ["0 kept 7"], []]);
});
