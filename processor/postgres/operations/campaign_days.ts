/**
 * Adds up the campaigns of each day that is over, for the report `campaigns`. A day is first entered in `campaign_days`
 * and then counted. Whatever changes a session of it later deletes the entry, so that reports look at the sessions again.
 * @module
 */
import { lockToTheEnd } from "../advisory_locks.ts";
import type { Database } from "../database.ts";
import { SCHEMA } from "../schema.ts";

/** Takes the role of the owner of the tables, for a transaction. */
type AsOwner = <T>(body: (tx: Database) => Promise<T>) => Promise<T>;

/**
 * Enters every day since the first session that ended a day ago or earlier; returns those not counted, as dates.
 *
 * @param nowMs epoch milliseconds
 */
async function enterDays(tx: Database, nowMs: number): Promise<readonly string[]> {
  // Waits for commits that have not seen the new entries, and so would not delete them.
  await lockToTheEnd(tx, "sharedRows");
  await tx.query(
    `insert into ${SCHEMA}.campaign_days (day)
     select ${SCHEMA}.day_of(s.first) + n
       from (select min(started_at) as first, $1::timestamptz - interval '24 hours' as until from ${SCHEMA}.sessions) s
      cross join lateral generate_series(0, ${SCHEMA}.day_of(s.until) - ${SCHEMA}.day_of(s.first) - 1) n
         on conflict do nothing`,
    [new Date(nowMs).toISOString()],
  );
  const { rows } = await tx.query<{ day: string }>(
    `select day::text from ${SCHEMA}.campaign_days where not is_counted order by day desc`,
  );
  return rows.map(({ day }) => day);
}

/** Counts a day, unless its entry is gone, or another connection is counting it; returns whether it did. */
async function countDay(tx: Database, day: string): Promise<boolean> {
  // A commit that deletes the entry waits until the day is counted, and then deletes it.
  const { rowCount } = await tx.query(
    `select from ${SCHEMA}.campaign_days where day = $1::date and not is_counted for update skip locked`,
    [day],
  );
  if (rowCount === 0) return false;
  await tx.query(`delete from ${SCHEMA}.campaign_totals where day = $1::date`, [day]);
  await tx.query(
    `insert into ${SCHEMA}.campaign_totals (day, touch, bots, source, medium, campaign, sessions, conversions, revenue_cents)
     select $1::date, t.touch, b.bots, c.source, c.medium, c.campaign, c.sessions, c.conversions, c.revenue_cents
       from (values ('last'), ('last_non_direct')) t(touch)
      cross join (values (false), (true)) b(bots)
      cross join lateral ${SCHEMA}.campaigns_between(
        ${SCHEMA}.day_start($1::date), ${SCHEMA}.day_start($1::date + 1), t.touch, b.bots
      ) c`,
    [day],
  );
  await tx.query(`update ${SCHEMA}.campaign_days set is_counted = true where day = $1::date`, [day]);
  return true;
}

/**
 * Adds up the campaigns of the days that are over and not counted yet, latest first. It can be killed and run again, and
 * two can run at once.
 *
 * @param nowMs what time it is, epoch milliseconds
 * @param progress takes how many days are counted so far
 * @returns how many days it has counted
 */
export async function countCampaigns(
  asOwner: AsOwner,
  nowMs: number,
  progress: (count: number) => void,
): Promise<number> {
  let count = 0;
  for (const day of await asOwner((tx) => enterDays(tx, nowMs))) {
    if (await asOwner((tx) => countDay(tx, day))) progress(++count);
  }
  await asOwner((tx) =>
    tx.exec(`delete from ${SCHEMA}.campaign_totals t
      where not exists (select from ${SCHEMA}.campaign_days d where d.day = t.day)`)
  );
  return count;
}
