/** The series of declared views: numbers by hand, agreement with the oracle, what is refused, and rights. */
import assert from "node:assert/strict";
import { runs } from "../../testing/effort.ts";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { readDeclared } from "../declared/file.ts";
import { declaredSeriesOf, type SeriesAsked } from "../oracle/declared.ts";
import { type Click, clicks } from "../oracle/logs.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { logOfRecords } from "../testing/fakes/log.ts";
import { ingest, KEEP_DAYS } from "../testing/ingest_schedules.ts";
import { Simulator } from "../../generator/simulator.ts";
import { Random } from "../../generator/random.ts";
import { forShop, VIEWS } from "../views/mod.ts";
import type { View } from "../views/view.ts";
import type { Database } from "./database.ts";
import { applyDeclarations } from "./operations/declarations.ts";
import { SqlSink } from "./sink/sql_sink.ts";
import { changeTimeZone, timeZoneOf } from "./time_zone.ts";

const DECLARED = readDeclared(
  `views:
  - name: cart_adds
    description: What is in carts, by product.
    filter: { event: add_to_cart }
    window: 15 minutes
    keys: [product, device]
    measures:
      last_page: last page
      carts: count
      people: users
      cents: sum price
      least: min price
      most: max price
      eu_carts: { measure: count, filter: { region: eu } }
  - name: busy
    description: Events, half an hour each, every ten minutes.
    window: { size: 30 minutes, every: 10 minutes }
    measures: { events: count, people: users, cents: sum revenue }
  - name: days_of_pages
    description: Days of pages.
    window: 1 day
    keys: [page]
    measures: { views: count, visitors: users }
`,
  "views.yaml",
);

/** A database with these views and the events of a log; returns the views as they were counted. */
async function counted(db: Database, log: OracleLog, timeZone = "UTC"): Promise<readonly View[]> {
  await applyDeclarations(db, DECLARED, false);
  await changeTimeZone(db, timeZone, null);
  const zone = await timeZoneOf(db, timeZone);
  const views = forShop([...VIEWS, ...DECLARED.views], { siteHosts: [], zone });
  const sink = new SqlSink(db, "test", { declared: DECLARED.hash, zone });
  await ingest(log, sink, { inAPoll: 1_000, inACommit: 10_000, turnsOfALife: 1_000 }, views);
  return views.slice(VIEWS.length);
}

async function filled(open: () => Promise<Database>, rows: readonly Click[]): Promise<Database> {
  const db = await migrated(open);
  await counted(db, clicks(rows));
  return db;
}

/** Points of a series on 2026-03-01, by time of day. */
async function points(
  db: Database,
  view: string,
  measure: string,
  more = "'09:00', '11:00', null",
): Promise<unknown[]> {
  const call = more.replaceAll(/'(\d\d:\d\d)'/g, "'2026-03-01T$1Z'");
  const [from, to, ...others] = call.split(", ");
  const { rows } = await db.query<{ time: string; series: string; value: string | null }>(
    `select to_char("time" at time zone 'UTC', 'HH24:MI') as time, series, value::text as value
       from clickstream.declared_series($1::text, ${from}, ${to}, ${others[0]}, $2::text${
      others.slice(1).map((other) => `, ${other}`).join("")
    })`,
    [view, measure],
  );
  return rows.map(({ time, series, value }) => [time, series, value === null ? null : Number(value)]);
}

const CARTS: readonly Click[] = [
  ["ann", "09:00", "add_to_cart", "/a", { productId: "p", device: "mobile", price: 2, region: "eu" }],
  ["ann", "09:14", "add_to_cart", "/b", { productId: "p", device: "mobile", price: 3 }],
  ["bob", "09:15", "add_to_cart", "/a", { productId: "p", device: "mobile", price: 5 }],
  ["bob", "09:15", "add_to_cart", "/a", { productId: "q", device: "tablet" }],
  ["bob", "09:50", "add_to_cart", "/a", { productId: "q", device: "tablet", price: 1 }],
  ["bot", "09:50", "add_to_cart", "/a", { productId: "q", device: "tablet", price: 9, userAgent: "Googlebot/2.1" }],
  ["bob", "09:51", "add_to_cart", "/a", { device: "tablet", price: 1 }],
];

/** Eleven products with one cart each, and one with two. */
const MANY: readonly Click[] = [..."abcdefghijkk"].map((
  product,
  n,
) => ["ann", `09:${String(n).padStart(2, "0")}`, "add_to_cart", "/", {
  productId: product,
  device: "mobile",
  price: n + 1,
}]);

onEachDatabase("series of declared views", {
  "have what the file says of measures, in its order": async (open) => {
    const db = await migrated(open);
    const declared = "select * from clickstream.declared_measures()";
    assert.deepEqual((await db.query(declared)).rows, []);
    await applyDeclarations(db, DECLARED, false);
    const { rows } = await db.query<Record<string, unknown>>(
      `select "view", "window", array_to_string(keys, ' ') as keys, filter::text as filter, place, measure, computes,
         measure_filter::text as only from (${declared}) m where "view" <> 'days_of_pages'`,
    );
    const none = { keys: "", filter: null, only: null };
    const busy = { ...none, view: "busy", window: "30 minutes every 10 minutes" };
    const carts = {
      ...{ ...none, view: "cart_adds", window: "15 minutes", keys: "product device" },
      filter: '{"event": ["add_to_cart"]}',
    };
    assert.deepEqual(rows, [
      { ...busy, place: 1, measure: "events", computes: "count" },
      { ...busy, place: 2, measure: "people", computes: "users" },
      { ...busy, place: 3, measure: "cents", computes: "sum revenue" },
      { ...carts, place: 1, measure: "last_page", computes: "last page" },
      { ...carts, place: 2, measure: "carts", computes: "count" },
      { ...carts, place: 3, measure: "people", computes: "users" },
      { ...carts, place: 4, measure: "cents", computes: "sum price" },
      { ...carts, place: 5, measure: "least", computes: "min price" },
      { ...carts, place: 6, measure: "most", computes: "max price" },
      { ...carts, place: 7, measure: "eu_carts", computes: "count", only: '{"region": ["eu"]}' },
    ]);
  },

  "add counts and sums of windows up, and nothing else, checked by hand": async (open) => {
    const db = await filled(open, CARTS);
    const hour = "'09:00', '10:00', interval '1 hour'";
    assert.deepEqual(await points(db, "cart_adds", "carts"), [
      ...[["09:00", "p, mobile", 2], ["09:00", "q, tablet", 0], ["09:15", "p, mobile", 1], ["09:15", "q, tablet", 1]],
      ...[["09:30", "p, mobile", 0], ["09:30", "q, tablet", 0], ["09:45", "p, mobile", 0], ["09:45", "q, tablet", 1]],
    ]);
    assert.deepEqual(await points(db, "cart_adds", "carts", hour), [["09:00", "p, mobile", 3], [
      "09:00",
      "q, tablet",
      2,
    ]]);
    assert.deepEqual(await points(db, "cart_adds", "carts", `${hour}, true`), [
      ...[["09:00", "p, mobile", 3], ["09:00", "q, tablet", 3]],
    ]);
    assert.deepEqual(await points(db, "cart_adds", "cents", hour), [["09:00", "p, mobile", 1000], [
      "09:00",
      "q, tablet",
      100,
    ]]);
    assert.deepEqual(await points(db, "cart_adds", "eu_carts", hour), [["09:00", "p, mobile", 1], [
      "09:00",
      "q, tablet",
      0,
    ]]);
    // Ann in one window, and Bob in another.
    assert.deepEqual(await points(db, "cart_adds", "people", hour), [["09:00", "p, mobile", 1], [
      "09:00",
      "q, tablet",
      1,
    ]]);
    assert.deepEqual(await points(db, "cart_adds", "people", `${hour}, bots => true`), [
      ...[["09:00", "p, mobile", 1], ["09:00", "q, tablet", 2]],
    ]);
    assert.deepEqual(await points(db, "cart_adds", "least", hour), [["09:00", "p, mobile", 200], [
      "09:00",
      "q, tablet",
      100,
    ]]);
    assert.deepEqual(await points(db, "cart_adds", "most", hour), [["09:00", "p, mobile", 500], [
      "09:00",
      "q, tablet",
      100,
    ]]);
    assert.deepEqual((await points(db, "cart_adds", "most")).slice(2, 5), [
      ...[["09:15", "p, mobile", 500], ["09:15", "q, tablet", null], ["09:30", "p, mobile", null]],
    ]);
  },

  "have whole steps, of whole windows, that overlap the time": async (open) => {
    const db = await filled(open, CARTS);
    const first = async (more: string) => (await points(db, "cart_adds", "carts", more))[0];
    // Steps of 20 minutes are of 30.
    assert.deepEqual(await first("'09:29', '10:00', interval '20 minutes'"), ["09:00", "p, mobile", 3]);
    assert.deepEqual(await first("'09:30', '10:00', interval '20 minutes'"), ["09:30", "q, tablet", 1]);
    assert.deepEqual(await first("'09:14', '09:15', interval '1 minute'"), ["09:00", "p, mobile", 2]);
    assert.deepEqual(await first("'09:15', '09:16', interval '1 minute'"), ["09:15", "p, mobile", 1]);
    assert.equal(await first("'08:00', '09:00', interval '1 minute'"), undefined);
    assert.equal(await first("'10:00', '09:00', interval '1 minute'"), undefined);
  },

  "show the largest window where windows overlap, and days of the shop, checked by hand": async (open) => {
    const db = await filled(open, CARTS);
    assert.deepEqual(await points(db, "busy", "events", "'08:40', '09:20', null"), [
      ...[["08:40", "events", 1], ["08:50", "events", 4], ["09:00", "events", 4], ["09:10", "events", 3]],
    ]);
    assert.deepEqual(await points(db, "busy", "events", "'08:00', '10:00', interval '1 hour'"), [
      ...[["08:00", "events", 4], ["09:00", "events", 4]],
    ]);
    assert.deepEqual(await points(db, "busy", "people", "'09:00', '10:00', interval '1 hour'"), [[
      "09:00",
      "people",
      2,
    ]]);
    const days = "'09:00', '10:00', interval '1 hour'";
    assert.deepEqual(await points(db, "days_of_pages", "views", days), [["00:00", "/a", 5], ["00:00", "/b", 1]]);
    assert.deepEqual(await points(db, "days_of_pages", "views", "'09:00', '10:00', interval '2 days'"), [
      ...[["00:00", "/a", 5], ["00:00", "/b", 1]],
    ]);
  },

  "have the ten largest keys, and the others unless they are users": async (open) => {
    const db = await filled(open, MANY);
    const hour = "'09:00', '10:00', interval '1 hour'";
    const series = async (measure: string) =>
      (await points(db, "cart_adds", measure, hour)).map((point) => (point as unknown[]).slice(1));
    const least = [..."abcdefghij"].map((product) => [`${product}, mobile`, 1]);
    assert.deepEqual(await series("carts"), [["(others)", 1], ...least.slice(0, 9), ["k, mobile", 2]]);
    assert.deepEqual(await series("people"), [...least, ["k, mobile", 1]].slice(0, 10));
    assert.deepEqual((await series("least"))[0], ["(others)", 100]);
    assert.deepEqual((await series("cents")).at(-1), ["k, mobile", 2300]);
  },

  "equal the oracle for any measure, time and step, with and without bots": async (open) => {
    const db = await migrated(open);
    const fromMs = Date.UTC(2026, 9, 24);
    const simulator = new Simulator({
      ...{
        seed: 9,
        fromMs,
        toMs: fromMs + 3 * 86_400_000,
        rate: 0.02,
        users: 60,
        bad: 0.01,
        duplicates: 0.02,
        late: 0.05,
      },
    });
    const log = logOfRecords(simulator, "t", 2);
    // A day of 25 hours is among them.
    const timeZone = "Europe/Berlin";
    const views = await counted(db, log, timeZone);
    const expected = expectedOf(log, { keepDays: KEEP_DAYS, timeZone, views });
    const random = new Random(5);
    const some = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)]!;
    let compared = 0;
    for (let run = 0; run < runs(30); run++) {
      const view = some(views);
      const fromAt = fromMs + Math.floor(random.next() * 3 * 1440) * 60_000;
      const asked: SeriesAsked = {
        from: new Date(fromAt).toISOString(),
        to: new Date(fromAt + Math.floor(random.next() * 2 * 1440) * 60_000).toISOString(),
        stepMs: some([1, 15, 20, 60, 360, 1440, 2880]) * 60_000,
        measure: some(Object.keys(view.measures).filter((name) => name !== "last_page")),
        bots: random.next() < 0.5,
        timeZone,
      };
      const { rows } = await db.query<{ time: string; series: string; value: string | null }>(
        `select to_char("time" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time, series, value::text as value
           from clickstream.declared_series($1::text, $2::timestamptz, $3::timestamptz,
             $4::float8 * interval '1 millisecond', $5::text, $6::boolean) order by 1, series collate "C"`,
        [view.name, asked.from, asked.to, asked.stepMs, asked.measure, asked.bots],
      );
      const read = rows.map(({ time, series, value }) => [time, series, value === null ? null : Number(value)]);
      assert.deepEqual(
        read,
        declaredSeriesOf(view, expected.others[view.name]!.rows, asked),
        `${view.name} ${JSON.stringify(asked)}`,
      );
      compared += read.length;
    }
    assert.ok(compared > runs(30) * 10, `${compared} points`);
  },

  "refuse what is not declared, however it is written, and say what is": async (open) => {
    const db = await migrated(open);
    await db.exec("set role clickstream_reader");
    const none = points(db, "cart_adds", "carts");
    await assert.rejects(
      none,
      /'cart_adds\.carts' is no number of a declared view.*No view is declared; clickstream views apply/s,
    );
    await db.exec("reset role");
    await counted(db, clicks(CARTS));
    await db.exec("set role clickstream_reader");
    const refused: readonly (readonly [view: string, measure: string])[] = [
      ...([["sessions", "events"], ["progress", "consumed"], ["refusals", "payload"]] as const),
      ...([["cart_adds", "events"], ["cart_adds", "people_state"], ["cart_adds", "last_page"], [
        "cart_adds",
        "is_bot",
      ]] as const),
      ...([["Carts", "carts"], ['carts"; select 1; --', "carts"], ["carts t", "1); --"], ["cart_adds", "'"]] as const),
    ];
    for (const [view, measure] of refused) {
      await assert.rejects(
        points(db, view, measure),
        /is no number of a declared view.*There are busy\.events, busy\.people, busy\.cents, cart_adds\.carts, .*days_of_pages\.visitors\./s,
        `${view} ${measure}`,
      );
    }
    await assert.rejects(
      db.query("select * from clickstream.declared_series(null, now(), now(), null, null)"),
      /NULL is no number/,
    );
    assert.equal((await points(db, "cart_adds", "carts")).length, 8);
  },
});
