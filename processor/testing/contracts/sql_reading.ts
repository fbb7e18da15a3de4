/**
 * Reads a database for tests: rows as views know them.
 * @module
 */
import type { Database } from "../../postgres/database.ts";
import { adopt } from "../../postgres/operations/adopt.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import { tableOf } from "../../translate/table.ts";
import { VIEWS } from "../../views/mod.ts";
import type { SinkUnderTest } from "./sink_contract.ts";

/** A sink into `db`, inspected through plain queries. */
export function sinkUnderTest(db: Database, close: () => Promise<void>): SinkUnderTest {
  return {
    sink: new SqlSink(db, "test"),
    rows: (view) => rowsOf(db, view),
    totals: async () => {
      const { rows } = await db.query<Record<"consumed" | "stored" | "duplicates" | "refused", string>>(
        `select sum(consumed)::text as consumed, sum(stored)::text as stored, sum(duplicates)::text as duplicates,
                sum(refused)::text as refused from clickstream.progress`,
      );
      const { consumed, stored, duplicates, refused } = rows[0]!;
      return {
        consumed: Number(consumed),
        stored: Number(stored),
        duplicates: Number(duplicates),
        refused: Number(refused),
      };
    },
    refusals: async () => {
      const { rows } = await db.query<{ reason: string; payload: string }>(
        `select reason, encode(payload, 'hex') as payload from clickstream.refusals order by partition, "offset"`,
      );
      return rows.map(({ reason, payload }) => ({ reason, payload: Uint8Array.fromHex(payload) }));
    },
    gaps: async () => {
      const { rows } = await db.query<{ partition: number; from: number; to: number }>(
        `select partition, from_offset::float8 as "from", to_offset::float8 as "to" from clickstream.gaps
          order by partition, from_offset`,
      );
      return rows;
    },
    events: async () => {
      const { rows } = await db.query<{ event_id: string }>("select event_id from clickstream.events");
      return rows.map(({ event_id }) => event_id).sort();
    },
    adopt: (now) => adopt(db, now),
    close,
  };
}

async function rowsOf(db: Database, name: string) {
  const { window, key } = tableOf(VIEWS.find((view) => view.name === name)!);
  const time = (column: string) => `(extract(epoch from ${column}::timestamptz) * 1000)::bigint::text`;
  const [start, end] = window;
  const { rows } = await db.query<{ start: string; end: string; key: string }>(
    `select ${time(start!.name)} as start, ${time((end ?? start)!.name)} as end,
            json_build_array(${key.map((column) => column.name).join(", ")})::text as key
       from clickstream.${name}`,
  );
  return rows.map((row) => ({
    start: Number(row.start),
    end: Number(row.end),
    key: JSON.parse(row.key) as (string | null)[],
  })).sort((a, b) => JSON.stringify([a.key, a.start]) < JSON.stringify([b.key, b.start]) ? -1 : 1);
}
