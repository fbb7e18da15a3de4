-- Windows in event time. users_state is what the processor merges to know how many users are different: their hashes up
-- to 4,096, a HyperLogLog sketch beyond. It does not compress, so PostgreSQL need not try.
--
-- The rows of the latest windows are written anew by every commit, and then never again. Room in each page keeps the
-- versions together, since no index holds a column that changes; autovacuum comes by before a fifth of a large table,
-- its default, is dead. Reports ask by time, and each primary key begins with it: there is no other index.
set local role clickstream_owner;

create table clickstream.traffic (
  window_start timestamptz not null,
  event_type text collate "C" not null,
  device text collate "C" not null,
  region text collate "C" not null,
  events bigint not null,
  users bigint not null,
  revenue_cents bigint not null,
  users_state bytea not null,
  primary key (window_start, event_type, device, region)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.traffic alter column users_state set storage external;

comment on table clickstream.traffic is 'Events, users and revenue by event type, device and region, each minute.';
comment on column clickstream.traffic.window_start is 'Where the minute begins.';
comment on column clickstream.traffic.event_type is 'What happened, such as page_view or purchase.';
comment on column clickstream.traffic.device is 'desktop, mobile, tablet, other or unknown.';
comment on column clickstream.traffic.region is 'Where the shoppers are, or unknown.';
comment on column clickstream.traffic.events is 'Number of events.';
comment on column clickstream.traffic.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.traffic.revenue_cents is 'Revenue in cents.';
comment on column clickstream.traffic.users_state is 'What users is counted from, for the processor.';

create table clickstream.pages (
  window_start timestamptz not null,
  page text not null,
  -- A page may be longer than an entry of an index can be.
  page_key uuid not null generated always as (md5(page)::uuid) stored,
  views bigint not null,
  users bigint not null,
  users_state bytea not null,
  primary key (window_start, page_key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.pages alter column users_state set storage external;

comment on table clickstream.pages is 'Page views and their users by page, each minute.';
comment on column clickstream.pages.window_start is 'Where the minute begins.';
comment on column clickstream.pages.page is 'Page without query string and fragment.';
comment on column clickstream.pages.page_key is 'Hash of page, for the key.';
comment on column clickstream.pages.views is 'Number of page views.';
comment on column clickstream.pages.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.pages.users_state is 'What users is counted from, for the processor.';

create table clickstream.active_users (
  window_start timestamptz primary key,
  window_end timestamptz not null,
  users bigint not null,
  users_state bytea not null
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.active_users alter column users_state set storage external;

comment on table clickstream.active_users is 'Users with any event in five minutes, every minute.';
comment on column clickstream.active_users.window_start is 'Where the five minutes begin.';
comment on column clickstream.active_users.window_end is 'Where they end, excluded.';
comment on column clickstream.active_users.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.active_users.users_state is 'What users is counted from, for the processor.';

grant select, insert, update on clickstream.traffic, clickstream.pages, clickstream.active_users to clickstream_writer;
grant select on clickstream.traffic, clickstream.pages, clickstream.active_users to clickstream_reader;

-- Hours of traffic and days of pages: what a report over weeks adds up instead of minutes, of which a month has millions,
-- and instead of sessions, of which it has as many. They follow these by triggers, in the same statement, so that nobody
-- who writes there needs to know of them. Of two who write at once, each would hold a row that the other waits for: so
-- they queue, by the lock by which commits do.
create table clickstream.traffic_hours (
  window_start timestamptz not null,
  event_type text collate "C" not null,
  device text collate "C" not null,
  region text collate "C" not null,
  events bigint not null,
  primary key (window_start, event_type, device, region)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

comment on table clickstream.traffic_hours is 'Events by event type, device and region, each hour: kept from traffic, by triggers.';
comment on column clickstream.traffic_hours.window_start is 'Where the hour begins.';
comment on column clickstream.traffic_hours.event_type is 'What happened, such as page_view or purchase.';
comment on column clickstream.traffic_hours.device is 'desktop, mobile, tablet, other or unknown.';
comment on column clickstream.traffic_hours.region is 'Where the shoppers are, or unknown.';
comment on column clickstream.traffic_hours.events is 'Number of events.';

create table clickstream.page_days (
  window_start timestamptz not null,
  page text not null,
  page_key uuid not null,
  views bigint not null default 0,
  entries bigint not null default 0,
  bounces bigint not null default 0,
  exits bigint not null default 0,
  primary key (window_start, page_key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

comment on table clickstream.page_days is
  'Page views by page, each UTC day, and what the sessions that began on it did there: kept from pages and sessions, by triggers.';
comment on column clickstream.page_days.window_start is 'Where the day begins.';
comment on column clickstream.page_days.page is 'Page without query string and fragment.';
comment on column clickstream.page_days.page_key is 'Hash of page, for the key.';
comment on column clickstream.page_days.views is 'Number of page views on the day.';
comment on column clickstream.page_days.entries is 'Sessions that began on the day and entered on the page.';
comment on column clickstream.page_days.bounces is 'Those of them that bounced.';
comment on column clickstream.page_days.exits is 'Sessions that began on the day and left on the page.';

grant select on clickstream.traffic_hours, clickstream.page_days to clickstream_writer, clickstream_reader;

-- As the owner, because nobody else writes there.
create function clickstream.traffic_followed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    truncate clickstream.traffic_hours;
  elsif tg_op = 'DELETE' then
    update clickstream.traffic_hours h set events = h.events - r.events
    from (
      select date_bin('1 hour', d.window_start, '1970-01-01T00:00Z') as start, d.event_type, d.device, d.region,
        sum(d.events) as events
      from removed d group by 1, 2, 3, 4
    ) r
    where h.window_start = r.start and h.event_type = r.event_type and h.device = r.device and h.region = r.region;
    delete from clickstream.traffic_hours
    where events = 0
      and window_start in (select date_bin('1 hour', d.window_start, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.traffic_hours as h
    select date_bin('1 hour', c.window_start, '1970-01-01T00:00Z'), c.event_type, c.device, c.region, sum(c.events)
    from (
      select a.window_start, a.event_type, a.device, a.region, a.events from added a
      union all
      select r.window_start, r.event_type, r.device, r.region, -r.events from removed r
    ) c
    group by 1, 2, 3, 4
    having sum(c.events) <> 0
    on conflict (window_start, event_type, device, region) do update set events = h.events + excluded.events;
  else
    insert into clickstream.traffic_hours as h
    select date_bin('1 hour', a.window_start, '1970-01-01T00:00Z'), a.event_type, a.device, a.region, sum(a.events)
    from added a
    group by 1, 2, 3, 4
    on conflict (window_start, event_type, device, region) do update set events = h.events + excluded.events;
  end if;
  return null;
end
$$;
comment on function clickstream.traffic_followed() is 'Trigger: adds what has changed in traffic to its hours.';

create function clickstream.pages_followed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    truncate clickstream.page_days;
  elsif tg_op = 'DELETE' then
    update clickstream.page_days p set views = p.views - r.views
    from (
      select date_bin('1 day', d.window_start, '1970-01-01T00:00Z') as start, d.page_key, sum(d.views) as views
      from removed d group by 1, 2
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select date_bin('1 day', d.window_start, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, page_key, views)
    select date_bin('1 day', c.window_start, '1970-01-01T00:00Z'), min(c.page), c.page_key, sum(c.views)
    from (
      select a.window_start, a.page, a.page_key, a.views from added a
      union all
      select r.window_start, r.page, r.page_key, -r.views from removed r
    ) c
    group by 1, c.page_key
    having sum(c.views) <> 0
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  else
    insert into clickstream.page_days as p (window_start, page, page_key, views)
    select date_bin('1 day', a.window_start, '1970-01-01T00:00Z'), min(a.page), a.page_key, sum(a.views)
    from added a
    group by 1, a.page_key
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  end if;
  return null;
end
$$;
comment on function clickstream.pages_followed() is 'Trigger: adds what has changed in pages to their days.';

create trigger added after insert on clickstream.traffic
referencing new table as added for each statement execute function clickstream.traffic_followed();
create trigger changed after update on clickstream.traffic
referencing old table as removed new table as added for each statement execute function clickstream.traffic_followed();
create trigger removed after delete on clickstream.traffic
referencing old table as removed for each statement execute function clickstream.traffic_followed();
create trigger truncated after truncate on clickstream.traffic
for each statement execute function clickstream.traffic_followed();

create trigger added after insert on clickstream.pages
referencing new table as added for each statement execute function clickstream.pages_followed();
create trigger changed after update on clickstream.pages
referencing old table as removed new table as added for each statement execute function clickstream.pages_followed();
create trigger removed after delete on clickstream.pages
referencing old table as removed for each statement execute function clickstream.pages_followed();
create trigger truncated after truncate on clickstream.pages
for each statement execute function clickstream.pages_followed();
