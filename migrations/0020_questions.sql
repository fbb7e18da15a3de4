-- More questions of a shop: what was sold, ordered and searched for, who came back by week and month, and each report
-- beside the period before. What asks for products, orders or searches reads the raw events of the time, so it needs
-- STORE_EVENTS, and knows nothing of events that have expired.
set local role clickstream_owner;

create function clickstream.retention_weeks(from_day date, to_day date)
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
        and d.day < (date_trunc('week', now() at time zone 'UTC'))::date
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
comment on function clickstream.retention_weeks(date, date) is
  'Of the users first seen in the week from the Monday cohort_week on, how many came in the nth week after. Has the weeks that begin in the time; those that are not over have no row.';

create function clickstream.retention_months(from_day date, to_day date)
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
        and d.day < (date_trunc('month', now() at time zone 'UTC'))::date
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
comment on function clickstream.retention_months(date, date) is
  'Of the users first seen in the month from cohort_month on, how many came in the nth month after. Has the months that begin in the time; those that are not over have no row.';

create function clickstream.products("from" timestamptz, "to" timestamptz)
returns table (product_id text, views bigint, carts bigint, purchases bigint, revenue_cents bigint)
language sql stable parallel safe
begin atomic
  select e.product_id, count(*) filter (where e.event_type = 'page_view'),
    count(*) filter (where e.event_type = 'add_to_cart'), count(*) filter (where e.event_type = 'purchase'),
    sum(e.revenue_cents)::bigint
  from clickstream.events e
  where e.event_time >= "from" and e.event_time < "to" and e.product_id is not null
  group by e.product_id
  order by 5 desc, 2 desc, e.product_id collate "C";
end;
comment on function clickstream.products(timestamptz, timestamptz) is
  'Page views, add_to_cart events, purchases and revenue of each product, from the raw events.';

create function clickstream.orders("from" timestamptz, "to" timestamptz)
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
      where d.user_id = b.user_id and d.day < (b.latest at time zone 'UTC')::date and d.purchases > 0
    ))
  from of_buyers b;
end;
comment on function clickstream.orders(timestamptz, timestamptz) is
  'Orders with a purchase in the time, by the raw events: all purchases of a user with one orderId, or one purchase without. Their revenue, and its mean by order; their buyers, and those of them who had bought on an earlier day than that of their last purchase.';

create function clickstream.url_decoded(encoded text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  spaced constant text := replace(encoded, '+', ' ');
begin
  if spaced !~ '%[0-9A-Fa-f]{2}' then
    return spaced;
  end if;
  return convert_from(
    (
      select string_agg(
        case when m.part[1] ~ '^%[0-9A-Fa-f]{2}$' then decode(substr(m.part[1], 2), 'hex')
        else convert_to(m.part[1], 'UTF8') end,
        ''::bytea order by m.n
      )
      from regexp_matches(spaced, '%[0-9A-Fa-f]{2}|[^%]+|%', 'g') with ordinality as m (part, n)
    ),
    'UTF8'
  );
exception
  -- No UTF-8, or a NUL, which no text can hold.
  when character_not_in_repertoire or untranslatable_character then
    return spaced;
end
$$;
comment on function clickstream.url_decoded(text) is
  'A value of a query string in plain text: + is a space, %XX a byte of UTF-8. What is no UTF-8 stays as it is, but for +.';

create function clickstream.searches("from" timestamptz, "to" timestamptz)
returns table (term text, searches bigint, users bigint)
language sql stable parallel safe
begin atomic
  -- Values are few and searches many: each value is decoded once.
  with asked as (
    select substring(substring(e.page from '\?([^#]*)') from '(?:^|&)(?:q|query|s|search|keyword)=([^&]*)') as value,
      e.user_id, count(*) as searches
    from clickstream.events e
    where e.event_time >= "from" and e.event_time < "to" and e.event_type = 'search'
    group by 1, 2
  ), terms as (
    select v.value, lower(btrim(clickstream.url_decoded(v.value)) collate "C") as term
    from (select distinct a.value from asked a where a.value is not null) v
  )
  select t.term, sum(a.searches)::bigint, count(distinct a.user_id)
  from asked a
  join terms t on t.value = a.value
  where t.term <> ''
  group by t.term
  order by 2 desc, 3 desc, t.term collate "C";
end;
comment on function clickstream.searches(timestamptz, timestamptz) is
  'What was searched for, by the raw events of type search: the first value of q, query, s, search or keyword in the query string of the page, decoded, without spaces around it, and A to Z in small letters. How often, and by how many users.';

grant execute on function
  clickstream.retention_weeks(date, date),
  clickstream.retention_months(date, date),
  clickstream.products(timestamptz, timestamptz),
  clickstream.orders(timestamptz, timestamptz),
  clickstream.url_decoded(text),
  clickstream.searches(timestamptz, timestamptz)
to clickstream_reader;

-- x_compared has the columns of x, and beside each number its value in the time of the same length before. Counts are 0
-- where one of the two times has no such row, rates null. One definition makes them all.
do $$
declare
  report record;
  argument text;
  before text;
  outputs text;
  selected text;
  matched text;
begin
  for report in
    select p.oid, p.proname as name, r.keys, r.later,
      (p.proargtypes)[0]::regtype::text as type
    from (values
      ('conversion', '{}'::text[], null), ('carts', '{}', null), ('orders', '{}', null),
      ('top_pages', '{page}', null), ('page_views', '{page}', null), ('entry_paths', '{entry_page}', null),
      ('devices', '{device}', null), ('regions', '{region}', null), ('products', '{product_id}', null),
      ('searches', '{term}', null), ('top_users', '{user_id}', null), ('funnel', '{step,name}', null),
      ('session_lengths', '{bucket,name}', null), ('session_depths', '{bucket,name}', null),
      ('activity_heatmap', '{day_of_week,hour}', null), ('new_users', '{day}', 'day')
    ) as r (name, keys, later)
    join pg_proc p on p.proname = r.name and p.pronamespace = 'clickstream'::regnamespace and p.pronargs = 2
  loop
    if report.type = 'date' then
      argument := 'from_day date, to_day date';
      before := 'from_day - (to_day - from_day), from_day';
    else
      argument := '"from" timestamptz, "to" timestamptz';
      -- In seconds, because days would be those of the time zone of the connection.
      before := '"from" - make_interval(secs => extract(epoch from "to" - "from")::double precision), "from"';
    end if;
    select
      string_agg(case
        when c.name = any (report.keys) then format('%I %s', c.name, c.type)
        else format('%I %s, %I %s', c.name, c.type, 'previous_' || c.name, c.type)
      end, ', ' order by c.n),
      string_agg(case
        when c.name = report.later then format('coalesce(n.%1$I, b.%1$I + (to_day - from_day))', c.name)
        when c.name = any (report.keys) then format('coalesce(n.%1$I, b.%1$I)', c.name)
        when c.type = 'bigint' then format('coalesce(n.%1$I, 0), coalesce(b.%1$I, 0)', c.name)
        else format('n.%1$I, b.%1$I', c.name)
      end, ', ' order by c.n),
      coalesce(string_agg(case
        when c.name = report.later then format('n.%1$I = b.%1$I + (to_day - from_day)', c.name)
        when c.name = any (report.keys) then format('n.%1$I = b.%1$I', c.name)
      end, ' and ' order by c.n), 'true')
    into outputs, selected, matched
    from (
      select a.name, a.type::regtype::text as type, a.n
      from pg_proc p, unnest(p.proargnames, p.proargmodes, p.proallargtypes) with ordinality as a (name, mode, type, n)
      where p.oid = report.oid and a.mode = 't'
    ) c;
    execute format(
      'create function clickstream.%1$I(%2$s) returns table (%3$s) language sql stable parallel safe begin atomic
         select %4$s from clickstream.%5$I(%6$s) n full join clickstream.%5$I(%7$s) b on %8$s order by %9$s;
       end',
      report.name || '_compared', argument, outputs, selected, report.name,
      case report.type when 'date' then 'from_day, to_day' else '"from", "to"' end, before, matched,
      case when report.keys <@ '{step,name,bucket,day_of_week,hour,day}' then '1, 2' else '2 desc, 3 desc, 1' end
    );
    execute format('comment on function clickstream.%I(%s, %2$s) is %L', report.name || '_compared', report.type,
      'What ' || report.name || ' says of the time, and beside it of the time of the same length before.');
    execute format('grant execute on function clickstream.%I(%s, %2$s) to clickstream_reader', report.name || '_compared',
      report.type);
  end loop;
end
$$;
