/**
 * Refusals as the operator sees them, and the journal of those that are sent back into the topic.
 * @module
 */
import type { Database } from "../database.ts";

/** Which refusals are meant; what is left out doesn't matter. */
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

/** A row of `refusals`. Whole numbers are texts, for they may be large; times are ISO 8601. */
export interface RefusalRow {
  readonly id: string;
  readonly reason: string;
  readonly field: string | null;
  readonly detail: string | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Null once it has been erased with its user. */
  readonly payload: Uint8Array | null;
  readonly refused_at: string;
  readonly replayed_at: string | null;
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

/** The refusals that a filter means, the most recent first; `payloadBytes` of each payload at most. */
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

/** How many refusals a filter means. */
export async function countRefusals(db: Database, filter: RefusalFilter): Promise<number> {
  const { where, values } = condition(filter);
  const { rows } = await db.query<{ n: string }>(
    `select count(*) as n from clickstream.refusals where ${where}`,
    values,
  );
  return Number(rows[0]!.n);
}

/** Refusals of a topic that are whole, have something to send, and have not been sent yet; the oldest first. */
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

/** Of a message that was too large only the beginning is there, and a batch that can't be read is no message. */
const PARTIAL = "('too_large', 'unreadable_batch')";
const WHOLE = `payload is not null and length(payload) > 0 and reason not in ${PARTIAL}`;

/** How many refusals a filter means that can't be sent, as not all of what was refused is there. */
export async function countPartial(db: Database, topic: string, filter: RefusalFilter): Promise<number> {
  const { where, values } = condition({ ...filter, replayed: false });
  const { rows } = await db.query<{ n: string }>(
    `select count(*) as n from clickstream.refusals
      where ${where} and topic = $${values.length + 1}::text and reason in ${PARTIAL}`,
    [...values, topic],
  );
  return Number(rows[0]!.n);
}

/** Number of the last refusal; what is refused later may be what is being sent. */
export async function lastRefusal(db: Database): Promise<string> {
  const { rows } = await db.query<{ id: string }>("select coalesce(max(id), 0) as id from clickstream.refusals");
  return rows[0]!.id;
}

/** Messages that are to be sent, and have not been yet. */
export async function stillToSend(db: Database, ids: readonly string[]): Promise<readonly RefusalRow[]> {
  return (await db.query<RefusalRow>(
    `select id, reason, field, detail, topic, partition, "offset", payload, ${iso("refused_at")}, replayed_at
       from clickstream.refusals
      where id = any ($1::bigint[]) and replayed_at is null and ${WHOLE} order by id`,
    [`{${ids.join(",")}}`],
  )).rows;
}

/** A transaction of Kafka that was noted before it began. */
export interface NotedReplay {
  readonly id: string;
  readonly refusals: readonly string[];
}

/** The transaction of which nobody knows yet whether Kafka has it. */
export async function unfinishedReplay(db: Database): Promise<NotedReplay | null> {
  const { rows: [row] } = await db.query<{ id: string; ids: string }>(
    "select id, array_to_string(refusals, ',') as ids from clickstream.replays where done_at is null",
  );
  return row === undefined ? null : { id: row.id, refusals: row.ids.split(",") };
}

/** Notes a transaction that is about to begin. */
export async function noteReplay(db: Database, { id, refusals }: NotedReplay): Promise<void> {
  await db.query("insert into clickstream.replays (id, refusals) values ($1::bigint, $2::bigint[])", [
    id,
    `{${refusals.join(",")}}`,
  ]);
}

/** Marks the refusals that Kafka has, and the transaction as done; returns how many were marked. */
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

/** The places of refusals that were sent back: `partition/offset`. */
export async function replayedPlaces(db: Database, topic: string): Promise<string[]> {
  const { rows } = await db.query<{ place: string }>(
    `select partition || '/' || "offset" as place from clickstream.refusals
      where topic = $1::text and replayed_at is not null and not former order by id`,
    [topic],
  );
  return rows.map(({ place }) => place);
}
