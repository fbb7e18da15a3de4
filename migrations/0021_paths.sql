-- The pages that sessions saw one after the other, from their first page view on, or up to their last. Reads the raw
-- events of the time, so it needs STORE_EVENTS, and knows nothing of sessions whose events have expired.
set local role clickstream_owner;

create function clickstream.page_path(page text, hash_routes boolean default true) returns text
language sql immutable parallel safe
return case
  when page !~ '[?#]' then coalesce(nullif(page, ''), '/')
  else coalesce(
    nullif(
      substring(page from '^[^?#]*')
        || coalesce(case when hash_routes then substring(page from '^[^?#]*(?:\?[^#]*)?(#!?/[^?#]*)') end, ''),
      ''
    ),
    '/'
  )
end;
comment on function clickstream.page_path(text, boolean) is
  'A page as reports group by it: without query string and fragment, but with a hash route, unless hash_routes is false; / if nothing is left.';

create function clickstream.paths("from" timestamptz, "to" timestamptz, steps integer, direction text,
  hash_routes boolean default true)
returns table (path text, sessions bigint, share double precision, conversions bigint,
  conversion_rate double precision, revenue_cents bigint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- A day's page views are sorted in memory.
set work_mem = '64MB'
as $$
declare
  latest timestamptz;
begin
  if steps is null or steps not between 1 and 20 then
    raise exception 'paths: steps is %', coalesce(steps::text, 'null')
      using hint = 'Allowed are 1 to 20 pages.', errcode = 'invalid_parameter_value';
  end if;
  if direction is null or direction not in ('start', 'end') then
    raise exception 'paths: direction is %', coalesce(quote_literal(direction), 'null')
      using hint = 'Allowed are ''start'', the first pages of sessions, and ''end'', their last.',
        errcode = 'invalid_parameter_value';
  end if;
  -- Known before the events are asked for, so that only the days in question are looked at.
  select max(s.ended_at) into latest
  from clickstream.sessions s where s.started_at >= "from" and s.started_at < "to";
  return query
  with seen as (
    select s.purchases > 0 as bought, s.revenue_cents,
      -- In the order that decides about entry and exit pages.
      array_agg(clickstream.page_path(e.page, hash_routes) order by e.event_time, e.event_id collate "C",
        clickstream.page_path(e.page, hash_routes) collate "C") as pages
    from clickstream.sessions s
    join clickstream.events e on e.user_id = s.user_id and coalesce(e.session_id, '') = coalesce(s.session_id, '')
      and e.event_time >= s.started_at and e.event_time <= s.ended_at
    where s.started_at >= "from" and s.started_at < "to" and e.event_time >= "from" and e.event_time <= latest
      and e.event_type = 'page_view'
    group by s.user_id, s.session_id, s.started_at, s.purchases, s.revenue_cents
  ), cut as (
    select s.bought, s.revenue_cents, array_to_string(
      case direction
        when 'start' then s.pages[:steps]
        else s.pages[greatest(1, cardinality(s.pages) - steps + 1):]
      end, ' → ') as path
    from seen s
  )
  select c.path, count(*), count(*)::double precision / sum(count(*)) over ()::double precision,
    count(*) filter (where c.bought), count(*) filter (where c.bought)::double precision / count(*)::double precision,
    sum(c.revenue_cents)::bigint
  from cut c
  group by c.path
  order by 2 desc, c.path collate "C";
end
$$;
comment on function clickstream.paths(timestamptz, timestamptz, integer, text, boolean) is
  'The first (start) or last (end) so many pages of sessions with a page view, one after the other: in how many sessions, their share, and those with a purchase. Reads the raw events, so it needs STORE_EVENTS, and knows nothing of sessions whose events have expired.';

grant execute on function
  clickstream.page_path(text, boolean),
  clickstream.paths(timestamptz, timestamptz, integer, text, boolean)
to clickstream_reader;
