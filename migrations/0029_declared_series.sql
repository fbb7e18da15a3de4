-- Reports on declared views, whichever they are, for dashboards. Nothing is stored, so this takes no time.
set local role clickstream_owner;

create function clickstream.declared_measures()
returns table ("view" text, description text, "window" text, keys text[], filter jsonb, place integer, measure text,
  computes text, measure_filter jsonb)
language sql stable parallel safe
begin atomic
  select v.declared ->> 'name', v.declared ->> 'description',
    coalesce((v.declared -> 'window' ->> 'size') || ' every ' || (v.declared -> 'window' ->> 'every'),
      v.declared ->> 'window'),
    array(
      select k.key from jsonb_array_elements_text(v.declared -> 'keys') with ordinality as k (key, place) order by k.place
    ),
    v.declared -> 'filter', (row_number() over (partition by v.declared ->> 'name' order by a.attnum))::integer,
    m.name, m.declared ->> 'measure', m.declared -> 'filter'
  from clickstream.declarations d
  cross join jsonb_array_elements(d.declared -> 'views') as v (declared)
  cross join jsonb_each(v.declared -> 'measures') as m (name, declared)
  join pg_attribute a on a.attrelid = to_regclass(format('clickstream.%I', v.declared ->> 'name')) and a.attname = m.name
  order by 1, 6;
end;
comment on function clickstream.declared_measures() is
  'The measures of all declared views in the order of their columns, each with what the file says of it and of its view.';

create function clickstream.declared_series("view" text, "from" timestamptz, "to" timestamptz, step interval,
  measure text, bots boolean default false)
returns table ("time" timestamptz, series text, value bigint)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- Steps are added up in memory.
set work_mem = '64MB'
as $$
declare
  about record;
  key text;
  -- A step is a whole number of windows, counted from 1970.
  every interval;
  length interval;
  start text;
  origin text;
  range text;
  shown text;
  -- How the values of rows are combined in a window, and those of windows in a step.
  in_window text;
  in_step text;
begin
  select m."window", m.computes into about
  from clickstream.declared_measures() m
  where m."view" = declared_series."view" and m.measure = declared_series.measure and m.computes !~ '^(first|last) ';
  if not found then
    raise exception 'declared_series: % is no number of a declared view', quote_nullable("view" || '.' || measure)
      using hint = coalesce(
        (
          select 'There are ' || string_agg(m."view" || '.' || m.measure, ', ' order by m."view", m.place) || '.'
          from clickstream.declared_measures() m
          where m.computes !~ '^(first|last) '
        ),
        'No view is declared; clickstream views apply declares those of a file.'
      ), errcode = 'invalid_parameter_value';
  end if;
  -- Keys are the columns before the mark of bots, without those of the window.
  select format(
      '(%s) collate "C"',
      coalesce(string_agg(format('t.%I', a.attname), ' || '', '' || ' order by a.attnum), format('%L::text', measure))
    ) into key
  from pg_attribute a
  join pg_attribute b on b.attrelid = a.attrelid and b.attname = 'is_bot' and a.attnum < b.attnum
  where a.attrelid = format('clickstream.%I', "view")::regclass and a.attnum > 0 and not a.attisdropped
    and a.attname not in ('window_start', 'window_end', 'day');
  -- 24 hours, not a day, which may have another length.
  every := make_interval(secs => extract(epoch from regexp_replace(about."window", '^.* every ', '')::interval)::integer);
  length := every * greatest(1, ceil(extract(epoch from step) / extract(epoch from every)));
  if about."window" = '1 day' then
    start := 't.day::timestamp';
    origin := 'timestamp ''1970-01-01''';
    range := 't.day >= date_bin($3, clickstream.day_of($1)::timestamp, timestamp ''1970-01-01'')::date
      and t.day <= clickstream.day_of($2 - interval ''1 microsecond'')';
    shown := 'clickstream.day_start(a.step::date)';
  else
    start := 't.window_start';
    origin := 'timestamptz ''1970-01-01T00:00Z''';
    range := 't.window_start >= date_bin($3, $1, timestamptz ''1970-01-01T00:00Z'') and t.window_start < $2';
    shown := 'a.step';
  end if;
  in_window := coalesce(substring(about.computes from '^(min|max) '), 'sum');
  -- Neither users of several windows nor events of windows that overlap can be added.
  in_step := case when about.computes = 'users' or in_window = 'sum' and about."window" ~ ' every ' then 'max'
    else in_window end;
  return query execute format(
    $query$
      with named as materialized (
        select %1$s as name
        from clickstream.%2$I t
        where %4$s and ($5 or not t.is_bot)
        group by 1
        order by sum(t.%3$I) desc nulls last, 1
        limit 10
      ), windows as (
        select date_bin($4, %5$s, %6$s) as start, n.name, %7$s(t.%3$I) as value
        from clickstream.%2$I t
        left join named n on n.name = %1$s
        -- Users of several keys cannot be added.
        where %4$s and ($5 or not t.is_bot) and (n.name is not null or %8$L <> 'users')
        group by 1, 2
      ), steps as (
        select date_bin($3, w.start, %6$s) as step, coalesce(w.name, '(others)') as name, %9$s(w.value)::bigint as value
        from windows w
        group by 1, 2
      )
      select %10$s, n.name, coalesce(s.value, %11$s)
      from (select generate_series(min(e.step), max(e.step), $3) as step from steps e) a
      cross join (select distinct e.name from steps e) n
      left join steps s on s.step = a.step and s.name = n.name
      order by 1, 2
    $query$,
    key, "view", measure, range, start, origin, in_window, about.computes, in_step, shown,
    case in_window when 'sum' then '0' else 'null' end
  )
  -- What is combined in windows as in steps is so at once.
  using "from", "to", length, case in_step when in_window then length else every end, bots;
end
$$;
comment on function clickstream.declared_series(text, timestamptz, timestamptz, interval, text, boolean) is
  'A measure of a declared view in the steps that overlap the time: a series for each of the ten largest keys, and (others). A step is a whole number of windows. Counts and sums of windows are added; of users, and of windows that overlap, a step has the largest value of a window, and users of other keys are left out. Of people only, unless bots is true; then a user of both kinds counts twice.';

grant execute on function clickstream.declared_measures(), clickstream.declared_series(text, timestamptz, timestamptz,
  interval, text, boolean) to clickstream_reader;
