/**
 * Revenue in one currency, beside a running service: the settings that it refuses, rates that come late, and rebuilds that
 * are killed. The tables are compared with an oracle that reads the same log.
 */
import assert from "node:assert/strict";
import type { ShopMoney } from "../../processor/oracle/money.ts";
import { Random } from "../../generator/random.ts";
import { BINARY, clickstream, type Env, killed } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { startKafka } from "../servers/kafka.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { agrees as tablesAgree, ingested, logOf, succeeds } from "./shop.ts";

// kafkajs, which reads the topic, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const DAY_MS = 86_400_000;
const TODAY_MS = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const day = (before: number) => new Date(TODAY_MS - before * DAY_MS).toISOString().slice(0, 10);

/** A purchase so many milliseconds after the midnight between yesterday and the day before it. */
function purchase(n: number, afterMs: number, fields: Readonly<Record<string, unknown>>): string {
  const timestamp = TODAY_MS - DAY_MS + afterMs;
  return JSON.stringify({
    eventId: `p${n}`,
    userId: `u${n % 7}`,
    eventType: "purchase",
    timestamp,
    page: "/",
    ...fields,
  });
}

const MIXED = Array.from({ length: 400 }, (_, n) => {
  const currency = ["EUR", "USD", "JPY", "KWD", undefined][n % 5];
  return purchase(n, (n - 200) * 1000 - (n === 200 ? 1 : 0), {
    currency,
    price: `${n}.${n % 10}45`,
    quantity: 1 + n % 3,
  });
});

const RATES: ShopMoney["rates"] = [
  ["USD", day(9), "0.925"],
  ["USD", day(1), "0.5"],
  ["JPY", day(9), "0.00615"],
];

Deno.test("revenue is in one currency, or the service says what to do", leaky, async (t) => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const folder = await Deno.makeTempDir();
  const topic = "sold";
  const plain: Env = {
    ...{ KAFKA_BROKERS: broker.bootstrap, KAFKA_TOPIC: topic, KAFKA_PARTITIONS: "2", WORKERS: "1", LOG_FORMAT: "json" },
    ...{ DATABASE_URL: await server.createDatabase(), HTTP_LISTEN: `127.0.0.1:${freePort()}` },
  };
  const euro: Env = { ...plain, CURRENCY: "EUR" };
  const url = plain["DATABASE_URL"]!;
  let service: Child | null = null;
  const serve = (env: Env) => service = Child.start(BINARY, ["run"], `${folder}/log`, env);
  const rest = async () => assert.equal(await service!.end("SIGTERM"), 0, await service!.tail());
  const does = async (env: Env, ...args: readonly string[]) => (await succeeds(args, env)).out;
  const fill = async (env: Env, rates: ShopMoney["rates"]) => {
    await Deno.writeTextFile(
      `${folder}/rates`,
      ["currency,from_day,rate", ...rates.map((rate) => rate.join())].join("\n"),
    );
    return await does(env, "rates", `${folder}/rates`);
  };
  const produce = async (lines: readonly string[]) => {
    await Deno.writeTextFile(`${folder}/lines`, `${lines.join("\n")}\n`);
    await does(plain, "produce", `${folder}/lines`);
  };
  const caughtUp = () => ingested(plain);
  const agrees = async (money?: ShopMoney) =>
    await tablesAgree({ url }, await logOf(plain), money === undefined ? {} : { money });
  const status = async () => JSON.parse(await does(plain, "status", "--json"));
  const says = (title: RegExp) =>
    until(
      `the status says ${title}`,
      async () => title.test((await status().catch(() => null))?.verdict.title),
      60_000,
    );
  try {
    await t.step("without a currency, nothing is converted, and the log says so once", async () => {
      await does(plain, "migrate");
      await produce(MIXED);
      serve(plain);
      await caughtUp();
      await rest();
      await agrees();
      serve(plain);
      await says(/revenue adds up 4 currencies/);
      await rest();
      const said = (await Deno.readTextFile(`${folder}/log`)).split("\n").filter((line) => line.includes("adds up"));
      assert.equal(said.length, 1, said.join("\n"));
      const found = JSON.parse((await clickstream(["doctor", "--json"], plain)).out) as {
        check: string;
        found: string;
      }[];
      assert.match(found.find(({ check }) => check === "currency")!.found, /Revenue adds up 4 currencies/);
    });

    await t.step("with one, migrate and the service ask for a rebuild", async () => {
      const migrated = await clickstream(["migrate"], euro);
      assert.equal(migrated.code, 3);
      assert.match(
        migrated.out,
        /adds up purchases in JPY, KWD, USD without conversion.*clickstream rebuild --from DAY/,
      );
      const ran = await clickstream(["run"], euro);
      assert.equal(ran.code, 3);
      assert.match(ran.out + ran.err, /the tables have no currency yet/);
    });

    await t.step("a rebuild that is killed converts by the rates of its start", async () => {
      await fill(euro, RATES);
      const rebuilt = await killed(["rebuild", "--from", `${day(5)}T00:00:00Z`, "--yes"], euro, {
        times: 3,
        withinMs: 1500,
        chance: new Random(7),
      });
      assert.equal(rebuilt.code, 0, rebuilt.err);
      await agrees({ currency: "EUR", rates: RATES });
      await does(euro, "migrate", "--check");
    });

    const withDinars: ShopMoney["rates"] = [...RATES, ["KWD", day(2), "3.0555"]];

    await t.step("what has no rate is shown, and mended by the rate and a rebuild", async () => {
      serve(euro);
      await produce([purchase(1000, 1, { currency: "KWD", price: "1.2345" }), purchase(1001, 1, { price: 1 })]);
      await caughtUp();
      await agrees({ currency: "EUR", rates: RATES });
      const before = await status();
      assert.deepEqual(before.money.unconverted.map(({ currency }: { currency: string }) => currency), ["KWD"]);
      await says(/purchases have no rate/);
      assert.match(
        await does(euro, "status", "--once"),
        /^revenue: \d+ purchases have no rate\. Revenue lacks \d+ in KWD/m,
      );
      await fill(euro, withDinars);
      await does(euro, "rebuild", "--from", `${day(5)}T00:00:00Z`, "--yes");
      await agrees({ currency: "EUR", rates: withDinars });
      await rest();
      serve(euro);
      await produce([purchase(1002, 1, { currency: "KWD", price: "0.0005" })]);
      await caughtUp();
      await agrees({ currency: "EUR", rates: withDinars });
      assert.deepEqual((await status()).money.unconverted, []);
    });

    await t.step("a rebuild in another currency ends a service that still has the old one", async () => {
      const dollar = { ...euro, CURRENCY: "USD" };
      await using(url, (db) => db.exec("delete from clickstream.rates"));
      const rates: ShopMoney["rates"] = [["EUR", day(9), "1.1"], ["JPY", day(9), "0.0067"]];
      await fill(dollar, rates);
      const late = await clickstream(["rebuild", "--from", `${day(1)}T00:00:00Z`, "--yes"], dollar);
      assert.equal(late.code, 2, late.err);
      assert.match(late.err, /revenue before .* would stay in EUR/);
      await does(dollar, "rebuild", "--from", `${day(5)}T00:00:00Z`, "--yes");
      await produce([purchase(1003, 1, { price: 5 })]);
      await until("the service has ended", async () => (await status().catch(() => null)) === null, 30_000);
      assert.equal(await service!.end("SIGTERM"), 3, await service!.tail());
      service = null;
      serve(dollar);
      await caughtUp();
      await agrees({ currency: "USD", rates });
      await rest();
    });
  } finally {
    await (service as Child | null)?.end("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
});
