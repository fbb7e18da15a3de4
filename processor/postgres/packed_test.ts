import assert from "node:assert/strict";
import { startPgBouncer } from "../../testing/servers/pgbouncer.ts";
import { onEachDatabase, onServer } from "../../testing/servers/databases.ts";
import { type Cell, cellAt } from "../columns/cells.ts";
import { arrayOf, type TypedColumn } from "./binary.ts";
import type { Database } from "./database.ts";
import { openPostgres } from "./postgres.ts";
import { queryPacked } from "./packed.ts";

/** The rows that a statement returns. */
async function rowsOf(
  db: Database,
  columns: readonly TypedColumn[],
  sql: string,
  params: readonly unknown[] = [],
): Promise<Cell[][]> {
  const { count, cells } = await queryPacked(db, columns, sql, params);
  return Array.from({ length: count }, (_, row) => columns.map(({ name }) => cellAt(cells.get(name)!, row)));
}

const COLUMNS: readonly TypedColumn[] = [
  { name: "yes", type: "boolean" },
  { name: "small", type: "smallint" },
  { name: "int", type: "integer" },
  { name: "big", type: "bigint" },
  { name: "day", type: "date" },
  { name: "time", type: "timestamptz" },
  { name: "text", type: "text" },
  { name: "bytes", type: "bytea" },
  { name: "place", type: "tid" },
];

const VALUES = `select * from (values
  (true, smallint '-32768', 2147483647, 9007199254740991, date '1969-12-31', timestamptz '9999-12-31 23:59:59.999Z',
    'é😀', '\\x00ff5c'::bytea, tid '(4294967295,65535)'),
  (null, null, null, null, null, null, null, null, null),
  (false, smallint '7', integer '-2147483648', -9007199254740991, date '2026-11-02', timestamptz '1970-01-01 00:00:00.001Z',
    '', ''::bytea, tid '(1,2)')
) v(yes, small, int, big, day, time, text, bytes, place)`;

const ROWS: readonly Cell[][] = [
  [
    ...[1, -32768, 2147483647, 9007199254740991, -86_400_000, Date.UTC(9999, 11, 31, 23, 59, 59, 999)],
    ...["é😀", Uint8Array.of(0x00, 0xff, 0x5c), Uint8Array.of(255, 255, 255, 255, 255, 255)],
  ],
  Array(COLUMNS.length).fill(null),
  [
    ...[0, 7, -2147483648, -9007199254740991, Date.UTC(2026, 10, 2), 1],
    ...["", new Uint8Array(0), Uint8Array.of(0, 0, 0, 1, 0, 2)],
  ],
];

onEachDatabase("packed columns", {
  "have each row's value of every type, and null": async (open) => {
    assert.deepEqual(await rowsOf(await open(), COLUMNS, VALUES), ROWS);
  },

  "are empty without rows": async (open) => {
    assert.deepEqual(await rowsOf(await open(), COLUMNS, `${VALUES} where false`), []);
  },

  "keep values of every length apart, in the order of the rows": async (open) => {
    const texts = Array.from({ length: 5000 }, (_, n) => n % 7 === 0 ? null : "x".repeat(n % 50));
    const columns: TypedColumn[] = [
      { name: "n", type: "integer" },
      { name: "v", type: "text" },
      { name: "bytes", type: "bytea" },
    ];
    const found = await rowsOf(
      await open(),
      columns,
      "select n, v, v::bytea as bytes from unnest($1::text[]) with ordinality as u(v, m), lateral (select m::integer as n) l",
      [arrayOf(texts, "text")],
    );
    const utf8 = new TextEncoder();
    assert.deepEqual(found, texts.map((text, n) => [n + 1, text, text === null ? null : utf8.encode(text)]));
  },

  "are those that an update returns, and lead back to its rows": async (open) => {
    const db = await open();
    await db.exec("create table t (n int, times int); insert into t select n, 0 from generate_series(1, 1000) n");
    const columns: TypedColumn[] = [{ name: "n", type: "integer" }, { name: "place", type: "tid" }];
    const sql = "update t set times = times + 1 where n % 3 = 0 returning n, ctid as place";
    const { count, cells } = await queryPacked(db, columns, sql, []);
    assert.equal(count, 333);
    // The same rows, by place: every other one of those that were returned.
    const rows = Int32Array.from({ length: 166 }, (_, i) => 2 * i);
    await db.query(
      "update t set times = times + 1 from unnest($1::tid[], $2::integer[]) as v(place, n) where ctid = place and t.n = v.n",
      [arrayOf(cells.get("place")!, "tid", rows), arrayOf(cells.get("n")!, "integer", rows)],
    );
    const { rows: times } = await db.query("select times, count(*)::integer as n from t group by 1 order by 1");
    assert.deepEqual(times, [{ times: 0, n: 667 }, { times: 1, n: 167 }, { times: 2, n: 166 }]);
  },

  "are refused if a number has another type than the one given": async (open) => {
    const wrong: TypedColumn[] = [{ name: "n", type: "bigint" }];
    await assert.rejects(rowsOf(await open(), wrong, "select 1 as n"), /PostgreSQL returned 4 bytes for a bigint/);
  },
});

onServer("packed columns are the same behind PgBouncer", async (_, server) => {
  await using pooler = await startPgBouncer(server.port);
  const db = await openPostgres(pooler.through(await server.createDatabase()));
  try {
    assert.ok(db.pooled);
    assert.deepEqual(await rowsOf(db, COLUMNS, VALUES), ROWS);
  } finally {
    await db.close();
  }
});
