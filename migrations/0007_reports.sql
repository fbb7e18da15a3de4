-- The numbers, as functions: the dashboards use nothing else for them. Times are half open, from <= time < to; what is
-- about sessions, users or revenue counts sessions by their start, views and events count minutes by theirs. They read
-- windows, sessions and days, never the raw events, so that they last longer than these and take no longer for more; of
-- windows whole hours and days where they can, and minutes only where the time begins and ends.
-- A rate is null where there is nothing to divide by: of no sessions, 0 % convert just as little as 100 %.
-- Some can be asked of certain devices and regions; null, for either, is all of them.
-- Bodies are parsed here and now (`begin atomic`), so that no caller's search_path can give them another meaning.
set local role clickstream_owner;

create function clickstream.traffic_between("from" timestamptz, "to" timestamptz)
returns table (window_start timestamptz, event_type text, device text, region text, events bigint)
language sql stable parallel safe
begin atomic
  select h.window_start, h.event_type, h.device, h.region, h.events
  from clickstream.traffic_hours h
  where h.window_start >= date_bin('1 hour', "from" + interval '59 min 59.999999 s', '1970-01-01T00:00Z')
    and h.window_start < date_bin('1 hour', "to", '1970-01-01T00:00Z') and h.events <> 0
  union all
  select t.window_start, t.event_type, t.device, t.region, t.events
  from clickstream.traffic t
  where t.window_start >= "from"
    and t.window_start < least("to", date_bin('1 hour', "from" + interval '59 min 59.999999 s', '1970-01-01T00:00Z'))
  union all
  select t.window_start, t.event_type, t.device, t.region, t.events
  from clickstream.traffic t
  where t.window_start < "to"
    and t.window_start >= greatest(date_bin('1 hour', "from" + interval '59 min 59.999999 s', '1970-01-01T00:00Z'),
      date_bin('1 hour', "to", '1970-01-01T00:00Z'));
end;
comment on function clickstream.traffic_between(timestamptz, timestamptz) is
  'Traffic of the minutes in a time, by the hour where the whole of an hour is in it.';

create function clickstream.pages_by_minute("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, exits bigint)
language sql stable parallel safe
begin atomic
  select p.page, p.views, 0::bigint, 0::bigint, 0::bigint
  from clickstream.pages p
  where p.window_start >= "from" and p.window_start < "to"
  union all
  select s.entry_page, 0, 1, s.bounced::integer, 0
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.entry_page is not null
  union all
  select s.exit_page, 0, 0, 0, 1
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.exit_page is not null;
end;
comment on function clickstream.pages_by_minute(timestamptz, timestamptz) is
  'Views of the minutes in a time by page, and where each session that began in it entered, bounced and left.';

create function clickstream.pages_between("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, exits bigint)
language sql stable parallel safe
begin atomic
  select d.page, d.views, d.entries, d.bounces, d.exits
  from clickstream.page_days d
  where d.window_start >= date_bin('1 day', "from" + interval '23:59:59.999999', '1970-01-01T00:00Z')
    and d.window_start < date_bin('1 day', "to", '1970-01-01T00:00Z')
    and (d.views <> 0 or d.entries <> 0 or d.exits <> 0)
  union all
  select m.page, m.views, m.entries, m.bounces, m.exits
  from clickstream.pages_by_minute("from",
    least("to", date_bin('1 day', "from" + interval '23:59:59.999999', '1970-01-01T00:00Z'))) m
  union all
  select m.page, m.views, m.entries, m.bounces, m.exits
  from clickstream.pages_by_minute(greatest(date_bin('1 day', "from" + interval '23:59:59.999999', '1970-01-01T00:00Z'),
    date_bin('1 day', "to", '1970-01-01T00:00Z')), "to") m;
end;
comment on function clickstream.pages_between(timestamptz, timestamptz) is
  'What pages_by_minute has, by the day where the whole of a day is in the time.';

create function clickstream.conversion("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (sessions bigint, conversions bigint, conversion_rate double precision, users bigint, buyers bigint,
  revenue_cents bigint)
language sql stable parallel safe
begin atomic
  -- Each number from the index that has all it asks for: sessions by their time, those with a purchase, of which there are
  -- few, and users in their order. So no session is looked at itself. What is not asked for is not counted.
  select n.sessions, b.conversions, b.conversions::double precision / nullif(n.sessions, 0)::double precision,
    (
      select count(*)
      from (
        select s.user_id
        from clickstream.sessions s
        where s.started_at >= "from" and s.started_at < "to"
          and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
        group by s.user_id
      ) u
    ), (
      select count(*)
      from (
        select s.user_id
        from clickstream.sessions s
        where s.started_at >= "from" and s.started_at < "to" and s.purchases > 0
          and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
        group by s.user_id
      ) u
    ), b.revenue_cents
  from (
    select count(*) as conversions, coalesce(sum(s.revenue_cents), 0)::bigint as revenue_cents
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and s.purchases > 0
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
  ) b
  left join (
    select count(*) as sessions
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
  ) n on true;
end;
comment on function clickstream.conversion(timestamptz, timestamptz, text[], text[]) is
  'Sessions of these devices and regions, those with a purchase, their share, users, buyers and revenue.';

create function clickstream.conversion("from" timestamptz, "to" timestamptz)
returns table (sessions bigint, conversions bigint, conversion_rate double precision, users bigint, buyers bigint,
  revenue_cents bigint)
language sql stable parallel safe
begin atomic
  select c.* from clickstream.conversion("from", "to", null, null) c;
end;
comment on function clickstream.conversion(timestamptz, timestamptz) is
  'Sessions, those with a purchase, their share, users, buyers and revenue.';

create function clickstream.conversions("from" timestamptz, "to" timestamptz, step interval, devices text[],
  regions text[])
returns table ("time" timestamptz, sessions bigint, conversions bigint, conversion_rate double precision,
  revenue_cents bigint)
language sql stable parallel safe
begin atomic
  select g.start, coalesce(c.sessions, 0), coalesce(c.conversions, 0),
    c.conversions::double precision / c.sessions::double precision, coalesce(c.revenue_cents, 0)::bigint
  from generate_series(date_bin(step, "from", '1970-01-01T00:00Z'), "to", step) as g (start)
  left join (
    select date_bin(step, s.started_at, '1970-01-01T00:00Z') as start, count(*) as sessions,
      count(*) filter (where s.purchases > 0) as conversions, sum(s.revenue_cents) as revenue_cents
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
    group by 1
  ) c on c.start = g.start
  where g.start < "to"
  order by g.start;
end;
comment on function clickstream.conversions(timestamptz, timestamptz, interval, text[], text[]) is
  'Sessions of these devices and regions, those with a purchase, their share and revenue in each step of the time; steps begin at multiples of their length since 1970, so that the first and the last may be cut off.';

create function clickstream.event_rates("from" timestamptz, "to" timestamptz, step interval, devices text[],
  regions text[])
returns table ("time" timestamptz, event_type text, events bigint, per_second double precision)
language sql stable parallel safe
begin atomic
  -- Hours are the same in steps of whole hours; in others, minutes have to be asked.
  select date_bin(step, t.window_start, '1970-01-01T00:00Z'), t.event_type, sum(t.events)::bigint,
    sum(t.events)::double precision / extract(epoch from step)::double precision
  from (
    select h.window_start, h.event_type, h.device, h.region, h.events
    from clickstream.traffic_between("from", "to") h
    where extract(epoch from step) % 3600 = 0
    union all
    select m.window_start, m.event_type, m.device, m.region, m.events
    from clickstream.traffic m
    where extract(epoch from step) % 3600 <> 0 and m.window_start >= "from" and m.window_start < "to"
  ) t
  where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
  group by 1, 2
  order by 1, 2;
end;
comment on function clickstream.event_rates(timestamptz, timestamptz, interval, text[], text[]) is
  'Events of these devices and regions by type in each step of the time, and how many that is a second; steps begin at multiples of their length since 1970, so that the first and the last may be cut off.';

create function clickstream.top_pages("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, bounce_rate double precision, exits bigint,
  exit_rate double precision)
language sql stable parallel safe
begin atomic
  select p.page, sum(p.views)::bigint, sum(p.entries)::bigint, sum(p.bounces)::bigint,
    sum(p.bounces)::double precision / nullif(sum(p.entries), 0)::double precision,
    sum(p.exits)::bigint,
    sum(p.exits)::double precision / nullif(sum(p.views), 0)::double precision
  from clickstream.pages_between("from", "to") p
  group by p.page
  order by 2 desc, 3 desc, p.page collate "C";
end;
comment on function clickstream.top_pages(timestamptz, timestamptz) is
  'Views of each page; sessions that entered on it, bounced and left on it. Bounce rate is bounces by entries, exit rate exits by views.';

create function clickstream.bounces("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (sessions bigint, bounces bigint, bounce_rate double precision)
language sql stable parallel safe
begin atomic
  select count(*), count(*) filter (where s.bounced),
    count(*) filter (where s.bounced)::double precision / nullif(count(*), 0)::double precision
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.page_views > 0
    and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions));
end;
comment on function clickstream.bounces(timestamptz, timestamptz, text[], text[]) is
  'Sessions with a page view of these devices and regions, those that bounced, and their share.';

create function clickstream.devices("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (device text, events bigint, sessions bigint)
language sql stable parallel safe
begin atomic
  select d.device, sum(d.events)::bigint, sum(d.sessions)::bigint
  from (
    select t.device, sum(t.events) as events, 0::bigint as sessions
    from clickstream.traffic_between("from", "to") t
    where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
    group by t.device
    union all
    select s.device, 0, count(*)
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
    group by s.device
  ) d
  group by d.device
  order by 2 desc, d.device;
end;
comment on function clickstream.devices(timestamptz, timestamptz, text[], text[]) is
  'Events and sessions of these devices and regions, by device.';

create function clickstream.devices("from" timestamptz, "to" timestamptz)
returns table (device text, events bigint, sessions bigint)
language sql stable parallel safe
begin atomic
  select d.* from clickstream.devices("from", "to", null, null) d;
end;
comment on function clickstream.devices(timestamptz, timestamptz) is 'Events and sessions by device.';

create function clickstream.regions("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (region text, events bigint, sessions bigint)
language sql stable parallel safe
begin atomic
  select d.region, sum(d.events)::bigint, sum(d.sessions)::bigint
  from (
    select t.region, sum(t.events) as events, 0::bigint as sessions
    from clickstream.traffic_between("from", "to") t
    where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
    group by t.region
    union all
    select s.region, 0, count(*)
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
    group by s.region
  ) d
  group by d.region
  order by 2 desc, d.region;
end;
comment on function clickstream.regions(timestamptz, timestamptz, text[], text[]) is
  'Events and sessions of these devices and regions, by region.';

create function clickstream.regions("from" timestamptz, "to" timestamptz)
returns table (region text, events bigint, sessions bigint)
language sql stable parallel safe
begin atomic
  select d.* from clickstream.regions("from", "to", null, null) d;
end;
comment on function clickstream.regions(timestamptz, timestamptz) is 'Events and sessions by region.';

create function clickstream.activity_heatmap("from" timestamptz, "to" timestamptz, devices text[], regions text[])
returns table (day_of_week integer, hour integer, events bigint)
language sql stable parallel safe
begin atomic
  select extract(isodow from h.start at time zone 'UTC')::integer, extract(hour from h.start at time zone 'UTC')::integer,
    sum(h.events)::bigint
  from (
    select date_bin('1 hour', t.window_start, '1970-01-01T00:00Z') as start, sum(t.events) as events
    from clickstream.traffic_between("from", "to") t
    where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
    group by 1
  ) h
  group by 1, 2
  order by 1, 2;
end;
comment on function clickstream.activity_heatmap(timestamptz, timestamptz, text[], text[]) is
  'Events of these devices and regions by ISO day of week (1 is Monday) and hour, UTC.';

create function clickstream.activity_heatmap("from" timestamptz, "to" timestamptz)
returns table (day_of_week integer, hour integer, events bigint)
language sql stable parallel safe
begin atomic
  select h.* from clickstream.activity_heatmap("from", "to", null, null) h;
end;
comment on function clickstream.activity_heatmap(timestamptz, timestamptz) is
  'Events by ISO day of week (1 is Monday) and hour, UTC.';

create function clickstream.funnel("from" timestamptz, "to" timestamptz)
returns table (step integer, name text, sessions bigint, step_rate double precision, overall_rate double precision)
language sql stable parallel safe
begin atomic
  select f.step, f.name, f.sessions,
    f.sessions::double precision / nullif(lag(f.sessions) over (order by f.step), 0),
    f.sessions::double precision / nullif(first_value(f.sessions) over (order by f.step), 0)
  from (
    select n.step, n.name, n.sessions
    from (
      select count(*) filter (where s.funnel_step >= 1) as viewed, count(*) filter (where s.funnel_step >= 2) as carted,
        count(*) filter (where s.funnel_step >= 3) as bought
      from clickstream.sessions s
      where s.started_at >= "from" and s.started_at < "to"
    ) c
    cross join lateral (values (1, 'page_view', c.viewed), (2, 'add_to_cart', c.carted), (3, 'purchase', c.bought))
      as n (step, name, sessions)
  ) f
  order by f.step;
end;
comment on function clickstream.funnel(timestamptz, timestamptz) is
  'Sessions that reached each step; the share of the step before, and of the first. The first has no step before it.';

create function clickstream.top_users("from" timestamptz, "to" timestamptz, most integer)
returns table (user_id text, events bigint, sessions bigint, purchases bigint, revenue_cents bigint,
  last_seen timestamptz)
language sql stable parallel safe
begin atomic
  -- If enough users have spent anything, they are all among these, who are few: then nobody else is counted. What the
  -- last of them has spent is null if there are not enough.
  with last as materialized (
    select case when count(*) >= most then min(t.revenue_cents) end as revenue_cents
    from (
      select sum(s.revenue_cents) as revenue_cents
      from clickstream.sessions s
      where s.started_at >= "from" and s.started_at < "to" and s.purchases > 0
      group by s.user_id
      order by 1 desc
      limit most
    ) t
    where t.revenue_cents > 0
  )
  select t.user_id, t.events, t.sessions, t.purchases, t.revenue_cents, t.last_seen
  from (
    select s.user_id, sum(s.events)::bigint as events, count(*) as sessions, sum(s.purchases)::bigint as purchases,
      sum(s.revenue_cents)::bigint as revenue_cents, max(s.ended_at) as last_seen
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and s.user_id in (
      select p.user_id
      from clickstream.sessions p
      where p.started_at >= "from" and p.started_at < "to" and p.purchases > 0
      group by p.user_id
      having sum(p.revenue_cents) >= (select l.revenue_cents from last l)
    )
    group by s.user_id
    union all
    select s.user_id, sum(s.events)::bigint, count(*), sum(s.purchases)::bigint, sum(s.revenue_cents)::bigint,
      max(s.ended_at)
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and (select l.revenue_cents from last l) is null
    group by s.user_id
  ) t
  order by t.revenue_cents desc, t.events desc, t.user_id
  limit most;
end;
comment on function clickstream.top_users(timestamptz, timestamptz, integer) is
  'What each user did in sessions that began in the time; so many of those with the most revenue, then with the most events.';

create function clickstream.top_users("from" timestamptz, "to" timestamptz)
returns table (user_id text, events bigint, sessions bigint, purchases bigint, revenue_cents bigint,
  last_seen timestamptz)
language sql stable parallel safe
begin atomic
  select s.user_id, sum(s.events)::bigint, count(*), sum(s.purchases)::bigint, sum(s.revenue_cents)::bigint,
    max(s.ended_at)
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to"
  group by s.user_id
  order by 5 desc, 2 desc, s.user_id;
end;
comment on function clickstream.top_users(timestamptz, timestamptz) is
  'What each user did in sessions that began in the time; those with the most revenue first, then with the most events.';

create function clickstream.session_lengths("from" timestamptz, "to" timestamptz)
returns table (bucket integer, name text, sessions bigint, share double precision)
language sql stable parallel safe
begin atomic
  -- Sums and no groups: how many groups there were, the planner could not tell, and it would not have them made side by side.
  select n.bucket, n.name, n.sessions, n.sessions::double precision / nullif(sum(n.sessions) over (), 0)::double precision
  from (
    select count(*) filter (where s.ended_at = s.started_at) as none,
      count(*) filter (where s.ended_at < s.started_at + interval '10 s') as s10,
      count(*) filter (where s.ended_at < s.started_at + interval '1 min') as m1,
      count(*) filter (where s.ended_at < s.started_at + interval '3 min') as m3,
      count(*) filter (where s.ended_at < s.started_at + interval '10 min') as m10,
      count(*) filter (where s.ended_at < s.started_at + interval '30 min') as m30,
      count(*) filter (where s.ended_at < s.started_at + interval '1 h') as h1,
      count(*) as sessions
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
  ) c
  cross join lateral (values (0, '0 s', c.none), (1, 'under 10 s', c.s10 - c.none), (2, '10 s to 1 min', c.m1 - c.s10),
    (3, '1 to 3 min', c.m3 - c.m1), (4, '3 to 10 min', c.m10 - c.m3), (5, '10 to 30 min', c.m30 - c.m10),
    (6, '30 min to 1 h', c.h1 - c.m30), (7, '1 h and more', c.sessions - c.h1)) as n (bucket, name, sessions)
  order by n.bucket;
end;
comment on function clickstream.session_lengths(timestamptz, timestamptz) is
  'Sessions by the time from their first event to their last; a bucket begins where the one before ends.';

create function clickstream.session_depths("from" timestamptz, "to" timestamptz)
returns table (bucket integer, name text, sessions bigint, share double precision)
language sql stable parallel safe
begin atomic
  select n.bucket, n.name, coalesce(c.sessions, 0),
    coalesce(c.sessions, 0)::double precision / nullif(sum(c.sessions) over (), 0)::double precision
  from (values (0, 'none'), (1, '1'), (2, '2'), (3, '3'), (4, '4 or 5'), (5, '6 to 10'), (6, '11 to 20'),
    (7, '21 and more')) as n (bucket, name)
  left join (
    select width_bucket(s.page_views, array[1, 2, 3, 4, 6, 11, 21]::bigint[]) as bucket, count(*) as sessions
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
    group by 1
  ) c on c.bucket = n.bucket
  order by n.bucket;
end;
comment on function clickstream.session_depths(timestamptz, timestamptz) is 'Sessions by their number of page views.';

create function clickstream.carts("from" timestamptz, "to" timestamptz)
returns table (carts bigint, bought bigint, abandoned bigint, open bigint, abandonment_rate double precision)
language sql stable parallel safe
begin atomic
  select count(*), count(*) filter (where c.bought), count(*) filter (where not c.bought and c.over),
    count(*) filter (where not c.bought and not c.over),
    count(*) filter (where not c.bought and c.over)::double precision
      / nullif(count(*) filter (where c.bought or c.over), 0)
  from (
    -- Where no partition is read any more, time stands where it was left.
    select s.purchases > 0 as bought, coalesce(s.ended_at < (
      select coalesce(clickstream.watermark(), min(p.watermark)) - interval '30 minutes' from clickstream.progress p
    ), false) as over
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and s.carts > 0
  ) c;
end;
comment on function clickstream.carts(timestamptz, timestamptz) is
  'Sessions that put something into the cart: with a purchase; without one and over; without one and still going on by the watermark. The rate is of those that were decided.';

create function clickstream.entry_paths("from" timestamptz, "to" timestamptz)
returns table (entry_page text, sessions bigint, carted bigint, purchased bigint, cart_rate double precision,
  purchase_rate double precision, revenue_cents bigint)
language sql stable parallel safe
begin atomic
  select s.entry_page, count(*), count(*) filter (where s.funnel_step >= 2), count(*) filter (where s.funnel_step >= 3),
    count(*) filter (where s.funnel_step >= 2)::double precision / count(*),
    count(*) filter (where s.funnel_step >= 3)::double precision / count(*),
    sum(s.revenue_cents)::bigint
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.entry_page is not null
  group by s.entry_page
  order by 4 desc, 2 desc, s.entry_page collate "C";
end;
comment on function clickstream.entry_paths(timestamptz, timestamptz) is
  'Of the sessions that entered on each page, how many went on to the cart and to the purchase, by the steps of the funnel.';

-- Each event of a step is a letter; a session is a word of them, in the order of their time, and reaches a step if the
-- letters up to it are in the word, in their order. In one millisecond events stand in the order of the steps, which is
-- what "at the same time or later" means. Sessions are known already, so their events need only be joined to them.
create function clickstream.funnel("from" timestamptz, "to" timestamptz, steps text[])
returns table (step integer, name text, sessions bigint, step_rate double precision, overall_rate double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- A day's events are sorted in memory.
set work_mem = '64MB'
as $$
declare
  latest timestamptz;
begin
  if steps is null or cardinality(steps) not between 1 and 20 or array_position(steps, null) is not null
    or exists (select from unnest(steps) as t (type) group by type having count(*) > 1) then
    raise exception 'funnel: steps are %', coalesce(steps::text, 'null')
      using hint = 'Allowed are 1 to 20 event types, each once, such as array[''page_view'', ''checkout''].',
        errcode = 'invalid_parameter_value';
  end if;
  -- Known before the events are asked for, so that only the days in question are looked at.
  select max(s.ended_at) into latest
  from clickstream.sessions s where s.started_at >= "from" and s.started_at < "to";
  return query
  with named as (
    select t.step::integer as step, t.type, chr(64 + t.step::integer) as letter,
      '%' || string_agg(chr(64 + t.step::integer), '%') over (order by t.step) || '%' as up_to
    from unnest(steps) with ordinality as t (type, step)
  ), words as (
    select string_agg(n.letter, '' order by e.event_time, n.step) as word
    from clickstream.sessions s
    join clickstream.events e on e.user_id = s.user_id and coalesce(e.session_id, '') = coalesce(s.session_id, '')
      and e.event_time >= s.started_at and e.event_time <= s.ended_at
    join named n on n.type = e.event_type
    where s.started_at >= "from" and s.started_at < "to" and e.event_time >= "from" and e.event_time <= latest
    group by s.user_id, s.session_id, s.started_at
  ), reached as (
    select n.step, n.type as name, count(w.word) as sessions
    from named n
    left join words w on w.word like n.up_to
    group by n.step, n.type
  )
  select r.step, r.name, r.sessions,
    r.sessions::double precision / nullif(lag(r.sessions) over (order by r.step), 0),
    r.sessions::double precision / nullif(first_value(r.sessions) over (order by r.step), 0)
  from reached r
  order by r.step;
end
$$;
comment on function clickstream.funnel(timestamptz, timestamptz, text[]) is
  'The funnel of these event types, each at the same time as the one before or later. Reads the raw events, so it needs STORE_EVENTS, and knows nothing of sessions whose events have expired.';

grant execute on function
  clickstream.traffic_between(timestamptz, timestamptz),
  clickstream.pages_by_minute(timestamptz, timestamptz),
  clickstream.pages_between(timestamptz, timestamptz),
  clickstream.conversion(timestamptz, timestamptz),
  clickstream.conversions(timestamptz, timestamptz, interval, text[], text[]),
  clickstream.event_rates(timestamptz, timestamptz, interval, text[], text[]),
  clickstream.bounces(timestamptz, timestamptz, text[], text[]),
  clickstream.conversion(timestamptz, timestamptz, text[], text[]),
  clickstream.top_pages(timestamptz, timestamptz),
  clickstream.devices(timestamptz, timestamptz),
  clickstream.devices(timestamptz, timestamptz, text[], text[]),
  clickstream.regions(timestamptz, timestamptz),
  clickstream.regions(timestamptz, timestamptz, text[], text[]),
  clickstream.activity_heatmap(timestamptz, timestamptz),
  clickstream.activity_heatmap(timestamptz, timestamptz, text[], text[]),
  clickstream.funnel(timestamptz, timestamptz),
  clickstream.funnel(timestamptz, timestamptz, text[]),
  clickstream.top_users(timestamptz, timestamptz),
  clickstream.top_users(timestamptz, timestamptz, integer),
  clickstream.session_lengths(timestamptz, timestamptz),
  clickstream.session_depths(timestamptz, timestamptz),
  clickstream.carts(timestamptz, timestamptz),
  clickstream.entry_paths(timestamptz, timestamptz)
to clickstream_reader;
