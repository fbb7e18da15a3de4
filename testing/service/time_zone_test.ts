/**
 * The shop's own day in the whole program: chosen by `migrate`, kept by the service, changed by `rebuild` beside it, and
 * compared with an oracle that reads the same log.
 */
import assert from "node:assert/strict";
import { expectedOf, type OracleLog } from "../../processor/oracle/oracle.ts";
import { localDay, startOfDay } from "../../processor/oracle/values.ts";
import { wrongRollups } from "../../processor/testing/rollups.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort } from "../servers/child.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { agrees as tablesAgree, ingested, numberIn, succeeds } from "./shop.ts";

const DAY_MS = 86_400_000;

// kafkajs, which reads the topic, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

Deno.test("a shop has days of its time zone, and a rebuild changes them beside the service", leaky, async (t) => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir();
  const env: Env = {
    ...{ KAFKA_BROKERS: broker.bootstrap, KAFKA_TOPIC: "days", KAFKA_GROUP_ID: "days", KAFKA_PARTITIONS: "3" },
    ...{ DATABASE_URL: await server.createDatabase(), HTTP_LISTEN: `127.0.0.1:${freePort()}`, WORKERS: "1" },
    ...{ LOG_LEVEL: "warn", LOG_FORMAT: "json" },
  };
  const url = env["DATABASE_URL"]!;
  const does = async (args: readonly string[], more: Env = {}) => {
    const { out, err } = await succeeds(args, { ...env, ...more });
    return out + err;
  };
  const number = (sql: string) => numberIn(url, sql);
  const caughtUp = () => ingested(env);
  const agrees = (log: OracleLog, timeZone: string) => tablesAgree({ url }, log, { timeZone });
  const rebuild = async (fromMs: number, more: Env = {}) =>
    await does(["rebuild", "--from", new Date(fromMs).toISOString(), "--yes"], more);
  const dayAgo = (days: number) => Math.floor(Date.now() / DAY_MS - days) * DAY_MS;

  await does(["migrate"], { TIME_ZONE: "america/new_york" });
  const start = new Date(dayAgo(17)).toISOString();
  const shopping = ["--seconds", String(16 * 86_400), "--rate", "0.004", "--users", "50", "--late", "0.05"];
  await does(["generate", "--from", start, ...shopping]);
  const service = Child.start(BINARY, ["run"], `${folder}/log`, env);
  const log = await caughtUp();

  await t.step("the service counts by days of the zone that migrate was told", () => agrees(log, "America/New_York"));

  await t.step("a rebuild of a part agrees, in a zone whose midnight is not UTC's", async () => {
    const noon = dayAgo(3) + DAY_MS / 2;
    await using(
      url,
      (db) =>
        db.exec(
          `update clickstream.user_days set events = events + 1 where day >= '${localDay(noon, "America/New_York")}'`,
        ),
    );
    await assert.rejects(agrees(log, "America/New_York"));
    await rebuild(noon);
    await agrees(log, "America/New_York");
  });

  await t.step("a command that is told another zone refuses, and says what to do", async () => {
    for (const command of ["migrate", "run"]) {
      const { code, out, err } = await clickstream([command], { ...env, TIME_ZONE: "UTC", HTTP_LISTEN: "127.0.0.1:0" });
      assert.equal(code, 2, out + err);
      assert.match(
        out + err,
        /TIME_ZONE is \\?"UTC\\?", but the tables have days of America\/New_York\. Set .* rebuild/,
      );
    }
    const doctor = await clickstream(["doctor"], { ...env, TIME_ZONE: "UTC" });
    assert.match(doctor.out, /time zone: TIME_ZONE is "UTC", but the tables have days of America\/New_York/);
    assert.match((await clickstream(["doctor"], env)).out, /time zone: days are those of America\/New_York/);
  });

  await t.step("a report is of the shop's day", async () => {
    const day = localDay(dayAgo(2) + 3 * 3_600_000, "America/New_York");
    const at = new Date(dayAgo(2) + 3 * 3_600_000).toISOString();
    const { period, timeZone, figures } = JSON.parse(await does(["report", "daily", "--format", "json", "--at", at]));
    assert.deepEqual([period.from, timeZone], [day, "America/New_York"]);
    const [from, to] = [day, period.to].map((each) => new Date(startOfDay(each, "America/New_York")).toISOString());
    const { sessions } = expectedOf(log, { keepDays: 30 });
    const wanted = sessions.filter(({ started_at }) => from! <= started_at && started_at < to!).length;
    assert.ok(wanted > 0);
    assert.equal(figures[0].value, wanted);
  });

  await t.step("a rebuild changes the zone, and the running service goes on by the new days", async () => {
    const told = await rebuild(dayAgo(20), { TIME_ZONE: "Asia/Kathmandu" });
    assert.match(told, /changes days from America\/New_York to Asia\/Kathmandu: all events are counted/);
    await agrees(log, "Asia/Kathmandu");
    await does(["generate", "--fast", "--seconds", "100", "--rate", "5", "--users", "50"]);
    await agrees(await caughtUp(), "Asia/Kathmandu");
  });

  await t.step("a change from a day on counts each event on one day", async () => {
    const zones = ["America/New_York", "Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago", "Asia/Kathmandu"];
    for (const [n, zone] of zones.entries()) {
      const former = await using(
        url,
        async (db) => (await db.query<{ zone: string }>("select clickstream.time_zone() as zone")).rows[0]!.zone,
      );
      await rebuild(dayAgo(15 - 3 * n), { TIME_ZONE: zone });
      const stored = await number("select sum(stored) as n from clickstream.progress");
      assert.equal(await number("select sum(events) as n from clickstream.user_days"), stored, `${former} to ${zone}`);
      assert.deepEqual(await using(url, wrongRollups), {});
    }
    const again = await clickstream(["rebuild", "--from", new Date(dayAgo(4)).toISOString(), "--yes"], env);
    assert.equal(again.code, 2);
    assert.match(again.err, /beside days of another time zone, which .* nothing was changed/);
    // From the beginning again, nothing of the other zones is left.
    await rebuild(dayAgo(20), { TIME_ZONE: "Europe/Berlin" });
    await agrees(await caughtUp(), "Europe/Berlin");
  });

  await t.step("a user is forgotten on all days", async () => {
    const user = await using(
      url,
      async (db) =>
        (await db.query<{ id: string }>(
          "select user_id as id from clickstream.user_days group by 1 order by count(*) desc limit 1",
        ))
          .rows[0]!.id,
    );
    await does(["forget", user, "--yes"]);
    assert.equal(await number(`select count(*) as n from clickstream.events where user_id = '${user}'`), 0);
  });

  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  await Deno.remove(folder, { recursive: true });
});
