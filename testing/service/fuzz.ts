/**
 * Fuzzes the whole pipeline: odd records through a real broker and the compiled service into PostgreSQL. Compares every
 * table with the oracle's.
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Producer } from "@platformatic/kafka";
import { BrokerConnection } from "../../processor/kafka/broker.ts";
import { fetchFrom } from "../../processor/kafka/fetch.ts";
import { BufferPool } from "../../processor/kafka/answer.ts";
import { batchBytes, type BatchRecord, bombOf, produce } from "../../processor/testing/batches.ts";
import { BINARY, clickstream } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { oddRecord } from "./fuzz_records.ts";
import type { Broker } from "../servers/kafka.ts";
import { expectedOf } from "../../processor/oracle/oracle.ts";
import { decodeRecord, type OracleRecord } from "../../processor/oracle/reference_decoder.ts";
import type { Expected } from "../../processor/oracle/rows.ts";
import { type Server, using } from "../servers/postgres.ts";
import { consumedBy } from "../servers/databases.ts";
import { Random } from "../../generator/random.ts";

/** What to send, and where. */
export interface FuzzOptions {
  readonly broker: Broker;
  readonly server: Server;
  readonly folder: string;
  readonly records: number;
  readonly seed: number;
}

/** Outcomes of the records. */
export interface Fuzzed {
  readonly records: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly unreadable: number;
}

const PARTITIONS = 4;
const KEEP_DAYS = 30;
/** All usual Kafka timestamps are within this time, so every copy of an id is a duplicate. */
const SPAN_MS = 8 * 60_000;
/** Numbers of records in a batch. */
const BATCHES = [1, 10, 20, 300, 1000, 1000, 1000];
/** More zeros than a batch may unpack to. */
const BOMB_BYTES = 70 * 1024 * 1024;

/**
 * Sends odd records to a new topic while the service reads it with two workers; the service is ended once on the way.
 *
 * @throws {AssertionError} with the differences from the oracle
 */
export async function fuzz({ broker, server, folder, records, seed }: FuzzOptions): Promise<Fuzzed> {
  const topic = `fuzz-${seed}-${records}`;
  // The broker may not know the leader yet: senders retry.
  await broker.createTopic(topic, PARTITIONS).catch(() => {});
  const url = await server.createDatabase();
  const env = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: url,
    HTTP_LISTEN: `127.0.0.1:${freePort()}`,
    WORKERS: "2",
    LOG_LEVEL: "warn",
    LOG_FORMAT: "json",
  };
  const migrated = await clickstream(["migrate"], env);
  assert.equal(migrated.code, 0, migrated.err);
  const start = () => Child.start(BINARY, ["run"], `${folder}/${topic}.log`, env);
  const log = new SentLog(broker, topic, new Random(seed));
  let service = start();
  try {
    await log.send(Math.floor(records / 2));
    assert.equal(await service.end("SIGTERM"), 0, await service.tail());
    await log.send(records - Math.floor(records / 2));
    const wanted = await log.expected();
    service = start();
    const consumed = wanted.progress.reduce((sum, row) => sum + row.consumed, 0);
    for (let done = -1; done < consumed;) {
      const before = done;
      // A slow machine is no failure; only a lack of progress is.
      await until(
        `more than ${before} of ${consumed} records are consumed`,
        async () => {
          assert.ok(!service.ended, await service.tail());
          done = await consumedBy(url);
          return done > before;
        },
        120_000,
        250,
      );
    }
    assert.equal(await service.end("SIGTERM"), 0, await service.tail());
    const differences = await using(url, (db) => compareTables(db, wanted));
    assert.equal(differences.length, 0, formatDifferences(differences));
    const sum = (of: "stored" | "duplicates" | "refused") => wanted.progress.reduce((n, row) => n + row[of], 0);
    const counts = { stored: sum("stored"), duplicates: sum("duplicates"), refused: sum("refused") };
    assert.equal(counts.stored + counts.duplicates + counts.refused, records + log.unreadable);
    return { records, ...counts, unreadable: log.unreadable };
  } finally {
    await service.end("SIGKILL");
    await log.close();
  }
}

/** What was sent, and the expected result. */
class SentLog {
  unreadable = 0;
  readonly #broker: Broker;
  readonly #topic: string;
  readonly #random: Random;
  readonly #baseMs = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000;
  readonly #log: OracleRecord[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly #batches: { readonly partition: number; readonly offset: number }[] = [];
  readonly #ends = new Array<number>(PARTITIONS).fill(0);
  #connection: BrokerConnection | null = null;
  #producer: Producer<string, Buffer, string, string> | null = null;
  #sent = 0;
  #ids = 0;

  constructor(broker: Broker, topic: string, random: Random) {
    this.#broker = broker;
    this.#topic = topic;
    this.#random = random;
  }

  /** Sends records in batches of every size and codec, some in transactions, and sometimes a compressed bomb. */
  async send(records: number): Promise<void> {
    const random = this.#random;
    const waiting = this.#log.map(() => ({ records: [] as BatchRecord[], most: random.pick(BATCHES) }));
    for (let n = 0; n < records; n++) {
      const record = this.#record();
      const partition = partitionOf(record.value) ?? random.below(PARTITIONS);
      const batch = waiting[partition]!;
      if (batch.records.push(record) < batch.most) continue;
      await this.#batch(partition, batch.records);
      waiting[partition] = { records: [], most: random.pick(BATCHES) };
    }
    for (const [partition, batch] of waiting.entries()) {
      if (batch.records.length > 0) await this.#batch(partition, batch.records);
    }
  }

  async #batch(partition: number, batch: readonly BatchRecord[]): Promise<void> {
    const random = this.#random;
    if (random.chance(0.02)) await this.#bomb(partition);
    if (batch.length <= 20 && random.chance(0.1)) await this.#transaction(partition, batch);
    else await this.#append(partition, batchBytes(batch, { codec: random.below(5) }), batch);
  }

  /** The expected tables. */
  async expected(): Promise<Expected> {
    const expected = expectedOf({ topic: this.#topic, partitions: this.#log }, { keepDays: KEEP_DAYS });
    const refusals = [...expected.refusals];
    const connection = await this.#connected();
    for (const { partition, offset } of this.#batches) {
      const request = {
        topic: this.#topic,
        topicId: null,
        offsets: new Map([[partition, offset]]),
        maxWaitMs: 0,
        maxBytes: 1,
        partitionBytes: 1,
      };
      const [response] = await fetchFrom(connection, request, new BufferPool());
      const payload = response!.bytes.subarray(0, 65_536).toString("hex");
      const place = { topic: this.#topic, partition, offset };
      refusals.push({ ...place, reason: "unreadable_batch", field: null, payload });
    }
    refusals.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
    const progress = expected.progress.map((row) => {
      const bombs = this.#batches.filter(({ partition }) => partition === row.partition).length;
      const next_offset = this.#ends[row.partition]!;
      return { ...row, next_offset, consumed: row.consumed + bombs, refused: row.refused + bombs };
    });
    return { ...expected, progress, refusals };
  }

  async close(): Promise<void> {
    this.#connection?.close();
    await this.#producer?.close();
  }

  #record(): BatchRecord {
    // The timestamps cycle within the span, slightly out of order.
    const kafkaMs = this.#baseMs + (this.#sent++ * 7) % (SPAN_MS - 1000) + this.#random.below(1000);
    return oddRecord(this.#random, kafkaMs, () => `unique-${this.#ids++}`);
  }

  async #connected(): Promise<BrokerConnection> {
    return this.#connection ??= await BrokerConnection.open("127.0.0.1", this.#broker.port, { clientId: "fuzz" });
  }

  async #append(partition: number, bytes: Uint8Array, records: readonly BatchRecord[]): Promise<number> {
    const connection = await this.#connected();
    let { offset, errorCode } = await produce(connection, this.#topic, partition, bytes);
    while ([3, 5, 6].includes(errorCode)) {
      ({ offset, errorCode } = await produce(connection, this.#topic, partition, bytes));
    }
    assert.equal(errorCode, 0, "Kafka refuses a batch");
    this.#note(partition, offset, records);
    this.#ends[partition] = offset + Math.max(1, records.length);
    return offset;
  }

  #note(partition: number, offset: number, records: readonly BatchRecord[]): void {
    records.forEach(({ value, time = -1 }, i) => {
      const record = { offset: offset + i, value, time };
      this.#log[partition]!.push(time >= 0 ? record : { ...record, time: ownTime(record) });
    });
  }

  async #bomb(partition: number): Promise<void> {
    const codec = this.#random.pick([1, 4, 3]);
    const bomb = bombs[codec] ??= bombOf(codec, BOMB_BYTES);
    const bytes = batchBytes([{ value: null, time: this.#baseMs }], { codec, body: bomb });
    this.#batches.push({ partition, offset: await this.#append(partition, bytes, []) });
    this.unreadable++;
  }

  /** An aborted transaction, followed by a committed one. */
  async #transaction(partition: number, drawn: readonly BatchRecord[]): Promise<void> {
    // This client writes wrong timestamps if they are far apart.
    const records = drawn.map((record) => {
      const time = record.time ?? 0;
      return Math.abs(time - this.#baseMs) < SPAN_MS * 2 ? record : { ...record, time: this.#baseMs };
    });
    this.#producer ??= new Producer({
      clientId: "fuzz",
      bootstrapBrokers: [this.#broker.bootstrap],
      transactionalId: this.#topic,
      idempotent: true,
    });
    for (const isCommitted of [false, true]) {
      const transaction = await this.#producer.beginTransaction();
      const messages = records.map(({ value, time = this.#baseMs }) => ({
        topic: this.#topic,
        partition,
        timestamp: BigInt(time),
        value: value === null ? undefined : Buffer.from(value),
      }));
      const { offsets } = await transaction.send({ messages: messages as never });
      const offset = Number(offsets![0]!.offset);
      if (isCommitted) {
        await transaction.commit();
        this.#note(partition, offset, records);
      } else await transaction.abort();
      // One more for the control record.
      this.#ends[partition] = offset + records.length + 1;
    }
  }
}

const bombs: Record<number, Uint8Array> = {};

/** Replaces the timestamp of a record without one: with its event's time. */
function ownTime(record: OracleRecord): number {
  try {
    return decodeRecord({ ...record, time: Infinity }, Infinity).timeMs;
  } catch {
    return 0;
  }
}

/** The partition of a record's user, if it names one: all events of a user are in one partition. */
function partitionOf(value: Uint8Array | null): number | null {
  try {
    const { userId } = JSON.parse(new TextDecoder().decode(value ?? new Uint8Array()));
    let sum = 0;
    for (let i = 0; i < userId.length; i++) sum = Math.imul(sum, 31) + userId.charCodeAt(i) | 0;
    return (sum >>> 0) % PARTITIONS;
  } catch {
    return null;
  }
}
