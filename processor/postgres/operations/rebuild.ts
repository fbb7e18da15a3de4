/**
 * Tables filled anew from the log, next to those in use, which they then take the place of in one transaction.
 *
 * Rows are replaced whose window begins at a given midnight or later: what is older than the log stays as it is. The log
 * is read from where it has the first event that may be in such a row or may join a session that begins there, and before
 * that from where it must be known to tell duplicates.
 * @module
 */
import { KEPT_PIECES } from "../../pipeline/duplicates.ts";
import { MAX_AHEAD_MS } from "../../event.ts";
import { ALLOWED_DELAY_MS } from "../../pipeline/reading.ts";
import type { Commit } from "../../pipeline/commit.ts";
import { cutAt, type Records, type Seek } from "../../records.ts";
import type { Source } from "../../pipeline/source.ts";
import { tableOf } from "../../translate/table.ts";
import { DAY_MS, type View } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { PORTION } from "./migrations.ts";

/** Where the new tables are filled. */
export const STAGING = "clickstream_rebuild";

const OWNER = "set local role clickstream_owner";

/** Where reading a partition begins: up to `from` only to remember ids, from there on to count. */
export interface Start {
  readonly partition: number;
  readonly replay: number;
  readonly from: number;
}

/** How far back the log reaches. */
export interface Reach {
  readonly starts: readonly Start[];
  /** Kafka timestamp of the log's first record where it is later than the midnight asked for, else null. */
  readonly logBeginsMs: number | null;
}

/** What is rebuilt. Two that are alike are one that was ended on the way. */
export interface Plan {
  readonly topic: string;
  /** Kafka's id of the topic that the tables follow; null where it is not known. */
  readonly topicId: string | null;
  /** Midnight from which on rows are replaced, epoch milliseconds. */
  readonly fromMs: number;
  readonly version: string;
  readonly views: readonly string[];
  readonly keepDays: number;
  readonly storeEvents: boolean;
  readonly hashRoutes: boolean;
  /** Which tables are filled, and how: what an older program has begun is begun anew. */
  readonly layout: 2;
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
    pooled: db.pooled,
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

  topicId(): string | null {
    return this.#inner.topicId();
  }

  seek(offsets: Seek, committed?: ReadonlyMap<number, number>): void {
    this.#inner.seek(offsets, committed);
  }

  /** @throws {Error} if the log no longer has all that is to be read */
  async poll(maxWaitMs: number): Promise<readonly Records[]> {
    return (await this.#inner.poll(maxWaitMs)).flatMap((records) => {
      const limit = this.#limits.get(records.partition) ?? 0;
      return cutAt(records, limit).map((part) => {
        if (part.gap === null) return { ...part, end: Math.min(limit, part.end), stable: Math.min(limit, part.stable) };
        throw new Error(
          `could not read offsets ${part.gap.from} to ${part.gap.to - 1} of partition ${part.partition} of ` +
            `${this.topic}: Kafka has deleted them. Run it again with a later --from`,
        );
      });
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
      where topic = $1::text and replayed_at is not null and not former order by id`,
    [topic],
  );
  return rows.map(({ place }) => place);
}

/** Kafka's id of the topic that the tables follow; null where it is not known. */
export async function topicIdOf(db: Database, topic: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string | null }>(
    "select max(topic_id) as id from clickstream.progress where topic = $1::text",
    [topic],
  );
  return rows[0]!.id;
}

/**
 * The latest time of an event in the tables that is of a log that adopt-topic has replaced, epoch milliseconds; null if
 * there is none.
 */
export async function latestFormer(db: Database, topic: string): Promise<number | null> {
  const { rows } = await db.query<{ latest: string | null }>(
    `select (extract(epoch from max(watermark)) * 1000)::bigint as latest
       from clickstream.former_progress where topic = $1::text`,
    [topic],
  );
  return rows[0]!.latest === null ? null : Number(rows[0]!.latest) + ALLOWED_DELAY_MS;
}

/** How far the tables in use have come. */
export async function positionsOf(
  db: Database,
  topic: string,
  schema = "clickstream",
): Promise<ReadonlyMap<number, { readonly next: number; readonly replay: number; readonly latestMs: number | null }>> {
  const { rows } = await db.query<{ partition: number; next: string; replay: string; latest: string | null }>(
    `select partition, next_offset as next, replay_offset as replay, (extract(epoch from watermark) * 1000)::bigint as latest
       from ${schema}.progress where topic = $1::text`,
    [topic],
  );
  return new Map(rows.map(({ partition, next, replay, latest }) => [partition, {
    next: Number(next),
    replay: Number(replay),
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
export async function begin(db: Database, plan: Plan, reach: Reach): Promise<void> {
  await dropStaging(db);
  await db.transaction(async (tx) => {
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
      grant usage on schema ${STAGING} to clickstream_writer;
      grant select, update, delete on all tables in schema ${STAGING} to clickstream_writer`);
    await tx.query(`insert into ${STAGING}.plan values ($1::jsonb, $2::jsonb)`, [
      JSON.stringify(plan),
      JSON.stringify(reach),
    ]);
    for (const { partition, replay, from } of reach.starts) {
      await tx.query(
        `insert into ${STAGING}.progress (topic, partition, first_offset, next_offset, replay_offset, topic_id)
         values ($1::text, $2::integer, $3::bigint, $3::bigint, $4::bigint, $5::text)`,
        [plan.topic, partition, from, replay, plan.topicId],
      );
    }
  });
}

/** Removes what a rebuild has left: partitions in portions, so that the locks of one transaction are few. */
export async function dropStaging(db: Database): Promise<void> {
  for (;;) {
    const dropped = await db.transaction(async (tx) => {
      const { rows } = await tx.query<{ name: string }>(
        `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = '${STAGING}' and c.relkind = 'r' and c.relispartition limit ${PORTION}`,
      );
      if (rows.length === 0) return 0;
      await tx.exec(`${OWNER}; drop table ${rows.map(({ name }) => `${STAGING}."${name}"`).join(", ")}`);
      return rows.length;
    });
    if (dropped === 0) break;
  }
  await db.transaction((tx) => tx.exec(`${OWNER}; drop schema if exists ${STAGING} cascade`));
}

/** How far back the log of the plan that is under way reached. */
export async function reachOf(db: Database): Promise<Reach> {
  const { rows } = await db.query<{ reach: string }>(`select starts::text as reach from ${STAGING}.plan`);
  return JSON.parse(rows[0]!.reach) as Reach;
}

/** Makes the partitions of the days of events that are about to be stored, where there are none yet. */
export class StagedDays {
  readonly #db: Database;
  readonly #fromMs: number;
  readonly #made = new Set<number>();

  constructor(db: Database, plan: Plan) {
    this.#db = db;
    this.#fromMs = plan.fromMs;
  }

  /** Makes the partitions that a commit needs; older events than those to be replaced need none. */
  async makeFor({ events }: Commit): Promise<void> {
    const days = new Set<number>();
    for (const { time, count } of events ?? []) {
      for (let i = 0; i < count; i++) {
        const day = Math.floor(time[i]! / DAY_MS);
        if (day * DAY_MS >= this.#fromMs && !this.#made.has(day)) days.add(day);
      }
    }
    const wanted = [...days];
    while (wanted.length > 0) {
      const portion = wanted.splice(0, PORTION);
      await this.#db.transaction(async (tx) => {
        await tx.exec(OWNER);
        for (const day of portion) await makeDay(tx, new Date(day * DAY_MS).toISOString().slice(0, 10));
      });
      for (const day of portion) this.#made.add(day);
    }
  }
}

async function makeDay(tx: Database, day: string): Promise<void> {
  const name = `${STAGING}.events_${day.replaceAll("-", "")}`;
  const { rows: [found] } = await tx.query<{ there: boolean }>("select to_regclass($1::text) is not null as there", [
    name,
  ]);
  if (found!.there) return;
  // With the check, attaching it to the table in use need not read it.
  await tx.exec(`create table ${name} partition of ${STAGING}.events for values from ('${day}Z') to (${dayAfter(day)});
    alter table ${name} add constraint of_day
      check (event_time is not null and event_time >= '${day}Z' and event_time < ${dayAfter(day)});
    comment on table ${name} is 'Events of ${day}, UTC.';
    grant select, update, delete on ${name} to clickstream_writer`);
}

function dayAfter(day: string): string {
  return `'${new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10)}Z'`;
}

/** Locks that exchanging a day of events takes: tables, their indexes and what lies beneath them, old and new. */
const LOCKS_A_DAY = 12;

/**
 * Throws if the server's table of locks, which all its databases share, has too little room to exchange all days at once.
 *
 * @throws {Error} that says what to do
 */
export async function verifyRoomForSwap(db: Database): Promise<void> {
  const { rows: [row] } = await db.query<{ days: string; room: string; each: string }>(
    `select current_setting('max_locks_per_transaction') as each,
       current_setting('max_locks_per_transaction')::bigint
         * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) as room,
       (select count(*) from pg_inherits where inhparent = '${STAGING}.events'::regclass) as days`,
  );
  const { days, room, each } = row!;
  if (Number(days) * LOCKS_A_DAY <= Number(room) / 2) return;
  throw new Error(
    `could not exchange ${days} days of events at once: that takes ${
      Number(days) * LOCKS_A_DAY
    } locks, and the server ` +
      `has room for ${room}, which all its databases share. Raise max_locks_per_transaction (${each}) and run it again, ` +
      `which goes on here; or choose a later --from`,
  );
}

/**
 * Puts the new rows in the place of the old ones, in the transaction `tx`, which must hold `progress` against every
 * commit; the new tables must have come just as far as those in use.
 */
export async function swap(tx: Database, plan: Plan, views: readonly View[], reach: Reach): Promise<void> {
  await tx.exec(OWNER);
  const fromMs = await replacedFrom(tx, plan, views, reach);
  const from = `'${new Date(fromMs).toISOString()}'::timestamptz`;
  for (const view of views) await replaceRows(tx, tableOf(view).name, tableOf(view).window[0]!.name, from);
  if (plan.storeEvents) await replaceEvents(tx, from);
  for (const start of reach.starts) await replaceRefusals(tx, plan.topic, start);
  await tx.exec(`drop schema ${STAGING} cascade`);
}

/**
 * Midnight from which on rows are replaced, in epoch milliseconds: as asked for, or where the log begins later, that of
 * its first day. What is older is of another log, and this one can't make it again.
 */
async function replacedFrom(tx: Database, plan: Plan, views: readonly View[], reach: Reach): Promise<number> {
  if (reach.logBeginsMs === null) return plan.fromMs;
  const times = [
    ...views.map((view) =>
      `(select min(${tableOf(view).window[0]!.name})::timestamptz from ${STAGING}.${tableOf(view).name})`
    ),
    ...(plan.storeEvents ? [`(select min(event_time) from ${STAGING}.events)`] : []),
  ];
  const { rows: [row] } = await tx.query<{ first: string | null }>(
    `select (extract(epoch from least(${times.join(", ")})) * 1000)::bigint::text as first`,
  );
  // An event may have come late, and lie before the record that is the log's first.
  const firstMs = Math.min(reach.logBeginsMs, row!.first === null ? Infinity : Number(row!.first));
  return Math.max(plan.fromMs, Math.floor(firstMs / DAY_MS) * DAY_MS);
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
  const { rows } = await tx.query<{ name: string; live: boolean; staged: boolean }>(
    `select v.name, bool_or(v.schema = 'clickstream') as live, bool_or(v.schema <> 'clickstream') as staged
       from (select c.relname as name, n.nspname as schema, pg_relation_size(c.oid) as size
               from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
              where i.inhparent in ('${STAGING}.events'::regclass, 'clickstream.events'::regclass)
                and c.relname ~ '^events_[0-9]{8}$'
                and c.relname >= 'events_' || to_char(${from} at time zone 'UTC', 'YYYYMMDD')) v
      group by 1 having bool_or(v.size > 0 or v.schema <> 'clickstream') order by 1`,
  );
  await tx.exec(`delete from clickstream.events_default where event_time >= ${from}`);
  for (const { name, live, staged } of rows) {
    if (!staged) {
      await tx.exec(`delete from clickstream.${name}`);
      continue;
    }
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
  const place = `topic = $1::text and partition = $2::integer and "offset" >= $3::bigint and not former`;
  const same = `n.topic = r.topic and n.partition = r.partition and n."offset" = r."offset" and not r.former`;
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
                refused = n.refused, skipped = n.skipped, gaps = n.gaps, first_offset = n.first_offset
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
