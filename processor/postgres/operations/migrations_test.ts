import assert from "node:assert/strict";
import { type Migration, MIGRATIONS } from "../../../migrations/mod.ts";
import { onEachDatabase } from "../../../testing/servers/databases.ts";
import type { Database } from "../database.ts";
import { SchemaMismatch } from "../schema.ts";
import { migrate, schemaState, verifySchema } from "./migrations.ts";

const NAMES = MIGRATIONS.map(({ name }) => name);
const NEXT: Migration = { name: "9999_next.sql", sql: "create table clickstream.next (); select 1" };

async function texts(db: Database, sql: string): Promise<string[]> {
  const { rows } = await db.query<{ text: string }>(sql);
  return rows.map(({ text }) => text);
}

onEachDatabase("migrations", {
  "create the schema, and find nothing to do the second time": async (open) => {
    const db = await open();
    assert.equal((await schemaState(db, MIGRATIONS)).state, "missing");
    await assert.rejects(verifySchema(db, MIGRATIONS), /is missing: .*clickstream migrate/);
    assert.deepEqual(await migrate(db, MIGRATIONS), { applied: NAMES, already: 0 });
    assert.equal((await schemaState(db, MIGRATIONS)).state, "current");
    await verifySchema(db, MIGRATIONS);
    assert.deepEqual(await migrate(db, MIGRATIONS), { applied: [], already: NAMES.length });
  },

  "apply new files": async (open) => {
    const db = await open();
    await migrate(db, MIGRATIONS);
    const state = await schemaState(db, [...MIGRATIONS, NEXT]);
    assert.deepEqual(state, { state: "behind", detail: "not applied: 9999_next.sql", pending: [NEXT.name] });
    await assert.rejects(verifySchema(db, [...MIGRATIONS, NEXT]), /is behind: .*9999_next.*clickstream migrate/);
    assert.deepEqual(await migrate(db, [...MIGRATIONS, NEXT]), { applied: [NEXT.name], already: NAMES.length });
    await db.query("select from clickstream.next");
  },

  "account for offsets that were committed before an upgrade": async (open) => {
    const db = await open();
    await migrate(db, MIGRATIONS.filter(({ name }) => name < "0010"));
    await db.exec(`
      insert into clickstream.progress (topic, partition, next_offset, replay_offset, consumed, stored, duplicates, refused)
        values ('clicks', 0, 120, 90, 100, 70, 20, 10), ('clicks', 1, 7, 7, 0, 0, 0, 0);
      insert into clickstream.refusals (reason, topic, partition, "offset") values ('empty', 'clicks', 0, 3)`);
    await migrate(db, MIGRATIONS);
    assert.deepEqual(
      await texts(
        db,
        `select concat_ws(' ', partition, first_offset, next_offset, consumed, skipped, gaps, topic_id) as text
           from clickstream.progress order by partition`,
      ),
      ["0 20 120 100 0 0", "1 7 7 0 0 0"],
    );
    const place =
      `insert into clickstream.refusals (reason, topic, partition, "offset") values ('empty', 'clicks', 0, 3)`;
    await assert.rejects(db.exec(place), /unique/);
    await db.exec(`update clickstream.refusals set former = true; ${place}`);
    await assert.rejects(db.exec("update clickstream.progress set skipped = 1"), /accounted/);
  },

  "refuse a file that has changed since it was applied": async (open) => {
    const db = await open();
    await migrate(db, MIGRATIONS);
    const changed = MIGRATIONS.map((migration, n) => n === 2 ? { ...migration, sql: migration.sql + "\n" } : migration);
    assert.equal((await schemaState(db, changed)).state, "changed");
    await assert.rejects(migrate(db, [...changed, NEXT]), (error) => {
      assert.ok(error instanceof SchemaMismatch);
      return error.state === "changed" && error.message.includes("0003_events.sql");
    });
    assert.deepEqual(await texts(db, "select to_regclass('clickstream.next')::text as text"), [null]);
  },

  "refuse a schema that is ahead of the program": async (open) => {
    const db = await open();
    await migrate(db, [...MIGRATIONS, NEXT]);
    assert.equal((await schemaState(db, MIGRATIONS)).state, "ahead");
    await assert.rejects(migrate(db, MIGRATIONS), /is ahead: .*9999_next\.sql/);
    await assert.rejects(verifySchema(db, MIGRATIONS), SchemaMismatch);
  },

  "roll back one that fails, and release the lock": async (open) => {
    const db = await open();
    const failing = { ...NEXT, sql: "create table clickstream.next (); select 1 / 0" };
    await assert.rejects(migrate(db, [...MIGRATIONS, failing]), /apply migration 9999_next\.sql: .*division by zero/);
    assert.deepEqual((await schemaState(db, [...MIGRATIONS, failing])).pending, [NEXT.name]);
    assert.deepEqual(await texts(db, "select to_regclass('clickstream.next')::text as text"), [null]);
    assert.deepEqual(await texts(db, "select count(*)::text as text from pg_locks where locktype = 'advisory'"), ["0"]);
    assert.deepEqual((await migrate(db, [...MIGRATIONS, NEXT])).applied, [NEXT.name]);
  },

  "comment on every table, column and function": async (open) => {
    const db = await open();
    await migrate(db, MIGRATIONS);
    await db.exec("select clickstream.make_partitions('2026-11-02', '2026-11-02')");
    const silent = await texts(
      db,
      `select c.relname || coalesce('../../io' || a.attname, '') as text
         from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'clickstream'::regnamespace and c.relkind in ('r', 'p')
          and (obj_description(c.oid, 'pg_class') is null or col_description(c.oid, a.attnum) is null)
        union all
       select p.proname from pg_proc p
        where p.pronamespace = 'clickstream'::regnamespace and obj_description(p.oid, 'pg_proc') is null`,
    );
    assert.deepEqual(silent, []);
    const exact = await texts(
      db,
      `select col_description(attrelid, attnum) as text from pg_attribute
        where attname = 'users' and attrelid::regclass::text in
              ('clickstream.traffic', 'clickstream.pages', 'clickstream.active_users')`,
    );
    assert.equal(exact.length, 3);
    for (const comment of exact) assert.match(comment, /exact up to 4,096 in a window and at most 1 % off beyond/);
  },

  "make the owner own every object, and grant nothing to public": async (open) => {
    const db = await open();
    await migrate(db, MIGRATIONS);
    await db.exec("set role clickstream_owner; select clickstream.make_partitions('2026-11-02', '2026-11-02')");
    await db.exec("reset role");
    const foreign = await texts(
      db,
      `select relname as text from pg_class
        where relnamespace = 'clickstream'::regnamespace and relowner <> 'clickstream_owner'::regrole
        union all
       select proname from pg_proc
        where pronamespace = 'clickstream'::regnamespace and proowner <> 'clickstream_owner'::regrole`,
    );
    assert.deepEqual(foreign, []);
    const open_to_all = await texts(
      db,
      `select what as text from (
         select relname, relacl, acldefault('r', relowner) from pg_class
          where relnamespace = 'clickstream'::regnamespace and relkind in ('r', 'p')
          union all
         select proname, proacl, acldefault('f', proowner) from pg_proc
          where pronamespace = 'clickstream'::regnamespace
          union all
         select nspname, nspacl, acldefault('n', nspowner) from pg_namespace where nspname = 'clickstream'
       ) as objects(what, acl, implied), aclexplode(coalesce(acl, implied)) as granted
       where granted.grantee = 0`,
    );
    assert.deepEqual(open_to_all, []);
  },
});
