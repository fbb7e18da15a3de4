/**
 * The operator's commands beside a running service, killed at random and repeated: replay, forget, rebuild. The tables
 * are compared with an oracle that reads the same log.
 */
import assert from "node:assert/strict";
import { Kafka, logLevel } from "kafkajs";
// @ts-types="@types/pg"
import pg from "pg";
import { clickstream, killed } from "../servers/binary.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { startFaults } from "../servers/network_faults.ts";
import { startKafka } from "../servers/kafka.ts";
import { expectedOf, type OracleLog } from "../../processor/oracle/oracle.ts";
import { startPgBouncer } from "../servers/pgbouncer.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { agrees, Shop } from "./shop.ts";
import { Random } from "../../generator/random.ts";

// kafkajs, which fills and reads the topic, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const FAULTS = ["--fast", "--rate", "1000", "--bad", "0.1", "--duplicates", "0.02", "--late", "0.02", "--users", "300"];

function sorted(payloads: readonly (Uint8Array | null)[]): string[] {
  return payloads.map((payload) => payload?.toHex() ?? "").sort();
}

Deno.test("the operator's commands work beside a running service, killed at random and repeated", leaky, async (t) => {
  await using broker = await startKafka();
  // A small lock table, so that taking many locks at once fails.
  await using server = await startPostgres({ settings: { max_locks_per_transaction: "10", max_connections: "30" } });
  const chance = new Random(20_261_125);

  await t.step("refusals replay: each record exactly once", async () => {
    await using shop = await Shop.open(broker, server, "replayed", [...FAULTS, "--seconds", "8"]);
    shop.serve();
    const before = await shop.caughtUp();
    await shop.agreesWithMaker();
    assert.match(
      await shop.does("refusals", "list", "--limit", "2"),
      /^ *id .*\n(.*\n){2}2 of \d+ refusals shown\n$/,
    );
    // Records that are refused again are not sent again.
    const now = new Date().toISOString();
    const { code, err } = await killed(["refusals", "replay", "--to", now], shop.env, {
      times: 12,
      withinMs: 900,
      chance,
    });
    assert.equal(code, 0, err);
    const after = await shop.caughtUp();
    const refused = expectedOf(before, { keepDays: 30 }).refusals;
    const sendable = refused.filter(({ payload, reason }) =>
      payload !== null && payload !== "" && reason !== "too_large"
    );
    assert.ok(sendable.length > 500, `${sendable.length} are sendable`);
    const copies = after.partitions.flatMap((partition, p) => partition.slice(before.partitions[p]!.length));
    const originals = sendable.map(({ partition, offset }) =>
      before.partitions[Number(partition)]!.find((record) => record.offset === Number(offset))!
    );
    assert.deepEqual(sorted(copies.map(({ value }) => value)), sorted(originals.map(({ value }) => value)));
    assert.equal(
      await shop.number("select count(*) as n from clickstream.refusals where replayed_at is not null"),
      sendable.length,
    );
    await agrees(shop, after);
    await shop.rest();
  });

  await t.step(
    "forget, with events still unread and a user who returns; then rebuild, which forgets as well",
    async () => {
      await using shop = await Shop.open(broker, server, "forgotten", [...FAULTS, "--seconds", "6"]);
      shop.serve();
      await shop.caughtUp();
      await shop.produces(clicksOf("ann", 30, 3600));
      await shop.caughtUp();
      await shop.rest();
      await shop.produces([...clicksOf("ann", 30, 1800), `{"userId": "ann", "page": 1}`, `{"userId":"ann"`, "{}"], 3);

      assert.match(
        await shop.does("forget", "ann"),
        /^user .* has 30 events, [12] user days, 1 sessions, 0 refused .*\nnothing was erased/,
      );
      const forgotten = await killed(["forget", "ann", "--yes"], shop.env, { times: 6, withinMs: 700, chance });
      assert.equal(forgotten.code, 0, forgotten.err);
      const boundary = await shop.log();
      await shop.produces(clicksOf("ann", 5, 60));
      shop.serve();
      const log = await shop.caughtUp();
      await forgets(shop, log, boundary, 5);

      // Corrupt the tables and send more events while they are rebuilt.
      await using(shop.url, (db) => db.exec(MISTAKES));
      await assert.rejects(forgets(shop, log, boundary, 5));
      const open = clickstream(["generate", "--rate", "400", "--seconds", "6", "--seed", "3"], shop.env);
      const from = new Date(Date.now() - 2 * 86_400_000).toISOString();
      const rebuilt = await killed(["rebuild", "--from", from, "--yes"], shop.env, {
        times: 6,
        withinMs: 1800,
        chance,
      });
      assert.equal(rebuilt.code, 0, rebuilt.err);
      assert.equal((await open).code, 0);
      await forgets(shop, await shop.caughtUp(), boundary, 5);
      assert.equal(
        await shop.number("select count(*) as n from pg_namespace where nspname = 'clickstream_rebuild'"),
        0,
      );
      await shop.rest();
    },
  );

  await t.step(
    "behind PgBouncer in transaction mode, commands leave nothing on its connection, or refuse to run",
    async () => {
      await using pooler = await startPgBouncer(server.port);
      const direct = await server.createDatabase("pooled");
      const DATABASE_URL = pooler.through(direct);
      const left = async (command: string) => {
        const pooled = new pg.Client({ connectionString: DATABASE_URL });
        await pooled.connect();
        try {
          const { rows } = await pooled.query(LEFT);
          assert.deepEqual(rows, [{ who: "postgres", settings: null, locks: "0" }], command);
        } finally {
          await pooled.end();
        }
      };
      await left("nothing");
      // Also creates the schema and the records.
      await using shop = await Shop.open(broker, server, "pooled", [...FAULTS, "--seconds", "1"], { DATABASE_URL });
      await left("migrate");
      shop.serve();
      await agrees(shop, await shop.caughtUp());
      await left("run, at work");
      await fetch(`http://${shop.env["HTTP_LISTEN"]}/api/status`).then((response) => response.text());
      await shop.rest();
      await left("run");
      for (const does of [["maintain"], ["refusals", "list"], ["forget", "ann"]]) {
        await shop.does(...does);
        await left(does.join(" "));
      }
      for (
        const refused of [["forget", "ann", "--yes"], ["rebuild", "--from", "2026-01-01T00:00:00Z", "--yes"], [
          "refusals",
          "replay",
        ]]
      ) {
        const { code, err } = await clickstream(refused, shop.env);
        assert.deepEqual(
          [code, /connection pooler .* Nothing was changed. For this command, set DATABASE_URL/.test(err)],
          [1, true],
          err,
        );
        await left(refused.join(" "));
        assert.equal((await clickstream(refused, { ...shop.env, DATABASE_URL: direct })).code, 0);
      }
      await using(direct, (db) => db.exec("drop schema if exists clickstream_rebuild cascade"));
    },
  );

  await t.step("a network that breaks connections at any moment does not stop the service", async () => {
    await using shop = await Shop.open(broker, server, "broken", ["--rate", "100", "--seconds", "1"]);
    await using proxy = await startFaults(server.port);
    const through = `${shop.url.replace(`:${server.port}/`, `:${proxy.port}/`)}?sslmode=disable`;
    shop.serve({ WORKERS: "2", DATABASE_URL: through, COMMIT_EVERY_MS: "20" });
    await shop.does("generate", "--rate", "300", "--seconds", "4", "--seed", "4", "--users", "300", "--bad", "0.1");
    await agrees(shop, await shop.caughtUp());
    const struck = await proxy.struck();
    assert.ok(struck.size >= 5, `only ${[...struck]} struck`);
    await shop.rest();
  });

  await t.step("rebuild from a midnight that sessions cross", async () => {
    const midnight = new Date(Math.floor(Date.now() / 86_400_000 - 1) * 86_400_000);
    const start = new Date(midnight.getTime() - 50 * 60_000).toISOString();
    const shopping = ["--from", start, "--seconds", "6000", "--rate", "2", "--users", "200", "--late", "0.02"];
    await using shop = await Shop.open(broker, server, "midnight", shopping);
    shop.serve();
    const log = await shop.caughtUp();
    const across =
      `from clickstream.sessions where started_at < '${midnight.toISOString()}' and ended_at > '${midnight.toISOString()}'`;
    assert.ok(await shop.number(`select count(*) as n ${across}`) > 3, "no session goes on across midnight");
    assert.ok(await shop.number(`select count(*) as n ${across} and is_bot`) > 0, "no bot goes on across midnight");
    await using(shop.url, (db) => db.exec(MISTAKES.replaceAll("true", `started_at >= '${midnight.toISOString()}'`)));
    await assert.rejects(agrees(shop, log));
    await assert.rejects(shop.agreesWithMaker());
    const late = new Date(midnight.getTime() + 3_600_000).toISOString();
    const asked = await clickstream(["rebuild", "--from", late], shop.env);
    assert.equal(asked.code, 2);
    assert.match(
      asked.err,
      /^replaces rows from \S+ to now\nreads about [\d,]+ records of topic midnight.*\nneeds about .*\n.*add --yes/,
    );
    await shop.does("rebuild", "--from", late, "--yes");
    await agrees(shop, await shop.caughtUp());
    await shop.agreesWithMaker();

    // From long before the log begins: with leftover partitions of an older rebuild, and rows of an older log.
    await using(shop.url, async (db) => {
      await db.exec(MISTAKES);
      await db.exec("create schema clickstream_rebuild authorization clickstream_owner");
      for (let year = 2000; year < 2030; year++) await db.exec(leftOf(year));
      await db.exec(
        `insert into clickstream.traffic (window_start, event_type, device, region, events, users, revenue_cents,
        users_state) values ('2021-01-01Z', 'page_view', 'mobile', 'eu', 7, 1, 0, '')`,
      );
    });
    const partitions = "select count(*) as n from pg_inherits where inhparent = 'clickstream.events'::regclass";
    const before = await shop.number(partitions);
    await shop.does("rebuild", "--from", "2020-01-01T00:00:00Z", "--yes");
    assert.equal(
      await shop.number("select sum(events) as n from clickstream.traffic where window_start < '2022-01-01Z'"),
      7,
    );
    assert.equal(await shop.number(partitions), before);
    await using(shop.url, (db) => db.exec("delete from clickstream.traffic where window_start < '2022-01-01Z'"));
    await agrees(shop, await shop.caughtUp());
    await shop.agreesWithMaker();
    await shop.rest();
  });

  await t.step("rebuild keeps the mark of a session that was told a bot's before the part that is read", async () => {
    const midnight = new Date(Math.floor(Date.now() / 86_400_000 - 1) * 86_400_000);
    const minutes = (n: number) => midnight.getTime() + n * 60_000;
    const earlier = ["--from", new Date(minutes(-70)).toISOString(), "--seconds", "60", "--rate", "1"];
    await using shop = await Shop.open(broker, server, "marks", earlier);
    const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    for (const [n, more] of [[-45, { userAgent: "curl/8.14.1" }], [-20, {}], [5, {}]] as const) {
      const value = { userId: "eve", eventType: "page_view", page: "/", timestamp: minutes(n), ...more };
      const message = { key: "eve", value: JSON.stringify(value), timestamp: String(minutes(n)) };
      await producer.send({ topic: "marks", messages: [message] });
    }
    await producer.disconnect();
    shop.serve();
    await agrees(shop, await shop.caughtUp());
    await shop.does("rebuild", "--from", midnight.toISOString(), "--yes");
    await agrees(shop, await shop.caughtUp());
    assert.equal(
      await shop.number("select count(*) as n from clickstream.user_days where user_id = 'eve' and is_bot"),
      2,
    );
    await shop.rest();
  });
});

/** What is left on a connection for its next user, except what a pooler itself keeps for each client. */
const LEFT = `select current_user as who,
  (select string_agg(name || '=' || setting, ' ') from pg_settings where source = 'session' and name not in
    ('TimeZone', 'DateStyle', 'application_name', 'client_encoding', 'standard_conforming_strings')) as settings,
  (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks`;

/** Errors in the tables, as a bug would cause them. */
const MISTAKES = `
  update clickstream.sessions set events = events + 1, purchases = 7 where true;
  delete from clickstream.sessions where page_views = 2 and true;
  delete from clickstream.traffic t using (select max(window_start) as m from clickstream.traffic) l
    where t.window_start = l.m;
  delete from clickstream.events e using (select max(event_time) as m from clickstream.events) l where e.event_time = l.m;
`;

/** Tables of ten days of a year, as an interrupted rebuild leaves them. */
function leftOf(year: number): string {
  const days = Array.from({ length: 10 }, (_, n) => `
    create table clickstream_rebuild.events_${year}010${n} partition of clickstream_rebuild.events
      for values from ('${year}-01-${n + 1}Z') to ('${year}-01-${n + 2}Z');`);
  return `set role clickstream_owner;
    create table if not exists clickstream_rebuild.events (event_time timestamptz, page text) partition by range (event_time);
    ${days.join("")} reset role;`;
}

/** Clicks of a user, one second apart; the first is this many seconds ago. */
function clicksOf(userId: string, count: number, secondsAgo: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const timestamp = Date.now() - (secondsAgo - n) * 1000;
    return JSON.stringify({
      eventId: `${userId}-${secondsAgo}-${n}`,
      userId,
      eventType: "page_view",
      page: `/${n % 3}`,
      timestamp,
    });
  });
}

/** The tables equal the log's, except for ann's records below the boundary, which only the counts include. */
async function forgets(shop: Shop, log: OracleLog, boundary: OracleLog, comesBackWith: number): Promise<void> {
  const text = new TextDecoder();
  const names = (value: Uint8Array | null) => value !== null && text.decode(value).includes('"ann"');
  const without = {
    ...log,
    partitions: log.partitions.map((records, p) =>
      records.filter(({ offset, value }) => offset >= boundary.partitions[p]!.length || !names(value))
    ),
  };
  const counted = expectedOf(log, { keepDays: 30 });
  const { events, sessions, user_days } = expectedOf(without, { keepDays: 30 });
  const refusals = counted.refusals.map((row) => {
    const { value } = log.partitions[Number(row.partition)]!.find(({ offset }) => offset === Number(row.offset))!;
    // The comparison accepts any cell value in any column.
    return names(value) ? { ...row, payload: null as unknown as string } : row;
  });
  await using(shop.url, async (db) => {
    const differences = await compareTables(db, { ...counted, events, sessions, user_days, refusals });
    assert.equal(differences.length, 0, formatDifferences(differences));
    assert.deepEqual(await wrongRollups(db), {});
    const { rows: [ann] } = await db.query<{ events: number; erased: number }>(
      `select (select count(*)::int from clickstream.events where user_id = 'ann') as events,
         (select count(*)::int from clickstream.refusals where payload is null) as erased`,
    );
    assert.deepEqual(ann, { events: comesBackWith, erased: 2 });
  });
}
