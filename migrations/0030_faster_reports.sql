-- The heatmap of a zone whose clock is not whole hours from UTC: rows of a minute are added up before the clock is asked,
-- once for each minute, and not for each of its event types, devices and regions.
set local role clickstream_owner;

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
