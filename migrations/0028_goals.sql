-- Reports of the goals and funnels that a shop declares. Their columns of sessions are made by clickstream views apply; the
-- reports read which there are, and count all of them in one pass over the sessions of the time.
set local role clickstream_owner;

create function clickstream.goals("from" timestamptz, "to" timestamptz, devices text[] default null,
  regions text[] default null, bots boolean default false)
returns table (goal text, sessions bigint, conversions bigint, conversion_rate double precision, times bigint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  names text[];
  reached text;
  counted text;
begin
  select array_agg(e.name order by e.n),
    string_agg(format('count(*) filter (where s.%I > 0)', 'goal_' || e.name), ', ' order by e.n),
    string_agg(format('coalesce(sum(s.%I), 0)::bigint', 'goal_' || e.name), ', ' order by e.n)
  into names, reached, counted
  from (
    select g.each ->> 'name' as name, g.n
    from clickstream.declarations d, jsonb_array_elements(d.declared -> 'goals') with ordinality as g (each, n)
  ) e;
  if names is null then
    return;
  end if;
  return query execute format(
    'select v.goal, c.sessions, v.reached, v.reached::double precision / nullif(c.sessions, 0), v.times
     from (
       select count(*) as sessions, array[%s] as reached, array[%s] as times
       from clickstream.sessions s
       where s.started_at >= $1 and s.started_at < $2 and ($3 is null or s.device = any ($3))
         and ($4 is null or s.region = any ($4)) and ($5 or not s.is_bot)
     ) c, unnest($6, c.reached, c.times) with ordinality as v (goal, reached, times, n)
     order by v.n', reached, counted) using "from", "to", devices, regions, bots, names;
end
$$;
comment on function clickstream.goals(timestamptz, timestamptz, text[], text[], boolean) is
  'For each declared goal, in the order of the file: the sessions of the time, those that reached it, their share, and how often it was reached. Of people only, unless bots is true.';

create function clickstream.funnels("from" timestamptz, "to" timestamptz, devices text[] default null,
  regions text[] default null, bots boolean default false)
returns table (funnel text, step integer, name text, sessions bigint, step_rate double precision,
  overall_rate double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  funnels text[];
  steps integer[];
  names text[];
  reached text;
begin
  select array_agg(e.funnel order by e.n, e.step), array_agg(e.step::integer order by e.n, e.step),
    array_agg(e.name order by e.n, e.step),
    string_agg(format('count(*) filter (where s.%I >= %s)', 'funnel_' || e.funnel, e.step), ', ' order by e.n, e.step)
  into funnels, steps, names, reached
  from (
    select f.each ->> 'name' as funnel, f.n, s.each ->> 'name' as name, s.step
    from clickstream.declarations d, jsonb_array_elements(d.declared -> 'funnels') with ordinality as f (each, n),
      jsonb_array_elements(f.each -> 'steps') with ordinality as s (each, step)
  ) e;
  if names is null then
    return;
  end if;
  return query execute format(
    'select v.funnel, v.step, v.name, v.sessions,
       v.sessions::double precision / nullif(lag(v.sessions) over of_funnel, 0),
       v.sessions::double precision / nullif(first_value(v.sessions) over of_funnel, 0)
     from (
       select array[%s] as sessions
       from clickstream.sessions s
       where s.started_at >= $1 and s.started_at < $2 and ($3 is null or s.device = any ($3))
         and ($4 is null or s.region = any ($4)) and ($5 or not s.is_bot)
     ) c, unnest($6, $7, $8, c.sessions) with ordinality as v (funnel, step, name, sessions, n)
     window of_funnel as (partition by v.funnel order by v.step)
     order by v.n', reached) using "from", "to", devices, regions, bots, funnels, steps, names;
end
$$;
comment on function clickstream.funnels(timestamptz, timestamptz, text[], text[], boolean) is
  'For each step of each declared funnel, in the order of the file: the sessions of the time that reached it, and their share of those that reached the step before, and the first step. Of people only, unless bots is true.';

create function clickstream.goals_compared("from" timestamptz, "to" timestamptz, bots boolean default false)
returns table (goal text, sessions bigint, previous_sessions bigint, conversions bigint, previous_conversions bigint,
  conversion_rate double precision, previous_conversion_rate double precision, times bigint, previous_times bigint)
language sql stable parallel safe
begin atomic
  select n.goal, n.sessions, b.sessions, n.conversions, b.conversions, n.conversion_rate, b.conversion_rate, n.times, b.times
  from clickstream.goals("from", "to", bots => bots) with ordinality
    as n (goal, sessions, conversions, conversion_rate, times, n)
  join clickstream.goals(clickstream.start_before("from", "to"), "from", bots => bots) b on b.goal = n.goal
  order by n.n;
end;
comment on function clickstream.goals_compared(timestamptz, timestamptz, boolean) is
  'What goals says of the time, and beside it of the time before: as many whole days, or the same length. Of people only, unless bots is true.';

create function clickstream.funnels_compared("from" timestamptz, "to" timestamptz, bots boolean default false)
returns table (funnel text, step integer, name text, sessions bigint, previous_sessions bigint,
  step_rate double precision, previous_step_rate double precision, overall_rate double precision,
  previous_overall_rate double precision)
language sql stable parallel safe
begin atomic
  select n.funnel, n.step, n.name, n.sessions, b.sessions, n.step_rate, b.step_rate, n.overall_rate, b.overall_rate
  from clickstream.funnels("from", "to", bots => bots) with ordinality
    as n (funnel, step, name, sessions, step_rate, overall_rate, n)
  join clickstream.funnels(clickstream.start_before("from", "to"), "from", bots => bots) b
    on b.funnel = n.funnel and b.step = n.step
  order by n.n;
end;
comment on function clickstream.funnels_compared(timestamptz, timestamptz, boolean) is
  'What funnels says of the time, and beside it of the time before: as many whole days, or the same length. Of people only, unless bots is true.';

grant execute on function
  clickstream.goals(timestamptz, timestamptz, text[], text[], boolean),
  clickstream.funnels(timestamptz, timestamptz, text[], text[], boolean),
  clickstream.goals_compared(timestamptz, timestamptz, boolean),
  clickstream.funnels_compared(timestamptz, timestamptz, boolean)
to clickstream_reader;
