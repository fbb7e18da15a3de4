/**
 * Poison records: batches that unpack to gigabytes, damaged disks, records that cannot be decoded or stored. The
 * compiled service reads on, and each of them becomes a refusal.
 */
import assert from "node:assert/strict";
import { BrokerConnection } from "../../processor/kafka/broker.ts";
import { fetchFrom } from "../../processor/kafka/fetch.ts";
import { BufferPool } from "../../processor/kafka/answer.ts";
import { batchBytes, type BatchRecord, bombOf, produce } from "../../processor/testing/batches.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { fuzz } from "./fuzz.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";

// kafkajs, which creates topics, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

let broker: Broker;
let server: Server;
let folder: string;
let topics = 0;

Deno.test.beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "clickstream-poison-" });
  const properties = { "message.max.bytes": "10000000", "log.message.timestamp.after.max.ms": String(2n ** 62n) };
  [broker, server] = await Promise.all([startKafka({ dataDir: `${folder}/kafka`, properties }), startPostgres()]);
});

Deno.test.afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

/** Creates a topic with one partition and a database; returns the settings of a service for both. */
async function opened(workers: number): Promise<Env & { KAFKA_TOPIC: string; DATABASE_URL: string }> {
  const topic = `poison-${++topics}`;
  // The broker may not know the leader yet: senders retry.
  await broker.createTopic(topic, 2).catch(() => {});
  const env = {
    KAFKA_BROKERS: broker.bootstrap,
    KAFKA_TOPIC: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: await server.createDatabase(),
    HTTP_LISTEN: `127.0.0.1:${freePort()}`,
    WORKERS: String(workers),
    LOG_LEVEL: "warn",
    LOG_FORMAT: "json",
  };
  const { code, err } = await clickstream(["migrate"], env);
  assert.equal(code, 0, err);
  return env;
}

/** This many events of a user, as records of a batch. */
function events(user: string, count: number): BatchRecord[] {
  const time = Date.now();
  return Array.from({ length: count }, (_, i) => ({
    time,
    value: new TextEncoder().encode(
      JSON.stringify({ eventId: `${user}-${i}`, userId: user, eventType: "page_view", timestamp: time, page: "/a" }),
    ),
  }));
}

/** Kafka's errors for a topic that was just created. */
const NO_LEADER = [3, 5, 6];

/** Appends batches to partition 0 of a topic, one after the other; returns their offsets. */
async function append(topic: string, batches: readonly Uint8Array[], partition = 0): Promise<number[]> {
  const connection = await BrokerConnection.open("127.0.0.1", broker.port, { clientId: "test" });
  try {
    const offsets: number[] = [];
    for (const batch of batches) {
      let answer = await produce(connection, topic, partition, batch);
      while (NO_LEADER.includes(answer.errorCode)) answer = await produce(connection, topic, partition, batch);
      assert.equal(answer.errorCode, 0, `Kafka refuses batch ${offsets.length}`);
      offsets.push(answer.offset);
    }
    return offsets;
  } finally {
    connection.close();
  }
}

/** The first bytes of the batch at an offset, as stored in the log. */
async function inTheLog(topic: string, offset: number): Promise<Uint8Array> {
  const connection = await BrokerConnection.open("127.0.0.1", broker.port, { clientId: "test" });
  try {
    const request = {
      topic,
      topicId: null,
      offsets: new Map([[0, offset]]),
      maxWaitMs: 0,
      maxBytes: 1,
      partitionBytes: 1,
    };
    return (await fetchFrom(connection, request, new BufferPool()))[0]!.bytes.slice(0, 65_536);
  } finally {
    connection.close();
  }
}

interface Taken {
  readonly next: string;
  readonly consumed: string;
  readonly stored: string;
  readonly refused: string;
}

async function taken(url: string): Promise<Taken> {
  return await using(url, async (db) => {
    const { rows } = await db.query<Taken>(
      `select coalesce(sum(next_offset), 0)::text as next, coalesce(sum(consumed), 0)::text as consumed,
              coalesce(sum(stored), 0)::text as stored, coalesce(sum(refused), 0)::text as refused
         from clickstream.progress`,
    );
    return rows[0]!;
  });
}

async function refusals(url: string) {
  return await using(url, async (db) => {
    const { rows } = await db.query<
      { offset: string; reason: string; field: string | null; detail: string; payload: string }
    >(
      `select "offset"::text, reason, field, detail, encode(payload, 'hex') as payload
         from clickstream.refusals r order by partition, r."offset"`,
    );
    return rows;
  });
}

/** Runs the service until it has read up to this offset, then stops it; returns its peak RSS in MB. */
async function served(env: Env, next: () => Promise<number> | number): Promise<number> {
  const log = `${folder}/${env["KAFKA_TOPIC"]}.log`;
  await using service = Child.start(BINARY, ["run"], log, { ...env });
  const wanted = await next();
  await until("all is read", async () => {
    assert.ok(!service.ended, await service.tail());
    return Number((await taken(env["DATABASE_URL"]!)).next) >= wanted;
  }, 90_000);
  const status = await Deno.readTextFile(`/proc/${service.pid}/status`);
  const peakMb = Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1000;
  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  return peakMb;
}

const MB = 1_000_000;
/** Each twice in a row, with the largest size that a record can state or the topic's limit allows. */
const BOMBS = [[1, 300 * MB], [4, 300 * MB], [3, 300 * MB], [2, 120 * MB], [4, 600 * MB]] as const;

Deno.test(
  "bombs of every codec are refused in bounded memory, and their neighbours are stored",
  leaky,
  async (t) => {
    const bombs = BOMBS.flatMap(([codec, bytes]) => {
      const bomb = batchBytes([{ value: null, time: Date.now() }], { codec, body: bombOf(codec, bytes) });
      return [bomb, bomb];
    });
    const batches = (user: string) => [
      batchBytes(events(`${user}-before`, 100)),
      ...bombs.flatMap((bomb, i) => i % 2 === 1 ? [bomb, batchBytes(events(`${user}-${i}`, 10))] : [bomb]),
      batchBytes(events(`${user}-after`, 100), { codec: 1 }),
    ];
    const good = 200 + bombs.length / 2 * 10;
    const calm = await opened(2);
    await append(calm.KAFKA_TOPIC, [batchBytes(events("calm", good))]);
    const usualMb = await served(calm, () => good);
    for (const [name, workers] of [["stopped", 1], ["running", 2]] as const) {
      await t.step(name, async () => {
        const env = await opened(workers);
        let offsets: number[] = [];
        const send = async () => {
          offsets = await append(env.KAFKA_TOPIC, batches(name));
          return good + bombs.length;
        };
        if (name === "stopped") await send();
        const peakMb = await served(env, name === "stopped" ? () => good + bombs.length : send);
        if (Deno.env.has("SHOW_MEMORY")) console.log(`${name}: ${peakMb} MB, ${usualMb} MB without bombs`);
        // Each worker decompresses one batch at a time.
        assert.ok(peakMb < usualMb + 100 * workers, `${peakMb} MB, ${usualMb} MB without bombs`);
        const all = String(good + bombs.length);
        assert.deepEqual(await taken(env.DATABASE_URL), {
          next: all,
          consumed: all,
          stored: String(good),
          refused: String(bombs.length),
        });
        const rows = await refusals(env.DATABASE_URL);
        assert.deepEqual(rows.map(({ reason }) => reason), bombs.map(() => "unreadable_batch"));
        for (const [i, { offset, detail, payload }] of rows.entries()) {
          const codec = ["", "gzip", "snappy", "lz4", "zstd"][BOMBS[Math.floor(i / 2)]![0]];
          assert.match(
            detail,
            new RegExp(`^batch of offsets ${offset} to ${offset}, 1 record: .*\\(${codec}\\): .*more than`),
          );
          assert.ok(offsets.includes(Number(offset)));
          assert.equal(payload, (await inTheLog(env.KAFKA_TOPIC, Number(offset))).toHex(), `bytes at ${offset}`);
        }
        if (name === "running") return;
        // Read again after a restart to remember ids, they are not refused again.
        await append(env.KAFKA_TOPIC, [batchBytes(events("later", 5))]);
        await served(env, () => good + bombs.length + 5);
        assert.equal((await refusals(env.DATABASE_URL)).length, bombs.length);
        const [{ id }] = await using(
          env.DATABASE_URL,
          async (db) => (await db.query<{ id: string }>("select min(id)::text as id from clickstream.refusals")).rows,
        ) as [{ id: string }];
        const shown = await clickstream(["refusals", "show", id], env);
        assert.match(shown.out, /unreadable batch cannot be replayed/);
        const replayed = await clickstream(["refusals", "replay", "--reason", "unreadable_batch"], env);
        assert.equal(replayed.code, 0, replayed.err);
        assert.match(replayed.out, /replayed 0 .*\n10 cannot be replayed/);
      });
    }
  },
);

Deno.test("batches that a disk has damaged are refused, and all readable records are stored", leaky, async (t) => {
  const damages: Readonly<Record<string, (batch: DataView) => void>> = {
    "a value": (batch) => batch.setUint8(100, batch.getUint8(100) ^ 1),
    "the last offset": (batch) => batch.setInt32(23, 70_000),
    "the number of records": (batch) => batch.setInt32(57, -3),
    "the format": (batch) => batch.setUint8(16, 9),
    "the length": (batch) => batch.setInt32(8, 1_000_000_000),
  };
  // Three batches each; the middle one is damaged. The broker finds it through an index with an entry every 4 KiB.
  const damaged = await Promise.all(
    Object.keys(damages).map(async (name) => {
      const env = await opened(name === "a value" ? 2 : 1);
      const batches = [0, 1, 2].map((n) => batchBytes(events(`${env.KAFKA_TOPIC}-${n}`, 60)));
      await append(env.KAFKA_TOPIC, batches);
      return { name, env, batches };
    }),
  );
  await broker.stop();
  for (const { name, env, batches } of damaged) {
    const path = `${folder}/kafka/data/${env.KAFKA_TOPIC}-0/${"0".repeat(20)}.log`;
    const bytes = await Deno.readFile(path);
    damages[name]!(new DataView(bytes.buffer, batches[0]!.length, batches[1]!.length));
    await Deno.writeFile(path, bytes);
  }
  await broker.start();
  for (const { name, env } of damaged) {
    await t.step(name, async () => {
      await served(env, () => 180);
      const rows = await refusals(env.DATABASE_URL);
      assert.deepEqual(
        rows.map(({ offset, reason }) => [offset, reason]),
        [["60", "unreadable_batch"]],
        JSON.stringify(rows),
      );
      assert.match(rows[0]!.detail, /^batch of offsets 60 to 119, an unknown number of records: /);
      assert.deepEqual(await taken(env.DATABASE_URL), { next: "180", consumed: "121", stored: "120", refused: "1" });
    });
  }
});

Deno.test(
  "records that cannot be decoded or stored are refused, and their neighbours are stored",
  leaky,
  async (t) => {
    const deep = (now: number) =>
      `{"userId":${'{"0":'.repeat(4_000)}1${"}".repeat(4_000)},"eventType":"page_view","timestamp":${now},"page":"/a"}`;
    const value = new TextEncoder().encode(deep(Date.now()));
    for (const [name, workers] of [["stopped", 1], ["running", 2]] as const) {
      await t.step(name, async () => {
        const env = await opened(workers);
        // Constraints and limits that the schema does not have: they stand for anything that PostgreSQL may refuse.
        await using(env.DATABASE_URL, (db) =>
          db.query(
            `alter table clickstream.events add constraint planted check (user_id <> 'by-constraint');
           create function clickstream.planted() returns trigger language plpgsql as $$ begin
             if new.user_id = 'by-trigger' then raise exception 'planted' using errcode = '22008'; end if;
             return new;
           end $$;
           create trigger planted before insert on clickstream.user_days for each row execute function clickstream.planted()`,
          ));
        const many = events("many", 3000);
        many.splice(700, 0, { value, time: Date.now() });
        many.splice(1500, 0, ...events("by-constraint", 1));
        many.splice(1501, 0, ...events("by-trigger", 1));
        many.splice(2999, 0, ...events("by-constraint", 2).slice(1));
        const send = async () => {
          await append(env.KAFKA_TOPIC, [batchBytes(many, { codec: 1 })]);
          return many.length;
        };
        if (name === "stopped") await send();
        await served(env, name === "stopped" ? () => many.length : send);
        const rows = await refusals(env.DATABASE_URL);
        assert.deepEqual(rows.map(({ offset, reason, field }) => [offset, reason, field]), [
          ["700", "wrong_type", "userId"],
          ["1500", "bad_value", null],
          ["1501", "bad_value", null],
          ["2999", "bad_value", null],
        ]);
        assert.match(rows[1]!.detail, /cannot be stored: .*"planted"/);
        assert.match(rows[2]!.detail, /cannot be stored: .*planted/);
        assert.equal(rows[1]!.payload, many[1500]!.value!.toHex());
        const all = String(many.length);
        assert.deepEqual(await taken(env.DATABASE_URL), { next: all, consumed: all, stored: "3000", refused: "4" });
      });
    }
    await t.step("a record that can't even be refused ends the service, which names it", async () => {
      const env = await opened(1);
      await using(
        env.DATABASE_URL,
        (db) => db.query('alter table clickstream.refusals add constraint planted check ("offset" <> 1)'),
      );
      await append(env.KAFKA_TOPIC, [batchBytes([...events("a", 1), { value: null }, ...events("b", 1)])]);
      const { code, err } = await clickstream(["run"], env);
      assert.equal(code, 1);
      assert.match(
        err,
        new RegExp(`offset 1 of partition 0 of ${env.KAFKA_TOPIC} can't be stored, and not be refused either`),
      );
      assert.equal((await taken(env.DATABASE_URL)).next, "1");
    });
  },
);

Deno.test("200,000 odd records don't stop the service, and the oracle agrees on each", leaky, async () => {
  const { records, stored, duplicates, refused, unreadable } = await fuzz({
    ...{ broker, server, folder },
    records: Number(Deno.env.get("FUZZ_RECORDS") ?? 200_000),
    seed: Number(Deno.env.get("FUZZ_SEED") ?? 1),
  });
  assert.equal(stored + duplicates + refused, records + unreadable);
  assert.ok(stored > records / 3 && refused > records / 10 && unreadable > 0);
});
