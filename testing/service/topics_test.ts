/**
 * A topic that is not the one that was read, and records that were deleted before they were read: on a real broker and
 * server, with the compiled program.
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type Admin, Kafka, logLevel } from "kafkajs";
import { BINARY, clickstream, type Ended, type Env, killed } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";
import { Random } from "../../generator/random.ts";

// kafkajs leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const COUNTS = ["consumed", "stored", "duplicates", "refused", "skipped", "gaps"] as const;

type Counts = Readonly<Record<typeof COUNTS[number], number>>;

const NONE: Counts = { consumed: 0, stored: 0, duplicates: 0, refused: 0, skipped: 0, gaps: 0 };

/** Shared by all tests. */
interface World {
  readonly broker: Broker;
  readonly server: Server;
  readonly admin: Admin;
  readonly kafka: Kafka;
}

/** A topic with its database and service. */
class Shop implements AsyncDisposable {
  readonly env: Env & Readonly<Record<"KAFKA_TOPIC" | "DATABASE_URL" | "HTTP_LISTEN", string>>;
  readonly #world: World;
  readonly #partitions: number;
  readonly #folder: string;
  service: Child | null = null;
  #sent = 0;

  private constructor(world: World, env: Shop["env"], partitions: number, folder: string) {
    this.#world = world;
    this.env = env;
    this.#partitions = partitions;
    this.#folder = folder;
  }

  static async open(world: World, topic: string, { partitions = 2, workers = 1 } = {}): Promise<Shop> {
    const env = {
      KAFKA_BROKERS: world.broker.bootstrap,
      KAFKA_TOPIC: topic,
      KAFKA_GROUP_ID: topic,
      DATABASE_URL: await world.server.createDatabase(),
      HTTP_LISTEN: `127.0.0.1:${freePort()}`,
      WORKERS: String(workers),
      LOG_LEVEL: "warn",
    };
    const shop = new Shop(world, env, partitions, await Deno.makeTempDir());
    await world.broker.createTopic(topic, partitions);
    await shop.does("migrate");
    return shop;
  }

  /** Runs a command that must succeed; returns its output. */
  async does(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await clickstream(args, this.env);
    assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
    return out;
  }

  serve(): void {
    this.service = Child.start(BINARY, ["run"], `${this.#folder}/log`, this.env);
  }

  /** Waits until the service ends by itself; returns its last output. */
  async ends(): Promise<Ended> {
    const service = this.service!;
    await until("the service has ended", () => Promise.resolve(service.ended), 60_000);
    const code = await service.end("SIGTERM");
    this.service = null;
    return { code, out: "", err: await service.tail() };
  }

  async rest(): Promise<void> {
    assert.equal(await this.service!.end("SIGTERM"), 0, await this.service!.tail());
    this.service = null;
  }

  /** Sends this many clicks to each partition; the first is refused, and the last is a duplicate of the one before. */
  async sends(clicks: number): Promise<void> {
    const messages = Array.from(
      { length: this.#partitions },
      (_, partition) =>
        Array.from({ length: clicks }, (_, n) => {
          const number = n === clicks - 1 ? this.#sent + n - 1 : this.#sent + n;
          const event = {
            eventId: `${partition}-${number}`,
            userId: `user-${partition}`,
            page: "/",
            timestamp: Date.now(),
          };
          return { partition, value: n === 0 ? "no event" : JSON.stringify({ ...event, eventType: "page_view" }) };
        }),
    ).flat();
    // A new producer, because an idempotent producer of the former topic would continue its sequence numbers.
    const producer = this.#world.kafka.producer({ idempotent: true });
    await producer.connect();
    await producer.send({ topic: this.env.KAFKA_TOPIC, messages });
    await producer.disconnect();
    this.#sent += clicks;
  }

  async deletesBelow(offset: number): Promise<void> {
    const partitions = Array.from({ length: this.#partitions }, (_, partition) => ({ partition, offset: `${offset}` }));
    const { KAFKA_TOPIC: topic } = this.env;
    // The client learns the leader of a new partition late.
    await until(
      `records below ${offset} are deleted`,
      () => this.#world.admin.deleteTopicRecords({ topic, partitions }).then(() => true, () => false),
    );
  }

  /** Deletes the topic and creates another with the same name. */
  async recreates(): Promise<void> {
    const { KAFKA_TOPIC: topic } = this.env;
    await this.#world.admin.deleteTopics({ topics: [topic] });
    const made = () =>
      this.#world.admin.createTopics({ topics: [{ topic, numPartitions: this.#partitions }], waitForLeaders: false });
    await until("the topic is recreated", () => made().catch(() => false));
  }

  async rows<R extends object>(sql: string): Promise<readonly R[]> {
    return await using(this.env.DATABASE_URL, async (db) => (await db.query<R>(sql)).rows);
  }

  /** Sums over a table with the columns of `progress`; every row must be conserved. */
  async sums(table = "progress"): Promise<Counts> {
    const [row] = await this.rows<Counts & { readonly broken: number }>(
      `select ${COUNTS.map((name) => `coalesce(sum(${name}), 0)::int as ${name}`).join(", ")},
         count(*) filter (where next_offset - first_offset <> consumed + skipped + gaps)::int as broken
         from clickstream.${table}`,
    );
    const { broken, ...counts } = row!;
    assert.equal(broken, 0, `${broken} rows of ${table} are not conserved`);
    return counts;
  }

  async reaches(counts: Partial<Counts>): Promise<void> {
    const expected = { ...NONE, ...counts };
    let now = NONE;
    await until(`progress says ${JSON.stringify(counts)}`, async () => {
      if (this.service?.ended) throw new Error(await this.service.tail());
      now = await this.sums();
      return COUNTS.every((name) => now[name] === expected[name]);
    }, 60_000).catch((error) => assert.deepEqual(now, expected, String(error)));
  }

  /** Numbers of events and refusals in the tables. */
  async stored(): Promise<readonly [events: number, traffic: number, refusals: number]> {
    const [row] = await this.rows<{ readonly events: number; readonly traffic: number; readonly refusals: number }>(
      `select (select count(*)::int from clickstream.events) as events,
         (select coalesce(sum(events), 0)::int from clickstream.traffic) as traffic,
         (select count(*)::int from clickstream.refusals) as refusals`,
    );
    return [row!.events, row!.traffic, row!.refusals];
  }

  async get(path: string): Promise<string> {
    return await (await fetch(`http://${this.env.HTTP_LISTEN}${path}`)).text();
  }

  /** What the page and Prometheus report before the service ends. */
  async says(title: RegExp, kind: string): Promise<void> {
    await until(
      `the page says ${title}`,
      async () => title.test(await this.get("/api/status").catch(() => "")),
      60_000,
    );
    assert.match(await this.get("/metrics"), new RegExp(`clickstream_topic_changed\\{kind="${kind}"\\} 1`));
    assert.match(await this.get("/ready"), /adopt-topic/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service?.end("SIGKILL");
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test("a recreated topic is not taken for the old one, and missing records are named", leaky, async (t) => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const world = { broker, server, kafka, admin: kafka.admin() };
  await world.admin.connect();
  const chance = new Random(20);
  const ids = (text: string) => text.match(/[\w-]{22}(?![\w-])/g) ?? [];

  await t.step("recreated while two workers run, and shorter: they stop until it is adopted", async () => {
    await using shop = await Shop.open(world, "shorter", { workers: 2 });
    await shop.sends(30);
    shop.serve();
    const once = { consumed: 60, stored: 56, duplicates: 2, refused: 2 };
    await shop.reaches(once);
    await shop.recreates();
    await shop.sends(20);
    await shop.says(/Topic shorter was recreated/, "recreated");
    const { code, err } = await shop.ends();
    assert.equal(code, 1, err);
    assert.match(err, /topic shorter was recreated: .*clickstream adopt-topic/);
    assert.equal(new Set(ids(err)).size, 2, err);
    assert.deepEqual([await shop.sums(), await shop.stored()], [{ ...NONE, ...once }, [56, 56, 2]]);

    const doctor = await clickstream(["doctor"], shop.env);
    assert.match(doctor.out, /✗ kafka log: topic shorter was recreated: .* → run: clickstream adopt-topic/);
    const asked = await clickstream(["adopt-topic"], shop.env);
    assert.equal(asked.code, 2);
    assert.match(asked.out, /was recreated/);
    assert.match(asked.err, /add --yes. Nothing was changed/);
    assert.deepEqual(await shop.sums(), { ...NONE, ...once });

    const adopted = await killed(["adopt-topic", "--yes"], shop.env, { times: 4, withinMs: 900, chance });
    assert.equal(adopted.code, 0, adopted.err);
    assert.match(await shop.does("adopt-topic", "--yes"), /is the topic that the tables follow; nothing to do/);
    assert.deepEqual([await shop.sums(), await shop.sums("former_progress")], [NONE, { ...NONE, ...once }]);
    shop.serve();
    // The same offsets are refused once more, and duplicates are recognised again.
    await shop.reaches({ consumed: 40, stored: 36, duplicates: 2, refused: 2 });
    assert.deepEqual(await shop.stored(), [92, 92, 4]);
    await shop.rest();
    const well = await clickstream(["doctor"], shop.env);
    assert.match(well.out, /✓ conservation: .*\n✓ gaps: /);
    assert.match(well.out, /✓ kafka log: 0 records/);
  });

  await t.step(
    "recreated while the service is stopped, and longer: nothing is skipped, and a user stays forgotten",
    async () => {
      await using shop = await Shop.open(world, "longer");
      await shop.sends(10);
      shop.serve();
      await shop.reaches({ consumed: 20, stored: 16, duplicates: 2, refused: 2 });
      await shop.rest();
      await shop.does("forget", "user-1", "--yes");
      await shop.recreates();
      await shop.sends(25);
      shop.serve();
      await shop.says(/Topic longer was recreated/, "recreated");
      assert.equal((await shop.ends()).code, 1);
      await shop.does("adopt-topic", "--yes");
      shop.serve();
      await shop.reaches({ consumed: 50, stored: 46, duplicates: 2, refused: 2 });
      await shop.rest();
      // In the former log user 1 had 8 events; the new log's events count as those of a returning user.
      assert.deepEqual(await shop.stored(), [8 + 46, 16 + 46, 4]);
      // The remaining events of user 0 have offsets of both logs, below and above the end of the new one.
      assert.match(await shop.does("forget", "user-0", "--yes"), /erased 31 events/);
      assert.deepEqual(await shop.stored(), [23, 16 + 46, 4]);
    },
  );

  await t.step("a log that ends before the committed offset is refused; adopting it counts nothing twice", async () => {
    await using shop = await Shop.open(world, "truncated", { partitions: 1 });
    await shop.sends(10);
    shop.serve();
    await shop.reaches({ consumed: 10, stored: 8, duplicates: 1, refused: 1 });
    // As if the partition had lost five records.
    await using(
      shop.env.DATABASE_URL,
      (db) => db.exec("update clickstream.progress set next_offset = 15, consumed = 15, stored = 13"),
    );
    await shop.sends(2);
    await shop.says(/The log was truncated/, "truncated");
    const { code, err } = await shop.ends();
    assert.equal(code, 1);
    assert.match(err, /partition 0 of truncated was truncated.* read up to offset 15 and now ends at 12.*adopt-topic/);
    assert.match(
      (await clickstream(["doctor"], shop.env)).out,
      /✗ kafka log: .* read up to offset 15 and now ends at 12/,
    );
    await shop.does("adopt-topic", "--yes");
    shop.serve();
    await shop.sends(3);
    await shop.reaches({ consumed: 3, stored: 1, duplicates: 1, refused: 1 });
    assert.deepEqual(await shop.stored(), [9, 9, 2]);
    await shop.rest();
  });

  await t.step("a log in which others were written over records that were read: all of them are read", async () => {
    await using shop = await Shop.open(world, "overwritten", { partitions: 1 });
    await shop.sends(10);
    shop.serve();
    await shop.reaches({ consumed: 10, stored: 8, duplicates: 1, refused: 1 });
    const [former] = await shop.rows<{ epoch: number }>("select leader_epoch as epoch from clickstream.progress");
    await shop.rest();
    // The next ten have another leader: the broker is elected anew.
    await world.broker.restart();
    await shop.sends(10);
    shop.serve();
    await shop.reaches({ consumed: 20, stored: 16, duplicates: 2, refused: 2 });
    await shop.rest();
    // As if the ten that were counted had been others, which the former leader has lost.
    await using(
      shop.env.DATABASE_URL,
      (db) => db.query("update clickstream.progress set leader_epoch = $1::int", [former!.epoch]),
    );
    shop.serve();
    const { code, err } = await shop.ends();
    assert.equal(code, 1);
    const said =
      /partition 0 of overwritten was truncated.* read up to offset 20, and the records from offset 10 on have been/;
    assert.match(err, said);
    assert.match((await clickstream(["doctor"], shop.env)).out, said);
    assert.match(
      await shop.does("adopt-topic", "--yes"),
      /Reading continues at 10, with all records written there since/,
    );
    assert.match((await clickstream(["doctor"], shop.env)).out, /✓ kafka log: 10 records are not committed yet/);
    shop.serve();
    await shop.reaches({ consumed: 10, stored: 8, duplicates: 1, refused: 1 });
    await shop.rest();
    assert.match(await shop.does("adopt-topic", "--yes"), /nothing to do/);
  });

  await t.step("records that retention deletes unread are recorded as gaps, and read ones are not", async () => {
    await using shop = await Shop.open(world, "retained", { partitions: 1, workers: 2 });
    const gaps = () =>
      shop.rows<{ from: number; to: number }>(
        `select from_offset::int as "from", to_offset::int as "to" from clickstream.gaps order by id`,
      );
    await shop.sends(20);
    // The log begins late before the first read: this is no gap.
    await shop.deletesBelow(5);
    shop.serve();
    await shop.reaches({ consumed: 15, stored: 14, duplicates: 1 });
    await shop.rest();
    // Everything deleted had been read.
    await shop.deletesBelow(20);
    shop.serve();
    await shop.sends(10);
    await shop.reaches({ consumed: 25, stored: 22, duplicates: 2, refused: 1 });
    await shop.rest();
    assert.deepEqual(await gaps(), []);
    // Stopped: seven of ten are unread.
    await shop.sends(10);
    await shop.deletesBelow(37);
    assert.match(
      (await clickstream(["doctor"], shop.env)).out,
      /✗ kafka log: offsets 30 to 36 of partition 0 were deleted before they were read/,
    );
    shop.serve();
    await shop.reaches({ consumed: 28, stored: 24, duplicates: 3, refused: 1, gaps: 7 });
    assert.deepEqual(await gaps(), [{ from: 30, to: 37 }]);
    // Running, but behind.
    Deno.kill(shop.service!.pid, "SIGSTOP");
    // The broker answers the pending fetch after 250 ms.
    await setTimeout(600);
    await shop.sends(10);
    await shop.deletesBelow(44);
    Deno.kill(shop.service!.pid, "SIGCONT");
    await shop.reaches({ consumed: 34, stored: 29, duplicates: 4, refused: 1, gaps: 11 });
    assert.deepEqual(await gaps(), [{ from: 30, to: 37 }, { from: 40, to: 44 }]);
    assert.match(await shop.get("/metrics"), /clickstream_gap_records_total 11/);
    await until("the page says it", async () => /11 records were deleted unread/.test(await shop.get("/api/status")));
    assert.match(
      (await clickstream(["doctor"], shop.env)).out,
      /! gaps: Kafka deleted 11 records .*: offsets 40 to 43 of partition 0, offsets 30 to 36 of partition 0/,
    );
    assert.match(await shop.does("gaps", "list"), /40 +43 +4 .* not yet/);
    assert.equal(await shop.does("gaps", "acknowledge"), "acknowledged 2 gaps\n");
    assert.match((await clickstream(["doctor"], shop.env)).out, /✓ conservation: .*\n✓ gaps: /);
    await shop.rest();
  });

  await world.admin.disconnect();
});
