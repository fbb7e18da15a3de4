-- The status page shows conversion, the funnel and pages by the reports, so that each is defined once. The service that
-- serves it is a writer. Of the last minutes it shows views alone: top_pages looks at sessions too, which takes 40 times as
-- long.
set local role clickstream_owner;

create function clickstream.page_views("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint)
language sql stable parallel safe
begin atomic
  select p.page, sum(p.views)::bigint
  from clickstream.pages p
  where p.window_start >= "from" and p.window_start < "to"
  group by p.page;
end;
comment on function clickstream.page_views(timestamptz, timestamptz) is
  'Views of each page that has any, by minutes: for short times, since top_pages adds up days.';

create or replace function clickstream.pages_by_minute("from" timestamptz, "to" timestamptz)
returns table (page text, views bigint, entries bigint, bounces bigint, exits bigint)
language sql stable parallel safe
begin atomic
  select p.page, p.views, 0::bigint, 0::bigint, 0::bigint
  from clickstream.page_views("from", "to") p
  union all
  select s.entry_page, 0, 1, s.bounced::integer, 0
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.entry_page is not null
  union all
  select s.exit_page, 0, 0, 0, 1
  from clickstream.sessions s
  where s.started_at >= "from" and s.started_at < "to" and s.exit_page is not null;
end;

grant execute on function clickstream.page_views(timestamptz, timestamptz) to clickstream_reader;
grant execute on function
  clickstream.conversion(timestamptz, timestamptz),
  clickstream.conversion(timestamptz, timestamptz, text[], text[]),
  clickstream.funnel(timestamptz, timestamptz),
  clickstream.page_views(timestamptz, timestamptz)
to clickstream_writer;
