/**
 * Forgets a user, in two steps. One transaction, while no commit is in flight, writes the note that keeps the user's
 * events in the log out, and erases the rows by user. Then events and refusals are erased by offset; no more are added.
 * @module
 */
import { VIEWS } from "../../views/mod.ts";
import type { Database } from "../database.ts";
import { ERASED, eraseRows, isOfUsers, userHash } from "../erase.ts";
import { SCHEMA, STAGING } from "../schema.ts";

/** What the tables hold of a user, or what was erased. */
export interface OfUser {
  readonly events: number;
  readonly refusals: number;
  /** Rows by view, for views in which each row belongs to one user. */
  readonly rows: Readonly<Record<string, number>>;
}

/** High watermarks by partition. */
export type Ends = ReadonlyMap<number, number>;

/** Counts what the tables hold of a user; changes nothing. */
export async function foundOf(db: Database, topic: string, user: string): Promise<OfUser> {
  const days = await daysOf(db, user);
  const areOfOneZone = await haveOneZone(db);
  const ofUsers = VIEWS.filter(isOfUsers).map(({ name }) => name);
  const { rows: [row] } = await db.query<Readonly<Record<string, string>>>(
    `select (select count(*) from clickstream.events where user_id = $1::text and ${
      onDays(days, areOfOneZone)
    }) as events,
       (select count(*) from clickstream.refusals where topic = $2::text and ${NAMED}) as refusals
       ${
      ofUsers.map((name) => `, (select count(*) from clickstream.${name} where user_id = $1::text) as ${name}`).join("")
    }`,
    [user, topic, quoted(user)],
  );
  const count = (name: string) => Number(row![name]);
  return {
    events: count("events"),
    refusals: count("refusals"),
    rows: Object.fromEntries(ofUsers.map((name) => [name, count(name)])),
  };
}

/** A forgetting that was noted, and what it still has to erase. */
interface Noted {
  readonly id: string;
  /** Days with events of the user; null for all days. */
  readonly days: readonly string[] | null;
}

/** Notes that a user is forgotten up to the present end of the log; erases rows by user, and events of former logs. */
export async function noteForgotten(
  db: Database,
  topic: string,
  user: string,
  ends: Ends,
): Promise<Omit<OfUser, "refusals">> {
  return await db.transaction(async (tx) => {
    const schemas = await schemasIn(tx);
    for (const schema of schemas) await tx.exec(`lock table ${schema}.progress in exclusive mode`);
    // Includes what was committed after the end of the log was read.
    const { rows } = await tx.query<{ partition: number; next: string }>(
      `select partition, next_offset as next from clickstream.progress where topic = $1::text
       union all select distinct partition, 0 from clickstream.former_progress where topic = $1::text`,
      [topic],
    );
    const below = new Map(ends);
    for (const { partition, next } of rows) below.set(partition, Math.max(Number(next), below.get(partition) ?? 0));
    const days = await daysOf(tx, user);
    await tx.query(
      `insert into clickstream.forgotten (user_hash, topic, partitions, below, days)
       values (decode($1::text, 'hex'), $2::text, $3::integer[], $4::bigint[], $5::date[])`,
      [
        userHash(user),
        topic,
        ...arraysOf(below),
        days === null ? null : `{${days.join(",")}}`,
      ],
    );
    // No commit is in flight, so an event beyond the end of the log belongs to a log that adopt-topic has replaced.
    const { rowCount: events } = await tx.query(
      `delete from clickstream.events e using unnest($2::integer[], $3::bigint[]) as v(partition, below)
        where e.user_id = $1::text and ${
        onDays(days, await haveOneZone(tx))
      } and e.kafka_partition = v.partition and e.kafka_offset >= v.below
          and exists (select from clickstream.former_progress where topic = $4::text)`,
      [user, ...arraysOf(below), topic],
    );
    const [erased] = await Promise.all(schemas.map((schema) => eraseRows(tx, schema, [user])));
    return { events, rows: erased! };
  });
}

function arraysOf(below: ReadonlyMap<number, number>): [partitions: string, below: string] {
  return [`{${[...below.keys()].join(",")}}`, `{${[...below.values()].join(",")}}`];
}

/** Erases events and refusals for every unfinished forgetting of a user, including interrupted ones. */
export async function finishForgetting(
  db: Database,
  topic: string,
  user: string,
  say: (line: string) => void,
): Promise<{ readonly events: number; readonly refusals: number }> {
  const { rows } = await db.query<{ id: string; days: string | null }>(
    `select id, array_to_string(days, ',') as days from clickstream.forgotten
      where user_hash = decode($1::text, 'hex') and topic = $2::text and done_at is null order by id`,
    [userHash(user), topic],
  );
  let [events, refusals] = [0, 0];
  for (const { id, days } of rows) {
    for (const schema of await schemasIn(db)) {
      const noted = { id, days: days === null ? null : days.split(",") };
      const erased = await eraseLogged(db, schema, user, noted, say);
      if (schema !== SCHEMA) continue;
      events += erased.events;
      refusals += erased.refusals;
    }
    await db.query("update clickstream.forgotten set done_at = now(), days = null where id = $1::bigint", [id]);
  }
  return { events, refusals };
}

async function eraseLogged(
  db: Database,
  schema: string,
  user: string,
  { id, days }: Noted,
  say: (line: string) => void,
): Promise<{ readonly events: number; readonly refusals: number }> {
  const areOfOneZone = await haveOneZone(db);
  const below = "select v.* from clickstream.forgotten f, unnest(f.partitions, f.below) v where f.id = $1::bigint";
  let events = 0;
  for (const day of days ?? [null]) {
    const { rowCount } = await db.query(
      `delete from ${schema}.events e using (${below}) v(partition, below)
        where e.user_id = $2::text and ${onDays(day === null ? null : [day], areOfOneZone)}
          and e.kafka_partition = v.partition and e.kafka_offset < v.below`,
      [id, user],
    );
    events += rowCount;
    if (schema === SCHEMA) say(`${day ?? "all days"}: ${rowCount} events`);
  }
  const { rowCount: refusals } = await db.query(
    `update ${schema}.refusals r set ${ERASED} from (${below}) v(partition, below), clickstream.forgotten f
      where f.id = $1::bigint and r.topic = f.topic and r.partition = v.partition and (r."offset" < v.below or r.former)
        and $2::text is not null and ${NAMED}`,
    [id, user, quoted(user)],
  );
  return { events, refusals };
}

/** SQL that is true if a payload contains the user's id in JSON, parameter $3. */
const NAMED = "payload is not null and position($3::bytea in payload) > 0";

function quoted(user: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(user));
}

/** The view with the days on which a user had events. */
const DAYS = VIEWS.find((view) => view.window.kind === "day" && view.where === undefined && isOfUsers(view));

/** The days with events of a user; null if no view has any, because its rows may have expired. */
async function daysOf(db: Database, user: string): Promise<readonly string[] | null> {
  if (DAYS === undefined) return null;
  const { rows } = await db.query<{ day: string }>(
    `select day::text from clickstream.${DAYS.name} where user_id = $1::text order by day`,
    [user],
  );
  return rows.length === 0 ? null : rows.map(({ day }) => day);
}

/** Whether all days are of one time zone; false once a rebuild has changed it, because older days may have stayed. */
async function haveOneZone(db: Database): Promise<boolean> {
  const { rows } = await db.query(
    "select from clickstream.settings where name = 'TIME_ZONE' and since is not null limit 1",
  );
  return rows.length === 0;
}

/** SQL that lists the days one by one, so that PostgreSQL skips all other partitions. */
function onDays(days: readonly string[] | null, areOfOneZone: boolean): string {
  if (days === null) return "true";
  // A day begins 14 hours before that of UTC at the earliest, and ends 12 hours after it at the latest.
  const ranges = days.map((day) =>
    areOfOneZone
      ? `event_time >= clickstream.day_start('${day}') and event_time < clickstream.day_start('${day}'::date + 1)`
      : `event_time >= '${day}Z'::timestamptz - interval '14 hours' and event_time < '${day}Z'::timestamptz + interval '36 hours'`
  );
  return `(${ranges.join(" or ")})`;
}

/** The schemas with stored data: the tables in use, and those that a rebuild is filling. */
async function schemasIn(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    "select nspname as name from pg_namespace where nspname = any ($1::text[]) order by nspname",
    [`{${SCHEMA},${STAGING}}`],
  );
  return rows.map(({ name }) => name);
}
