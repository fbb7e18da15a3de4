-- Bots: marks on events, windows, sessions and user days, and reports that count people only unless they are told
-- otherwise. No row is written anew: the columns have constant defaults, so rows that are there already count as people's
-- until `clickstream rebuild` marks them. What takes time are the indexes that the marks become part of, above all the
-- keys of windows: some seconds for each million rows. Nobody reads or writes these tables meanwhile.
set local role clickstream_owner;

alter table clickstream.events add column is_bot boolean not null default false;
alter table clickstream.traffic add column is_bot boolean not null default false,
  drop constraint traffic_pkey, add primary key (window_start, event_type, device, region, is_bot);
alter table clickstream.traffic_hours add column is_bot boolean not null default false,
  drop constraint traffic_hours_pkey, add primary key (window_start, event_type, device, region, is_bot);
alter table clickstream.pages add column is_bot boolean not null default false,
  drop constraint pages_pkey, add primary key (window_start, page_key, is_bot);
alter table clickstream.page_days add column is_bot boolean not null default false,
  drop constraint page_days_pkey, add primary key (window_start, page_key, is_bot);
alter table clickstream.active_users add column is_bot boolean not null default false,
  drop constraint active_users_pkey, add primary key (window_start, is_bot);
alter table clickstream.sessions add column bot_events bigint not null default 0,
  add column is_bot boolean not null default false;
-- In this order, because the flag takes no space beside the one before it.
alter table clickstream.user_days add column is_bot boolean not null default false,
  add column bot_sessions integer not null default 0,
  drop constraint user_days_pkey, add primary key (user_id, day) include (is_bot);

-- A job of Flink has its own index for its upserts; what `clickstream flink` prints now has the one that it needs.
drop index if exists clickstream.flink_pages;

-- Reports count sessions and users, and look for touches, in the index alone, and now by the mark as well.
drop index clickstream.sessions_key, clickstream.sessions_started_at, clickstream.sessions_bought,
  clickstream.sessions_touches;
create unique index sessions_key on clickstream.sessions (user_id, coalesce(session_id, ''), started_at) include (is_bot);
create index sessions_started_at on clickstream.sessions (started_at) include (device, region, is_bot);
create index sessions_bought on clickstream.sessions (started_at)
  include (user_id, revenue_cents, device, region, is_bot) where purchases > 0;
-- A direct session asks for the latest one before it that is not direct: only those are in this index, so that neither
-- a user with many direct sessions makes that long, nor a session that is direct costs an entry. First touches have
-- sessions_key, by their user.
create index sessions_touches on clickstream.sessions (user_id, started_at) include (source, medium, campaign, is_bot)
where source <> '(direct)';

-- A partition has its own comments.
do $$
declare
  part regclass;
begin
  for part in
    select 'clickstream.events'::regclass
    union all
    select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'clickstream.events'::regclass
  loop
    execute format('comment on column %s.is_bot is %L', part, 'Whether user_agent is on the list of bots.');
  end loop;
end
$$;
comment on column clickstream.traffic.is_bot is 'Whether these are the events with a user agent on the list of bots.';
comment on column clickstream.traffic_hours.is_bot is
  'Whether these are the events with a user agent on the list of bots.';
comment on column clickstream.pages.is_bot is 'Whether these are the views with a user agent on the list of bots.';
comment on column clickstream.page_days.is_bot is
  'Whether these are the views with a user agent on the list of bots, and the sessions of bots.';
comment on column clickstream.active_users.is_bot is
  'Whether these are the users of events with a user agent on the list of bots. A user with events of both kinds is in both rows.';
comment on column clickstream.sessions.bot_events is 'Number of events with a user agent on the list of bots.';
comment on column clickstream.sessions.is_bot is
  'Whether it is a bot''s: an event has a user agent on the list of bots, or there are at least 200 events, and more than 60 per started minute since the first.';
comment on column clickstream.user_days.bot_sessions is 'Number of sessions of bots with an event on the day.';
comment on column clickstream.user_days.is_bot is 'Whether a session of a bot has an event on the day.';

create or replace view clickstream.users as
select d.user_id, d.day as first_day, d.is_bot from clickstream.user_days d where d.is_first;
comment on column clickstream.users.is_bot is 'Whether the first day is a bot''s.';

create or replace function clickstream.traffic_rollup_trigger() returns trigger
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
      select date_bin('1 hour', d.window_start, '1970-01-01T00:00Z') as start, d.event_type, d.device, d.region, d.is_bot,
        sum(d.events) as events
      from removed d group by 1, 2, 3, 4, 5
    ) r
    where h.window_start = r.start and h.event_type = r.event_type and h.device = r.device and h.region = r.region
      and h.is_bot = r.is_bot;
    delete from clickstream.traffic_hours
    where events = 0
      and window_start in (select date_bin('1 hour', d.window_start, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.traffic_hours as h (window_start, event_type, device, region, is_bot, events)
    select date_bin('1 hour', c.window_start, '1970-01-01T00:00Z'), c.event_type, c.device, c.region, c.is_bot,
      sum(c.events)
    from (
      select a.window_start, a.event_type, a.device, a.region, a.is_bot, a.events from added a
      union all
      select r.window_start, r.event_type, r.device, r.region, r.is_bot, -r.events from removed r
    ) c
    group by 1, 2, 3, 4, 5
    having sum(c.events) <> 0
    on conflict (window_start, event_type, device, region, is_bot) do update set events = h.events + excluded.events;
  else
    insert into clickstream.traffic_hours as h (window_start, event_type, device, region, is_bot, events)
    select date_bin('1 hour', a.window_start, '1970-01-01T00:00Z'), a.event_type, a.device, a.region, a.is_bot,
      sum(a.events)
    from added a
    group by 1, 2, 3, 4, 5
    on conflict (window_start, event_type, device, region, is_bot) do update set events = h.events + excluded.events;
  end if;
  return null;
end
$$;

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
      select clickstream.day_start(clickstream.day_of(d.window_start)) as start, d.page_key, d.is_bot, sum(d.views) as views
      from removed d group by 1, 2, 3
    ) r
    where p.window_start = r.start and p.page_key = r.page_key and p.is_bot = r.is_bot;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select clickstream.day_start(clickstream.day_of(d.window_start)) from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, is_bot, views)
    select clickstream.day_start(clickstream.day_of(c.window_start)), c.page, c.is_bot, sum(c.views)
    from (
      select a.window_start, a.page, a.is_bot, a.views from added a
      union all
      select r.window_start, r.page, r.is_bot, -r.views from removed r
    ) c
    group by 1, c.page, c.is_bot
    having sum(c.views) <> 0
    on conflict (window_start, page_key, is_bot) do update set views = p.views + excluded.views;
  else
    insert into clickstream.page_days as p (window_start, page, is_bot, views)
    select clickstream.day_start(clickstream.day_of(a.window_start)), a.page, a.is_bot, sum(a.views)
    from added a
    group by 1, a.page, a.is_bot
    on conflict (window_start, page_key, is_bot) do update set views = p.views + excluded.views;
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
        e.is_bot, sum(e.entries) as entries, sum(e.bounces) as bounces, sum(e.exits) as exits
      from (
        select d.started_at as at, d.entry_page as page, d.is_bot, 1 as entries, d.bounced::integer as bounces, 0 as exits
        from removed d
        union all
        select d.started_at, d.exit_page, d.is_bot, 0, 0, 1 from removed d
      ) e
      where e.page is not null
      group by 1, e.page, e.is_bot
    ) r
    where p.window_start = r.start and p.page_key = r.page_key and p.is_bot = r.is_bot;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select clickstream.day_start(clickstream.day_of(d.started_at)) from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, is_bot, entries, bounces, exits)
    select clickstream.day_start(clickstream.day_of(e.at)), e.page, e.is_bot, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, a.is_bot, 1 as entries, a.bounced::integer as bounces, 0 as exits
      from added a
      union all
      select a.started_at, a.exit_page, a.is_bot, 0, 0, 1 from added a
      union all
      select r.started_at, r.entry_page, r.is_bot, -1, -r.bounced::integer, 0 from removed r
      union all
      select r.started_at, r.exit_page, r.is_bot, 0, 0, -1 from removed r
    ) e
    where e.page is not null
    group by 1, e.page, e.is_bot
    having sum(e.entries) <> 0 or sum(e.bounces) <> 0 or sum(e.exits) <> 0
    on conflict (window_start, page_key, is_bot) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  else
    insert into clickstream.page_days as p (window_start, page, is_bot, entries, bounces, exits)
    select clickstream.day_start(clickstream.day_of(e.at)), e.page, e.is_bot, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, a.is_bot, 1 as entries, a.bounced::integer as bounces, 0 as exits
      from added a
      union all
      select a.started_at, a.exit_page, a.is_bot, 0, 0, 1 from added a
    ) e
    where e.page is not null
    group by 1, e.page, e.is_bot
    on conflict (window_start, page_key, is_bot) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  end if;
  return null;
end
$$;

create or replace function clickstream.recount_page_days() returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  delete from clickstream.page_days;
  insert into clickstream.page_days (window_start, page, is_bot, views, entries, bounces, exits)
  select clickstream.day_start(c.day), c.page, c.is_bot, sum(c.views), sum(c.entries), sum(c.bounces), sum(c.exits)
  from (
    select clickstream.day_of(p.window_start) as day, p.page, p.is_bot, p.views, 0 as entries, 0 as bounces, 0 as exits
    from clickstream.pages p
    union all
    select clickstream.day_of(s.started_at), s.entry_page, s.is_bot, 0, 1, s.bounced::integer, 0
    from clickstream.sessions s
    union all
    select clickstream.day_of(s.started_at), s.exit_page, s.is_bot, 0, 0, 0, 1 from clickstream.sessions s
  ) c
  where c.page is not null
  group by c.day, c.page, c.is_bot;
end;

-- The third parameter of a report must not be one of two: a text without a type could be steps or bots. So the funnel of
-- sessions has a name of its own, which funnel calls where there are no steps, and top_users knows no number as all.
alter function clickstream.funnel(timestamptz, timestamptz) rename to session_funnel;
create or replace function clickstream.funnel("from" timestamptz, "to" timestamptz, steps text[] default null)
returns table (step integer, name text, sessions bigint, step_rate double precision, overall_rate double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- A day's events are sorted in memory.
set work_mem = '64MB'
as $$
declare
  latest timestamptz;
begin
  if steps is null then
    return query select f.step, f.name, f.sessions, f.step_rate, f.overall_rate
    from clickstream.session_funnel("from", "to") f;
    return;
  end if;
  if cardinality(steps) not between 1 and 20 or array_position(steps, null) is not null
    or exists (select from unnest(steps) as t (type) group by type having count(*) > 1) then
    raise exception 'funnel: steps are %', steps::text
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
  'The funnel of these event types, each at the same time as the one before or later. Reads the raw events, so it needs STORE_EVENTS, and knows nothing of sessions whose events have expired. Without steps, what session_funnel says.';
grant execute on function clickstream.funnel(timestamptz, timestamptz, text[]) to clickstream_writer;

-- Every report gets a last parameter, bots: from each table with a mark it reads people only, unless that is true, and it
-- passes the parameter on to the reports that it calls. One rule changes them all, as PostgreSQL prints them: so none is
-- left out, and what they count is written nowhere twice. Functions that others than the reports made of them depend on
-- cannot be dropped, and stop the migration.
do $$
declare
  marked constant text := 'clickstream\.(events|traffic|traffic_hours|pages|page_days|active_users|sessions|user_days|users)';
  reports oid[] := '{}';
  names text;
  known integer := -1;
  report record;
  source record;
  columns text;
  definitions text[] := '{}';
  signatures text[] := '{}';
  body text;
  done text;
  call text;
  depth integer;
  made boolean[];
begin
  -- Without it, names would be printed without their schema.
  perform set_config('search_path', 'pg_catalog', true);
  -- Functions that only read, and read a table with a mark; and those that call them.
  while cardinality(reports) <> known loop
    known := cardinality(reports);
    select string_agg(distinct p.proname::text, '|') into names from pg_proc p where p.oid = any (reports);
    select array_agg(p.oid order by p.oid) into reports
    from pg_proc p
    where p.pronamespace = 'clickstream'::regnamespace and p.proowner = 'clickstream_owner'::regrole
      and p.prokind = 'f' and p.provolatile = 's'
      and (pg_get_functiondef(p.oid) ~ (marked || '\M[^(]')
        or substr(pg_get_functiondef(p.oid), 30) ~ ('clickstream\.(' || coalesce(names, '-') || ')\('));
  end loop;
  for report in
    select p.oid, p.proname as name, pg_get_functiondef(p.oid) as definition,
      pg_get_function_identity_arguments(p.oid) as arguments, obj_description(p.oid, 'pg_proc') as about,
      array(
        select a.grantee::regrole::text from aclexplode(p.proacl) a where a.grantee not in (0, p.proowner) order by 1
      ) as grantees
    from pg_proc p where p.oid = any (reports) order by p.oid
  loop
    signatures := signatures || format('clickstream.%I(%s)', report.name, report.arguments);
    continue when report.name = 'top_users' and report.arguments !~ 'integer';
    -- The first ones are its own name and parameters.
    done := replace(substring(report.definition from '^.*?\)\n RETURNS '), E')\n RETURNS ',
      E', bots boolean DEFAULT false)\n RETURNS ');
    done := replace(done, 'most integer', 'most integer DEFAULT NULL');
    body := substr(report.definition, length(substring(report.definition from '^.*?\)\n RETURNS ')) + 1);
    for source in
      select distinct m.parts[1] as name, m.parts[2] as alias
      from regexp_matches(body, marked || '\s+(\w+)', 'g') as m (parts) order by 1, 2
    loop
      -- Only the columns that are read, so that the report depends on no other.
      select string_agg(format('marked.%I', a.attname), ', ' order by a.attnum) into columns
      from pg_attribute a
      where a.attrelid = format('clickstream.%I', source.name)::regclass and a.attnum > 0 and not a.attisdropped
        and body ~ format('\m%s\.%s\M', source.alias, a.attname);
      body := regexp_replace(body, format('clickstream\.%s\s+%s\M', source.name, source.alias),
        format('(SELECT %s FROM clickstream.%s marked WHERE bots OR NOT marked.is_bot) %s', coalesce(columns, ''),
          source.name, source.alias), 'g');
    end loop;
    loop
      call := substring(body from '^.*?clickstream\.(?:' || names || ')\(');
      exit when call is null;
      done := done || call;
      body := substr(body, length(call) + 1);
      depth := 1;
      while depth > 0 loop
        depth := depth + case left(body, 1) when '(' then 1 when ')' then -1 else 0 end;
        done := done || case depth when 0 then ', bots => bots)' else left(body, 1) end;
        body := substr(body, 2);
      end loop;
    end loop;
    definitions := definitions || format('%s; comment on function clickstream.%I(%s, boolean) is %L%s', done || body,
      report.name, report.arguments, report.about || ' Of people only, unless bots is true.',
      (select string_agg(format('; grant execute on function clickstream.%I(%s, boolean) to %s', report.name,
        report.arguments, g.name), '') from unnest(report.grantees) as g (name)));
  end loop;
  execute 'drop function ' || array_to_string(signatures, ', ');
  -- A function can be made once those that it calls are there.
  made := array_fill(false, array[cardinality(definitions)]);
  while false = any (made) loop
    known := cardinality(array_positions(made, true));
    for n in 1 .. cardinality(definitions) loop
      continue when made[n];
      begin
        execute definitions[n];
        made[n] := true;
      exception
        when undefined_function then
          null;
      end;
    end loop;
    if cardinality(array_positions(made, true)) = known then
      raise exception 'reports call each other, or a function that is gone: %', array_to_string(definitions, E'\n');
    end if;
  end loop;
  perform set_config('search_path', (select reset_val from pg_settings where name = 'search_path'), true);
end
$$;

create function clickstream.bot_shares("from" timestamptz, "to" timestamptz, step interval)
returns table ("time" timestamptz, events bigint, bot_events bigint, event_share double precision, sessions bigint,
  bot_sessions bigint, session_share double precision)
language sql stable parallel safe
begin atomic
  select s."time", coalesce(e.all_events, 0), coalesce(e.all_events - coalesce(e.events, 0), 0),
    (e.all_events - coalesce(e.events, 0))::double precision / e.all_events::double precision, s.sessions,
    s.sessions - p.sessions, (s.sessions - p.sessions)::double precision / nullif(s.sessions, 0)::double precision
  from clickstream.conversions("from", "to", step, null, null, true) s
  join clickstream.conversions("from", "to", step, null, null, false) p on p."time" = s."time"
  left join (
    select r."time", sum(r.events) filter (where r.bots)::bigint as all_events,
      sum(r.events) filter (where not r.bots)::bigint as events
    from (
      select true as bots, a."time", a.events from clickstream.event_rates("from", "to", step, null, null, true) a
      union all
      select false, b."time", b.events from clickstream.event_rates("from", "to", step, null, null, false) b
    ) r
    group by r."time"
  ) e on e."time" = s."time"
  order by s."time";
end;
comment on function clickstream.bot_shares(timestamptz, timestamptz, interval) is
  'Events and sessions in each step of the time, those of bots, and their shares; steps begin at multiples of their length since 1970.';
grant execute on function clickstream.bot_shares(timestamptz, timestamptz, interval) to clickstream_reader;
