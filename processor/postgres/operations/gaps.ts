/**
 * Gaps: records that Kafka deleted before they were read, until an operator acknowledges them.
 * @module
 */
import type { Database } from "../database.ts";

/** A row of `gaps`. Integers are texts, because they may be large; times are ISO 8601. */
export interface GapRow {
  readonly id: string;
  readonly partition: number;
  readonly from_offset: string;
  /** The first offset after the gap. */
  readonly to_offset: string;
  readonly found_at: string;
  /** Null until an operator acknowledges it. */
  readonly acknowledged_at: string | null;
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ${column}`;

/** The gaps of a topic, the most recent first. */
export async function gapsIn(db: Database, topic: string): Promise<readonly GapRow[]> {
  const { rows } = await db.query<GapRow>(
    `select id::text as id, partition, from_offset::text as from_offset, to_offset::text as to_offset,
            ${iso("found_at")}, ${iso("acknowledged_at")}
       from clickstream.gaps where topic = $1::text order by clickstream.gaps.id desc`,
    [topic],
  );
  return rows;
}

/** Number of records in the gaps of a topic that are not acknowledged. */
export async function openGapRecords(db: Database, topic: string): Promise<number> {
  const { rows } = await db.query<{ records: number }>(
    `select coalesce(sum(to_offset - from_offset), 0)::float8 as records
       from clickstream.gaps where topic = $1::text and acknowledged_at is null`,
    [topic],
  );
  return rows[0]!.records;
}

/** Acknowledges gaps of a topic, by id or all of them; returns how many were not acknowledged before. */
export async function acknowledgeGaps(db: Database, topic: string, ids: readonly string[] | null): Promise<number> {
  const { rowCount } = await db.query(
    `update clickstream.gaps set acknowledged_at = now()
      where topic = $1::text and acknowledged_at is null and ($2::bigint[] is null or id = any ($2::bigint[]))`,
    [topic, ids === null ? null : `{${ids.join(",")}}`],
  );
  return rowCount;
}

/** Checks that every offset up to `next_offset` is accounted for; returns a sentence for each sum that is wrong. */
export async function unaccounted(db: Database, topic: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ wrong: string }>(
    `with counted as (
       select * from clickstream.progress where topic = $1::text),
     noted as (
       select partition, sum(to_offset - from_offset) as records from clickstream.gaps
        where topic = $1::text and not former group by partition)
     select format('partition %s: %s', c.partition, v.what) as wrong
       from counted c left join noted n using (partition),
       lateral (values
         (c.next_offset - c.first_offset - c.consumed - c.skipped - c.gaps,
          format('next_offset %s - first_offset %s is not consumed %s + skipped %s + gaps %s', c.next_offset,
            c.first_offset, c.consumed, c.skipped, c.gaps)),
         (c.consumed - c.stored - c.duplicates - c.refused,
          format('consumed %s is not stored %s + duplicates %s + refused %s', c.consumed, c.stored, c.duplicates,
            c.refused)),
         (c.gaps - coalesce(n.records, 0), format('gaps is %s, but its rows in table gaps add up to %s', c.gaps,
            coalesce(n.records, 0)))) as v(difference, what)
      where v.difference <> 0 order by c.partition`,
    [topic],
  );
  return rows.map(({ wrong }) => wrong);
}
