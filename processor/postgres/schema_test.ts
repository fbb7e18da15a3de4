import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { VIEWS } from "../views/mod.ts";
import type { View } from "../views/view.ts";
import { EVENT_COLUMNS } from "./binary.ts";
import { REASONS } from "../event.ts";
import type { Database } from "./database.ts";
import { createTable, ROLLUP_RIGHTS } from "./view_table.ts";

/** The columns of a table: those that the processor writes, and those that PostgreSQL generates. */
async function columnsIn(db: Database, table: string): Promise<{ written: string[]; generated: string[] }> {
  const { rows } = await db.query<{ column: string; generated: string }>(
    `select a.attname || ' ' || case when t.typname = 'timestamptz' then t.typname else format_type(a.atttypid, null) end
              || case when a.attnotnull then '' else ' null' end as column,
            a.attgenerated::text as generated
       from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped`,
    [`clickstream.${table}`],
  );
  const names = (which: boolean) =>
    rows.filter(({ generated }) => (generated === "") === which).map((row) => row.column);
  return { written: names(true).sort(), generated: names(false).sort() };
}

/** Everything that a view declares about its table, sorted. */
async function declaredIn(db: Database, schema: string, view: View): Promise<string[]> {
  const { rows } = await db.query<{ line: string }>(
    `with t as (select $1::text::regclass as oid)
     select 'column ' || a.attname || ' ' || format_type(a.atttypid, null) || case when a.attnotnull then ' not null' else '' end
              || coalesce(' collate ' || nullif(c.collname, 'default'), '') || ' storage ' || a.attstorage::text
              || coalesce(' as ' || pg_get_expr(d.adbin, d.adrelid), '') as line
       from t join pg_attribute a on a.attrelid = t.oid left join pg_collation c on c.oid = a.attcollation
       left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
      where a.attnum > 0 and not a.attisdropped
     union all
     select 'unique ' || string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' order by pg_get_indexdef(i.indexrelid, n, true))
       from t join pg_index i on i.indrelid = t.oid, generate_series(1, i.indnkeyatts) n where i.indisunique group by i.indexrelid
     union all
     select 'grant ' || lower(g.privilege_type) || ' to ' || g.grantee::regrole::text
       from t join pg_class k on k.oid = t.oid, aclexplode(k.relacl) g where g.grantee <> k.relowner
     union all
     select 'with ' || option from t join pg_class k on k.oid = t.oid, unnest(k.reloptions) as option
     union all
     select 'comment ' || obj_description(t.oid, 'pg_class') from t where $2::boolean
     union all
     select 'comment on ' || a.attname || ' ' || col_description(t.oid, a.attnum)
       from t join pg_attribute a on a.attrelid = t.oid where a.attname = 'users'
      order by 1`,
    // The migrations of sessions and days have longer comments of their own.
    [`${schema}.${view.name}`, view.window.kind !== "session" && view.window.kind !== "day"],
  );
  return rows.map(({ line }) => line);
}

onEachDatabase("the schema", {
  "has the table that each view declares: columns, keys, rights, comments": async (open) => {
    const db = await migrated(open);
    await db.exec("create schema declared authorization clickstream_owner; set role clickstream_owner");
    for (const view of VIEWS) {
      await db.exec(createTable(view, "declared"));
      const declared = await declaredIn(db, "declared", view);
      assert.ok(declared.length > 10);
      assert.deepEqual(await declaredIn(db, "clickstream", view), declared, view.name);
    }
  },

  "fills declared rollups by triggers, and lets only the service write to them": async (open) => {
    const db = await migrated(open);
    for (const { name, rollups = [], firsts } of VIEWS) {
      const { rows: triggers } = await db.query<{ function: string }>(
        "select p.proname::text as function from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = $1::text::regclass",
        [`clickstream.${name}`],
      );
      assert.equal(triggers.length > 0, rollups.length > 0 || firsts !== undefined, name);
      for (const trigger of triggers) {
        assert.match(trigger.function, new RegExp(`^${name}_(rollup|first|campaigns)_trigger$`));
      }
      for (const { table } of rollups) {
        const { rows } = await db.query<{ right: string }>(
          `select g.grantee::regrole || ' ' || lower(g.privilege_type) as right from pg_class c, aclexplode(c.relacl) g
            where c.oid = $1::text::regclass and g.grantee <> c.relowner order by 1`,
          [`clickstream.${table}`],
        );
        assert.deepEqual(rows.map(({ right }) => right), [
          "clickstream_reader select",
          ...ROLLUP_RIGHTS.toSorted().map((right) => `clickstream_writer ${right}`),
        ]);
      }
    }
  },

  "has exactly the columns of events that are copied": async (open) => {
    const db = await migrated(open);
    const { written, generated } = await columnsIn(db, "events");
    assert.deepEqual(written.map((column) => column.split(" ")[0]), EVENT_COLUMNS.map(({ name }) => name).sort());
    assert.deepEqual(generated, []);
  },

  "has the columns of progress and refusals that others rely on": async (open) => {
    const db = await migrated(open);
    assert.deepEqual((await columnsIn(db, "progress")).written, [
      ...[
        "committed_at timestamptz",
        "committed_by text",
        "consumed bigint",
        "duplicates bigint",
        "first_offset bigint",
        "gaps bigint",
        "leader_epoch integer null",
        "next_offset bigint",
      ],
      ...["partition integer", "refused bigint", "replay_offset bigint", "skipped bigint", "stored bigint"],
      ...["topic text", "topic_id text null", "watermark timestamptz null"],
    ]);
    assert.deepEqual((await columnsIn(db, "refusals")).written.map((column) => column.split(" ")[0]), [
      ...[
        "detail",
        "field",
        "former",
        "id",
        "offset",
        "partition",
        "payload",
        "reason",
        "refused_at",
        "replayed_at",
        "topic",
      ],
    ]);
  },

  "accepts every reason for a refusal, and no other": async (open) => {
    const db = await migrated(open);
    const refuse = (reason: string, n: number) =>
      db.query(
        `insert into clickstream.refusals (topic, partition, "offset", reason, detail, payload)
         values ('t', 0, $2, $1, '', '')`,
        [reason, n],
      );
    for (const [n, reason] of REASONS.entries()) await refuse(reason, n);
    await assert.rejects(refuse("dull", REASONS.length), /refusals_reason_check/);
  },
});
