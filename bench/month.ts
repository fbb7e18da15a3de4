/**
 * Tables as months of a shop leave them, filled by SQL in a minute or two; the reports are timed on them.
 * @module
 */
import { readDeclared } from "../processor/declared/file.ts";
import type { Database } from "../processor/postgres/database.ts";
import { applyDeclarations } from "../processor/postgres/operations/declarations.ts";

/** Size of the data. */
export interface Month {
  readonly events: number;
  /** UTC days to cover, up to now. */
  readonly days: number;
  /** Last days that also have raw events. */
  readonly rawDays: number;
}

const CLICKS_PER_VISIT = 8;

/** The declared view, goals and funnel of the month. */
export const DECLARED = readDeclared(
  `views:
  - name: declared_traffic
    description: Events by type, device and region, every quarter of an hour.
    window: 15 minutes
    keys: [event, device, region]
    measures: { event_count: count, revenue_cents: sum revenue }
goals:
  - name: filled
    description: Something is put into the cart.
    filter: { event: add_to_cart }
  - name: bought
    description: Something is bought.
    filter: { event: purchase }
funnels:
  - name: order
    description: From the cart to the order.
    steps:
      - { name: page, filter: { event: page_view } }
      - { name: cart, filter: { event: add_to_cart } }
      - { name: order, filter: { event: purchase } }
`,
  "month.ts",
);

/** Fills the empty tables of a migrated database: sessions, their events, and the rows of each view. */
export async function fillMonth(db: Database, { events, days, rawDays }: Month): Promise<void> {
  const visits = Math.round(events / CLICKS_PER_VISIT);
  const users = Math.round(visits / 4);
  await applyDeclarations(db, DECLARED, false);
  for (const sql of [VISITS(visits, users, days), CLICKS, TRAFFIC, PAGES, ACTIVE_USERS, SESSIONS, USER_DAYS]) {
    await db.exec(sql);
  }
  await db.exec(DECLARED_TRAFFIC);
  await db.exec(PARTITIONS(rawDays));
  await db.exec(RAW(rawDays));
  await db.exec(PROGRESS);
  await db.exec(REFUSALS);
  await db.exec("drop table visit, click");
  await db.exec("vacuum analyze");
}

/** Cumulative shares of traffic by hour: little at night, most in the evening. */
const BY_HOUR = [...[2, 1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 5, 5, 5, 5, 6, 7, 8, 8, 8, 6, 3]]
  .map((_, hour, all) => all.slice(0, hour).reduce((sum, share) => sum + share, 0) / 103);

const VISITS = (visits: number, users: number, days: number) => `
select setseed(0.5);
create unlogged table visit as
select n, 'u' || left(md5((${users} * random() ^ 2)::integer::text), 12) as user_id,
  case when random() < 0.9 then 's' || n end as session_id,
  date_trunc('day', now()) - (${days} * random())::integer * interval '1 day'
    + (width_bucket(random(), array[${BY_HOUR}]::double precision[]) - 1 + random()) * interval '1 hour' as start,
  case when random() < 0.4 then 1 else 1 + (-ln(1 - random()) * 11)::integer end as clicks,
  (array['desktop', 'desktop', 'mobile', 'mobile', 'mobile', 'tablet', 'unknown'])[1 + (random() * 6)::integer] as device,
  (array['Bavaria', 'Berlin', 'Hesse', 'Hamburg', 'Saxony', 'Île-de-France', 'Wien', 'unknown'])[1 + (7 * random() ^ 2)::integer]
    as region,
  -- Half of them are direct; the others come from 12 sites, and a third of those by one of 40 campaigns.
  case when random() < 0.5 then (12 * random() ^ 2)::integer end as site,
  case when random() < 0.33 then (40 * random() ^ 2)::integer end as campaign, random() < 0.05 as is_bot
from generate_series(1, ${visits}) n;
delete from visit where start > now() - interval '1 hour';`;

/** A click about every half minute; the first is a page view. */
const CLICKS = `
create unlogged table click as
select n, user_id, session_id, device, region, site, campaign, is_bot, start + i * (10 + 40 * random()) * interval '1 second' as time,
  type, case when type = 'purchase' then (1000 + 20000 * random())::bigint else 0 end as revenue_cents,
  case when random() < 0.6 then '/product/P' || lpad(floor(exp(random() * ln(2001)))::integer::text, 5, '0')
       when random() < 0.5 then '/category/' || (array['shoes', 'dresses', 'jackets', 'shirts', 'bags'])[1 + (4 * random())::integer]
       else (array['/', '/', '/search', '/cart', '/checkout'])[1 + (4 * random())::integer] end as page
from (
  select v.*, i, case when i = 0 then 'page_view' else
    (array['page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'page_view', 'search', 'search',
      'add_to_cart', 'add_to_cart', 'remove_from_cart', 'checkout', case when random() < 0.1 then 'purchase' else 'share' end,
      'wishlist_add'])[1 + floor(15 * random() ^ 1.2)::integer]
    end as type
  from visit v, generate_series(0, v.clicks - 1) i
) c;
analyze click;`;

/** A sketch of this many users, with as many bytes as the processor's. */
const state = (users: string) => `decode('00' || repeat('0123456789abcdef', (${users})::integer), 'hex')`;

const TRAFFIC = `
insert into clickstream.traffic (window_start, event_type, device, region, is_bot, events, users, revenue_cents, users_state)
select date_trunc('minute', time), type, device, region, is_bot, count(*), count(*), sum(revenue_cents), ${
  state("count(*)")
}
from click group by 1, 2, 3, 4, 5 order by 1;`;

const DECLARED_TRAFFIC = `
insert into clickstream.declared_traffic (window_start, event_type, device, region, is_bot, event_count, revenue_cents)
select date_bin('15 minutes', time, '1970-01-01T00:00Z'), type, device, region, is_bot, count(*), sum(revenue_cents)
from click group by 1, 2, 3, 4, 5 order by 1;`;

const PAGES = `
insert into clickstream.pages (window_start, page, is_bot, views, users, users_state)
select date_trunc('minute', time), page, is_bot, count(*), count(*), ${state("count(*)")}
from click where type = 'page_view' group by 1, 2, 3 order by 1;`;

const ACTIVE_USERS = `
insert into clickstream.active_users
select start, start + interval '5 minutes', 3 * users, ${state("3 * users")}
from (select date_trunc('minute', time) as start, count(distinct user_id) as users from click group by 1) m;`;

/** The step of the funnel of all sessions, and of the declared one. */
const FUNNEL_STEP = "1 + (carted_at is not null)::integer + coalesce(bought_at >= carted_at, false)::integer";

const SESSIONS = `
insert into clickstream.sessions (user_id, session_id, started_at, ended_at, events, page_views, entry_page, exit_page,
  device, region, carts, purchases, revenue_cents, funnel_step, first_event_id, entry_at, entry_event_id, exit_at,
  exit_event_id, funnel_state, source, medium, campaign, bot_events, is_bot, goal_filled, goal_bought, funnel_order)
select user_id, session_id, started_at, ended_at, events, page_views, entry_page, exit_page, device, region, carts,
  purchases, revenue_cents, ${FUNNEL_STEP},
  md5(n::text), started_at, md5(n::text), ended_at, md5(n::text), null,
  case when site is null then '(direct)' else coalesce((array['google', 'instagram.com', 'newsletter'])[site + 1], 'site-' || site || '.example') end,
  case when site is null then '(none)' when campaign is null then 'referral' else 'cpc' end,
  case when site is not null then 'campaign-' || campaign end, case when is_bot then events else 0 end, is_bot,
  carts, purchases, ${FUNNEL_STEP}
from (
  select n, user_id, session_id, device, region, site, campaign, is_bot, min(time) as started_at, max(time) as ended_at, count(*) as events,
    count(*) filter (where type = 'page_view') as page_views, min(page) as entry_page, max(page) as exit_page,
    count(*) filter (where type = 'add_to_cart') as carts, count(*) filter (where type = 'purchase') as purchases,
    sum(revenue_cents) as revenue_cents, min(time) filter (where type = 'add_to_cart') as carted_at,
    max(time) filter (where type = 'purchase') as bought_at
  from click group by n, user_id, session_id, device, region, site, campaign, is_bot
) s order by started_at on conflict do nothing;`;

const USER_DAYS = `
insert into clickstream.user_days (user_id, day, events, purchases, revenue_cents, bot_sessions, is_bot)
select user_id, (time at time zone clickstream.time_zone())::date, count(*), count(*) filter (where type = 'purchase'), sum(revenue_cents),
  count(distinct n) filter (where is_bot), bool_or(is_bot)
from click group by 1, 2 order by 2;`;

const PARTITIONS = (days: number) => `
select clickstream.make_partitions((now() at time zone 'UTC')::date - ${days}, (now() at time zone 'UTC')::date + 1);`;

const RAW = (days: number) => `
insert into clickstream.events (event_id, event_time, user_id, session_id, event_type, page, device, region, product_id,
  order_id, revenue_cents, is_bot, kafka_partition, kafka_offset, kafka_time)
select gen_random_uuid(), time, user_id, session_id, type,
  case when type = 'search' then '/search?q=term+' || (300 * random() ^ 2)::integer else page end, device, region,
  substring(page from '^/product/(.*)'),
  case when type = 'purchase' then 'order-' || n end, revenue_cents, is_bot, abs(hashtext(user_id)) % 6,
  row_number() over (), time
from click where time >= date_trunc('day', now()) - ${days} * interval '1 day' order by time;`;

const PROGRESS = `
insert into clickstream.progress (topic, partition, first_offset, next_offset, replay_offset, watermark, consumed, stored,
  duplicates, refused)
select 'clickstream-events', p, 0, 1800000, 1790000, now() - interval '11 seconds', 1800000, 1780000, 15000, 5000
from generate_series(0, 5) p;`;

const REFUSALS = `
insert into clickstream.refusals (reason, topic, partition, "offset", payload, refused_at)
select (array['empty', 'not_json', 'missing_field', 'bad_value', 'bad_timestamp'])[1 + n % 5], 'clickstream-events', n % 6, n,
  '{"userId"', now() - n * interval '90 seconds'
from generate_series(1, 30000) n;`;
