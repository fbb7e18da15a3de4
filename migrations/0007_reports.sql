-- The numbers, as functions: the dashboards use nothing else for them. Times are half open, from <= time < to; what is
-- about sessions, users or revenue counts sessions by their start, views and events count minutes by theirs. They read
-- windows, sessions and days, never the raw events, so that they last longer than these and take no longer for more.
-- A rate is null where there is nothing to divide by: of no sessions, 0 % convert just as little as 100 %.
-- Bodies are parsed here and now (`begin atomic`), so that no caller's search_path can give them another meaning.
set local role clickstream_owner;

create function clickstream.conversion("from" timestamptz, "to" timestamptz)
returns table (sessions bigint, conversions bigint, conversion_rate double precision, users bigint, buyers bigint,
  revenue_cents bigint)
language sql stable parallel safe
begin atomic
  select count(*), count(*) filter (where s.purchases > 0),
    count(*) filter (where s.purchases > 0)::double precision / nullif(count(*), 0),
    count(distinct s.user_id), count(distinct s.user_id) filter (where s.purchases > 0),
    coalesce(sum(s.revenue_cents), 0)::bigint
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to";
end;
comment on function clickstream.conversion(timestamptz, timestamptz) is
  'Sessions, those with a purchase, their share, users, buyers and revenue.';

create function clickstream.top_pages("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, bounce_rate double precision, exits bigint,
  exit_rate double precision)
language sql stable parallel safe
begin atomic
  select p.page, sum(p.views)::bigint, sum(p.entries)::bigint, sum(p.bounces)::bigint,
    sum(p.bounces)::double precision / nullif(sum(p.entries), 0)::double precision,
    sum(p.exits)::bigint,
    sum(p.exits)::double precision / nullif(sum(p.views), 0)::double precision
  from (
    select v.page, v.views, 0::bigint as entries, 0::bigint as bounces, 0::bigint as exits
    from clickstream.pages v
    where v.window_start >= "from" and v.window_start < "to"
    union all
    select s.entry_page, 0, 1, s.bounced::integer, 0
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and s.entry_page is not null
    union all
    select s.exit_page, 0, 0, 0, 1
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to" and s.exit_page is not null
  ) p
  group by p.page
  order by 2 desc, 3 desc, p.page collate "C";
end;
comment on function clickstream.top_pages(timestamptz, timestamptz) is
  'Views of each page; sessions that entered on it, bounced and left on it. Bounce rate is bounces by entries, exit rate exits by views.';

create function clickstream.devices("from" timestamptz, "to" timestamptz)
returns table (device text, events bigint, sessions bigint)
language sql stable parallel safe
begin atomic
  select d.device, sum(d.events)::bigint, sum(d.sessions)::bigint
  from (
    select t.device, t.events, 0::bigint as sessions
    from clickstream.traffic t
    where t.window_start >= "from" and t.window_start < "to"
    union all
    select s.device, 0, 1
    from clickstream.sessions s
    where s.started_at >= "from" and s.started_at < "to"
  ) d
  group by d.device
  order by 2 desc, d.device;
end;
comment on function clickstream.devices(timestamptz, timestamptz) is 'Events and sessions by device.';

create function clickstream.activity_heatmap("from" timestamptz, "to" timestamptz)
returns table (day_of_week integer, hour integer, events bigint)
language sql stable parallel safe
begin atomic
  select extract(isodow from t.window_start at time zone 'UTC')::integer,
    extract(hour from t.window_start at time zone 'UTC')::integer,
    sum(t.events)::bigint
  from clickstream.traffic t
  where t.window_start >= "from" and t.window_start < "to"
  group by 1, 2
  order by 1, 2;
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
    select n.step, n.name, count(s.user_id) as sessions
    from (values (1, 'page_view'), (2, 'add_to_cart'), (3, 'purchase')) as n (step, name)
    left join clickstream.sessions s
      on s.started_at >= "from" and s.started_at < "to" and s.funnel_step >= n.step
    group by n.step, n.name
  ) f
  order by f.step;
end;
comment on function clickstream.funnel(timestamptz, timestamptz) is
  'Sessions that reached each step; the share of the step before, and of the first. The first has no step before it.';

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

create function clickstream.retention(from_day date, to_day date)
returns table (cohort_day date, cohort_size bigint, day_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  with firsts as (
    select d.user_id, min(d.day) as cohort_day from clickstream.user_days d group by d.user_id
  ), cohorts as (
    select f.user_id, f.cohort_day, count(*) over (partition by f.cohort_day) as size
    from firsts f
    where f.cohort_day >= from_day and f.cohort_day < to_day
  )
  select c.cohort_day, c.size, d.day - c.cohort_day, count(*), count(*)::double precision / c.size
  from cohorts c
  join clickstream.user_days d on d.user_id = c.user_id
  where d.day < (now() at time zone 'UTC')::date
  group by c.cohort_day, c.size, d.day - c.cohort_day
  order by 1, 3;
end;
comment on function clickstream.retention(date, date) is
  'Of the users first seen on cohort_day, how many came on the nth day after; days that are not over have no row.';

grant execute on function
  clickstream.conversion(timestamptz, timestamptz),
  clickstream.top_pages(timestamptz, timestamptz),
  clickstream.devices(timestamptz, timestamptz),
  clickstream.activity_heatmap(timestamptz, timestamptz),
  clickstream.funnel(timestamptz, timestamptz),
  clickstream.top_users(timestamptz, timestamptz),
  clickstream.retention(date, date)
to clickstream_reader;
