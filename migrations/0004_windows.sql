-- Windows in event time. users_state is what the processor merges to know how many users are different: their hashes up
-- to 4,096, a HyperLogLog sketch beyond. It does not compress, so PostgreSQL need not try.
--
-- The rows of the latest windows are written anew by every commit, and then never again. Room in each page keeps the
-- versions together, since no index holds a column that changes; autovacuum comes by before a fifth of a large table,
-- its default, is dead. Reports ask by time, and each primary key begins with it: there is no other index.
set local role clickstream_owner;

create table clickstream.traffic (
  window_start timestamptz not null,
  event_type text collate "C" not null,
  device text collate "C" not null,
  region text collate "C" not null,
  events bigint not null,
  users bigint not null,
  revenue_cents bigint not null,
  users_state bytea not null,
  primary key (window_start, event_type, device, region)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.traffic alter column users_state set storage external;

comment on table clickstream.traffic is 'Events, users and revenue by event type, device and region, each minute.';
comment on column clickstream.traffic.window_start is 'Where the minute begins.';
comment on column clickstream.traffic.event_type is 'What happened, such as page_view or purchase.';
comment on column clickstream.traffic.device is 'desktop, mobile, tablet, other or unknown.';
comment on column clickstream.traffic.region is 'Where the shoppers are, or unknown.';
comment on column clickstream.traffic.events is 'Number of events.';
comment on column clickstream.traffic.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.traffic.revenue_cents is 'Revenue in cents.';
comment on column clickstream.traffic.users_state is 'What users is counted from, for the processor.';

create table clickstream.pages (
  window_start timestamptz not null,
  page text not null,
  -- A page may be longer than an entry of an index can be.
  page_key uuid not null generated always as (md5(page)::uuid) stored,
  views bigint not null,
  users bigint not null,
  users_state bytea not null,
  primary key (window_start, page_key)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.pages alter column users_state set storage external;

comment on table clickstream.pages is 'Page views and their users by page, each minute.';
comment on column clickstream.pages.window_start is 'Where the minute begins.';
comment on column clickstream.pages.page is 'Page without query string and fragment.';
comment on column clickstream.pages.page_key is 'Hash of page, for the key.';
comment on column clickstream.pages.views is 'Number of page views.';
comment on column clickstream.pages.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.pages.users_state is 'What users is counted from, for the processor.';

create table clickstream.active_users (
  window_start timestamptz primary key,
  window_end timestamptz not null,
  users bigint not null,
  users_state bytea not null
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
alter table clickstream.active_users alter column users_state set storage external;

comment on table clickstream.active_users is 'Users with any event in five minutes, every minute.';
comment on column clickstream.active_users.window_start is 'Where the five minutes begin.';
comment on column clickstream.active_users.window_end is 'Where they end, excluded.';
comment on column clickstream.active_users.users is
  'Distinct users: exact up to 4,096 in a window and at most 1 % off beyond (standard error).';
comment on column clickstream.active_users.users_state is 'What users is counted from, for the processor.';

grant select, insert, update on clickstream.traffic, clickstream.pages, clickstream.active_users to clickstream_writer;
grant select on clickstream.traffic, clickstream.pages, clickstream.active_users to clickstream_reader;
