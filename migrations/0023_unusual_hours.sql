-- Whether the shop sells as it does at this hour of the week. Alerts ask it every few minutes.
set local role clickstream_owner;

create function clickstream.unusual_hours("at" timestamptz)
returns table (measure text, hour timestamptz, value double precision, lowest double precision,
  highest double precision, deviation double precision)
language sql stable parallel safe
begin atomic
  with hours as (
    -- Sessions of the hour that has just ended still go on. In hours, because days would be those of the connection's zone.
    select w.weeks, date_bin('1 hour', "at", '1970-01-01T00:00Z') - make_interval(hours => 2 + 168 * w.weeks) as start
    from generate_series(0, 4) as w (weeks)
  ), sold as (
    select h.weeks, h.start, c.sessions, c.conversions, coalesce(c.conversion_rate, 0) as conversion_rate,
      c.revenue_cents::double precision as revenue_cents
    from hours h
    cross join lateral clickstream.conversion(h.start, h.start + interval '1 hour') c
  ), measured as (
    select m.measure, min(s.start) filter (where s.weeks = 0) as hour,
      min(m.value) filter (where s.weeks = 0) as value, min(m.value) filter (where s.weeks > 0) as lowest,
      max(m.value) filter (where s.weeks > 0) as highest
    from sold s
    cross join lateral (values ('conversion_rate', s.conversion_rate), ('revenue_cents', s.revenue_cents))
      as m (measure, value)
    group by m.measure
    -- Of few purchases, an hour has twice as many as another by chance.
    having sum(s.conversions) filter (where s.weeks > 0) >= 100 and bool_and(s.sessions > 0 or s.weeks = 0)
  )
  select m.measure, m.hour, m.value, m.lowest, m.highest,
    case
      when m.value > m.highest then m.value / nullif(m.highest, 0)
      when m.value < m.lowest then least(coalesce(m.lowest / nullif(m.value, 0), 100), 100)
      else 1
    end
  from measured m
  order by m.measure;
end;
comment on function clickstream.unusual_hours(timestamptz) is
  'Conversion rate and revenue of the last hour that ended an hour ago, beside the lowest and highest of the same hour in each of the four weeks before. Deviation: how many times the value is above the highest or below the lowest, at most 100 below; 1 in between. No rows unless each week had sessions then, and all together 100 with a purchase.';

grant execute on function clickstream.unusual_hours(timestamptz) to clickstream_reader;
