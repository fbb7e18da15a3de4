import assert from "node:assert/strict";
import { startPostgres, using } from "../../testing/servers/postgres.ts";
import { arrayOf, BinaryParameter, CHUNK_BYTES } from "./binary.ts";
import type { Database } from "./database.ts";
import { DatabaseError, DatabaseUnavailable } from "./database_errors.ts";

const utf8 = new TextEncoder();

/** Texts that together are many times as long as what is sent at once; one alone is longer. */
const TEXTS = Array.from(
  { length: 9000 },
  (_, n) => n % 100 === 0 ? null : n === 4500 ? `${n}`.repeat(CHUNK_BYTES) : `${n}é`.repeat(n % 60),
);
const NUMBERS = Float64Array.from(TEXTS, (_, n) => n);

/** Numbers in memory that is overwritten with each chunk. */
function* linesOf(count: number, last = ""): Generator<Uint8Array> {
  const memory = new Uint8Array(3 * CHUNK_BYTES);
  for (let n = 0; n < count;) {
    let used = 0;
    // Chunks of all lengths, some longer than what is sent at once.
    for (const most = (n % 7 + 1) * CHUNK_BYTES / 3; n < count && used < most; n++) {
      used += utf8.encodeInto(`${n}\n`, memory.subarray(used)).written;
    }
    yield memory.subarray(0, used);
    memory.fill(0);
  }
  yield utf8.encode(last);
}

const ROWS = 500_000;

async function sum(db: Database): Promise<readonly [number, number]> {
  const { rows: [row] } = await db.query<{ count: number; sum: number }>(
    "select count(*)::integer as count, coalesce(sum(n), 0)::double precision as sum from t",
  );
  return [row!.count, row!.sum];
}

const isRefused = (code: string) => (error: unknown) => error instanceof DatabaseError && error.code === code;

async function withTable(check: (db: Database) => Promise<void>): Promise<void> {
  await using server = await startPostgres();
  await using(await server.createDatabase(), async (db) => {
    await db.exec("create table t (n bigint primary key)");
    await check(db);
    assert.equal((await db.query("select from t where n = $1::bigint", [-1])).rowCount, 0, "the connection is usable");
  });
}

Deno.test("streamed: parameters far longer than what is sent at once arrive as they are", () =>
  withTable(async (db) => {
    for (const rows of [null, Int32Array.from({ length: 5000 }, (_, n) => TEXTS.length - 1 - n)]) {
      const { rows: found } = await db.query<{ n: string; text: string | null }>(
        "select n::text, text from unnest($2::bigint[], $1::text[]) as v(n, text) where $3::boolean and $4::text is null",
        [arrayOf(TEXTS, "text", rows), arrayOf(NUMBERS, "bigint", rows), true, null],
      );
      const numbers = rows === null ? TEXTS.keys().toArray() : [...rows];
      assert.deepEqual(found.map(({ n }) => Number(n)), numbers);
      assert.deepEqual(found.map(({ text }) => text), numbers.map((n) => TEXTS[n]));
    }
  }));

Deno.test("streamed: a statement that fails before its parameters have arrived leaves the connection usable", () =>
  withTable(async (db) => {
    const numbers = arrayOf(new Float64Array(ROWS), "bigint");
    await assert.rejects(db.query("select from nowhere where $1::bigint[] is null", [numbers]), isRefused("42P01"));
    await assert.rejects(db.query("insert into t select unnest($1::bigint[])", [numbers]), isRefused("23505"));
    assert.deepEqual(await sum(db), [0, 0]);
  }));

Deno.test("streamed: a row is sent before its memory is used again", () =>
  withTable(async (db) => {
    await db.copyIn("copy t from stdin", linesOf(ROWS));
    assert.deepEqual(await sum(db), [ROWS, ROWS * (ROWS - 1) / 2]);
  }));

Deno.test("streamed: a copy that the server ends stops asking for rows, and the next statements run", () =>
  withTable(async (db) => {
    let asked = 0;
    const broken = function* () {
      yield utf8.encode("one\n");
      const lines = utf8.encode("2\n".repeat(CHUNK_BYTES / 2));
      for (; asked < 10_000; asked++) yield lines;
    };
    const statements = [
      db.copyIn("copy t from stdin", broken()),
      db.exec("insert into t values (1)"),
      db.copyIn("copy t from stdin", linesOf(10, "ten\n")),
      db.copyIn("copy t from stdin", linesOf(1)),
    ];
    const ends = await Promise.allSettled(statements);
    assert.deepEqual(ends.map(({ status }) => status), ["rejected", "fulfilled", "rejected", "fulfilled"]);
    for (const end of ends) if (end.status === "rejected") assert.ok(isRefused("22P02")(end.reason), end.reason);
    assert.ok(asked > 0 && asked < 10_000, `${asked} chunks`);
    assert.deepEqual(await sum(db), [2, 1]);
  }));

Deno.test("streamed: rows that cannot be produced end the copy with their error, and none is stored", () =>
  withTable(async (db) => {
    const broken = function* () {
      yield* linesOf(ROWS);
      throw new Error("no more lines");
    };
    await assert.rejects(db.copyIn("copy t from stdin", broken()), /no more lines/);
    assert.deepEqual(await sum(db), [0, 0]);
  }));

/** Says that it is of another length than it is. */
class Lying extends BinaryParameter {
  override get byteLength(): number {
    return super.byteLength + this.off;
  }

  constructor(readonly off: number) {
    super(NUMBERS, "bigint", null);
  }
}

Deno.test("streamed: a parameter that changes while it is sent ends the connection, and nothing is stored", async () => {
  await using server = await startPostgres();
  const url = await server.createDatabase();
  await using(url, (db) => db.exec("create table t (n bigint)"));
  for (const off of [-1, 1, CHUNK_BYTES * 2]) {
    await using(url, async (db) => {
      await assert.rejects(db.query("insert into t select unnest($1::bigint[])", [new Lying(off)]), (error) => {
        assert.match(String(error), /parameter 1 is not \d+ bytes long/);
        return !(error instanceof DatabaseUnavailable);
      });
      await assert.rejects(db.query("select 1"));
    });
  }
  await using(url, async (db) => assert.deepEqual(await sum(db), [0, 0]));
});
