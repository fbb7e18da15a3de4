/**
 * Reports for tests: stores events through a pipeline, and reads what the report functions return.
 * @module
 */
import { Pipeline } from "../../pipeline/pipeline.ts";
import type { Database } from "../../postgres/database.ts";
import { SqlSink } from "../../postgres/sink/sql_sink.ts";
import { VIEWS } from "../../views/mod.ts";
import { MemorySource } from "../fakes/memory.ts";
import { decoder, type Message, record } from "../scenario.ts";

/** Stores events in one commit, as a topic of one partition that is read for the first time. */
export async function storeEvents(
  db: Database,
  events: readonly Message[],
  kafkaTime: number,
  topic?: string,
): Promise<void> {
  const pipeline = new Pipeline({
    source: new MemorySource([events.map((event) => record(event, kafkaTime))], events.length, topic),
    sink: new SqlSink(db, "test"),
    views: VIEWS,
    decoder: decoder(),
    storeEvents: true,
    now: () => 0,
    commitEveryMs: 1000,
    commitRecords: events.length,
  });
  await pipeline.step();
  await pipeline.flush();
}

/**
 * The rows of a report in order, each as the values of its columns in order.
 *
 * @param name the function, or a call of it in which the range is `$1` and `$2`
 */
export async function report(
  db: Database,
  name: string,
  range: readonly [from: string, to: string],
): Promise<unknown[][]> {
  const call = name.includes("(") ? name : `${name}($1, $2)`;
  const { rows } = await db.query<{ row: string }>(`select to_json(r)::text as row from clickstream.${call} r`, [
    ...range,
  ]);
  return rows.map(({ row }) => Object.values(JSON.parse(row) as Record<string, unknown>));
}
