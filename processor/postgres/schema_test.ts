import assert from "node:assert/strict";
import { migrated, onEachDatabase } from "../../testing/servers/databases.ts";
import { tableOf } from "../translate/table.ts";
import { VIEWS } from "../views/mod.ts";
import { EVENT_COLUMNS } from "./binary.ts";
import type { Database } from "./database.ts";
import { identityOf } from "./dialect.ts";

/** Columns that PostgreSQL makes of others: every other one is written by the processor. */
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

/** What tells the rows of a table apart: the columns and expressions of each unique index, in the order of the alphabet. */
async function identitiesIn(db: Database, table: string): Promise<string[][]> {
  const { rows } = await db.query<{ identity: string }>(
    `select json_agg(pg_get_indexdef(indexrelid, n, true))::text as identity
       from pg_index, generate_series(1, indnkeyatts) n
      where indrelid = $1::text::regclass and indisunique group by indexrelid`,
    [`clickstream.${table}`],
  );
  return rows.map(({ identity }) =>
    (JSON.parse(identity) as string[]).map((part) => part.replaceAll("::text", "").toLowerCase()).sort()
  );
}

onEachDatabase("the schema", {
  "has for each view exactly the columns that it declares": async (open) => {
    const db = await migrated(open);
    for (const view of VIEWS) {
      const { name, window, key, measured } = tableOf(view);
      const identity = identityOf(view);
      const declared = [...window, ...key, ...measured].map(({ name, type, nullable }) =>
        `${name} ${type}${nullable ? " null" : ""}`
      );
      const { written, generated } = await columnsIn(db, name);
      assert.deepEqual(written, declared.sort(), name);
      const derived = Object.keys(view.derived ?? {});
      const keys = identity.filter((column) => column.endsWith("_key"));
      assert.deepEqual(generated.map((column) => column.split(" ")[0]), [...derived, ...keys].sort(), name);
      const identities = (await identitiesIn(db, name)).map((parts) => parts.join(", "));
      assert.ok(identities.includes(identity.toSorted().join(", ")), `${name}: ${identity} is not in ${identities}`);
    }
  },

  "has for each raw event exactly the columns that are copied": async (open) => {
    const db = await migrated(open);
    const { written, generated } = await columnsIn(db, "events");
    assert.deepEqual(written.map((column) => column.split(" ")[0]), [...EVENT_COLUMNS].sort());
    assert.deepEqual(generated, []);
  },

  "has of progress and refusals what the outside world relies on": async (open) => {
    const db = await migrated(open);
    assert.deepEqual((await columnsIn(db, "progress")).written, [
      ...[
        "committed_at timestamptz",
        "committed_by text",
        "consumed bigint",
        "duplicates bigint",
        "first_offset bigint",
        "gaps bigint",
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
});
