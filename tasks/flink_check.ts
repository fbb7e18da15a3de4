/**
 * `deno task flink:check`: runs the printed job in a real Flink, from a real Kafka into a real PostgreSQL, and compares
 * every row with the oracle's.
 * @module
 */
import { fileURLToPath } from "node:url";
import { run } from "../testing/servers/child.ts";
import { compareTables, expectedTables, formatDifferences } from "../processor/oracle/differences.ts";
import { edges, preparationIn, runFlink } from "../testing/servers/flink.ts";
import { startKafka } from "../testing/servers/kafka.ts";
import { readTopic } from "../processor/testing/fakes/log.ts";
import { expectedOf } from "../processor/oracle/oracle.ts";
import { readDeclared, withDeclared } from "../processor/declared/file.ts";
import { timeZoneOf } from "../processor/postgres/time_zone.ts";
import { forShop, VIEWS } from "../processor/views/mod.ts";
import { startPostgres, using } from "../testing/servers/postgres.ts";

/** A zone in which a day began two hours ago, amid the records. */
const TIME_ZONE = zoneAt((new Date().getUTCHours() + 22) % 24);

/** The zone whose midnight is at this hour of UTC. */
function zoneAt(hour: number): string {
  return hour <= 12 ? `Etc/GMT+${hour}` : `Etc/GMT-${24 - hour}`;
}

const MAIN = fileURLToPath(new URL("../processor/main.ts", import.meta.url));

/** Views of each kind that a shop may declare. */
const DECLARED = `
views:
  - name: value
    description: What is in carts.
    filter: { event: add_to_cart }
    window: { size: 15 minutes, every: 5 minutes }
    keys: [product]
    measures: { count: count, users: users, sum: sum price, least: min price, last_page: last page }
  - name: search
    description: Pages that are like others.
    filter: { page: [{ prefix: /product }, { pattern: "*a_t*" }, /] }
    window: 1 day
    keys: [region, campaign]
    measures: { year: { measure: max revenue, filter: { device: [mobile, desktop] } }, first_product: first product }
goals:
  - { name: order, description: Bought something dear., filter: { event: purchase, page: { prefix: /p } } }
funnels:
  - name: bought
    description: From the cart to the order.
    steps:
      - { name: cart, filter: { event: add_to_cart } }
      - { name: order, filter: { event: purchase } }
`;

/** The printed job with what a check needs: a password, and an end. */
function filledIn(job: string): string {
  return job.replaceAll("<password>", "none").replace(
    "'scan.startup.mode' = 'group-offsets'",
    "'scan.startup.mode' = 'earliest-offset',\n  'scan.bounded.mode' = 'latest-offset'",
  );
}

/** Returns whether all tables agree. */
async function check(): Promise<boolean> {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const VIEWS_FILE = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(VIEWS_FILE, DECLARED);
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, TIME_ZONE, VIEWS_FILE };
  const clickstream = (...args: string[]) => run(Deno.execPath(), ["run", "--quiet", "-A", MAIN, ...args], env);
  const file = await Deno.makeTempFile({ suffix: ".ndjson" });
  const lines = edges(Date.now()).map((message) => typeof message === "string" ? message : JSON.stringify(message));
  await Deno.writeTextFile(file, `${lines.join("\n")}\n`);
  await clickstream("migrate");
  await clickstream("views", "apply");
  // Some records are refused on purpose, so it exits with 1.
  await clickstream("produce", file).catch(() => {});
  const shop = ["--rate", "5", "--seconds", "1500", "--fast", "--bad", "0", "--late", "0"];
  await clickstream("generate", ...shop);
  await Deno.remove(file);
  const job = await clickstream("flink");
  await Deno.remove(VIEWS_FILE);
  await using(url, (db) => db.exec(preparationIn(job)));
  const startMs = performance.now();
  await runFlink(filledIn(job), "run");
  console.log(`the job ran for ${Math.round((performance.now() - startMs) / 1000)} s`);
  const ours = readDeclared(DECLARED, "views.yaml");
  const zone = await using(url, (db) => timeZoneOf(db, TIME_ZONE));
  const views = forShop(withDeclared(VIEWS, ours), { siteHosts: [], zone });
  const log = await readTopic({ brokers: [broker.bootstrap], topic: "clickstream-events" });
  const all = expectedOf(log, { keepDays: 30, views, declared: ours.declared, timeZone: TIME_ZONE });
  const unknown = { source: null, medium: null, campaign: null };
  const expected = {
    ...all,
    sessions: all.sessions.map((session) => ({ ...session, ...unknown })),
    user_days: all.user_days.map((day) => ({ ...day, bot_sessions: 0, is_bot: false })),
  };
  const tables = views.map(({ name }) => name);
  for (const { name, rows } of expectedTables(expected).filter(({ name }) => tables.includes(name))) {
    console.log(`${name}: ${rows.length} rows expected`);
  }
  const differences = await using(url, (db) => compareTables(db, expected, { tables }));
  console.log(formatDifferences(differences));
  return differences.length === 0;
}

Deno.exit(await check() ? 0 : 1);
