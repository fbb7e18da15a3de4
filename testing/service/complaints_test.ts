/**
 * The ten most frequent complaints of users of Kafka → PostgreSQL pipelines, each as a case on a real broker and a real
 * server, with the compiled program. docs/complaints.md describes each case.
 */
import assert from "node:assert/strict";
import { Admin } from "@platformatic/kafka";
import type { Counts } from "../../generator/records.ts";
import { BINARY, clickstream, type Env } from "../servers/binary.ts";
import { Child, freePort, until } from "../servers/child.ts";
import { type Broker, startKafka } from "../servers/kafka.ts";
import { type Server, startPostgres, using } from "../servers/postgres.ts";

// The clients leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

const DAY_MS = 24 * 60 * 60_000;

let broker: Broker;
let server: Server;
let folder: string;

/** A topic, a database with the schema, and the service's settings for both. */
class Stand implements AsyncDisposable {
  readonly env: Env & Readonly<Record<"KAFKA_TOPIC" | "DATABASE_URL", string>>;
  readonly #services: Child[] = [];
  #files = 0;
  #sent = 0;

  private constructor(env: Stand["env"]) {
    this.env = env;
  }

  static async open(topic: string, partitions: number, more: Env = {}): Promise<Stand> {
    const env = {
      KAFKA_BROKERS: broker.bootstrap,
      KAFKA_TOPIC: topic,
      KAFKA_GROUP_ID: topic,
      DATABASE_URL: await server.createDatabase(),
      WORKERS: "1",
      LOG_LEVEL: "warn",
      LOG_FORMAT: "json",
      ...more,
    };
    const stand = new Stand(env);
    await broker.createTopic(topic, partitions);
    await stand.does(["migrate"]);
    return stand;
  }

  /** Runs a command that must end with this exit code; returns its output. */
  async does(args: readonly string[], code = 0, more: Env = {}): Promise<string> {
    const ended = await clickstream(args, { ...this.env, ...more });
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.out}${ended.err}`);
    return ended.out;
  }

  /** Sends lines to the topic as they are, events or not. */
  async sends(lines: readonly string[]): Promise<void> {
    this.#sent += lines.length;
    const file = `${folder}/${this.env.KAFKA_TOPIC}-${this.#files++}`;
    await Deno.writeTextFile(file, lines.map((line) => `${line}\n`).join(""));
    const { code, err } = await clickstream(["produce", file], this.env);
    assert.ok(code === 0 || code === 1, err);
  }

  /** Sends simulated records; returns their counts by kind. */
  async generates(...args: readonly string[]): Promise<Counts> {
    const counts = JSON.parse(await this.does(["generate", ...args, "--json"])) as Counts;
    this.#sent += counts.records;
    return counts;
  }

  /** Starts a service; returns it and its address. */
  serves(): { readonly child: Child; readonly http: string } {
    const http = `127.0.0.1:${freePort()}`;
    const log = `${folder}/${this.env.KAFKA_TOPIC}-${this.#services.length}.log`;
    const child = Child.start(BINARY, ["run"], log, { ...this.env, HTTP_LISTEN: http });
    this.#services.push(child);
    return { child, http };
  }

  async row<R extends object>(sql: string): Promise<R> {
    return await using(this.env.DATABASE_URL, async (db) => (await db.query<R>(sql)).rows[0]!);
  }

  /** A number from the database. */
  async number(sql: string): Promise<number> {
    return Number((await this.row<{ readonly n: string }>(`select (${sql})::text as n`)).n);
  }

  /** Waits until all sent records are stored, duplicates or refused, except those deleted unread. */
  async catchesUp(deleted = 0): Promise<void> {
    const expected = this.#sent - deleted;
    let consumed = 0;
    await until(
      `${expected} records are consumed`,
      async () => {
        consumed = await this.number("select coalesce(sum(consumed), 0) from clickstream.progress").catch(() => 0);
        return consumed >= expected;
      },
      60_000,
      50,
    ).catch(() => {});
    assert.equal(consumed, expected);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#services) await service.end("SIGKILL");
  }
}

/** A line with an event. */
function event(eventId: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    ...{ eventId, userId: `user-${eventId}`, eventType: "page_view", page: "/", timestamp: Date.now() },
    ...more,
  });
}

function events(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => event(`${name}-${n}`));
}

async function ready(http: string): Promise<void> {
  await until("the service is ready", () => fetch(`http://${http}/ready`).then(({ ok }) => ok, () => false), 60_000);
}

/** The sum of a metric over its labels. */
async function metric(http: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name));
  assert.ok(lines.length > 0, `no metric ${name}`);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const STORED = "select count(*) from clickstream.events";
const COUNTED = "select coalesce(sum(events), 0) from clickstream.traffic";
const REFUSED = "select count(*) from clickstream.refusals";

async function oneBadRow(stand: Stand): Promise<void> {
  // A constraint that the schema does not have: PostgreSQL refuses a row that the decoder accepts.
  await stand.row("alter table clickstream.events add constraint planted check (user_id <> 'poison')");
  await stand.sends([...events("before", 500), "{not json", event("p", { userId: "poison" }), ...events("after", 500)]);
  await stand.catchesUp();
  assert.deepEqual([await stand.number(STORED), await stand.number(COUNTED)], [1000, 1000]);
  const refusals = "select string_agg(reason, ', ' order by reason) as reasons from clickstream.refusals";
  assert.deepEqual(await stand.row(refusals), { reasons: "bad_value, not_json" });
}

async function nulBytes(stand: Stand): Promise<void> {
  const [stored, refused] = [await stand.number(STORED), await stand.number(REFUSED)];
  const nul = event("nul", { page: "/a\u0000b" });
  const raw = event("raw").replace("raw", "r\u0000w");
  await stand.sends([event("n1"), nul, raw, event("n2")]);
  await stand.catchesUp();
  assert.equal(await stand.number(STORED), stored + 2);
  assert.equal(await stand.number(REFUSED), refused + 2);
  const kept = `select count(*) from clickstream.refusals
     where (reason, field) = ('bad_value', 'page') and payload = decode('${
    new TextEncoder().encode(nul).toHex()
  }', 'hex')
        or reason = 'not_json' and payload = decode('${new TextEncoder().encode(raw).toHex()}', 'hex')`;
  assert.equal(await stand.number(kept), 2);
}

/** Tables that a commit writes. */
const WRITTEN = ["events", "sessions", "user_days", "traffic", "pages", "active_users"];

async function rowWiseInserts(stand: Stand): Promise<void> {
  await using(stand.env.DATABASE_URL, async (db) => {
    await db.exec(`create sequence public.statements;
      create function public.counted() returns trigger language plpgsql as
        'begin perform nextval(''public.statements''); return null; end';`);
    for (const table of WRITTEN) {
      await db.exec(`create trigger counted after insert or update on clickstream.${table}
        for each statement execute function public.counted()`);
    }
  });
  const before = await stand.number(STORED);
  const made = await stand.generates("--fast", "--rate", "500", "--seconds", "40");
  await stand.catchesUp();
  const stored = await stand.number(STORED) - before;
  assert.equal(stored, made.events);
  const statements = await stand.number("select last_value from public.statements");
  assert.ok(statements >= WRITTEN.length, `only ${statements} statements were seen`);
  assert.ok(statements < stored / 50, `${statements} statements for ${stored} events`);
}

async function partitionedTables(stand: Stand): Promise<void> {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const days = [0, 1, 5, 20].map((age) => today - age * DAY_MS);
  const users = (prefix: string) => days.map((time, n) => event(`${prefix}-${n}`, { userId: "days", timestamp: time }));
  await stand.sends(users("first"));
  await stand.catchesUp();
  const places = () =>
    using(stand.env.DATABASE_URL, async (db) => {
      const { rows } = await db.query<{ readonly place: string }>(
        `select distinct on (event_time) tableoid::regclass::text as place from clickstream.events
          where user_id = 'days' order by event_time desc`,
      );
      return rows.map(({ place }) => place);
    });
  const ofDay = (time: number) => `clickstream.events_${new Date(time).toISOString().slice(0, 10).replaceAll("-", "")}`;
  // A day without a partition is stored too; the daily `maintain` drops old partitions while the service runs.
  for (const [n, place] of (await places()).entries()) {
    assert.ok([ofDay(days[n]!), "clickstream.events_default"].includes(place), `${place} for day ${n}`);
  }
  await stand.does(["maintain"], 0, { EVENTS_KEEP_DAYS: "7" });
  assert.deepEqual(await places(), days.slice(0, 3).map(ofDay));
  await stand.sends(users("second").slice(0, 3));
  await stand.catchesUp();
  assert.deepEqual(await places(), days.slice(0, 3).map(ofDay));
}

async function xaForExactlyOnce(stand: Stand): Promise<void> {
  await stand.sends([event("single", { userId: "single", page: "/single" })]);
  await stand.catchesUp();
  assert.equal(await stand.number("select setting from pg_settings where name = 'max_prepared_transactions'"), 0);
  // PostgreSQL marks each row with the transaction that wrote it: event, counts and offset have the same.
  const wrote = await stand.row(
    `select count(distinct x)::int as transactions, count(*)::int as rows from (
       select e.xmin::text as x from clickstream.events e where user_id = 'single'
       union all select s.xmin::text from clickstream.sessions s where user_id = 'single'
       union all select d.xmin::text from clickstream.user_days d where user_id = 'single'
       union all select p.xmin::text from clickstream.pages p where page = '/single'
       union all select p.xmin::text from clickstream.progress p join clickstream.events e
         on e.kafka_partition = p.partition where e.user_id = 'single' and p.next_offset = e.kafka_offset + 1) as all_rows`,
  );
  assert.deepEqual(wrote, { transactions: 1, rows: 5 });
}

async function outage(stand: Stand, http: string): Promise<void> {
  const [stored, refused] = [await stand.number(STORED), await stand.number(REFUSED)];
  const made = stand.generates("--rate", "300", "--seconds", "6");
  await until("it commits what comes", async () => await stand.number(STORED) > stored, 20_000, 50);
  await server.stop("immediate");
  try {
    await until("the service says so", async () => {
      const answer = await fetch(`http://${http}/ready`);
      return answer.status === 503 && /PostgreSQL/.test(await answer.text());
    }, 20_000);
  } finally {
    await server.start();
  }
  const { events, refusals } = await made;
  await stand.catchesUp();
  const bad = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  assert.ok(events > 1500 && bad > 0);
  assert.deepEqual([await stand.number(STORED), await stand.number(REFUSED)], [stored + events, refused + bad]);
  await ready(http);
}

async function duplicatesAfterRecovery(): Promise<void> {
  await using stand = await Stand.open("recovery", 3, { COMMIT_EVERY_MS: "50" });
  const made = stand.generates("--rate", "2000", "--seconds", "5", "--bad", "0.01", "--duplicates", "0.02");
  for (let kill = 0; kill < 2; kill++) {
    const { child, http } = stand.serves();
    const before = await stand.number("select coalesce(sum(consumed), 0) from clickstream.progress");
    await ready(http);
    await until(
      "it commits",
      async () => {
        return await stand.number("select coalesce(sum(consumed), 0) from clickstream.progress") > before;
      },
      30_000,
      20,
    );
    await child.end("SIGKILL");
  }
  const { events, duplicates, refusals } = await made;
  stand.serves();
  await stand.catchesUp();
  const refused = Object.values(refusals).reduce((sum, count) => sum + count, 0);
  assert.ok(events > 5_000 && duplicates > 50 && refused > 50);
  assert.deepEqual([await stand.number(STORED), await stand.number(COUNTED), await stand.number(REFUSED)], [
    ...[events, events],
    refused,
  ]);
  assert.equal(await stand.number("select sum(duplicates) from clickstream.progress"), duplicates);
}

async function silentLoss(): Promise<void> {
  await using stand = await Stand.open("loss", 1);
  const first = stand.serves();
  await stand.sends(events("read", 100));
  await stand.catchesUp();
  assert.equal(await first.child.end("SIGTERM"), 0, await first.child.tail());
  await stand.sends(events("unread", 100));
  const admin = new Admin({ clientId: "test", bootstrapBrokers: [broker.bootstrap] });
  // Retention deletes records while the service is down for too long.
  await admin.deleteRecords({
    topics: [{ name: stand.env.KAFKA_TOPIC, partitions: [{ partition: 0, offset: 140n }] }],
  });
  await admin.close();
  const { http } = stand.serves();
  await stand.catchesUp(40);
  assert.deepEqual(
    await stand.row(
      `select from_offset::int as "from", to_offset::int as "to", (select gaps::int from clickstream.progress) as records,
         (select next_offset - first_offset = consumed + skipped + gaps and consumed = stored + duplicates + refused
            from clickstream.progress) as conserved from clickstream.gaps`,
    ),
    { from: 100, to: 140, records: 40, conserved: true },
  );
  assert.equal(await metric(http, "clickstream_gap_records_total"), 40);
  assert.match(await stand.does(["gaps", "list"]), /100 +139 +40 /);
}

async function deadlocks(): Promise<void> {
  await using stand = await Stand.open("writers", 4, { WORKERS: "2", COMMIT_EVERY_MS: "20" });
  const services = [stand.serves(), stand.serves()];
  await Promise.all(services.map(({ http }) => ready(http)));
  let events = 0;
  let commits = 0;
  // The number of commits depends on how busy the machine is.
  for (let seed = 1; commits < 20 && seed <= 10; seed++) {
    const args = ["--rate", "1500", "--seconds", "3", "--users", "500", "--late", "0.1", "--seed", String(seed)];
    events += (await stand.generates(...args)).events;
    await stand.catchesUp();
    commits = await stand.number("select count(distinct xmin::text) from clickstream.events");
  }
  assert.ok(commits >= 20, `only ${commits} commits`);
  assert.deepEqual([await stand.number(STORED), await stand.number(COUNTED)], [events, events]);
  const writers = await stand.number("select count(distinct committed_by) from clickstream.progress");
  assert.ok(writers >= 2, `${writers} writers`);
  assert.equal(await stand.number("select deadlocks from pg_stat_database where datname = current_database()"), 0);
  for (const { http } of services) assert.equal(await metric(http, "clickstream_retries_total"), 0);
}

/** Longer than the 10 s after which Kafka removes a silent member from its group. */
const LONG_COMMIT_MS = 15_000;

async function rebalanceTimeouts(): Promise<void> {
  await using stand = await Stand.open("rebalance", 2);
  const { http } = stand.serves();
  await ready(http);
  await stand.sends(events("first", 50));
  await stand.catchesUp();
  const restarts = await metric(http, "clickstream_restarts_total");
  await using(stand.env.DATABASE_URL, async (db) => {
    await db.exec("begin; lock table clickstream.traffic in exclusive mode");
    const sinceMs = performance.now();
    await stand.sends(events("held", 50));
    await until("the commit is held up", async () => {
      return await stand.number("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") > 0;
    }, 20_000);
    await new Promise((resolve) => setTimeout(resolve, LONG_COMMIT_MS - (performance.now() - sinceMs)));
    await db.exec("commit");
  });
  await stand.catchesUp();
  const message = "the member was taken out of its group, or the commit was given up";
  assert.equal(await metric(http, "clickstream_restarts_total"), restarts, message);
  const second = stand.serves();
  await until("the second has a share", async () => {
    const status = await fetch(`http://${second.http}/api/status`).then((answer) => answer.json(), () => null);
    return status?.partitions.length === 1;
  }, 40_000);
  await stand.sends(events("last", 50));
  await stand.catchesUp();
  assert.deepEqual([await stand.number(STORED), await stand.number(COUNTED)], [150, 150]);
}

Deno.test("the ten complaints", leaky, async (t) => {
  folder = await Deno.makeTempDir({ prefix: "clickstream-complaints-" });
  await using shared = await startKafka();
  await using database = await startPostgres({ settings: { deadlock_timeout: "100ms" } });
  [broker, server] = [shared, database];
  const step = (name: string, fn: () => Promise<void>) => t.step({ name, fn, ...leaky, sanitizeExit: false });
  await using stand = await Stand.open("rows", 2);
  const { http } = stand.serves();
  await Promise.all([
    (async () => {
      await step("1 one bad row stops all", () => oneBadRow(stand));
      await step("5 NUL bytes", () => nulBytes(stand));
      await step("4 row-wise inserts", () => rowWiseInserts(stand));
      await step("9 partitioned tables", () => partitionedTables(stand));
      await step("8 XA needed for exactly-once", () => xaForExactlyOnce(stand));
    })(),
    (async () => {
      await step("2 silent loss", silentLoss);
      await step("3 duplicates after recovery", duplicatesAfterRecovery);
    })(),
    (async () => {
      await step("10 rebalance time-outs", rebalanceTimeouts);
      await step("7 deadlocks between parallel writers", deadlocks);
    })(),
  ]);
  // Last, because the server that all share is down for some seconds.
  await step("6 an outage sends good rows to the dead letters", () => outage(stand, http));
  await Deno.remove(folder, { recursive: true });
});
