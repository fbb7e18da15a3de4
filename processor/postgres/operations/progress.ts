/**
 * Positions of the tables, and the log that they follow.
 * @module
 */
import { ALLOWED_DELAY_MS } from "../../pipeline/reading.ts";
import type { Committed } from "../../pipeline/commit.ts";
import type { Database } from "../database.ts";
import { SCHEMA } from "../schema.ts";

/** Kafka's id of the topic that the tables follow; null if it is not known. */
export async function topicIdOf(db: Database, topic: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string | null }>(
    "select max(topic_id) as id from clickstream.progress where topic = $1::text",
    [topic],
  );
  return rows[0]!.id;
}

/** How many positions of the topic `adopt-topic` has replaced. */
export async function adoptionsSoFar(db: Database, topic: string): Promise<number> {
  const { rows } = await db.query<{ n: string }>(
    "select count(*) as n from clickstream.former_progress where topic = $1::text",
    [topic],
  );
  return Number(rows[0]!.n);
}

/**
 * The latest event time from a log that adopt-topic has replaced, epoch milliseconds; null if there is none.
 */
export async function latestFormer(db: Database, topic: string): Promise<number | null> {
  const { rows } = await db.query<{ latest: string | null }>(
    `select (extract(epoch from max(watermark)) * 1000)::bigint as latest
       from clickstream.former_progress where topic = $1::text`,
    [topic],
  );
  return rows[0]!.latest === null ? null : Number(rows[0]!.latest) + ALLOWED_DELAY_MS;
}

/** Where the tables stand in a partition. */
export interface Standing extends Committed {
  /** Offset to read from after a restart. */
  readonly replay: number;
  /** Largest event time, epoch milliseconds; null before the first event. */
  readonly latestMs: number | null;
}

/** Positions of the tables of a schema (default: those in use), by partition. */
export async function positionsOf(
  db: Database,
  topic: string,
  schema: string = SCHEMA,
): Promise<ReadonlyMap<number, Standing>> {
  const { rows } = await db.query<
    { partition: number; next: string; epoch: number | null; replay: string; latest: string | null }
  >(
    `select partition, next_offset as next, leader_epoch as epoch, replay_offset as replay,
            (extract(epoch from watermark) * 1000)::bigint as latest
       from ${schema}.progress where topic = $1::text`,
    [topic],
  );
  return new Map(rows.map(({ partition, next, epoch, replay, latest }) => [partition, {
    next: Number(next),
    leaderEpoch: epoch,
    replay: Number(replay),
    latestMs: latest === null ? null : Number(latest) + ALLOWED_DELAY_MS,
  }]));
}
