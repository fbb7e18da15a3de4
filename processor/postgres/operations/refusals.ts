/**
 * Queries for refusals, and the journal of replays, which send refusals back into the topic.
 * @module
 */
import type { Database } from "../database.ts";

/** Which refusals to select; a field that is left out selects all. */
export interface RefusalFilter {
  readonly ids?: readonly string[];
  readonly reason?: string | undefined;
  readonly field?: string | undefined;
  readonly partition?: number | undefined;
  /** Refused at or after this time, in epoch milliseconds. */
  readonly fromMs?: number | undefined;
  /** Refused before this time, in epoch milliseconds. */
  readonly toMs?: number | undefined;
  readonly replayed?: boolean;
}

/** A row of `refusals`. Integers are texts, because they may be large; times are ISO 8601. */
export interface RefusalRow {
  readonly id: string;
  readonly reason: string;
  readonly field: string | null;
  readonly detail: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Null after it was erased with its user. */
  readonly payload: Uint8Array | null;
  readonly refused_at: string;
  readonly replayed_at: string | null;
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

/** The refusals that match a filter, most recent first, with at most `payloadBytes` bytes of each payload. */
export async function refusalsIn(
  db: Database,
  filter: RefusalFilter,
  { limit, payloadBytes }: { readonly limit: number; readonly payloadBytes: number },
): Promise<readonly RefusalRow[]> {
  const { where, values } = condition(filter);
  const { rows } = await db.query<RefusalRow>(
    `select id, reason, field, detail, topic, partition, "offset", substr(payload, 1, ${payloadBytes}) as payload,
            ${iso("refused_at")}, ${iso("replayed_at")}
       from clickstream.refusals where ${where} order by id desc limit ${limit}`,
    values,
  );
  return rows;
}

/** Number of refusals that match a filter. */
export async function countRefusals(db: Database, filter: RefusalFilter): Promise<number> {
  const { where, values } = condition(filter);
  const { rows } = await db.query<{ n: string }>(
    `select count(*) as n from clickstream.refusals where ${where}`,
    values,
  );
  return Number(rows[0]!.n);
}

/** Refusals of a topic that have a complete, non-empty payload and were not sent back yet, oldest first. */
export async function replayable(
  db: Database,
  topic: string,
  filter: RefusalFilter,
  { after, until, limit }: { readonly after: string; readonly until: string; readonly limit: number },
): Promise<readonly RefusalRow[]> {
  const { where, values } = condition({ ...filter, replayed: false });
  const next = `$${values.length + 1}`;
  const { rows } = await db.query<RefusalRow>(
    `select id, reason, field, detail, topic, partition, "offset", payload, ${iso("refused_at")}, replayed_at
       from clickstream.refusals
      where ${where} and ${WHOLE} and topic = ${next}::text and id > $${values.length + 2}::bigint
        and id <= $${values.length + 3}::bigint
      order by id limit ${limit}`,
    [...values, topic, after, until],
  );
  return rows;
}

/** Reasons without a complete record: only the beginning of an oversized record is kept; a batch is not a record. */
const PARTIAL = "('too_large', 'unreadable_batch')";
const WHOLE = `payload is not null and length(payload) > 0 and reason not in ${PARTIAL}`;

/** Number of matching refusals that cannot be sent back, because their record is not complete. */
export async function countPartial(db: Database, topic: string, filter: RefusalFilter): Promise<number> {
  const { where, values } = condition({ ...filter, replayed: false });
  const { rows } = await db.query<{ n: string }>(
    `select count(*) as n from clickstream.refusals
      where ${where} and topic = $${values.length + 1}::text and reason in ${PARTIAL}`,
    [...values, topic],
  );
  return Number(rows[0]!.n);
}

/** Id of the last refusal. Later ones may be copies that the replay itself has sent. */
export async function lastRefusal(db: Database): Promise<string> {
  const { rows } = await db.query<{ id: string }>("select coalesce(max(id), 0) as id from clickstream.refusals");
  return rows[0]!.id;
}

/** Those of these refusals that can be sent back and were not yet. */
export async function stillToSend(db: Database, ids: readonly string[]): Promise<readonly RefusalRow[]> {
  return (await db.query<RefusalRow>(
    `select id, reason, field, detail, topic, partition, "offset", payload, ${iso("refused_at")}, replayed_at
       from clickstream.refusals
      where id = any ($1::bigint[]) and replayed_at is null and ${WHOLE} order by id`,
    [`{${ids.join(",")}}`],
  )).rows;
}

/** A Kafka transaction, noted before it begins. */
export interface NotedReplay {
  readonly id: string;
  readonly refusals: readonly string[];
}

/** The transaction that may or may not have been committed to Kafka; null if there is none. */
export async function unfinishedReplay(db: Database): Promise<NotedReplay | null> {
  const { rows: [row] } = await db.query<{ id: string; ids: string }>(
    "select id, array_to_string(refusals, ',') as ids from clickstream.replays where done_at is null",
  );
  return row === undefined ? null : { id: row.id, refusals: row.ids.split(",") };
}

/** Notes a Kafka transaction that is about to begin. */
export async function noteReplay(db: Database, { id, refusals }: NotedReplay): Promise<void> {
  await db.query("insert into clickstream.replays (id, refusals) values ($1::bigint, $2::bigint[])", [
    id,
    `{${refusals.join(",")}}`,
  ]);
}

/** Marks refusals as sent, and their transaction as done; returns how many refusals were marked. */
export async function markReplayed(db: Database, id: string, sent: readonly string[]): Promise<number> {
  return await db.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      "update clickstream.refusals set replayed_at = now() where id = any ($1::bigint[]) and replayed_at is null",
      [`{${sent.join(",")}}`],
    );
    await tx.query("update clickstream.replays set done_at = now() where id = $1::bigint", [id]);
    return rowCount;
  });
}

function condition(filter: RefusalFilter): { readonly where: string; readonly values: readonly unknown[] } {
  const values: unknown[] = [];
  const parts: string[] = [];
  const add = (part: string, value: unknown) => {
    if (value === undefined) return;
    values.push(value);
    parts.push(part.replace("?", `$${values.length}`));
  };
  add("id = any (?::bigint[])", filter.ids === undefined ? undefined : `{${filter.ids.join(",")}}`);
  add("reason = ?::text", filter.reason);
  add("field = ?::text", filter.field);
  add("partition = ?::integer", filter.partition);
  add("refused_at >= to_timestamp(?::double precision / 1000)", filter.fromMs);
  add("refused_at < to_timestamp(?::double precision / 1000)", filter.toMs);
  add("(replayed_at is not null) = ?::boolean", filter.replayed);
  return { where: parts.join(" and ") || "true", values };
}

/** Positions of refusals that were sent back, as `partition/offset`. */
export async function replayedPlaces(db: Database, topic: string): Promise<string[]> {
  const { rows } = await db.query<{ place: string }>(
    `select partition || '/' || "offset" as place from clickstream.refusals
      where topic = $1::text and replayed_at is not null and not former order by id`,
    [topic],
  );
  return rows.map(({ place }) => place);
}
