-- Reports that took seconds for a month, or a little more than one. They say what they said.
set local role clickstream_owner;

-- Touches are looked up for each session, which takes seconds for a month, and days that are over hardly change. So
-- `clickstream maintain` keeps the totals of each of them, and whatever changes a session drops the days that it counts
-- on. The report adds up totals, and looks at the sessions of all other days.
create table clickstream.campaign_days (
  day date primary key,
  is_counted boolean not null default false
);
comment on table clickstream.campaign_days is
  'Days of which campaign_totals has the totals. A change of a session deletes the days on which it or a later session of its user counts.';
comment on column clickstream.campaign_days.day is 'Day of the shop''s time zone.';
comment on column clickstream.campaign_days.is_counted is 'Whether the totals are complete; until then, reports do not read them.';

create table clickstream.campaign_totals (
  day date not null,
  touch text collate "C" not null check (touch in ('last', 'last_non_direct')),
  bots boolean not null,
  source text collate "C" not null,
  medium text collate "C" not null,
  campaign text collate "C" not null,
  sessions bigint not null,
  conversions bigint not null,
  revenue_cents bigint not null,
  primary key (day, touch, bots, source, medium, campaign)
);
comment on table clickstream.campaign_totals is
  'Sessions by touch on each day, of people and of all: the rows of the report campaigns. Those of days that are not in campaign_days are out of date.';
comment on column clickstream.campaign_totals.day is 'Day of the shop''s time zone on which the sessions began.';
comment on column clickstream.campaign_totals.touch is 'Which session gets the credit, as in the report campaigns.';
comment on column clickstream.campaign_totals.bots is 'Whether sessions of bots count, too.';
comment on column clickstream.campaign_totals.source is 'Source of the session that gets the credit, or (not set).';
comment on column clickstream.campaign_totals.medium is 'Medium of the session that gets the credit, or (not set).';
comment on column clickstream.campaign_totals.campaign is 'Campaign of the session that gets the credit, or (not set).';
comment on column clickstream.campaign_totals.sessions is 'Number of sessions.';
comment on column clickstream.campaign_totals.conversions is 'Number of sessions with a purchase.';
comment on column clickstream.campaign_totals.revenue_cents is 'Their revenue.';
grant select on clickstream.campaign_days, clickstream.campaign_totals to clickstream_reader;

create function clickstream.campaigns_between("from" timestamptz, "to" timestamptz, touch text,
  bots boolean default false)
returns table (source text, medium text, campaign text, sessions bigint, conversions bigint, revenue_cents bigint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- The users of a month are added up in memory.
set work_mem = '64MB'
as $$
begin
  return query
  select coalesce(t.source, '(not set)'), coalesce(t.medium, '(not set)'), coalesce(t.campaign, '(not set)'),
    sum(t.sessions)::bigint, sum(t.conversions)::bigint, sum(t.revenue_cents)::bigint
  from (
    select s.source, s.medium, s.campaign, count(*) as sessions, count(*) filter (where s.purchases > 0) as conversions,
      sum(s.revenue_cents) as revenue_cents
    from clickstream.sessions s
    where touch = 'last' and s.started_at >= "from" and s.started_at < "to" and (bots or not s.is_bot)
    group by s.source, s.medium, s.campaign
    union all
    select l.touched[1], l.touched[2], l.touched[3], count(*), count(*) filter (where l.purchases > 0),
      sum(l.revenue_cents)
    from (
      select s.purchases, s.revenue_cents,
        case when s.source = '(direct)' then coalesce((
          select array[e.source, e.medium, e.campaign]
          from clickstream.sessions e
          where e.user_id = s.user_id and e.source <> '(direct)' and (bots or not e.is_bot)
            -- In hours, because days would be those of the time zone of the connection.
            and e.started_at < s.started_at and e.started_at >= s.started_at - interval '720 hours'
          order by e.started_at desc, e.source desc, e.medium desc, e.campaign desc nulls last
          limit 1
        ), array[s.source, s.medium, s.campaign])
        else array[s.source, s.medium, s.campaign] end as touched
      from clickstream.sessions s
      where touch = 'last_non_direct' and s.started_at >= "from" and s.started_at < "to" and (bots or not s.is_bot)
      -- Of a value without statistics, PostgreSQL expects few, and adds them up in a hash table.
      offset 0
    ) l
    group by l.touched
    union all
    select f.touched[1], f.touched[2], f.touched[3], sum(f.sessions), sum(f.conversions), sum(f.revenue_cents)
    from (
      select u.sessions, u.conversions, u.revenue_cents,
        coalesce((
          -- The start of the first session is in an index, and only that session is read.
          select array[e.source, e.medium, e.campaign]
          from clickstream.sessions e
          where e.user_id = u.user_id and e.source is not null and (bots or not e.is_bot)
            and e.started_at = (
              select min(m.started_at) from clickstream.sessions m where m.user_id = u.user_id and (bots or not m.is_bot)
            )
          order by e.source, e.medium, coalesce(e.campaign, '')
          limit 1
        ), (
          -- The first session is of a version that had no sources.
          select array[e.source, e.medium, e.campaign]
          from clickstream.sessions e
          where e.user_id = u.user_id and e.source is not null and (bots or not e.is_bot)
          order by e.started_at, e.source, e.medium, coalesce(e.campaign, '')
          limit 1
        )) as touched
      from (
        select s.user_id, count(*) as sessions, count(*) filter (where s.purchases > 0) as conversions,
          sum(s.revenue_cents) as revenue_cents
        from clickstream.sessions s
        where touch = 'first' and s.started_at >= "from" and s.started_at < "to" and (bots or not s.is_bot)
        group by s.user_id
      ) u
      offset 0
    ) f
    group by f.touched
  ) t
  group by 1, 2, 3;
end
$$;
comment on function clickstream.campaigns_between(timestamptz, timestamptz, text, boolean) is
  'What campaigns adds up, from the sessions themselves.';
grant execute on function clickstream.campaigns_between(timestamptz, timestamptz, text, boolean) to clickstream_reader;

create or replace function clickstream.campaigns("from" timestamptz, "to" timestamptz, touch text, bots boolean default false)
returns table (channel text, source text, medium text, campaign text, sessions bigint, conversions bigint,
  revenue_cents bigint, average_order_cents double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  counted date[];
  uncounted tstzmultirange;
begin
  if touch is null or touch not in ('last', 'last_non_direct', 'first') then
    raise exception 'campaigns: touch is %', coalesce(quote_literal(touch), 'null')
      using hint = 'Allowed are ''last'', ''last_non_direct'' and ''first''.', errcode = 'invalid_parameter_value';
  end if;
  if "from" < "to" is not true then
    return;
  end if;
  select coalesce(array_agg(d.day), '{}'),
    tstzmultirange(tstzrange("from", "to"))
      - coalesce(range_agg(tstzrange(clickstream.day_start(d.day), clickstream.day_start(d.day + 1))), '{}')
  into counted, uncounted
  from clickstream.campaign_days d
  where touch <> 'first' and d.is_counted and clickstream.day_start(d.day) >= "from"
    and clickstream.day_start(d.day + 1) <= "to";
  return query
  select clickstream.channel(g.source, g.medium, g.campaign), g.source, g.medium, g.campaign, g.sessions, g.conversions,
    g.revenue_cents, g.revenue_cents::double precision / nullif(g.conversions, 0)::double precision
  from (
    select t.source, t.medium, t.campaign, sum(t.sessions)::bigint as sessions, sum(t.conversions)::bigint as conversions,
      sum(t.revenue_cents)::bigint as revenue_cents
    from (
      select c.source, c.medium, c.campaign, c.sessions, c.conversions, c.revenue_cents
      from clickstream.campaign_totals c
      where c.day = any (counted) and c.touch = campaigns.touch and c.bots = coalesce(campaigns.bots, false)
      union all
      select c.source, c.medium, c.campaign, c.sessions, c.conversions, c.revenue_cents
      from unnest(uncounted) u (span)
      cross join lateral clickstream.campaigns_between(lower(u.span), upper(u.span), campaigns.touch, campaigns.bots) c
    ) t
    group by t.source, t.medium, t.campaign
  ) g
  order by g.revenue_cents desc, g.sessions desc, g.source collate "C", g.medium collate "C", g.campaign collate "C";
end
$$;

create function clickstream.sessions_campaigns_trigger() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  ended timestamptz;
  changed text;
begin
  -- Days are added to campaign_days by whoever holds this lock.
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    delete from clickstream.campaign_days;
    return null;
  end if;
  select clickstream.day_start(max(d.day) + 1) into ended from clickstream.campaign_days d;
  if ended is null then
    return null;
  end if;
  -- Nearly all sessions are of today. In an update, what does not change cancels itself out.
  if tg_op = 'INSERT' then
    if not exists (select from added a where a.started_at < ended) then
      return null;
    end if;
    changed := 'select user_id, started_at from added where started_at < $1';
  elsif tg_op = 'DELETE' then
    if not exists (select from removed r where r.started_at < ended) then
      return null;
    end if;
    changed := 'select user_id, started_at from removed where started_at < $1';
  else
    if not exists (select from added a where a.started_at < ended)
      and not exists (select from removed r where r.started_at < ended) then
      return null;
    end if;
    changed := 'select user_id, started_at from (
        select user_id, started_at, source, medium, campaign, is_bot, purchases > 0, revenue_cents, sum(n) as n
        from (select *, 1 as n from added union all select *, -1 from removed) both_rows
        where started_at < $1
        group by 1, 2, 3, 4, 5, 6, 7, 8
      ) each_row
      where n <> 0';
  end if;
  execute format('with changed as materialized (%s), of_user as materialized (
      select c.user_id, min(c.started_at) as first, max(c.started_at) + interval ''720 hours'' as until
      from changed c
      group by c.user_id
    ), later as materialized (
      select u.first, u.until,
        array(select s.started_at from clickstream.sessions s where s.user_id = u.user_id limit 1000) as starts
      from of_user u
    )
    delete from clickstream.campaign_days d where d.day in (
      select clickstream.day_of(c.started_at) from changed c
      union
      select clickstream.day_of(t.start)
      from later l
      cross join lateral unnest(l.starts) t (start)
      where t.start > l.first and t.start <= l.until
      union
      -- A user with more sessions, such as one that stands for all who are not logged in, has some on any day.
      select clickstream.day_of(l.first) + n
      from later l
      cross join lateral generate_series(0, clickstream.day_of(l.until) - clickstream.day_of(l.first)) n
      where cardinality(l.starts) = 1000
    )', changed) using ended;
  return null;
end
$$;
comment on function clickstream.sessions_campaigns_trigger() is
  'Trigger: takes the days on which changed sessions or later ones of their users count out of campaign_days.';

create trigger campaigns_added after insert on clickstream.sessions
referencing new table as added for each statement execute function clickstream.sessions_campaigns_trigger();
create trigger campaigns_changed after update on clickstream.sessions
referencing old table as removed new table as added for each statement execute function clickstream.sessions_campaigns_trigger();
create trigger campaigns_removed after delete on clickstream.sessions
referencing old table as removed for each statement execute function clickstream.sessions_campaigns_trigger();
create trigger campaigns_truncated after truncate on clickstream.sessions
for each statement execute function clickstream.sessions_campaigns_trigger();

-- Of sessions that are not asked for by device or region, those of whole days are added up in a rollup.
create or replace function clickstream.bounces("from" timestamptz, "to" timestamptz, devices text[], regions text[],
  bots boolean default false)
returns table (sessions bigint, bounces bigint, bounce_rate double precision)
language sql stable parallel safe
begin atomic
  select sum(b.sessions)::bigint, sum(b.bounces)::bigint,
    sum(b.bounces)::double precision / nullif(sum(b.sessions), 0)::double precision
  from (
    select coalesce(sum(d.entries), 0) as sessions, coalesce(sum(d.bounces), 0) as bounces
    from clickstream.page_days d
    where devices is null and regions is null and (bots or not d.is_bot)
      and d.window_start >= clickstream.next_day_start("from")
      and d.window_start < clickstream.day_start(clickstream.day_of("to"))
    union all
    select count(*), count(*) filter (where s.bounced)
    from clickstream.sessions s
    where s.page_views > 0 and (bots or not s.is_bot) and s.started_at >= "from"
      and s.started_at < case when devices is null and regions is null
        then least(clickstream.next_day_start("from"), "to") else "to" end
      and (devices is null or s.device = any (devices)) and (regions is null or s.region = any (regions))
    union all
    select count(*), count(*) filter (where s.bounced)
    from clickstream.sessions s
    where devices is null and regions is null and s.page_views > 0 and (bots or not s.is_bot)
      and s.started_at >= greatest(clickstream.next_day_start("from"), clickstream.day_start(clickstream.day_of("to")))
      and s.started_at < "to"
  ) b;
end;

-- Weeks are counted since a Monday before all days, which takes less time than to ask each date for its day of the week.
create or replace function clickstream.retention_weeks(from_day date, to_day date, bots boolean default false)
returns table (cohort_week date, cohort_size bigint, week_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  with first_days as (
    select u.user_id, (u.first_day - date '1969-12-29') / 7 as week
    from clickstream.users u
    -- Weeks begin in the time: the first users of one came on the first Monday of the time, or later.
    where u.first_day >= from_day + (8 - extract(isodow from from_day)::integer) % 7
      and u.first_day < to_day + (8 - extract(isodow from to_day)::integer) % 7 and (bots or not u.is_bot)
  )
  select date '1969-12-29' + 7 * c.week, s.users, c.number, c.users, c.users::double precision / s.users
  from (
    select k.week, k.number, count(*) as users
    from (
      select distinct f.user_id, f.week, (d.day - date '1969-12-29') / 7 - f.week as number
      from first_days f
      join clickstream.user_days d on d.user_id = f.user_id
      where (bots or not d.is_bot) and d.day >= from_day
        and d.day < (date_trunc('week', now() at time zone clickstream.time_zone()))::date
    ) k
    group by 1, 2
  ) c
  join (select f.week, count(*) as users from first_days f group by 1) s on s.week = c.week
  order by c.week, c.number;
end;

-- Months are numbered, each number made from a date once, and not from numeric parts of two dates for each day of a user.
create or replace function clickstream.retention_months(from_day date, to_day date, bots boolean default false)
returns table (cohort_month date, cohort_size bigint, month_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  with first_days as (
    select u.user_id, (date_part('year', u.first_day) * 12 + date_part('month', u.first_day) - 1)::integer as month
    from clickstream.users u
    -- Months begin in the time: the first users of one came on the first day of a month in the time, or later.
    where u.first_day >= date_trunc('month', from_day - 1 + interval '1 month')::date
      and u.first_day < date_trunc('month', to_day - 1 + interval '1 month')::date and (bots or not u.is_bot)
  )
  select make_date(c.month / 12, c.month % 12 + 1, 1), s.users, c.number, c.users,
    c.users::double precision / s.users::double precision
  from (
    select k.month, k.number, count(*) as users
    from (
      select distinct f.user_id, f.month,
        (date_part('year', d.day) * 12 + date_part('month', d.day) - 1)::integer - f.month as number
      from first_days f
      join clickstream.user_days d on d.user_id = f.user_id
      where (bots or not d.is_bot) and d.day >= from_day
        and d.day < (date_trunc('month', now() at time zone clickstream.time_zone()))::date
    ) k
    group by 1, 2
  ) c
  join (select f.month, count(*) as users from first_days f group by 1) s on s.month = c.month
  order by c.month, c.number;
end;
