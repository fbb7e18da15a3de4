/**
 * A shop for tests of the compiled program: a topic with simulated records, a database and the service.
 * @module
 */
import assert from "node:assert/strict";
import type { Counts } from "../../generator/records.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { expectedOf, type OracleLog, type OracleSettings } from "../../processor/oracle/oracle.ts";
import { readTopic } from "../../processor/testing/fakes/log.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { BINARY, clickstream, type Ended, type Env } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import type { Broker } from "../servers/kafka.ts";
import { type Server, using } from "../servers/postgres.ts";

/** A topic, a database and a service, on a shared broker and server. */
export class Shop implements AsyncDisposable {
  readonly env: Env;
  readonly #folder: string;
  #service: Child | null = null;
  #made: Counts | null = null;

  private constructor(env: Env, folder: string) {
    this.env = env;
    this.#folder = folder;
  }

  /** Creates a topic with this many seconds of simulated records, and a database with the schema. */
  static async open(
    broker: Broker,
    server: Server,
    name: string,
    generate: readonly string[],
    more: Env = {},
  ): Promise<Shop> {
    const env = {
      KAFKA_BROKERS: broker.bootstrap,
      KAFKA_TOPIC: name,
      KAFKA_GROUP_ID: name,
      KAFKA_PARTITIONS: "3",
      DATABASE_URL: await server.createDatabase(),
      HTTP_LISTEN: `127.0.0.1:${freePort()}`,
      WORKERS: "1",
      LOG_LEVEL: "warn",
      LOG_FORMAT: "json",
      ...more,
    };
    const shop = new Shop(env, await Deno.makeTempDir());
    await shop.does("migrate");
    shop.#made = JSON.parse(await shop.does("generate", ...generate, "--json")) as Counts;
    return shop;
  }

  /** The database. */
  get url(): string {
    return this.env["DATABASE_URL"]!;
  }

  /** Runs a command that must succeed; returns its output. */
  async does(...args: readonly string[]): Promise<string> {
    return (await succeeds(args, this.env)).out;
  }

  /** Starts the service. */
  serve(more: Env = {}): Child {
    return this.#service = Child.start(BINARY, ["run"], `${this.#folder}/log`, { ...this.env, ...more });
  }

  /** Waits until the service has ended by itself; returns its exit code and the end of its log. */
  async ended(): Promise<{ readonly code: number; readonly log: string }> {
    const service = this.#service!;
    const code = await service.wait();
    this.#service = null;
    return { code, log: await service.tail() };
  }

  /** Stops the service. */
  async rest(): Promise<void> {
    assert.equal(await this.#service!.end("SIGTERM"), 0, await this.#service!.tail());
    this.#service = null;
  }

  /** The records of the topic. */
  async log(): Promise<OracleLog> {
    return await logOf(this.env);
  }

  /** Sends lines to the topic; this many of them will be refused. */
  async produces(lines: readonly string[], refused = 0): Promise<void> {
    const file = `${this.#folder}/lines`;
    await Deno.writeTextFile(file, lines.map((line) => `${line}\n`).join(""));
    const { code, out } = await clickstream(["produce", "--json", file], this.env);
    assert.equal(code, refused === 0 ? 0 : 1, out);
    assert.equal(JSON.parse(out).refused, refused);
  }

  /** The number that a query returns as `n`. */
  async number(sql: string): Promise<number> {
    return await numberIn(this.url, sql);
  }

  /** Compares the tables with the simulator's counts: all its records are ingested, and no others. */
  async agreesWithMaker(): Promise<void> {
    const { events, revenueCents, purchases, users, duplicates, refusals } = this.#made!;
    const rows = await using(this.url, (db) =>
      db.query(
        `select (select count(*) from clickstream.events)::float8 as events,
           (select sum(events) from clickstream.traffic)::float8 as counted,
           (select sum(events) from clickstream.sessions)::float8 as "bySession",
           (select sum(revenue_cents) from clickstream.traffic)::float8 as "revenueCents",
           (select sum(purchases) from clickstream.sessions)::float8 as purchases,
           (select count(distinct user_id) from clickstream.user_days)::float8 as users,
           (select sum(duplicates) from clickstream.progress)::float8 as duplicates,
           (select count(*) from clickstream.refusals)::float8 as refused`,
      ));
    const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0);
    const made = { events, counted: events, bySession: events, revenueCents, purchases, users, duplicates, refused };
    assert.deepEqual(rows.rows[0], made);
  }

  /** Waits until all records of the log are ingested; returns the log. */
  async caughtUp(): Promise<OracleLog> {
    return await ingested(this.env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.end("SIGKILL");
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Runs a command that must succeed; returns what it has printed. */
export async function succeeds(args: readonly string[], env: Env): Promise<Ended> {
  const ended = await clickstream(args, env);
  assert.equal(ended.code, 0, `${args.join(" ")}: ${ended.out}${ended.err}`);
  return ended;
}

/** The records of the topic of these settings. */
export async function logOf(env: Env): Promise<OracleLog> {
  return await readTopic({ brokers: [env["KAFKA_BROKERS"]!], topic: env["KAFKA_TOPIC"]! });
}

/** The number that a query returns as `n`. */
export async function numberIn(url: string, sql: string): Promise<number> {
  return await using(url, async (db) => Number((await db.query<{ n: string }>(sql)).rows[0]!.n));
}

/** Waits until all records of the topic of these settings are ingested; returns them. */
export async function ingested(env: Env): Promise<OracleLog> {
  const log = await logOf(env);
  const records = log.partitions.reduce((sum, partition) => sum + partition.length, 0);
  const consumed = "select coalesce(sum(consumed), 0) as n from clickstream.progress";
  await until(
    `all ${records} records are taken in`,
    async () => await numberIn(env["DATABASE_URL"]!, consumed) === records,
    60_000,
  );
  return log;
}

/** Compares all tables of a database with the oracle. */
export async function agrees(
  { url }: { readonly url: string },
  log: OracleLog,
  more: Partial<OracleSettings> = {},
): Promise<void> {
  const expected = expectedOf(log, { keepDays: 30, ...more });
  const differences = await using(url, (db) => compareTables(db, expected));
  assert.equal(differences.length, 0, formatDifferences(differences));
  assert.deepEqual(await using(url, wrongRollups), {});
}
