/**
 * The tables that a rebuild fills next to those in use, and the plan that it stores in case it is killed.
 * @module
 */
import type { Commit } from "../../pipeline/commit.ts";
import { DAY_MS } from "../../views/view.ts";
import type { Database } from "../database.ts";
import { SCHEMA, STAGING } from "../schema.ts";
import { PORTION } from "./migrations.ts";
import type { Plan, Reach } from "./rebuild_plan.ts";

const OWNER = "set local role clickstream_owner";

/** True if there are tables that the same plan has begun to fill. */
export async function isUnderWay(db: Database, plan: Plan): Promise<boolean> {
  const { rows: [found] } = await db.query<{ there: string | null }>(
    `select to_regclass('${STAGING}.plan')::text as there`,
  );
  if (found!.there === null) return false;
  const { rows } = await db.query(`select from ${STAGING}.plan where plan = $1::jsonb`, [JSON.stringify(plan)]);
  return rows.length > 0;
}

/** Creates the tables to fill, after dropping those of another plan. */
export async function begin(db: Database, plan: Plan, reach: Reach): Promise<void> {
  await dropStaging(db);
  await db.transaction(async (tx) => {
    await tx.exec(`create schema ${STAGING} authorization clickstream_owner; ${OWNER}`);
    const tables = ["progress", "refusals", "settings", ...plan.views];
    for (const name of tables) {
      await tx.exec(`create table ${STAGING}.${name} (like ${SCHEMA}.${name} including all)`);
    }
    await tx.exec(`
      create table ${STAGING}.plan (plan jsonb not null, starts jsonb not null);
      create table ${STAGING}.events (like ${SCHEMA}.events including defaults including comments)
        partition by range (event_time);
      create index on ${STAGING}.events using brin (event_time) with (pages_per_range = 32, autosummarize = on);
      create table ${STAGING}.events_default partition of ${STAGING}.events default;
      grant usage on schema ${STAGING} to clickstream_writer;
      grant select, update, delete on all tables in schema ${STAGING} to clickstream_writer`);
    await tx.query(`insert into ${STAGING}.settings (name, value) values ('TIME_ZONE', $1::text)`, [plan.days.zone]);
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

/** Drops the tables of a rebuild; partitions in portions, so that one transaction takes few locks. */
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

/** How far back the log reached when the current plan began. */
export async function reachOf(db: Database): Promise<Reach> {
  const { rows } = await db.query<{ reach: string }>(`select starts::text as reach from ${STAGING}.plan`);
  return JSON.parse(rows[0]!.reach) as Reach;
}

/** Creates missing daily partitions for events that are about to be stored. */
export class StagedDays {
  readonly #db: Database;
  readonly #fromMs: number;
  readonly #made = new Set<number>();

  constructor(db: Database, plan: Plan) {
    this.#db = db;
    this.#fromMs = plan.fromMs;
  }

  /** Creates the partitions that a commit needs; events before the replaced days need none. */
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
  // With this check, PostgreSQL does not read the partition when it is attached to the table in use.
  await tx.exec(`create table ${name} partition of ${STAGING}.events for values from ('${day}Z') to (${dayAfter(day)});
    alter table ${name} add constraint of_day
      check (event_time is not null and event_time >= '${day}Z' and event_time < ${dayAfter(day)});
    comment on table ${name} is 'Events of ${day}, UTC.';
    grant select, update, delete on ${name} to clickstream_writer`);
}

/** SQL for midnight at the end of a UTC day. */
export function dayAfter(day: string): string {
  return `'${new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10)}Z'`;
}
