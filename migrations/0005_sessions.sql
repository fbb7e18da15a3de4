-- What belongs to one user: sessions, and days. Rows are written anew by every commit while a session goes on, hence
-- the room in each page; the indexes hold nothing that such an update changes, so it stays within its page. Autovacuum
-- comes by before a fifth of a large table, its default, is dead.
set local role clickstream_owner;

-- What reports add up stands first and has fixed widths: it is found in a row without walking over the texts, which
-- halves the time of a scan.
create table clickstream.sessions (
  started_at timestamptz not null,
  ended_at timestamptz not null,
  events bigint not null,
  page_views bigint not null,
  carts bigint not null,
  purchases bigint not null,
  revenue_cents bigint not null,
  funnel_step smallint not null,
  bounced boolean not null generated always as (page_views = 1 and events = 1) stored,
  user_id text collate "C" not null,
  device text collate "C" not null,
  region text collate "C" not null,
  entry_page text,
  exit_page text,
  session_id text collate "C",
  first_event_id text collate "C" not null,
  entry_at timestamptz,
  entry_event_id text collate "C",
  exit_at timestamptz,
  exit_event_id text collate "C",
  funnel_state bytea
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- A session_id has at least one character, so the empty text is free to stand for none.
create unique index sessions_key on clickstream.sessions (user_id, coalesce(session_id, ''), started_at);
-- Reports ask for the sessions that began in a time. Not brin: late events and merged sessions put rows wherever there
-- is room, and sessions begin nearly in order, so that this index grows at its right end, where it is in memory. Device
-- and region change only when an earlier event comes late: so these are counted without a look at the rows.
create index sessions_started_at on clickstream.sessions (started_at) include (device, region);
-- Of a hundred sessions a few buy: who they are, and for how much, is read here alone. Only an update that adds a purchase
-- has to come by.
create index sessions_bought on clickstream.sessions (started_at) include (user_id, revenue_cents, device, region)
where purchases > 0;

comment on table clickstream.sessions is
  'One row per session: events of one user, and one session_id if sent, with at most 30 minutes between them.';
comment on column clickstream.sessions.user_id is 'The shopper.';
comment on column clickstream.sessions.session_id is 'The client''s own session; null where none was sent.';
comment on column clickstream.sessions.started_at is 'Time of its earliest event.';
comment on column clickstream.sessions.ended_at is 'Time of its latest event.';
comment on column clickstream.sessions.events is 'Number of events.';
comment on column clickstream.sessions.page_views is 'Number of page views.';
comment on column clickstream.sessions.entry_page is 'Page of its earliest page view, without query string and fragment.';
comment on column clickstream.sessions.exit_page is 'Page of its latest page view, without query string and fragment.';
comment on column clickstream.sessions.device is 'Device of its earliest event.';
comment on column clickstream.sessions.region is 'Region of its earliest event.';
comment on column clickstream.sessions.carts is 'Number of add_to_cart events.';
comment on column clickstream.sessions.purchases is 'Number of purchases; the session is a conversion if there is one.';
comment on column clickstream.sessions.revenue_cents is 'Revenue in cents.';
comment on column clickstream.sessions.funnel_step is
  'How far it got: 1 page_view, 2 then add_to_cart, 3 then purchase, each at the same time or later; 0 without a page view.';
comment on column clickstream.sessions.bounced is 'Exactly one page view and no other event.';
comment on column clickstream.sessions.first_event_id is 'Id of its earliest event.';
comment on column clickstream.sessions.entry_at is 'Time of its earliest page view.';
comment on column clickstream.sessions.entry_event_id is 'Id of its earliest page view.';
comment on column clickstream.sessions.exit_at is 'Time of its latest page view.';
comment on column clickstream.sessions.exit_event_id is 'Id of its latest page view.';
comment on column clickstream.sessions.funnel_state is 'What funnel_step could still rise by, for the processor.';

create table clickstream.user_days (
  user_id text collate "C" not null,
  day date not null,
  events bigint not null,
  purchases bigint not null,
  revenue_cents bigint not null,
  primary key (user_id, day)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- Reports by day ask for the days of all users. Rows are made nearly in the order of days, so a summary of pages does,
-- and costs next to nothing.
create index user_days_day on clickstream.user_days using brin (day) with (pages_per_range = 32, autosummarize = on);

comment on table clickstream.user_days is 'One row per user and UTC day with an event.';
comment on column clickstream.user_days.user_id is 'The shopper.';
comment on column clickstream.user_days.day is 'UTC day.';
comment on column clickstream.user_days.events is 'Number of events.';
comment on column clickstream.user_days.purchases is 'Number of purchases.';
comment on column clickstream.user_days.revenue_cents is 'Revenue in cents.';

grant select, insert, update, delete on clickstream.sessions to clickstream_writer;
grant select, insert, update, delete on clickstream.user_days to clickstream_writer;
grant select on clickstream.sessions, clickstream.user_days to clickstream_reader;

-- The days of pages know where sessions enter and leave: so a report over weeks need not look at each of them. As the
-- owner, because nobody else writes there, and behind the lock by which commits queue.
create function clickstream.sessions_followed() returns trigger
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
      select date_bin('1 day', e.at, '1970-01-01T00:00Z') as start, md5(e.page)::uuid as page_key,
        sum(e.entries) as entries, sum(e.bounces) as bounces, sum(e.exits) as exits
      from (
        select d.started_at as at, d.entry_page as page, 1 as entries, d.bounced::integer as bounces, 0 as exits from removed d
        union all
        select d.started_at, d.exit_page, 0, 0, 1 from removed d
      ) e
      where e.page is not null
      group by 1, e.page
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select date_bin('1 day', d.started_at, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, page_key, entries, bounces, exits)
    select date_bin('1 day', e.at, '1970-01-01T00:00Z'), e.page, md5(e.page)::uuid, sum(e.entries), sum(e.bounces),
      sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
      union all
      select r.started_at, r.entry_page, -1, -r.bounced::integer, 0 from removed r
      union all
      select r.started_at, r.exit_page, 0, 0, -1 from removed r
    ) e
    where e.page is not null
    group by 1, e.page
    having sum(e.entries) <> 0 or sum(e.bounces) <> 0 or sum(e.exits) <> 0
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  else
    insert into clickstream.page_days as p (window_start, page, page_key, entries, bounces, exits)
    select date_bin('1 day', e.at, '1970-01-01T00:00Z'), e.page, md5(e.page)::uuid, sum(e.entries), sum(e.bounces),
      sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
    ) e
    where e.page is not null
    group by 1, e.page
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  end if;
  return null;
end
$$;
comment on function clickstream.sessions_followed() is
  'Trigger: adds what has changed in sessions to the days of pages.';

create trigger added after insert on clickstream.sessions
referencing new table as added for each statement execute function clickstream.sessions_followed();
create trigger changed after update on clickstream.sessions
referencing old table as removed new table as added for each statement execute function clickstream.sessions_followed();
create trigger removed after delete on clickstream.sessions
referencing old table as removed for each statement execute function clickstream.sessions_followed();
create trigger truncated after truncate on clickstream.sessions
for each statement execute function clickstream.sessions_followed();
