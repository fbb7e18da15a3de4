import assert from "node:assert/strict";
import { MIGRATIONS } from "../../migrations/mod.ts";
import { onServer } from "../../testing/servers/databases.ts";
import { until } from "../../testing/servers/child.ts";
import { type Server, using } from "../../testing/servers/postgres.ts";
import { type Database, DatabaseError, DatabaseUnavailable } from "./database.ts";
import { limitReaders, makePartitions, migrate, schemaState } from "./operations/migrations.ts";

const AROUND_NOW = { nowMs: Date.now(), keepDays: 1, aheadDays: 1 };

/** The URL of the same database for another user. */
function by(user: string, url: string): string {
  return url.replace("postgres@", `${user}@`);
}

/** A new empty database with the default owner, on a server without our roles. */
async function fresh(server: Server, sql: string): Promise<string> {
  const url = await server.createDatabase();
  await using(url, (db) => db.exec(sql));
  return url;
}

async function shown(db: Database, setting: string): Promise<string> {
  const { rows } = await db.query<{ value: string }>("select current_setting($1) as value", [setting]);
  return rows[0]!.value;
}

onServer("an administrator who is no superuser", async (t, server) => {
  await t.step("migrates, and creates partitions", async () => {
    const url = await fresh(server, "create role admin login createrole");
    await using(url, (db) => db.exec(`grant create on database ${new URL(url).pathname.slice(1)} to admin`));
    await using(by("admin", url), async (db) => {
      assert.equal((await migrate(db, MIGRATIONS)).applied.length, MIGRATIONS.length);
      assert.equal(await makePartitions(db, AROUND_NOW), 3);
      await db.exec("create role looker login in role clickstream_reader");
      assert.deepEqual(await limitReaders(db), [{ name: "looker", limited: true }]);
    });
  });

  await t.step("leaves the rest to a member of the owner", async () => {
    const url = await fresh(server, "create role keeper login in role clickstream_owner");
    await using(url, (db) => db.exec(`grant create on database ${new URL(url).pathname.slice(1)} to keeper`));
    await using(by("keeper", url), async (db) => {
      assert.equal((await migrate(db, MIGRATIONS)).applied.length, MIGRATIONS.length);
      assert.equal(await makePartitions(db, AROUND_NOW), 3);
      assert.deepEqual(await limitReaders(db), [{ name: "looker", limited: false }]);
    });
  });
});

onServer("logins", async (t, server) => {
  const url = await fresh(server, "");
  await using(url, async (db) => {
    await migrate(db, MIGRATIONS);
    await db.exec(`
      create role processor login in role clickstream_writer;
      create role grafana login in role clickstream_reader;
      create role patient login in role clickstream_reader;
      alter role patient set statement_timeout = '5min';
      create role nobody_special login;
    `);
    await makePartitions(db, AROUND_NOW);
    assert.deepEqual(await limitReaders(db), [{ name: "grafana", limited: true }]);
    assert.deepEqual(await limitReaders(db), []);
  });

  await t.step("that only read have a time limit, unless they have one of their own", async () => {
    const limit = (user: string) => using(by(user, url), (db) => shown(db, "statement_timeout"));
    assert.deepEqual(await Promise.all(["grafana", "patient", "processor"].map(limit)), ["30s", "5min", "0"]);
  });

  await t.step("of the writer see that the schema is current, and store events", async () => {
    await using(by("processor", url), async (db) => {
      assert.equal((await schemaState(db, MIGRATIONS)).state, "current");
      const line = `e\t${new Date().toISOString()}\tann\twink\t/\tmobile\teu\t0\t0\t${new Date().toISOString()}\n`;
      await db.copyIn(
        `copy clickstream.events (event_id, event_time, user_id, event_type, page, device, region, kafka_partition,
           kafka_offset, kafka_time) from stdin`,
        [new TextEncoder().encode(line)],
      );
      await assert.rejects(db.exec("drop table clickstream.events"), isDenied);
      await assert.rejects(makePartitions(db, AROUND_NOW), isDenied);
    });
  });

  await t.step("of the reader run reports, and write nothing", async () => {
    await using(by("grafana", url), async (db) => {
      await db.query("select * from clickstream.conversion(now() - interval '1 day', now())");
      await assert.rejects(db.exec("delete from clickstream.events"), isDenied);
    });
  });

  await t.step("of neither see nothing", async () => {
    await using(by("nobody_special", url), async (db) => {
      await assert.rejects(db.query("select * from clickstream.sessions"), isDenied);
      await assert.rejects(schemaState(db, MIGRATIONS), isDenied);
    });
  });

  await t.step("of other projects get no time limit", async () => {
    const url = await fresh(server, "");
    await using(url, async (db) => {
      await migrate(db, MIGRATIONS);
      await db.exec(`
      create role ours login in role clickstream_reader;
      -- Another project reads through a group of its own, and has a login that administers and one that may not connect.
      create role theirs_group in role clickstream_reader;
      create role theirs login in role theirs_group;
      create role theirs_admin login createrole in role clickstream_reader;
      create role theirs_elsewhere login in role clickstream_reader;
      create role theirs_giver login;
      grant clickstream_reader to theirs_giver with admin option;
      create role theirs_given login;
      create role theirs_backup login in role pg_read_all_data;
      revoke connect on database ${new URL(url).pathname.slice(1)} from public;
      grant connect on database ${new URL(url).pathname.slice(1)}
        to ours, theirs_group, theirs_admin, theirs_giver, theirs_given, theirs_backup;
    `);
      await using(by("theirs_giver", url), (giver) => giver.exec("grant clickstream_reader to theirs_given"));
      const settings = "select setrole::regrole::text as role from pg_db_role_setting order by 1";
      const before = (await db.query<{ role: string }>(settings)).rows.map(({ role }) => role);
      assert.deepEqual(await limitReaders(db), [{ name: "ours", limited: true }]);
      const after = (await db.query<{ role: string }>(settings)).rows.map(({ role }) => role);
      assert.deepEqual(after, [...before, "ours"].sort());
    });
  });
});

onServer("migrating", async (t, server) => {
  await t.step("two databases of a new server at once creates its roles once", async () => {
    const urls = [await fresh(server, ""), await fresh(server, ""), await fresh(server, "")];
    const done = await Promise.all(urls.map((url) => using(url, (db) => migrate(db, MIGRATIONS))));
    for (const { applied } of done) assert.equal(applied.length, MIGRATIONS.length);
  });

  await t.step("twice at once does it once", async () => {
    const url = await fresh(server, "");
    const done = await Promise.all([1, 2, 3].map(() => using(url, (db) => migrate(db, MIGRATIONS))));
    const applied = done.flatMap(({ applied }) => applied);
    assert.deepEqual(applied.sort(), MIGRATIONS.map(({ name }) => name));
  });

  await t.step("refuses a database that is not UTF-8", async () => {
    await using(server.url(), (db) => {
      return db.exec("create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0");
    });
    await using(server.url("latin"), async (db) => {
      await assert.rejects(migrate(db, MIGRATIONS), /0001_roles\.sql: .*encoded in LATIN1 .*create the database with/);
    });
  });

  await t.step("can be retried after the connection was lost half-way", async () => {
    const url = await fresh(server, "");
    const halfway = { name: "9999_halfway.sql", sql: "create table clickstream.half (); select pg_sleep(60)" };
    await using(url, async (db) => {
      // Waited for from its start: what rejects before somebody waits ends all tests of the file.
      const refused = assert.rejects(migrate(db, [...MIGRATIONS, halfway]), (error) => {
        return error instanceof DatabaseUnavailable && /9999_halfway/.test(error.message);
      });
      await using(url, (other) =>
        until("the migration sleeps", async () => {
          const { rowCount } = await other.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
          );
          return rowCount > 0;
        }));
      await refused;
    });
    await using(url, async (db) => {
      assert.deepEqual((await schemaState(db, [...MIGRATIONS, halfway])).pending, [halfway.name]);
      const { applied } = await migrate(db, [...MIGRATIONS, { ...halfway, sql: "create table clickstream.half ()" }]);
      assert.deepEqual(applied, [halfway.name]);
    });
  });
});

function isDenied(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "42501";
}
