import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../../testing/servers/databases.ts";
import { type Database, DatabaseError } from "../database.ts";

const EVENT = `insert into clickstream.events (event_id, event_time, user_id, event_type, page, device, region,
  kafka_partition, kafka_offset, kafka_time) values ('e', now(), 'ann', 'wink', '/', 'mobile', 'eu', 0, 0, now())`;

const CHOSEN = ["conversion", "devices", "regions", "activity_heatmap"];
const REPORTS = [...CHOSEN, "top_pages", "funnel", "top_users", "session_lengths", "session_depths", "carts"]
  .concat("entry_paths", "page_views", "products", "orders", "searches", "conversion_compared");

const READS = [
  ...[
    "progress",
    "former_progress",
    "gaps",
    "events",
    "traffic",
    "traffic_hours",
    "pages",
    "page_days",
    "active_users",
    "sessions",
    "user_days",
    "users",
    "refusals",
    "forgotten",
    "replays",
    "schema_version",
  ]
    .map((table) => `select * from clickstream.${table}`),
  "select clickstream.watermark()",
];

/** Reports that the service reads for the status page. */
const SHOWN = ["conversion", "funnel", "page_views"];

const RUNS_REPORTS = [
  ...REPORTS.map((name) => `select * from clickstream.${name}(now() - interval '1 day', now())`),
  ...CHOSEN.map((name) => `select * from clickstream.${name}(now() - interval '1 day', now(), null, array['eu'])`),
  ...["conversions", "event_rates"].map((name) =>
    `select * from clickstream.${name}(now() - interval '1 day', now(), interval '1 hour', null, array['eu'])`
  ),
  "select * from clickstream.top_users(now() - interval '1 day', now(), 5)",
  "select * from clickstream.bounces(now() - interval '1 day', now(), null, array['eu'])",
  "select * from clickstream.funnel(now() - interval '1 day', now(), array['search', 'purchase'])",
  ...["retention", "new_users"].map((name) => `select * from clickstream.${name}(current_date - 1, current_date)`),
  "select * from clickstream.declared_measures()",
];

const WRITES = [
  EVENT,
  "delete from clickstream.events where user_id = 'ann'",
  "insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset) values ('t', 0, 1, 1, 0)",
  "update clickstream.progress set next_offset = 2 where next_offset = 1",
  "delete from clickstream.progress where topic = 't'",
  "insert into clickstream.gaps (topic, partition, from_offset, to_offset) values ('t', 0, 1, 2)",
  "update clickstream.gaps set acknowledged_at = now()",
  `insert into clickstream.former_progress (topic, partition, first_offset, next_offset, consumed, stored, duplicates,
    refused, skipped, gaps, committed_at, committed_by) values ('t', 0, 0, 0, 0, 0, 0, 0, 0, 0, now(), 'i')`,
  ...["traffic", "pages", "active_users"].map((table) => `update clickstream.${table} set users = 1`),
  "insert into clickstream.active_users values (now(), now(), 1, '')",
  "insert into clickstream.user_days values ('ann', current_date, 1, 0, 0)",
  ...["user_days", "sessions"].map((table) => `delete from clickstream.${table} where user_id = 'ann'`),
  `insert into clickstream.refusals (reason, topic, partition, "offset") values ('empty', 't', 0, 0)`,
  "update clickstream.refusals set replayed_at = now()",
  "insert into clickstream.forgotten (user_hash, topic, partitions, below) values ('', 't', '{}', '{}')",
  "update clickstream.forgotten set done_at = now()",
  "lock table clickstream.progress in exclusive mode",
  "insert into clickstream.replays (id, refusals) values (1, '{}')",
];

const DEFINES = [
  "create table clickstream.mine (n int)",
  "create function clickstream.mine() returns int language sql as 'select 1'",
  "drop table clickstream.sessions",
  "drop table clickstream.events_default",
  "truncate clickstream.events",
  "insert into clickstream.users values ('ann', current_date)",
  "delete from clickstream.traffic_hours",
  "truncate clickstream.page_days",
  "alter table clickstream.sessions add column mine int",
  "alter table clickstream.events detach partition clickstream.events_default",
  "create index on clickstream.sessions (device)",
  "drop schema clickstream cascade",
  "select clickstream.make_partitions(current_date, current_date)",
  "select clickstream.limit_readers()",
];

/** Beyond the schema: other programs, files, roles and the settings of the server. */
const SERVER = [
  "copy (select 1) to program 'true'",
  "copy clickstream.events to '/tmp/events'",
  "select pg_catalog.pg_read_file('/etc/passwd')",
  "select pg_catalog.pg_ls_dir('.')",
  "select pg_catalog.lo_import('/etc/passwd')",
  "create role mine",
  "alter role clickstream_reader createrole",
  "create schema mine",
  "create table public.mine (n int)",
  "create trigger mine before insert on clickstream.events for each row execute function clickstream.watermark()",
  "select * from pg_catalog.pg_authid",
];

const HISTORY = [
  "insert into clickstream.schema_version (name, checksum) values ('mine', '')",
  "update clickstream.schema_version set checksum = ''",
];

/** Runs a statement as a role, and rolls it back; returns the SQLSTATE of its error, or null. */
async function as(db: Database, role: string, sql: string): Promise<string | null> {
  const undo = new Error("undo");
  try {
    await db.transaction(async (tx) => {
      await tx.exec(`set local role ${role}`);
      await tx.query(sql);
      throw undo;
    });
  } catch (error) {
    if (error === undo) return null;
    if (error instanceof DatabaseError) return error.code;
    throw error;
  }
  return null;
}

async function each(db: Database, role: string, statements: readonly string[], expected: string | null): Promise<void> {
  for (const sql of statements) assert.equal(await as(db, role, sql), expected, `${role}: ${sql}`);
}

const DENIED = "42501";

onEachDatabase("rights", {
  "of a writer: change rows, but define nothing": async (open) => {
    const db = await migrated(open);
    const shown = SHOWN.map((name) => `select * from clickstream.${name}(now() - interval '1 day', now())`);
    await each(db, "clickstream_writer", [...READS, ...WRITES, ...shown], null);
    const others = RUNS_REPORTS.filter((sql) => !/(conversion|funnel)\(|page_views\(/.test(sql));
    assert.ok(others.length < RUNS_REPORTS.length);
    await each(db, "clickstream_writer", [...DEFINES, ...HISTORY, ...SERVER, ...others], DENIED);
  },

  "of a reader: read tables and run reports": async (open) => {
    const db = await migrated(open);
    await each(db, "clickstream_reader", [...READS, ...RUNS_REPORTS], null);
    const key = "select * from clickstream.hash_key";
    await each(db, "clickstream_reader", [...WRITES, ...DEFINES, ...HISTORY, ...SERVER, key], DENIED);
  },

  "of other users: none": async (open) => {
    const db = await migrated(open);
    await db.exec("create role stranger");
    await each(
      db,
      "stranger",
      [...READS, ...RUNS_REPORTS, ...WRITES, ...DEFINES, ...HISTORY, ...SERVER],
      DENIED,
    );
    await db.exec("drop role stranger");
  },

  "extend to partitions that are created later": async (open) => {
    const db = await migrated(open);
    await db.exec(
      "select clickstream.make_partitions((now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date)",
    );
    await each(db, "clickstream_writer", [EVENT, "select * from clickstream.events"], null);
    await each(db, "clickstream_reader", ["select * from clickstream.events"], null);
  },
});
