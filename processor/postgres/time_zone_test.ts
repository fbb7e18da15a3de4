import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { expectedOf, type OracleLog } from "../oracle/oracle.ts";
import { fromJson } from "../oracle/logs.ts";
import { localDay, localTime, startOfDay } from "../oracle/values.ts";
import { PositionsMoved, Unavailable } from "../pipeline/commit.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { compareTables, formatDifferences } from "../oracle/differences.ts";
import { MemorySource } from "../testing/fakes/memory.ts";
import { ingest } from "../testing/ingest_schedules.ts";
import { wrongRollups } from "../testing/rollups.ts";
import { decoder } from "../testing/scenario.ts";
import { forShop, VIEWS } from "../views/mod.ts";
import { type TimeZone, UTC } from "../views/time_zone.ts";
import type { Database } from "./database.ts";
import { SqlSink } from "./sink/sql_sink.ts";
import { changeTimeZone, setTimeZone, timeZoneNamed, timeZoneOf, WrongTimeZone } from "./time_zone.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const at = (time: string) => Date.parse(`${time}Z`);

/** Zones where midnight comes twice, or never, or a day is missing; with half an hour of summer time; a quarter off. */
const ZONES = [
  ...[
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Nuuk",
  ],
  ...["Atlantic/Azores", "America/Havana", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "Pacific/Apia"],
];

/** What PostgreSQL's clock shows in a zone at a time, as ISO text. */
async function shownBy(db: Database, zone: string, times: readonly number[]): Promise<string[]> {
  const { rows } = await db.query<{ shown: string }>(
    `select to_char(to_timestamp(t.ms::float8 / 1000) at time zone $1::text, 'YYYY-MM-DD"T"HH24:MI:SS.MS') as shown
       from unnest($2::bigint[]) with ordinality as t (ms, n) order by t.n`,
    [zone, `{${times.join(",")}}`],
  );
  return rows.map(({ shown }) => shown);
}

/** Times of a year around which a zone's clock changes, found from its days by the runtime alone. */
function changesIn(zone: string, year: number): number[] {
  const ahead = (ms: number) => Date.parse(`${localTime(ms, zone)}Z`) - ms;
  const changes: number[] = [];
  for (let day = Date.UTC(year); day < Date.UTC(year + 1); day += DAY_MS) {
    if (ahead(day) === ahead(day + DAY_MS)) continue;
    let [low, high] = [day, day + DAY_MS];
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2000) * 1000;
      if (ahead(middle) === ahead(day)) low = middle;
      else high = middle;
    }
    changes.push(high);
  }
  return changes;
}

async function count(db: Database, sql: string): Promise<unknown> {
  return (await db.query<{ row: unknown }>(`select ${sql} as row`)).rows[0]!.row;
}

onEachDatabase("time zones", {
  "show the same clock in the processor, in PostgreSQL and in the runtime": async (open) => {
    const db = await migrated(open);
    for (const name of ZONES) {
      const zone = await timeZoneNamed(db, name);
      const edges = [1996, 2011, 2025, 2026, 2086].flatMap((year) => changesIn(name, year));
      const times = edges.flatMap((edge) => [-DAY_MS, -1, 0, 1, 30 * MINUTE_MS, DAY_MS].map((more) => edge + more))
        .concat([0, 1, Date.UTC(2037, 6, 1), Date.UTC(2437, 11, 31, 23), Date.UTC(2501, 6, 1), Date.UTC(9999, 11, 31)]);
      const expected = times.map((ms) => localTime(ms, name));
      assert.deepEqual(await shownBy(db, name, times), expected, `PostgreSQL, ${name}`);
      const own = times.map((ms) => new Date(zone.localMs(ms)).toISOString().slice(0, -1));
      assert.deepEqual(own, expected, `processor, ${name}`);
    }
  },

  "have the same rules in PostgreSQL and in the runtime, for every zone and ten years": async (open) => {
    const db = await migrated(open);
    const { rows } = await db.query<{ name: string }>(
      "select name from pg_timezone_names where name ~ '^[A-Z].*/' order by 1",
    );
    assert.ok(rows.length > 300, String(rows.length));
    const [from, to] = [Date.UTC(2016), Date.UTC(2026)];
    for (const [n, { name }] of rows.entries()) {
      // Ten times of each year, other ones for each zone.
      const times = Array.from({ length: 100 }, (_, k) => from + Math.floor((k + n / rows.length) * (to - from) / 100));
      assert.deepEqual(await shownBy(db, name, times), times.map((ms) => localTime(ms, name)), name);
    }
  },

  "begin days where the date begins, also where midnight comes twice or never": async (open) => {
    const db = await migrated(open);
    for (const name of ZONES) {
      await setTimeZone(db, name);
      const days = [...changesIn(name, 2011), ...changesIn(name, 2025)].flatMap((ms) =>
        [-1, 0, 1].map((more) => localDay(ms + more * DAY_MS, name))
      ).concat("2026-11-30", "1970-01-01");
      const { rows } = await db.query<{ start: string; next: string; same: string }>(
        `select (extract(epoch from clickstream.day_start(d.day)) * 1000)::bigint::text as start,
                (extract(epoch from clickstream.next_day_start(clickstream.day_start(d.day) - interval '1 ms')) * 1000)::bigint::text as next,
                clickstream.day_of(clickstream.day_start(d.day))::text as same
           from unnest($1::date[]) with ordinality as d (day, n) order by d.n`,
        [`{${days.join(",")}}`],
      );
      const expected = days.map((day) => String(startOfDay(day, name)));
      assert.deepEqual(rows.map(({ start }) => start), expected, name);
      assert.deepEqual(rows.map(({ next }) => next), expected, name);
      assert.deepEqual(rows.map(({ same }) => same), days, name);
    }
  },

  "are set while there are no events, and refused if the tables have days of another": async (open) => {
    const db = await migrated(open);
    assert.equal(await count(db, "clickstream.time_zone()"), "UTC");
    assert.equal(await setTimeZone(db, "europe/berlin"), "Europe/Berlin");
    assert.equal(await count(db, "clickstream.time_zone()"), "Europe/Berlin");
    assert.equal((await timeZoneOf(db, null)).name, "Europe/Berlin");
    assert.equal((await timeZoneOf(db, "EUROPE/berlin")).name, "Europe/Berlin");
    const refused = {
      name: "WrongTimeZone",
      message: /^TIME_ZONE is "UTC", .*days of Europe\/Berlin\. Set .* rebuild/,
    };
    await assert.rejects(timeZoneOf(db, "UTC"), refused);
    await assert.rejects(setTimeZone(db, "Mars/Phobos"), WrongTimeZone);
    await db.exec(
      "insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset) values ('t', 0, 0, 0, 0)",
    );
    await assert.rejects(setTimeZone(db, "UTC"), refused);
    assert.equal(await setTimeZone(db, "Europe/Berlin"), "Europe/Berlin");
  },

  "stop a commit that counts by days of another": async (open) => {
    const db = await migrated(open);
    const log = fromJson([{ userId: "ann", eventType: "page_view", page: "/", timestamp: Date.UTC(2026, 2, 2) }]);
    const pipeline = pipelineOf(db, log, UTC);
    await pipeline.step();
    await changeTimeZone(db, "Asia/Kathmandu", null);
    await assert.rejects(pipeline.flush(), PositionsMoved);
    await assert.rejects(pipeline.start(), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.match(error.message, /^a rebuild has changed the days of the tables from UTC to Asia\/Kathmandu$/);
      return true;
    });
    assert.equal(await count(db, "(select count(*)::integer from clickstream.user_days)"), 0);
    const next = pipelineOf(db, log, await timeZoneOf(db, null));
    await next.step();
    await next.flush();
    assert.equal(await count(db, "(select day::text from clickstream.user_days)"), "2026-03-02");
    await changeTimeZone(db, "UTC", null);
    await assert.rejects(next.start(), Unavailable);
  },

  "count a repeated hour twice in the heatmap, and a skipped one never": async (open) => {
    const db = await migrated(open);
    const heat = async (from: string, to: string) => {
      const { rows } = await db.query<{ row: string }>(
        `select day_of_week || ' ' || hour || ' ' || events as row from clickstream.activity_heatmap($1, $2)`,
        [`${from}Z`, `${to}Z`],
      );
      return rows.map(({ row }) => row);
    };
    for (const [zone, from, to, expected] of HEATMAPS) {
      await db.exec("truncate clickstream.traffic");
      await changeTimeZone(db, zone, null);
      await db.query(
        `insert into clickstream.traffic (window_start, event_type, device, region, events, users, revenue_cents, users_state)
         select t, 'page_view', 'mobile', 'eu', 1, 1, 0, '' from generate_series($1::timestamptz, $2::timestamptz - interval '1 minute', '1 minute') t`,
        [`${from}Z`, `${to}Z`],
      );
      assert.deepEqual(await heat(from, to), expected, zone);
    }
  },

  "compare a day of 23 hours with the whole day before": async (open) => {
    const db = await migrated(open);
    await setTimeZone(db, "Europe/Berlin");
    const before = async (from: string, to: string) =>
      await count(db, `clickstream.start_before('${from}Z', '${to}Z')::text`);
    assert.equal(await before("2026-03-28T23:00", "2026-03-29T22:00"), "2026-03-27 23:00:00+00");
    assert.equal(await before("2026-10-24T22:00", "2026-10-25T23:00"), "2026-10-23 22:00:00+00");
    // The week with the change, and the one after it.
    assert.equal(await before("2026-03-22T23:00", "2026-03-29T22:00"), "2026-03-15 23:00:00+00");
    assert.equal(await before("2026-03-29T22:00", "2026-04-05T22:00"), "2026-03-22 23:00:00+00");
    // No whole days: the same length.
    assert.equal(await before("2026-03-29T00:00", "2026-03-29T22:00"), "2026-03-28 02:00:00+00");
  },

  "can be changed, and page days are counted again": async (open) => {
    const db = await migrated(open);
    const times = ["2026-03-01T22:59:00", "2026-03-01T23:00:00", "2026-03-02T10:00:00", "2026-03-02T23:30:00"];
    const log = fromJson(
      times.map((time, n) => ({ userId: `u${n}`, eventType: "page_view", page: "/", timestamp: at(time) })),
      at("2026-03-03T00:00:00"),
    );
    await ingest(log, new SqlSink(db, "test"), { inAPoll: 10, inACommit: 10, turnsOfALife: 10 });
    await changeTimeZone(db, "Europe/Berlin", null);
    assert.deepEqual(Object.keys(await wrongRollups(db)), ["page_days"]);
    await db.exec("select clickstream.recount_page_days()");
    assert.deepEqual(await wrongRollups(db), {});
    // The tables of windows and sessions are the same in any zone.
    const { user_days: _, ...expected } = expectedOf(log, { keepDays: 30 });
    const tables = Object.keys(expected).filter((name) => !["others", "timeZone"].includes(name));
    const found = await compareTables(db, { ...expected, user_days: [] }, { tables });
    assert.equal(formatDifferences(found), "every table agrees");
  },
});

/** One event a minute: the zone, the time, and the rows. */
const HEATMAPS: readonly (readonly [zone: string, from: string, to: string, rows: readonly string[]])[] = [
  ["Europe/Berlin", "2026-03-29T00:00", "2026-03-29T02:00", ["7 1 60", "7 3 60"]],
  ["Europe/Berlin", "2026-10-25T00:00", "2026-10-25T02:30", ["7 2 120", "7 3 30"]],
  ["America/New_York", "2026-03-08T06:00", "2026-03-08T08:00", ["7 1 60", "7 3 60"]],
  ["Asia/Kathmandu", "2026-03-01T18:00", "2026-03-01T19:30", ["1 0 60", "1 1 15", "7 23 15"]],
  ["Australia/Lord_Howe", "2026-04-04T14:00", "2026-04-04T16:30", ["7 1 90", "7 2 60"]],
  ["Australia/Lord_Howe", "2026-10-03T15:00", "2026-10-03T16:30", ["7 1 30", "7 2 30", "7 3 30"]],
  ["UTC", "2026-03-29T00:30", "2026-03-29T02:00", ["7 0 30", "7 1 60"]],
];

function pipelineOf(db: Database, { topic, partitions }: OracleLog, zone: TimeZone): Pipeline {
  return new Pipeline({
    source: new MemorySource(partitions.map((records) => [...records]), 10, topic),
    sink: new SqlSink(db, "test", { zone }),
    views: forShop(VIEWS, { siteHosts: [], zone }),
    decoder: decoder(),
    storeEvents: true,
    now: () => 0,
    commitEveryMs: 1e9,
    commitRecords: 1000,
  });
}
