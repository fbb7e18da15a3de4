-- Reports that took seconds for a month: the heatmap of a zone whose clock is not whole hours from UTC, and the touches of
-- campaigns. They say what they said. The index of touches is made anew, in some seconds for each million sessions.
set local role clickstream_owner;

-- Rows of a minute are added up before the clock is asked, once for each minute, and not for each of its event types,
-- devices and regions.
create or replace function clickstream.activity_heatmap("from" timestamptz, "to" timestamptz, devices text[], regions text[],
  bots boolean default false)
returns table (day_of_week integer, hour integer, events bigint)
language sql stable parallel safe
begin atomic
  select extract(isodow from h.local)::integer, extract(hour from h.local)::integer, sum(h.events)::bigint
  from (
    select u.start at time zone clickstream.time_zone() as local, u.events
    from (
      select date_bin('1 hour', t.window_start, '1970-01-01T00:00Z') as start, sum(t.events) as events
      from clickstream.traffic_between("from", "to", bots => bots) t
      where (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
      group by 1
      -- Asks for each hour, and not for each of its rows.
      offset 0
    ) u
    where clickstream.is_local_hour(u.start)
    union all
    -- Hours of UTC that belong to two hours of the shop's clock are counted by the minute.
    select m.start at time zone clickstream.time_zone(), m.events
    from (
      select t.window_start as start, sum(t.events) as events
      from (
        select distinct h.window_start as start
        from clickstream.traffic_hours h
        where h.window_start > "from" - interval '1 hour' and h.window_start < "to"
        offset 0
      ) u
      join clickstream.traffic t on t.window_start >= greatest(u.start, "from")
        and t.window_start < least(u.start + interval '1 hour', "to")
      where not clickstream.is_local_hour(u.start) and (bots or not t.is_bot)
        and (devices is null or t.device = any (devices)) and (regions is null or t.region = any (regions))
      group by 1
    ) m
  ) h
  group by 1, 2
  order by 1, 2;
end;

-- Texts decide between touches of the same time. With them in the order of the index, the first entry is the answer.
drop index clickstream.sessions_touches;
create index sessions_touches on clickstream.sessions (user_id, started_at, source, medium, campaign nulls first)
  include (is_bot)
where source <> '(direct)';

create or replace function clickstream.campaigns("from" timestamptz, "to" timestamptz, touch text, bots boolean default false)
returns table (channel text, source text, medium text, campaign text, sessions bigint, conversions bigint,
  revenue_cents bigint, average_order_cents double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- The users of a month are added up in memory.
set work_mem = '64MB'
as $$
begin
  if touch is null or touch not in ('last', 'last_non_direct', 'first') then
    raise exception 'campaigns: touch is %', coalesce(quote_literal(touch), 'null')
      using hint = 'Allowed are ''last'', ''last_non_direct'' and ''first''.', errcode = 'invalid_parameter_value';
  end if;
  return query
  with touched as (
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
  )
  select clickstream.channel(g.source, g.medium, g.campaign), g.source, g.medium, g.campaign, g.sessions, g.conversions,
    g.revenue_cents, g.revenue_cents::double precision / nullif(g.conversions, 0)::double precision
  from (
    select coalesce(t.source, '(not set)') as source, coalesce(t.medium, '(not set)') as medium,
      coalesce(t.campaign, '(not set)') as campaign, sum(t.sessions)::bigint as sessions,
      sum(t.conversions)::bigint as conversions, sum(t.revenue_cents)::bigint as revenue_cents
    from touched t
    group by 1, 2, 3
  ) g
  order by g.revenue_cents desc, g.sessions desc, g.source collate "C", g.medium collate "C", g.campaign collate "C";
end
$$;
