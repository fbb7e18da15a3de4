import assert from "node:assert/strict";
import type { Database } from "../postgres/database.ts";
import { openEmbedded } from "../embedded/embedded.ts";
import { expectedOf } from "./oracle.ts";
import { fromJson, KAFKA_MS, MINUTE_MS } from "./logs.ts";
import type { Expected } from "./rows.ts";
import { compareTable, compareTables, type Difference, formatDifferences } from "./differences.ts";
import { type Kind, readTable, SHAPES, TABLES } from "./table_shapes.ts";

const SQL_TYPES: Readonly<Record<Kind, string>> = {
  ...{ text: "text", count: "int", rate: "float8", cents: "bigint", flag: "boolean", time: "timestamptz" },
  ...{ day: "date", bytes: "bytea" },
};

// Test tables, created from the contract's columns only.
async function fill(database: Database, expected: Expected): Promise<void> {
  await database.exec("drop schema if exists clickstream cascade; create schema clickstream");
  for (const table of TABLES) {
    const { columns } = SHAPES[table];
    const names = Object.keys(columns).map((name) => `"${name}"`);
    const types = Object.entries(columns).map(([name, kind]) => `"${name}" ${SQL_TYPES[kind]}`);
    await database.exec(`create table clickstream.${table} (${types.join(", ")})`);
    for (const row of expected[table]) {
      const values = Object.values(columns).map((kind, index) =>
        kind === "bytes" ? `decode($${index + 1}::text, 'hex')` : `$${index + 1}::text::${SQL_TYPES[kind]}`
      );
      const cells = Object.keys(columns).map((name) => (row as Record<string, unknown>)[name]);
      await database.query(
        `insert into clickstream.${table} (${names.join(", ")}) values (${values.join(", ")})`,
        cells.map((cell) => cell === null ? null : String(cell)),
      );
    }
  }
}

// Users that sort differently in UTF-8, in UTF-16 and in a dictionary, over several minutes.
function someOfAll(): Expected {
  const users = ["b", "a", "B", "é", "\uff5e", "\u{1F600}", "a b", "%"];
  const records = users.flatMap((userId, index) =>
    ["page_view", "add_to_cart", "purchase"].map((eventType, step) => ({
      ...{ userId, eventType, page: `/${userId}`, price: 1, region: users[(index + step) % users.length] },
      timestamp: KAFKA_MS - index * MINUTE_MS + step,
      ...(step === 1 ? { sessionId: userId } : {}),
    }))
  );
  return expectedOf(fromJson([...records, { userId: "" }, { userId: "'\"\\ \u0007" }]), { keepDays: 30 });
}

function show(differences: readonly Difference[]): string[] {
  return differences.map(({ table, kind, key, column, expected, actual }) => {
    const isRow = kind === "missing" || kind === "extra";
    return [table, kind, key, ...(isRow ? [] : [column, expected, actual])].join(" ");
  });
}

Deno.test("correct tables show no difference, whole or in pieces", async (t) => {
  const database = await openEmbedded();
  try {
    const expected = someOfAll();
    await fill(database, expected);
    for (const rowsAtATime of [1, 2, 7, 50_000]) {
      assert.deepEqual(show(await compareTables(database, expected, { rowsAtATime })), []);
    }
    for (const table of TABLES) assert.deepEqual(await readTable(database, table), expected[table], table);

    const faults: [string, string[]][] = [
      ["update clickstream.progress set stored = 20", [
        'progress conservation topic="t" partition=0 consumed 22 26',
        'progress differs topic="t" partition=0 stored 24 20',
      ]],
      ["update clickstream.progress set next_offset = 99, watermark = null", [
        'progress differs topic="t" partition=0 watermark 2026-03-02T00:59:50.002Z ',
      ]],
      ["update clickstream.progress set next_offset = 3", [
        'progress differs topic="t" partition=0 next_offset 26 3',
      ]],
      ["delete from clickstream.events where kafka_offset = 23", ["events missing kafka_partition=0 kafka_offset=23"]],
      ["insert into clickstream.events select * from clickstream.events where kafka_offset = 23", [
        "events extra kafka_partition=0 kafka_offset=23",
      ]],
      ["update clickstream.events set event_time = event_time + '1 microsecond' where kafka_offset = 0", [
        "events differs kafka_partition=0 kafka_offset=0 event_time 2026-03-02T01:00:00.000Z 2026-03-02T01:00:00.000001Z",
      ]],
      ["update clickstream.events set campaign = '' where kafka_offset = 0", [
        "events differs kafka_partition=0 kafka_offset=0 campaign  ",
      ]],
      ["delete from clickstream.traffic where window_start < '2026-03-02 00:54Z' and event_type = 'purchase'", [
        'traffic missing window_start="2026-03-02T00:53:00.000Z" event_type="purchase" device="unknown" region="a" is_bot=false',
      ]],
      [
        "update clickstream.active_users set window_end = window_end + '1 minute' where users = 1 and window_start < '2026-03-02 00:50Z'",
        [
          'active_users differs window_start="2026-03-02T00:49:00.000Z" is_bot=false window_end 2026-03-02T00:54:00.000Z 2026-03-02T00:55:00.000Z',
        ],
      ],
      ["update clickstream.active_users set users = users + 1 where window_start = '2026-03-02 01:00Z'", [
        'active_users differs window_start="2026-03-02T01:00:00.000Z" is_bot=false users 1 2',
      ]],
      ["update clickstream.sessions set bounced = not bounced where user_id = 'é' and session_id is null", [
        'sessions differs user_id="é" session_id=null started_at="2026-03-02T00:57:00.000Z" bounced false true',
      ]],
      ["insert into clickstream.user_days values ('~', '1999-12-31', 1, 0, 0, 0, false)", [
        'user_days extra user_id="~" day="1999-12-31"',
      ]],
      ["update clickstream.refusals set payload = '' where \"offset\" = 24", [
        `refusals differs topic="t" partition=0 offset=24 payload ${expected.refusals[0]!.payload} `,
      ]],
    ];
    for (const [fault, differences] of faults) {
      await t.step(fault, async () => {
        await database.exec(`begin; ${fault}`);
        for (const rowsAtATime of [2, 50_000]) {
          assert.deepEqual(show(await compareTables(database, expected, { rowsAtATime })), differences);
        }
        await database.exec("rollback");
      });
    }
  } finally {
    await database.close();
  }
});

Deno.test("differences beyond the limit are counted and reported", () => {
  const rows = [1, 2, 3, 4].map((views) => ({
    window_start: `2026-03-01T00:0${views}:00.000Z`,
    page: "/",
    is_bot: false,
    views,
    users: 1,
  }));
  const wrong = rows.slice(1).map((row) => ({ ...row, views: row.views + 1 }));
  const differences = compareTable("pages", rows, wrong, 2);
  assert.deepEqual(formatDifferences(differences).split("\n"), [
    `pages: missing row, window_start="2026-03-01T00:01:00.000Z" page="/" is_bot=false: ${JSON.stringify(rows[0])}`,
    'pages: differs, window_start="2026-03-01T00:02:00.000Z" page="/" is_bot=false: views should be 2, is 3',
    "pages: … and 2 more",
  ]);
  assert.equal(formatDifferences([]), "every table agrees");
});

Deno.test("distinct counts are exact up to 4,096, beyond within 3 % each and 1 % overall", () => {
  const windows = (users: number, offBy: (index: number) => number, count = 40) =>
    Array.from({ length: count }, (_, index) => ({
      window_start: new Date(KAFKA_MS + index * MINUTE_MS).toISOString(),
      window_end: new Date(KAFKA_MS + (index + 5) * MINUTE_MS).toISOString(),
      is_bot: false,
      users: users + offBy(index),
    }));
  const kinds = (users: number, offBy: (index: number) => number, count?: number) =>
    compareTable("active_users", windows(users, () => 0, count), windows(users, offBy, count)).map(({ kind }) => kind);
  assert.deepEqual(kinds(4_096, (index) => index === 5 ? 1 : 0), ["differs"]);
  assert.deepEqual(kinds(10_000, (index) => index % 2 === 0 ? 99 : -99), []);
  assert.deepEqual(kinds(10_000, (index) => index === 5 ? 300 : 0), []);
  assert.deepEqual(kinds(10_000, (index) => index === 5 ? -301 : 0), ["differs"]);
  assert.deepEqual(kinds(10_000, (index) => index % 2 === 0 ? 101 : -101), ["sketch"]);
  assert.deepEqual(kinds(10_000, () => 101, 29), []);
});
