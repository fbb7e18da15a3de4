/**
 * The whole system, with the compiled binary, a real broker and a real PostgreSQL: compares every row of every table
 * with the oracle, which shares no code with the processor, and with the simulator's counts.
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Counts } from "../../generator/records.ts";
import { compared } from "../../processor/commands/demo/figures.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { compareTables, formatDifferences } from "../../processor/oracle/differences.ts";
import { startKafka } from "../servers/kafka.ts";
import { readTopic } from "../../processor/testing/fakes/log.ts";
import { VIEWS } from "../../processor/views/mod.ts";
import { expectedOf } from "../../processor/oracle/oracle.ts";
import { startPostgres, using } from "../servers/postgres.ts";
import { Random } from "../../generator/random.ts";

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));
const KILLS = 24;
// kafkajs, which fills and reads the topic beside the binary, leaves timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Runs a command of the binary to its end. */
async function clickstream(args: readonly string[], env: Record<string, string>, input?: string) {
  const child = new Deno.Command(BINARY, {
    args: [...args],
    env: { ...env, PATH: "/usr/bin:/bin" },
    clearEnv: true,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

/** The counts of two simulated shops without common users. */
function both(a: Counts, b: Counts): Counts {
  const plus = (x: Readonly<Record<string, number>>, y: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.keys({ ...x, ...y }).map((name) => [name, (x[name] ?? 0) + (y[name] ?? 0)]));
  return {
    records: a.records + b.records,
    events: a.events + b.events,
    duplicates: a.duplicates + b.duplicates,
    late: a.late + b.late,
    refusals: plus(a.refusals, b.refusals) as Counts["refusals"],
    eventTypes: plus(a.eventTypes, b.eventTypes),
    purchases: a.purchases + b.purchases,
    revenueCents: a.revenueCents + b.revenueCents,
    users: a.users + b.users,
  };
}

async function consumed(url: string): Promise<number> {
  return await using(url, async (db) => {
    const { rows } = await db.query<{ n: string }>(
      "select coalesce(sum(consumed), 0)::text as n from clickstream.progress",
    );
    return Number(rows[0]!.n);
  }).catch(() => 0);
}

Deno.test("after kills, with two instances and both servers killed, every table is exact", leaky, async () => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, LOG_LEVEL: "warn", LOG_FORMAT: "json" };
  const chance = new Random(20_261_124);
  const folder = await Deno.makeTempDir();

  const early = await clickstream(["run"], { ...env, HTTP_LISTEN: `127.0.0.1:${freePort()}` });
  assert.equal(early.code, 3, `run without a schema: ${early.err}`);
  assert.match(early.err + early.out, /clickstream migrate/);
  const migrated = await clickstream(["migrate"], env);
  assert.equal(migrated.code, 0, migrated.err);

  const faults = ["--bad", "0.01", "--duplicates", "0.02", "--late", "0.02", "--json"];
  const first = await clickstream(["generate", "--rate", "5000", "--seconds", "60", "--fast", ...faults], env);
  assert.equal(first.code, 0, first.err);
  // Another simulator sends meanwhile, so that every kill hits a busy service.
  const open = new Deno.Command("setpriv", {
    args: ["--pdeathsig", "KILL", BINARY, "generate", "--rate", "1500", "--seed", "2", ...faults],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const closed = open.output();

  // One with worker threads, one without.
  const start = (name: "a" | "b") => {
    const own = { HTTP_LISTEN: `127.0.0.1:${freePort()}`, WORKERS: name === "a" ? "2" : "1" };
    return Child.start(BINARY, ["run"], `${folder}/${name}.log`, { ...env, ...own });
  };
  const running = [start("a"), start("b")];
  for (let kill = 0; kill < KILLS; kill++) {
    await setTimeout(300 + chance.next() * 2200);
    if (kill === 8) await server.stop("immediate");
    if (kill === 9) await server.start();
    if (kill === 15) await broker.stop("SIGKILL");
    if (kill === 16) await broker.start();
    const victim = chance.below(running.length);
    await running[victim]!.end("SIGKILL");
    running[victim] = start(victim === 0 ? "a" : "b");
  }
  open.kill("SIGTERM");
  const second = await closed;
  assert.equal(second.code, 0, new TextDecoder().decode(second.stderr));
  const made = both(JSON.parse(first.out), JSON.parse(new TextDecoder().decode(second.stdout)));
  assert.ok(made.records > 330_000, `${made.records} records were made`);
  await until(
    `all ${made.records} records are taken in`,
    async () => await consumed(url) >= made.records,
    240_000,
    500,
  );
  for (const instance of running) assert.equal(await instance.end("SIGTERM"), 0, await instance.tail());

  const expected = expectedOf(await readTopic({ brokers: [broker.bootstrap], topic: "clickstream-events" }), {
    keepDays: 30,
    views: VIEWS,
  });
  const sum = (of: "stored" | "duplicates" | "consumed") =>
    expected.progress.reduce((n, row) => n + Number(row[of]), 0);
  assert.deepEqual(
    { records: sum("consumed"), events: sum("stored"), duplicates: sum("duplicates") },
    { records: made.records, events: made.events, duplicates: made.duplicates },
    "the second opinion and the shop do not agree on what was made",
  );
  await using(url, async (db) => {
    const wrong = (await compared(db, made)).filter(({ made, stored }) => made !== stored);
    assert.deepEqual(wrong, [], "the tables do not say what the shop says of itself");
  });
  const differences = await using(url, (db) => compareTables(db, expected));
  assert.equal(differences.length, 0, formatDifferences(differences));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("one event on standard input is in every table within two seconds", leaky, async () => {
  await using broker = await startKafka();
  await using server = await startPostgres();
  const url = await server.createDatabase();
  const http = `127.0.0.1:${freePort()}`;
  const env = { KAFKA_BROKERS: broker.bootstrap, DATABASE_URL: url, HTTP_LISTEN: http, LOG_LEVEL: "warn" };
  const folder = await Deno.makeTempDir();
  assert.equal((await clickstream(["migrate"], env)).code, 0);
  // The first event creates the topic; the second is timed, with a running service.
  const event = (user: string) =>
    `${
      JSON.stringify({ userId: user, eventType: "page_view", page: "/a?b#/c", timestamp: new Date().toISOString() })
    }\n`;
  const marked = await clickstream(["produce", "-"], env, `\ufeff${event("u1").trimEnd()}\r\n\r\n`);
  assert.equal(marked.code, 0, marked.err);
  assert.match(marked.out, /^skipped 1 empty line and 1 byte-order mark \(/m);
  await using service = Child.start(BINARY, ["run"], `${folder}/log`, env);
  await until("the service is ready", () => fetch(`http://${http}/ready`).then((r) => r.ok, () => false));
  await until("the first event is there", async () => await consumed(url) === 1);

  const produced = await clickstream(["produce", "-"], env, `${event("u2")}not json\n`);
  assert.equal(produced.code, 1, produced.err);
  assert.match(produced.out, /^1 of 2 lines will be refused: 1 not_json$/m);
  const sentMs = performance.now();
  const counts = `select (select count(*) from clickstream.events where user_id = 'u2')::int as events,
    (select count(*) from clickstream.sessions where user_id = 'u2')::int as sessions,
    (select count(*) from clickstream.user_days where user_id = 'u2')::int as user_days,
    (select sum(events)::int from clickstream.traffic) as traffic,
    (select sum(views)::int from clickstream.pages where page = '/a#/c') as pages,
    (select max(users)::int from clickstream.active_users) as active_users,
    (select count(*)::int from clickstream.refusals where reason = 'not_json') as refusals`;
  const all = { events: 1, sessions: 1, user_days: 1, traffic: 2, pages: 2, active_users: 2, refusals: 1 };
  await using(url, async (db) => {
    await until(
      "the event is in every table",
      async () => {
        const { rows } = await db.query(counts);
        return JSON.stringify(rows[0]) === JSON.stringify(all);
      },
      10_000,
      50,
    );
  });
  const tookMs = performance.now() - sentMs;
  assert.ok(tookMs < 2000, `it took ${tookMs.toFixed(0)} ms from the end of produce`);
  const metrics = await (await fetch(`http://${http}/metrics`)).text();
  assert.match(metrics, /^clickstream_/m);
  assert.equal((await fetch(`http://${http}/health`)).status, 200);
  assert.equal(await service.end("SIGTERM"), 0, await service.tail());
  await Deno.remove(folder, { recursive: true });
});
