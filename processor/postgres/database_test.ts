import assert from "node:assert/strict";
import { onEachDatabase } from "../../testing/servers/databases.ts";
import { type Database, DatabaseError } from "./database.ts";

const utf8 = new TextEncoder();

async function count(db: Database, table: string): Promise<number> {
  const { rows } = await db.query<{ n: number }>(`select count(*)::int as n from ${table}`);
  return rows[0]!.n;
}

function* failing(): Generator<Uint8Array> {
  yield utf8.encode("1\n");
  throw new Error("no more");
}

const isRefused = (code: string) => (error: unknown) => error instanceof DatabaseError && error.code === code;

onEachDatabase("a database", {
  "reads values without loss of precision": async (open) => {
    const db = await open();
    const { rows } = await db.query(
      `select true as yes, 32767::int2 as small, -2147483648 as int, 9007199254740993 as big, 0.1::float8 as double,
              'infinity'::float8 as inf, 12345678901234567890.5::numeric as numeric, 'é😀' as text, null as nothing,
              '\\x00ff5c'::bytea as bytes, timestamptz '2026-11-02 12:00:00.123456+05:30' as time, date '2026-11-02' as day,
              interval '1 day 2 hours' as pause, '{"a": [1]}'::jsonb as json, array[1, 2] as list`,
    );
    assert.deepEqual(rows, [{
      yes: true,
      small: 32767,
      int: -2147483648,
      big: "9007199254740993",
      double: 0.1,
      inf: Infinity,
      numeric: "12345678901234567890.5",
      text: "é😀",
      nothing: null,
      bytes: Uint8Array.of(0x00, 0xff, 0x5c),
      time: "2026-11-02 06:30:00.123456+00",
      day: "2026-11-02",
      pause: "P1DT2H",
      json: '{"a": [1]}',
      list: "{1,2}",
    }]);
  },

  "takes parameters of every type": async (open) => {
    const db = await open();
    const { rows } = await db.query(
      `select $1::bool and not $2::bool as yes, $3::int + 1 as int, $4::bigint as big, $5::text as text,
              $6::bytea as bytes, $7::timestamptz as time, $8::int[] as list, $9::text is null as nothing, $10::float8 as double`,
      [
        ...[true, false, 41, 9007199254740993n, 'it\'s \\ "é"', Uint8Array.of(0, 255), "2026-11-02T12:00Z", "{1,2}"],
        ...[null, 0.1],
      ],
    );
    assert.deepEqual(rows, [{
      ...{ yes: true, int: 42, big: "9007199254740993", text: 'it\'s \\ "é"', bytes: Uint8Array.of(0, 255) },
      ...{ time: "2026-11-02 12:00:00+00", list: "{1,2}", nothing: true, double: 0.1 },
    }]);
    await assert.rejects(db.query("select $1::text", [new Date(0)]), /a parameter can't be a Date: write it as text/);
  },

  "returns the number of changed rows": async (open) => {
    const db = await open();
    await db.exec("create table t (n int); create table u (n int)");
    assert.equal((await db.query("insert into t select generate_series(1, 5)")).rowCount, 5);
    assert.equal((await db.query("update t set n = n where n > 3 returning n")).rowCount, 2);
    assert.equal((await db.query("select from t where n > 1")).rowCount, 4);
    assert.equal((await db.query("delete from t where n > 9")).rowCount, 0);
  },

  "commits a transaction, or rolls it back": async (open) => {
    const db = await open();
    await db.exec("create table t (n int)");
    assert.equal(await db.transaction(async (tx) => (await tx.query("insert into t values (1)")).rowCount), 1);
    const stop = new Error("stop");
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.query("insert into t values (2)");
        throw stop;
      }),
      stop,
    );
    await assert.rejects(db.transaction((tx) => tx.query("insert into u values (2)")), isRefused("42P01"));
    assert.equal(await count(db, "t"), 1);
  },

  "runs a nested transaction as part of the outer one": async (open) => {
    const db = await open();
    await db.exec("create table t (n int)");
    const outer = db.transaction(async (tx) => {
      await tx.transaction((inner) => inner.query("insert into t values (1)"));
      throw new Error("stop");
    });
    await assert.rejects(outer, /stop/);
    assert.equal(await count(db, "t"), 0);
  },

  "keeps other statements out of a transaction": async (open) => {
    const db = await open();
    await db.exec("create table t (n int)");
    const order: string[] = [];
    let outside: Promise<unknown> | null = null;
    const inside = db.transaction(async (tx) => {
      outside = db.query("insert into t values (2)").then(() => order.push("outside"));
      await tx.query("insert into t values (1)");
      await tx.query("select from t");
      order.push("inside");
      throw new Error("stop");
    });
    await assert.rejects(inside, /stop/);
    await outside;
    assert.deepEqual(order, ["inside", "outside"]);
    assert.equal(await count(db, "t where n = 2"), 1);
    assert.equal(await count(db, "t"), 1);
  },

  "runs concurrent statements of a transaction one after the other": async (open) => {
    const db = await open();
    await db.exec("create table t (n int)");
    const counts = await db.transaction((tx) =>
      Promise.all([
        tx.query<{ n: number }>("select count(*)::integer as n from t"),
        tx.copyIn("copy t from stdin", [utf8.encode("1\n2\n")]),
        tx.query<{ n: number }>("select count(*)::integer as n from t"),
        tx.exec("delete from t where n = 1"),
        tx.query<{ n: number }>("select count(*)::integer as n from t"),
      ])
    );
    assert.deepEqual([counts[0], counts[2], counts[4]].map(({ rows }) => rows[0]!.n), [0, 2, 1]);
  },

  "copies all rows, or none": async (open) => {
    const db = await open();
    await db.exec("create table t (n int, s text)");
    await db.copyIn("copy t (n, s) from stdin", ["1\tone\n2\tt", "wo é\n3\t\\N\n"].map((text) => utf8.encode(text)));
    assert.equal(await count(db, "t"), 3);
    assert.equal(await count(db, "t where s = 'two é'"), 1);
    await db.copyIn("copy t from stdin", []);
    await assert.rejects(db.copyIn("copy t from stdin", [utf8.encode("4\tx\nfive\tx\n")]), isRefused("22P02"));
    await assert.rejects(db.copyIn("copy nowhere from stdin", [utf8.encode("4\tx\n")]), isRefused("42P01"));
    await assert.rejects(db.copyIn("copy t (n) from stdin", failing()), /no more/);
    assert.equal(await count(db, "t"), 3);
  },

  "rolls back a failed copy with its transaction": async (open) => {
    const db = await open();
    await db.exec("create table t (n int)");
    for (const rows of [failing(), [utf8.encode("one\n")]]) {
      await assert.rejects(db.transaction(async (tx) => {
        await tx.query("insert into t values (1)");
        await tx.copyIn("copy t from stdin", rows);
      }));
    }
    await db.transaction((tx) => tx.copyIn("copy t from stdin", [utf8.encode("7\n")]));
    assert.equal(await count(db, "t"), 1);
  },

  "rejects a statement with the server's SQLSTATE": async (open) => {
    const db = await open();
    await assert.rejects(db.query("select from nowhere"), isRefused("42P01"));
    await assert.rejects(
      db.exec("create table t (n int primary key); insert into t values (1), (1)"),
      isRefused("23505"),
    );
    await assert.rejects(db.query("selec"), isRefused("42601"));
    assert.equal((await db.query("select 1")).rowCount, 1);
  },
});
