/**
 * Replaces the tables in use with the new ones, in one transaction.
 * @module
 */
import { tableOf } from "../../translate/table.ts";
import { VIEWS } from "../../views/mod.ts";
import { DAY_MS, markOf, type View } from "../../views/view.ts";
import { lockToTheEnd } from "../advisory_locks.ts";
import { currencyInWords, currencyUsed, hasRevenueBefore, useCurrency } from "../currency.ts";
import type { Database } from "../database.ts";
import { identityOf, mergedBy } from "../dialect.ts";
import { SCHEMA, STAGING } from "../schema.ts";
import { changeTimeZone } from "../time_zone.ts";
import type { Plan, Reach, Start } from "./rebuild_plan.ts";
import { dayAfter } from "./rebuild_tables.ts";

const OWNER = "set local role clickstream_owner";

/** Locks that exchanging a day of events takes: old and new tables, their indexes and TOAST tables. */
const LOCKS_A_DAY = 12;

/**
 * Verifies that the server's lock table, which all its databases share, has room to exchange all days at once.
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
    `could not exchange ${days} days of events in one transaction: that takes ${
      Number(days) * LOCKS_A_DAY
    } locks, and the server ` +
      `has room for ${room}, which all its databases share. Raise max_locks_per_transaction (${each}) and run it ` +
      `again: it continues here. Or choose a later --from`,
  );
}

/**
 * Replaces old rows with new ones, in the transaction `tx`. It must hold a lock on `progress` that blocks every commit,
 * and the new tables must have the same positions as those in use.
 */
export async function swap(tx: Database, plan: Plan, views: readonly View[], reach: Reach): Promise<void> {
  // The new tables have the columns of these declarations.
  await tx.exec(`${OWNER}; select ${SCHEMA}.verify_declarations('${plan.declared}')`);
  // Campaigns are counted anew afterwards. With the lock, no day is added to these meanwhile.
  await lockToTheEnd(tx, "sharedRows");
  await tx.exec(`delete from ${SCHEMA}.campaign_days`);
  const firstMs = await firstReplaced(tx, plan, views, reach);
  const fromMs = Math.floor(firstMs / DAY_MS) * DAY_MS;
  const from = literal(fromMs);
  for (const view of views) {
    if (view.window.kind === "day") await replaceDays(tx, view, plan, firstMs);
    else await replaceRows(tx, view, from);
  }
  await markDays(tx, plan, views, fromMs);
  const { zone, former, sinceMs, areAll } = plan.days;
  if (areAll) await changeTimeZone(tx, zone, null);
  else if (zone !== former) await changeTimeZone(tx, zone, sinceMs);
  if (zone !== former) {
    // Days that were noted for an interrupted forgetting are of the former zone: it searches all.
    await tx.exec(`update ${SCHEMA}.forgotten set days = null where done_at is null;
      select ${SCHEMA}.recount_page_days()`);
  }
  if (plan.storeEvents) await replaceEvents(tx, from);
  if (plan.isWhole) {
    for (const start of reach.starts) await replaceRefusals(tx, plan.topic, start);
    await changeCurrency(tx, plan.money?.currency ?? null, new Date(firstMs).toISOString().slice(0, 10));
  }
  await tx.exec(`drop schema ${STAGING} cascade`);
}

/**
 * Records the currency of the new rows, if it is another.
 *
 * @throws {Error} if revenue before that day would stay in the other currency
 */
async function changeCurrency(tx: Database, currency: string | null, day: string): Promise<void> {
  const used = await currencyUsed(tx);
  if (used === currency) return;
  if (used !== null && await hasRevenueBefore(tx, day)) {
    throw new Error(
      `CURRENCY is ${
        currencyInWords(currency)
      }, and revenue before ${day} would stay in ${used}, because the log does not ` +
        "reach back so far. Nothing was changed",
    );
  }
  await useCurrency(tx, currency);
}

/**
 * The time on whose day the first rows are replaced, epoch milliseconds: the requested midnight, or where the log begins
 * if that is later. Older rows come from another log, so this log cannot rebuild them.
 */
async function firstReplaced(tx: Database, plan: Plan, views: readonly View[], reach: Reach): Promise<number> {
  if (reach.logBeginsMs === null) return plan.fromMs;
  const times = [
    "null::timestamptz",
    ...views.filter(({ window }) => window.kind !== "day").map((view) =>
      `(select min(${tableOf(view).window[0]!.name}) from ${STAGING}.${tableOf(view).name})`
    ),
    ...(plan.storeEvents ? [`(select min(event_time) from ${STAGING}.events)`] : []),
  ];
  // Days look for late events themselves.
  if (times.length === 0) return Math.max(plan.fromMs, reach.logBeginsMs);
  const { rows: [row] } = await tx.query<{ first: string | null }>(
    `select (extract(epoch from least(${times.join(", ")})) * 1000)::bigint::text as first`,
  );
  // A late event may have an event time before the log's first record.
  const firstMs = Math.min(reach.logBeginsMs, row!.first === null ? Infinity : Number(row!.first));
  return Math.max(plan.fromMs, firstMs);
}

function literal(ms: number): string {
  return `'${new Date(ms).toISOString()}'::timestamptz`;
}

async function columnsOf(tx: Database, table: string): Promise<string> {
  const { rows } = await tx.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
      where attrelid = '${SCHEMA}.${table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  );
  return rows[0]!.columns;
}

async function replaceRows(tx: Database, view: View, from: string): Promise<void> {
  const { name, window: [time] } = tableOf(view);
  const columns = await columnsOf(tx, name);
  await tx.exec(`delete from ${SCHEMA}.${name} where ${time!.name} >= ${from};
    insert into ${SCHEMA}.${name} (${columns}) select ${columns} from ${STAGING}.${name} where ${
    time!.name
  } >= ${from}`);
}

/**
 * Replaces the days that begin where new days are counted, or later. In a zone that is behind the former one, the first
 * new day began before that: what was counted on it since is added to the former day of its date.
 */
async function replaceDays(tx: Database, view: View, { days }: Plan, firstMs: number): Promise<void> {
  const { name, measured } = tableOf(view);
  const columns = await columnsOf(tx, name);
  const merged = mergedBy(view, "t", "excluded");
  const dateIn = (ms: number, zone: string) => `(${literal(ms)} at time zone '${zone}')::date`;
  const added = `from ${STAGING}.${name} where day >= ${dateIn(days.sinceMs, days.zone)}`;
  // A late event may be of a day before the log's first record.
  const earliest = days.zone === days.former ? `, (select min(day) ${added})` : "";
  const from = `least(${dateIn(Math.max(days.sinceMs, firstMs), days.former)}${earliest})`;
  await tx.exec(`delete from ${SCHEMA}.${name} where ${days.areAll} or day >= ${from};
    insert into ${SCHEMA}.${name} as t (${columns}) select ${columns} ${added}
        on conflict (${identityOf(view).join(", ")})
        do update set ${
    measured.map((column) => `${column.name} = ${merged.get(column.name) ?? `excluded.${column.name}`}`).join(", ")
  }`);
}

/**
 * Marks the days of bots from the sessions that are there now, if days or sessions were replaced: the new days have no
 * marks, and a session that began before them was not replaced.
 */
async function markDays(tx: Database, { days }: Plan, views: readonly View[], fromMs: number): Promise<void> {
  if (!views.some((view) => view.ofBots !== undefined || markOf(view) !== null)) return;
  const sessions = VIEWS.find((view) => markOf(view) !== null)!;
  const { name, ofBots } = VIEWS.find((view) => view.ofBots !== undefined)!;
  const { mark, sessions: count } = ofBots!;
  const former = days.areAll ? days.zone : days.former;
  const since = literal(Math.max(days.sinceMs, fromMs));
  const day = (time: string, zone: string) => `(${time} at time zone '${zone}')::date`;
  const between = (first: string, last: string, zone: string) =>
    `select ${day(first, zone)} + n as day from generate_series(0, ${day(last, zone)} - ${day(first, zone)}) as g(n)`;
  // Late events may be of days before.
  const replaced = !views.some((view) => view.ofBots !== undefined)
    ? []
    : [`(select min(n.day) from ${STAGING}.${name} n where n.day >= ${day(literal(days.sinceMs), days.zone)})`];
  const from = literal(fromMs);
  const first = `least(${[day(from, former), day(from, days.zone), ...replaced].join(", ")})`;
  await tx.exec(
    `update ${SCHEMA}.${name} t set ${count} = v.n, ${mark} = v.n > 0
       from (
         select d.user_id, d.day, coalesce(c.n, 0) as n
           from ${SCHEMA}.${name} d
           left join (
             select s.user_id, g.day, count(*)::integer as n
               from ${SCHEMA}.${sessions.name} s
              cross join lateral (
                ${between("s.started_at", `least(s.ended_at, ${since} - interval '1 millisecond')`, former)}
                 where s.started_at < ${since}
                 union
                ${between(`greatest(s.started_at, ${since})`, "s.ended_at", days.zone)}
                 where s.ended_at >= ${since}
              ) g
              where s.${markOf(sessions)} and s.ended_at >= (${first} - 1)::timestamp at time zone 'UTC'
              group by 1, 2
           ) c on c.user_id = d.user_id and c.day = d.day
          where d.day >= ${first} and d.${count} <> coalesce(c.n, 0)
       ) v
      where t.user_id = v.user_id and t.day = v.day`,
  );
}

/** Exchanges whole days of events as partitions, so that no event is copied. */
async function replaceEvents(tx: Database, from: string): Promise<void> {
  const { rows } = await tx.query<{ name: string; live: boolean; staged: boolean }>(
    `select v.name, bool_or(v.schema = '${SCHEMA}') as live, bool_or(v.schema <> '${SCHEMA}') as staged
       from (select c.relname as name, n.nspname as schema, pg_relation_size(c.oid) as size
               from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
              where i.inhparent in ('${STAGING}.events'::regclass, '${SCHEMA}.events'::regclass)
                and c.relname ~ '^events_[0-9]{8}$'
                and c.relname >= 'events_' || to_char(${from} at time zone 'UTC', 'YYYYMMDD')) v
      group by 1 having bool_or(v.size > 0 or v.schema <> '${SCHEMA}') order by 1`,
  );
  await tx.exec(`delete from ${SCHEMA}.events_default where event_time >= ${from}`);
  for (const { name, live, staged } of rows) {
    if (!staged) {
      await tx.exec(`delete from ${SCHEMA}.${name}`);
      continue;
    }
    const day = name.replace(/^events_(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
    if (live) {
      await tx.exec(
        `alter table ${SCHEMA}.events detach partition ${SCHEMA}.${name}; drop table ${SCHEMA}.${name}`,
      );
    }
    await tx.exec(`alter table ${STAGING}.events detach partition ${STAGING}.${name};
      alter table ${STAGING}.${name} set schema ${SCHEMA};
      revoke all on ${SCHEMA}.${name} from clickstream_writer;
      alter table ${SCHEMA}.events attach partition ${SCHEMA}.${name}
        for values from ('${day}Z') to (${dayAfter(day)});
      alter table ${SCHEMA}.${name} drop constraint of_day`);
  }
  await tx.exec(`insert into ${SCHEMA}.events select * from ${STAGING}.events_default where event_time >= ${from}`);
}

/** Replaces refusals. Deletes those that are events now, unless they were sent back; erased payloads stay erased. */
async function replaceRefusals(tx: Database, topic: string, { partition, from }: Start): Promise<void> {
  const here = [topic, partition, from];
  const place = `topic = $1::text and partition = $2::integer and "offset" >= $3::bigint and not former`;
  const same = `n.topic = r.topic and n.partition = r.partition and n."offset" = r."offset" and not r.former`;
  const { rows: [before] } = await tx.query<{ n: string }>(
    `select count(*) as n from ${SCHEMA}.refusals where ${place}`,
    here,
  );
  await tx.query(
    `delete from ${SCHEMA}.refusals r where ${place} and replayed_at is null
        and not exists (select from ${STAGING}.refusals n where ${same})`,
    here,
  );
  await tx.query(
    `update ${SCHEMA}.refusals r set reason = n.reason, field = n.field, detail = n.detail
       from ${STAGING}.refusals n
      where ${same} and r.topic = $1::text and r.partition = $2::integer and r."offset" >= $3::bigint
        and r.payload is not null and r.replayed_at is null`,
    here,
  );
  await tx.query(
    `insert into ${SCHEMA}.refusals (reason, field, detail, topic, partition, "offset", payload)
     select reason, field, detail, topic, partition, "offset", payload from ${STAGING}.refusals n
      where ${place} and not exists (select from ${SCHEMA}.refusals r where ${same})`,
    here,
  );
  // If the whole log was read, all counts are new. If a part was, each additional refusal means one stored event less.
  await tx.query(
    from === 0
      ? `update ${SCHEMA}.progress p set consumed = n.consumed, stored = n.stored, duplicates = n.duplicates,
                refused = n.refused, skipped = n.skipped, gaps = n.gaps, first_offset = n.first_offset
           from ${STAGING}.progress n
          where n.topic = p.topic and n.partition = p.partition and p.topic = $1::text and p.partition = $2::integer
            and $3::bigint = 0 and $4::bigint >= 0`
      : `update ${SCHEMA}.progress p
            set refused = p.refused + d.n - $4::bigint, stored = p.stored - d.n + $4::bigint
           from (select count(*) as n from ${SCHEMA}.refusals where ${place}) d
          where p.topic = $1::text and p.partition = $2::integer`,
    [...here, before!.n],
  );
}
