/**
 * Tables filled anew from the log, next to those in use, which they then take the place of in one transaction.
 *
 * Rows are replaced whose window begins at a given midnight or later: what is older than the log stays as it is. The log
 * is read from where it has the first event that may be in such a row or may join a session that begins there, and before
 * that from where it must be known to tell duplicates.
 * @module
 */
import { KEPT_PIECES } from "../duplicates.ts";
import { MAX_AHEAD_MS } from "../event.ts";
import { ALLOWED_DELAY_MS, type Records, type Seek, type Source } from "../pipeline.ts";
import { tableOf } from "../translate/table.ts";
import { DAY_MS, type View } from "../view.ts";
import type { Database } from "./database.ts";
import { cutAt } from "./forgetting.ts";

/** Where the new tables are filled. */
export const STAGING = "clickstream_rebuild";

const OWNER = "set local role clickstream_owner";

/** Days ahead for which the new events have partitions, however long it takes to fill them. */
const AHEAD_DAYS = 30;

/** Where reading a partition begins: up to `from` only to remember ids, from there on to count. */
export interface Start {
  readonly partition: number;
  readonly replay: number;
  readonly from: number;
}

/** What is rebuilt. Two that are alike are one that was ended on the way. */
export interface Plan {
  readonly topic: string;
  /** Midnight from which on rows are replaced, epoch milliseconds. */
  readonly fromMs: number;
  readonly version: string;
  readonly views: readonly string[];
  readonly keepDays: number;
  readonly storeEvents: boolean;
  /** Refusals that have been sent back: their copies stand for them. */
  readonly replayed: readonly string[];
}

/** The times of the log at which reading must begin, so that rows from `fromMs` on are exact. */
export function timesToRead(
  fromMs: number,
  views: readonly View[],
): { readonly from: number; readonly replay: number } {
  // An event lies at most so far ahead of its Kafka timestamp. One that comes within a gap of a session's beginning is a
  // part of it, so that it begins earlier and is not to be replaced.
  const gapMs = Math.max(0, ...views.map(({ window }) => window.kind === "session" ? window.gapMs : 0));
  const from = fromMs - gapMs - MAX_AHEAD_MS;
  return { from, replay: from - (KEPT_PIECES + 1) * 60_000 };
}

/** The same connection, to whose statements the staging schema is the schema. */
export function staged(db: Database): Database {
  const moved = (sql: string) => sql.replaceAll(/\bclickstream\.(?!(?:forgotten|hash_key)\b)/g, `${STAGING}.`);
  return {
    query: (sql, params) => db.query(moved(sql), params),
    exec: (sql) => db.exec(moved(sql)),
    copyIn: (sql, chunks) => db.copyIn(moved(sql), chunks),
    close: () => db.close(),
    transaction: (body) => db.transaction((tx) => body(staged(tx))),
  };
}

/** A log that is read no further than to given offsets; partitions without one are not read. */
export class UpToSource implements Source {
  readonly #inner: Source;
  #limits: ReadonlyMap<number, number> = new Map();

  constructor(inner: Source) {
    this.#inner = inner;
  }

  /** Sets how far to read; takes effect with the next seek, for what lies beyond has been thrown away. */
  readTo(limits: ReadonlyMap<number, number>): void {
    this.#limits = limits;
  }

  get topic(): string {
    return this.#inner.topic;
  }

  assigned(): Promise<readonly number[]> {
    return this.#inner.assigned();
  }

  seek(offsets: Seek): void {
    this.#inner.seek(offsets);
  }

  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    return (await this.#inner.poll(maxWaitMs)).map((records) => {
      const limit = this.#limits.get(records.partition) ?? 0;
      return { ...cutAt(records, limit), end: Math.min(limit, records.end) };
    });
  }

  committed(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** The places of refusals that were sent back: `partition/offset`. */
export async function replayedPlaces(db: Database, topic: string): Promise<string[]> {
  const { rows } = await db.query<{ place: string }>(
    `select partition || '/' || "offset" as place from clickstream.refusals
      where topic = $1::text and replayed_at is not null order by id`,
    [topic],
  );
  return rows.map(({ place }) => place);
}

/** How far the tables in use have come. */
export async function positionsOf(
  db: Database,
  topic: string,
  schema = "clickstream",
): Promise<ReadonlyMap<number, { readonly next: number; readonly latestMs: number | null }>> {
  const { rows } = await db.query<{ partition: number; next: string; latest: string | null }>(
    `select partition, next_offset as next, (extract(epoch from watermark) * 1000)::bigint as latest
       from ${schema}.progress where topic = $1::text`,
    [topic],
  );
  return new Map(rows.map(({ partition, next, latest }) => [partition, {
    next: Number(next),
    latestMs: latest === null ? null : Number(latest) + ALLOWED_DELAY_MS,
  }]));
}

/** True if tables are there that the same plan has begun to fill. */
export async function isUnderWay(db: Database, plan: Plan): Promise<boolean> {
  const { rows: [found] } = await db.query<{ there: string | null }>(
    `select to_regclass('${STAGING}.plan')::text as there`,
  );
  if (found!.there === null) return false;
  const { rows } = await db.query(`select from ${STAGING}.plan where plan = $1::jsonb`, [JSON.stringify(plan)]);
  return rows.length > 0;
}

/** Makes the tables to be filled, and removes what another plan has left. */
export async function begin(db: Database, plan: Plan, starts: readonly Start[], nowMs: number): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.exec(`drop schema if exists ${STAGING} cascade`);
    await tx.exec(`create schema ${STAGING} authorization clickstream_owner; ${OWNER}`);
    const tables = ["progress", "refusals", ...plan.views];
    for (const name of tables) {
      await tx.exec(`create table ${STAGING}.${name} (like clickstream.${name} including all)`);
    }
    await tx.exec(`
      create table ${STAGING}.plan (plan jsonb not null, starts jsonb not null);
      create table ${STAGING}.events (like clickstream.events including defaults including comments)
        partition by range (event_time);
      create index on ${STAGING}.events using brin (event_time) with (pages_per_range = 32, autosummarize = on);
      create table ${STAGING}.events_default partition of ${STAGING}.events default;
      ${daysFrom(plan.fromMs, nowMs).map(partitionOf).join("\n")}
      grant usage on schema ${STAGING} to clickstream_writer;
      grant select, update, delete on all tables in schema ${STAGING} to clickstream_writer`);
    await tx.query(`insert into ${STAGING}.plan values ($1::jsonb, $2::jsonb)`, [
      JSON.stringify(plan),
      JSON.stringify(starts),
    ]);
    for (const { partition, replay, from } of starts) {
      await tx.query(
        `insert into ${STAGING}.progress (topic, partition, next_offset, replay_offset)
         values ($1::text, $2::integer, $3::bigint, $4::bigint)`,
        [plan.topic, partition, from, replay],
      );
    }
  });
}

/** Where the plan that is under way began. */
export async function startsOf(db: Database): Promise<readonly Start[]> {
  const { rows } = await db.query<{ starts: string }>(`select starts::text as starts from ${STAGING}.plan`);
  return JSON.parse(rows[0]!.starts) as Start[];
}

function daysFrom(fromMs: number, nowMs: number): string[] {
  const days = Math.floor((nowMs - fromMs) / DAY_MS) + AHEAD_DAYS;
  return Array.from({ length: Math.max(1, days) }, (_, n) => new Date(fromMs + n * DAY_MS).toISOString().slice(0, 10));
}

function partitionOf(day: string): string {
  const name = `${STAGING}.events_${day.replaceAll("-", "")}`;
  // With the check, attaching it to the table in use need not read it.
  return `create table ${name} partition of ${STAGING}.events for values from ('${day}Z') to (${dayAfter(day)});
    alter table ${name} add constraint of_day
      check (event_time is not null and event_time >= '${day}Z' and event_time < ${dayAfter(day)});
    comment on table ${name} is 'Events of ${day}, UTC.';`;
}

function dayAfter(day: string): string {
  return `'${new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10)}Z'`;
}

/**
 * Puts the new rows in the place of the old ones, in the transaction `tx`, which must hold `progress` against every
 * commit; the new tables must have come just as far as those in use.
 */
export async function swap(tx: Database, plan: Plan, views: readonly View[], starts: readonly Start[]): Promise<void> {
  await tx.exec(OWNER);
  const from = `'${new Date(plan.fromMs).toISOString()}'::timestamptz`;
  for (const view of views) await replaceRows(tx, tableOf(view).name, tableOf(view).window[0]!.name, from);
  if (plan.storeEvents) await replaceEvents(tx, from);
  for (const start of starts) await replaceRefusals(tx, plan.topic, start);
  await tx.exec(`drop schema ${STAGING} cascade`);
}

async function replaceRows(tx: Database, table: string, time: string, from: string): Promise<void> {
  const { rows } = await tx.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
      where attrelid = 'clickstream.${table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  );
  const columns = rows[0]!.columns;
  // Of a day's date, the comparison is in UTC: so it is on all our connections.
  await tx.exec(`delete from clickstream.${table} where ${time} >= ${from};
    insert into clickstream.${table} (${columns}) select ${columns} from ${STAGING}.${table} where ${time} >= ${from}`);
}

/** Whole days change places by their partitions, and no event is written twice. */
async function replaceEvents(tx: Database, from: string): Promise<void> {
  const { rows } = await tx.query<{ name: string; live: boolean }>(
    `select c.relname as name, to_regclass('clickstream.' || c.relname) is not null as live
       from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = '${STAGING}.events'::regclass and c.relname ~ '^events_[0-9]{8}$' order by 1`,
  );
  await tx.exec(`delete from clickstream.events_default where event_time >= ${from}`);
  for (const { name, live } of rows) {
    const { rows: [any] } = await tx.query(`select from ${STAGING}.${name} limit 1`);
    if (!live && any === undefined) continue;
    const day = name.replace(/^events_(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
    if (live) {
      await tx.exec(
        `alter table clickstream.events detach partition clickstream.${name}; drop table clickstream.${name}`,
      );
    }
    await tx.exec(`alter table ${STAGING}.events detach partition ${STAGING}.${name};
      alter table ${STAGING}.${name} set schema clickstream;
      revoke all on clickstream.${name} from clickstream_writer;
      alter table clickstream.events attach partition clickstream.${name}
        for values from ('${day}Z') to (${dayAfter(day)});
      alter table clickstream.${name} drop constraint of_day`);
  }
  await tx.exec(`insert into clickstream.events select * from ${STAGING}.events_default where event_time >= ${from}`);
}

/** A refusal that is one no more goes, unless it was sent back; what was erased of one stays erased. */
async function replaceRefusals(tx: Database, topic: string, { partition, from }: Start): Promise<void> {
  const here = [topic, partition, from];
  const place = `topic = $1::text and partition = $2::integer and "offset" >= $3::bigint`;
  const same = `n.topic = r.topic and n.partition = r.partition and n."offset" = r."offset"`;
  const { rows: [before] } = await tx.query<{ n: string }>(
    `select count(*) as n from clickstream.refusals where ${place}`,
    here,
  );
  await tx.query(
    `delete from clickstream.refusals r where ${place} and replayed_at is null
        and not exists (select from ${STAGING}.refusals n where ${same})`,
    here,
  );
  await tx.query(
    `update clickstream.refusals r set reason = n.reason, field = n.field, detail = n.detail
       from ${STAGING}.refusals n
      where ${same} and r.topic = $1::text and r.partition = $2::integer and r."offset" >= $3::bigint
        and r.payload is not null and r.replayed_at is null`,
    here,
  );
  await tx.query(
    `insert into clickstream.refusals (reason, field, detail, topic, partition, "offset", payload)
     select reason, field, detail, topic, partition, "offset", payload from ${STAGING}.refusals n
      where ${place} and not exists (select from clickstream.refusals r where ${same})`,
    here,
  );
  // Of the whole log all counts are new; of a part, what is refused more or less is stored less or more.
  await tx.query(
    from === 0
      ? `update clickstream.progress p set consumed = n.consumed, stored = n.stored, duplicates = n.duplicates,
                refused = n.refused
           from ${STAGING}.progress n
          where n.topic = p.topic and n.partition = p.partition and p.topic = $1::text and p.partition = $2::integer
            and $3::bigint = 0 and $4::bigint >= 0`
      : `update clickstream.progress p
            set refused = p.refused + d.n - $4::bigint, stored = p.stored - d.n + $4::bigint
           from (select count(*) as n from clickstream.refusals where ${place}) d
          where p.topic = $1::text and p.partition = $2::integer`,
    [...here, before!.n],
  );
}
