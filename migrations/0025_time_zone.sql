-- The shop's own day. What is counted by day is counted by days of one time zone, TIME_ZONE: user_days, page_days, cohorts,
-- the heatmap, and reports by day. Events, windows and sessions have times, and no zone. PostgreSQL's rules of time zones
-- decide, also for the processor, which reads them here. No row is read or changed, however many there are.
set local role clickstream_owner;

alter table clickstream.settings add column since timestamptz;
comment on column clickstream.settings.since is
  'From which event time on rows are of this value, after a rebuild of a part changed it. Null where all are.';
insert into clickstream.settings (name, value) values ('TIME_ZONE', 'UTC');

-- The zone is a constant of this function, so that the planner puts it where the functions below are used: asking the
-- table for each row would cost more than the reports themselves. The trigger keeps the two the same.
create function clickstream.time_zone() returns text
language sql stable parallel safe
begin atomic
  select 'UTC'::text;
end;
comment on function clickstream.time_zone() is 'The time zone of the days: the setting TIME_ZONE.';

create function clickstream.time_zone_trigger() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Fails for a zone that PostgreSQL does not know.
  perform now() at time zone new.value;
  execute format(
    'create or replace function clickstream.time_zone() returns text language sql stable parallel safe
     begin atomic select %L::text; end', new.value);
  return null;
end
$$;
comment on function clickstream.time_zone_trigger() is 'Trigger: makes time_zone() return the setting TIME_ZONE.';
revoke execute on function clickstream.time_zone_trigger() from public;
create trigger changed after insert or update on clickstream.settings
for each row when (new.name = 'TIME_ZONE') execute function clickstream.time_zone_trigger();

create function clickstream.day_of("time" timestamptz) returns date
language sql stable parallel safe
begin atomic
  select ("time" at time zone clickstream.time_zone())::date;
end;
comment on function clickstream.day_of(timestamptz) is 'The day of the shop''s time zone that has this time.';

create function clickstream.day_start(day date) returns timestamptz
language sql stable parallel safe
begin atomic
  -- Of a midnight that comes twice PostgreSQL takes the second. The end of the day before comes once, and the first
  -- midnight follows it. If the day before ends early, its end does not come, but this midnight does: the earlier of both.
  select least(
    day::timestamp at time zone clickstream.time_zone(),
    ((day::timestamp - interval '1 microsecond') at time zone clickstream.time_zone() at time zone 'UTC'
      + interval '1 microsecond') at time zone 'UTC'
  );
end;
comment on function clickstream.day_start(date) is
  'Where a day of the shop''s time zone begins: at midnight, or later where the clocks skip midnight.';

create function clickstream.next_day_start("time" timestamptz) returns timestamptz
language sql stable parallel safe
begin atomic
  select clickstream.day_start(clickstream.day_of("time" - interval '1 microsecond') + 1);
end;
comment on function clickstream.next_day_start(timestamptz) is
  'Where the next day of the shop''s time zone begins; this time, if one begins then.';

create function clickstream.is_local_hour("time" timestamptz) returns boolean
language sql stable parallel safe
begin atomic
  select clickstream.time_zone() = 'UTC' or (
    date_trunc('hour', "time" at time zone clickstream.time_zone()) = "time" at time zone clickstream.time_zone()
    and ("time" + interval '59 minutes') at time zone clickstream.time_zone()
      = ("time" at time zone clickstream.time_zone()) + interval '59 minutes'
  );
end;
comment on function clickstream.is_local_hour(timestamptz) is
  'Whether the hour from this time on is one hour of the shop''s clock. It is not where the zone is half an hour off.';

create function clickstream.start_before("from" timestamptz, "to" timestamptz) returns timestamptz
language sql stable parallel safe
begin atomic
  select case
    when clickstream.time_zone() <> 'UTC' and clickstream.next_day_start("from") = "from"
      and clickstream.next_day_start("to") = "to"
    then clickstream.day_start(
      clickstream.day_of("from") - (clickstream.day_of("to") - clickstream.day_of("from"))
    )
    -- In seconds, because days would be those of the time zone of the connection.
    else "from" - make_interval(secs => extract(epoch from "to" - "from")::double precision)
  end;
end;
comment on function clickstream.start_before(timestamptz, timestamptz) is
  'Where the time before begins that this one is compared with: as many days before, if whole days are asked for, even if clocks change; else the same length.';

grant execute on function
  clickstream.time_zone(),
  clickstream.day_of(timestamptz),
  clickstream.day_start(date),
  clickstream.next_day_start(timestamptz),
  clickstream.is_local_hour(timestamptz),
  clickstream.start_before(timestamptz, timestamptz)
to clickstream_writer, clickstream_reader;

-- What follows is as before, but for days of the zone instead of UTC's.

create or replace function clickstream.pages_rollup_trigger() returns trigger
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
      select clickstream.day_start(clickstream.day_of(d.window_start)) as start, d.page_key, sum(d.views) as views
      from removed d group by 1, 2
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select clickstream.day_start(clickstream.day_of(d.window_start)) from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, views)
    select clickstream.day_start(clickstream.day_of(c.window_start)), c.page, sum(c.views)
    from (
      select a.window_start, a.page, a.views from added a
      union all
      select r.window_start, r.page, -r.views from removed r
    ) c
    group by 1, c.page
    having sum(c.views) <> 0
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  else
    insert into clickstream.page_days as p (window_start, page, views)
    select clickstream.day_start(clickstream.day_of(a.window_start)), a.page, sum(a.views)
    from added a
    group by 1, a.page
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  end if;
  return null;
end
$$;

create or replace function clickstream.sessions_rollup_trigger() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    update clickstream.page_days set entries = 0, bounces = 0, exits = 0 where entries <> 0 or exits <> 0;
    delete from clickstream.page_days where views = 0;
  elsif tg_op = 'DELETE' then
    update clickstream.page_days p
    set entries = p.entries - r.entries, bounces = p.bounces - r.bounces, exits = p.exits - r.exits
    from (
      select clickstream.day_start(clickstream.day_of(e.at)) as start, sha256(replace(e.page, '\', '\\')::bytea) as page_key,
        sum(e.entries) as entries, sum(e.bounces) as bounces, sum(e.exits) as exits
      from (
        select d.started_at as at, d.entry_page as page, 1 as entries, d.bounced::integer as bounces, 0 as exits from removed d
        union all
        select d.started_at, d.exit_page, 0, 0, 1 from removed d
      ) e
      where e.page is not null
      group by 1, e.page
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select clickstream.day_start(clickstream.day_of(d.started_at)) from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, entries, bounces, exits)
    select clickstream.day_start(clickstream.day_of(e.at)), e.page, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
      union all
      select r.started_at, r.entry_page, -1, -r.bounced::integer, 0 from removed r
      union all
      select r.started_at, r.exit_page, 0, 0, -1 from removed r
    ) e
    where e.page is not null
    group by 1, e.page
    having sum(e.entries) <> 0 or sum(e.bounces) <> 0 or sum(e.exits) <> 0
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  else
    insert into clickstream.page_days as p (window_start, page, entries, bounces, exits)
    select clickstream.day_start(clickstream.day_of(e.at)), e.page, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
    ) e
    where e.page is not null
    group by 1, e.page
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  end if;
  return null;
end
$$;

-- Triggers take days of the present zone from the counts, so a change of the zone counts all again.
create function clickstream.recount_page_days() returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  delete from clickstream.page_days;
  insert into clickstream.page_days (window_start, page, views, entries, bounces, exits)
  select clickstream.day_start(c.day), c.page, sum(c.views), sum(c.entries), sum(c.bounces), sum(c.exits)
  from (
    select clickstream.day_of(p.window_start) as day, p.page, p.views, 0 as entries, 0 as bounces, 0 as exits
    from clickstream.pages p
    union all
    select clickstream.day_of(s.started_at), s.entry_page, 0, 1, s.bounced::integer, 0 from clickstream.sessions s
    union all
    select clickstream.day_of(s.started_at), s.exit_page, 0, 0, 0, 1 from clickstream.sessions s
  ) c
  where c.page is not null
  group by c.day, c.page;
end;
comment on function clickstream.recount_page_days() is
  'Counts page_days again from pages and sessions, by days of the present time zone. For the owner.';

create or replace function clickstream.pages_between("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, exits bigint)
language sql stable parallel safe
begin atomic
  select d.page, d.views, d.entries, d.bounces, d.exits
  from clickstream.page_days d
  where d.window_start >= clickstream.next_day_start("from")
    and d.window_start < clickstream.day_start(clickstream.day_of("to"))
    and (d.views <> 0 or d.entries <> 0 or d.exits <> 0)
  union all
  select m.page, m.views, m.entries, m.bounces, m.exits
  from clickstream.pages_by_minute("from", least("to", clickstream.next_day_start("from"))) m
  union all
  select m.page, m.views, m.entries, m.bounces, m.exits
  from clickstream.pages_by_minute(greatest(clickstream.next_day_start("from"),
    clickstream.day_start(clickstream.day_of("to"))), "to") m;
end;

create or replace function clickstream.activity_heatmap("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (day_of_week integer, hour integer, events bigint)
language sql stable parallel safe
begin atomic
  select extract(isodow from h.local)::integer, extract(hour from h.local)::integer, sum(h.events)::bigint
  from (
    select u.start at time zone clickstream.time_zone() as local, u.events
    from (
      select date_bin('1 hour', t.window_start, '1970-01-01T00:00Z') as start, sum(t.events) as events
      from clickstream.traffic_between("from", "to") t
      where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
      group by 1
      -- Asks for each hour, and not for each of its rows.
      offset 0
    ) u
    where clickstream.is_local_hour(u.start)
    union all
    -- Hours of UTC that belong to two hours of the shop's clock are counted by the minute.
    select t.window_start at time zone clickstream.time_zone(), t.events
    from (
      select distinct h.window_start as start
      from clickstream.traffic_hours h
      where h.window_start > "from" - interval '1 hour' and h.window_start < "to"
      offset 0
    ) u
    join clickstream.traffic t on t.window_start >= greatest(u.start, "from")
      and t.window_start < least(u.start + interval '1 hour', "to")
    where not clickstream.is_local_hour(u.start)
      and (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
  ) h
  group by 1, 2
  order by 1, 2;
end;
comment on function clickstream.activity_heatmap(timestamptz, timestamptz, text[], text[]) is
  'Events of these devices and regions by ISO day of week (1 is Monday) and hour of the shop''s time zone.';
comment on function clickstream.activity_heatmap(timestamptz, timestamptz) is
  'Events by ISO day of week (1 is Monday) and hour of the shop''s time zone.';

create or replace function clickstream.retention(from_day date, to_day date)
returns table (cohort_day date, cohort_size bigint, day_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  select c.cohort_day, s.users, c.day_number, c.users, c.users::double precision / s.users
  from (
    select u.day as cohort_day, d.day - u.day as day_number, count(*) as users
    from clickstream.user_days u
    join clickstream.user_days d on d.user_id = u.user_id
    where u.is_first and u.day >= from_day and u.day < to_day
      and d.day >= from_day and d.day < clickstream.day_of(now())
    group by 1, 2
  ) c
  join (
    select u.day, count(*) as users
    from clickstream.user_days u
    where u.is_first and u.day >= from_day and u.day < to_day
    group by u.day
  ) s on s.day = c.cohort_day
  order by 1, 3;
end;

create or replace function clickstream.retention_weeks(from_day date, to_day date)
returns table (cohort_week date, cohort_size bigint, week_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  -- A day less its day of the week, from 0, is the Monday of its week. Weeks begin in the time: the first users of one
  -- came on the first Monday of the time, or later.
  select c.cohort_week, s.users, c.week_number, c.users, c.users::double precision / s.users
  from (
    select k.cohort_week, k.week_number, count(*) as users
    from (
      select distinct u.user_id, u.first_day - (extract(isodow from u.first_day)::integer - 1) as cohort_week,
        (d.day - (extract(isodow from d.day)::integer - 1) - (u.first_day - (extract(isodow from u.first_day)::integer - 1)))
          / 7 as week_number
      from clickstream.users u
      join clickstream.user_days d on d.user_id = u.user_id
      where u.first_day >= from_day + (8 - extract(isodow from from_day)::integer) % 7
        and u.first_day < to_day + (8 - extract(isodow from to_day)::integer) % 7
        and d.day >= from_day
        and d.day < (date_trunc('week', now() at time zone clickstream.time_zone()))::date
    ) k
    group by 1, 2
  ) c
  join (
    select u.first_day - (extract(isodow from u.first_day)::integer - 1) as cohort_week, count(*) as users
    from clickstream.users u
    where u.first_day >= from_day + (8 - extract(isodow from from_day)::integer) % 7
      and u.first_day < to_day + (8 - extract(isodow from to_day)::integer) % 7
    group by 1
  ) s on s.cohort_week = c.cohort_week
  order by 1, 3;
end;

create or replace function clickstream.retention_months(from_day date, to_day date)
returns table (cohort_month date, cohort_size bigint, month_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  select c.cohort_month, s.users, c.month_number, c.users, c.users::double precision / s.users
  from (
    select k.cohort_month, k.month_number, count(*) as users
    from (
      select distinct u.user_id, date_trunc('month', u.first_day::timestamp)::date as cohort_month,
        ((extract(year from d.day) - extract(year from u.first_day)) * 12
          + extract(month from d.day) - extract(month from u.first_day))::integer as month_number
      from clickstream.users u
      join clickstream.user_days d on d.user_id = u.user_id
      where u.first_day >= date_trunc('month', from_day - 1 + interval '1 month')::date
        and u.first_day < date_trunc('month', to_day - 1 + interval '1 month')::date
        and d.day >= from_day
        and d.day < (date_trunc('month', now() at time zone clickstream.time_zone()))::date
    ) k
    group by 1, 2
  ) c
  join (
    select date_trunc('month', u.first_day::timestamp)::date as cohort_month, count(*) as users
    from clickstream.users u
    where u.first_day >= date_trunc('month', from_day - 1 + interval '1 month')::date
      and u.first_day < date_trunc('month', to_day - 1 + interval '1 month')::date
    group by 1
  ) s on s.cohort_month = c.cohort_month
  order by 1, 3;
end;

create or replace function clickstream.orders("from" timestamptz, "to" timestamptz)
returns table (orders bigint, revenue_cents bigint, average_order_cents double precision, buyers bigint,
  returning_buyers bigint)
language sql stable parallel safe
begin atomic
  with bought as (
    select e.user_id, sum(e.revenue_cents) as revenue_cents, max(e.event_time) as latest
    from clickstream.events e
    where e.event_time >= "from" and e.event_time < "to" and e.event_type = 'purchase'
    -- A purchase without an order is one. An orderId is the user's own: two users may have the same.
    group by e.user_id, e.order_id,
      case when e.order_id is null then e.kafka_partition end, case when e.order_id is null then e.kafka_offset end
  ), of_buyers as (
    select b.user_id, count(*) as orders, sum(b.revenue_cents) as revenue_cents, max(b.latest) as latest
    from bought b
    group by b.user_id
  )
  select coalesce(sum(b.orders), 0)::bigint, coalesce(sum(b.revenue_cents), 0)::bigint,
    sum(b.revenue_cents)::double precision / sum(b.orders)::double precision, count(*),
    count(*) filter (where exists (
      select from clickstream.user_days d
      where d.user_id = b.user_id and d.day < clickstream.day_of(b.latest) and d.purchases > 0
    ))
  from of_buyers b;
end;

-- Whole days are compared with as many whole days before, of whatever length; 0020 says how these are made.
do $$
declare
  report record;
  outputs text;
  selected text;
  matched text;
begin
  for report in
    select p.oid, p.proname as name, r.keys
    from (values
      ('conversion', '{}'::text[]), ('carts', '{}'), ('orders', '{}'), ('top_pages', '{page}'), ('page_views', '{page}'),
      ('entry_paths', '{entry_page}'), ('devices', '{device}'), ('regions', '{region}'), ('products', '{product_id}'),
      ('searches', '{term}'), ('top_users', '{user_id}'), ('funnel', '{step,name}'), ('session_lengths', '{bucket,name}'),
      ('session_depths', '{bucket,name}'), ('activity_heatmap', '{day_of_week,hour}')
    ) as r (name, keys)
    join pg_proc p on p.proname = r.name and p.pronamespace = 'clickstream'::regnamespace and p.pronargs = 2
  loop
    select
      string_agg(case
        when c.name = any (report.keys) then format('%I %s', c.name, c.type)
        else format('%I %s, %I %s', c.name, c.type, 'previous_' || c.name, c.type)
      end, ', ' order by c.n),
      string_agg(case
        when c.name = any (report.keys) then format('coalesce(n.%1$I, b.%1$I)', c.name)
        when c.type = 'bigint' then format('coalesce(n.%1$I, 0), coalesce(b.%1$I, 0)', c.name)
        else format('n.%1$I, b.%1$I', c.name)
      end, ', ' order by c.n),
      coalesce(string_agg(case
        when c.name = any (report.keys) then format('n.%1$I = b.%1$I', c.name)
      end, ' and ' order by c.n), 'true')
    into outputs, selected, matched
    from (
      select a.name, a.type::regtype::text as type, a.n
      from pg_proc p, unnest(p.proargnames, p.proargmodes, p.proallargtypes) with ordinality as a (name, mode, type, n)
      where p.oid = report.oid and a.mode = 't'
    ) c;
    execute format(
      'create or replace function clickstream.%1$I("from" timestamptz, "to" timestamptz) returns table (%3$s)
       language sql stable parallel safe begin atomic
         select %4$s from clickstream.%2$I("from", "to") n
         full join clickstream.%2$I(clickstream.start_before("from", "to"), "from") b on %5$s order by %6$s;
       end',
      report.name || '_compared', report.name, outputs, selected, matched,
      case when report.keys <@ '{step,name,bucket,day_of_week,hour}' then '1, 2' else '2 desc, 3 desc, 1' end
    );
    execute format('comment on function clickstream.%I(timestamptz, timestamptz) is %L', report.name || '_compared',
      'What ' || report.name || ' says of the time, and beside it of the time before: as many whole days, or the same length.');
  end loop;
end
$$;

create or replace function clickstream.campaigns_compared("from" timestamptz, "to" timestamptz, touch text)
returns table (channel text, source text, medium text, campaign text, sessions bigint, previous_sessions bigint,
  conversions bigint, previous_conversions bigint, revenue_cents bigint, previous_revenue_cents bigint,
  average_order_cents double precision, previous_average_order_cents double precision)
language sql stable parallel safe
begin atomic
  select coalesce(n.channel, b.channel), coalesce(n.source, b.source), coalesce(n.medium, b.medium),
    coalesce(n.campaign, b.campaign), coalesce(n.sessions, 0), coalesce(b.sessions, 0), coalesce(n.conversions, 0),
    coalesce(b.conversions, 0), coalesce(n.revenue_cents, 0), coalesce(b.revenue_cents, 0), n.average_order_cents,
    b.average_order_cents
  from clickstream.campaigns("from", "to", touch) n
  full join clickstream.campaigns(
    clickstream.start_before("from", "to"), "from", touch
  ) b on n.channel = b.channel and n.source = b.source and n.medium = b.medium and n.campaign = b.campaign
  order by 9 desc, 5 desc, 2, 3, 4;
end;
comment on function clickstream.campaigns_compared(timestamptz, timestamptz, text) is
  'What campaigns says of the time, and beside it of the time before: as many whole days, or the same length.';
comment on function clickstream.campaigns_compared(timestamptz, timestamptz) is
  'What campaigns says of the time, and beside it of the time before: as many whole days, or the same length.';

comment on table clickstream.page_days is
  'Page views by page, each day of the shop''s time zone, and what the sessions that began on it did there: kept from pages and sessions, by triggers.';
comment on table clickstream.user_days is 'One row per user and day of the shop''s time zone with an event.';
comment on column clickstream.user_days.day is 'Day of the shop''s time zone (TIME_ZONE).';
comment on column clickstream.users.first_day is 'Day of the shop''s time zone of the first event ever stored.';
comment on function clickstream.new_users(date, date) is
  'Users of each day of the shop''s time zone: those whose first event ever stored is of that day, and those who had been there before.';
