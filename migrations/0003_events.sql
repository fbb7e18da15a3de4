-- The raw events, a partition for each UTC day, so that expired days are dropped and not deleted row by row. Rows are
-- only ever added: pages are filled to the brim, and autovacuum's defaults are right for that.
--
-- Every index is paid for by every event, so there is but one.
-- * No unique key: that an event is stored once follows from progress, and random ids would dirty a page per event.
-- * No index on user_id, for the same reason: what a user did is asked for when the user is to be forgotten, which is
--   rare, and user_days knows the days, so only their partitions need to be searched.
-- * The latest events, and those of a time, are found by events_time below.
set local role clickstream_owner;

create table clickstream.events (
  event_id text collate "C" not null,
  event_time timestamptz not null,
  user_id text collate "C" not null,
  session_id text collate "C",
  event_type text collate "C" not null,
  page text not null,
  device text not null,
  region text not null,
  referrer text,
  product_id text,
  campaign text,
  price_cents bigint,
  quantity bigint not null default 1,
  currency text,
  revenue_cents bigint not null default 0,
  kafka_partition integer not null,
  kafka_offset bigint not null,
  kafka_time timestamptz not null
) partition by range (event_time);

-- A summary per 32 pages, since events arrive nearly in the order of their time: a few bytes per thousand events and
-- no work per event. Pages that are not summarized yet are the latest ones, which are the ones to be looked at.
create index events_time on clickstream.events using brin (event_time) with (pages_per_range = 32, autosummarize = on);

comment on table clickstream.events is 'One row per event, partitioned by the UTC day of event_time.';
comment on column clickstream.events.event_id is 'Identity: eventId as sent, or topic/partition/offset.';
comment on column clickstream.events.event_time is 'When it happened in the shop.';
comment on column clickstream.events.user_id is 'The shopper.';
comment on column clickstream.events.session_id is 'The client''s own session, if it keeps one.';
comment on column clickstream.events.event_type is 'What happened, such as page_view or purchase.';
comment on column clickstream.events.page is 'Path as sent, with query string and fragment.';
comment on column clickstream.events.device is 'desktop, mobile, tablet, other or unknown.';
comment on column clickstream.events.region is 'Where the shopper is, or unknown.';
comment on column clickstream.events.referrer is 'Where the shopper came from.';
comment on column clickstream.events.product_id is 'The product in question.';
comment on column clickstream.events.campaign is 'The campaign that brought the shopper.';
comment on column clickstream.events.price_cents is 'Unit price in cents of currency.';
comment on column clickstream.events.quantity is 'How many.';
comment on column clickstream.events.currency is 'ISO 4217 code; amounts are not converted.';
comment on column clickstream.events.revenue_cents is 'price_cents times quantity of a purchase, otherwise 0.';
comment on column clickstream.events.kafka_partition is 'Partition that the event was read from.';
comment on column clickstream.events.kafka_offset is 'Its offset there.';
comment on column clickstream.events.kafka_time is 'Its Kafka timestamp.';

-- Takes in what no day's partition is there for, so that an event can always be stored.
create table clickstream.events_default (like clickstream.events including comments including defaults);
comment on table clickstream.events_default is 'Events of days that have no partition of their own.';
alter table clickstream.events attach partition clickstream.events_default default;

grant select, insert, delete on clickstream.events to clickstream_writer;
grant select on clickstream.events to clickstream_reader;

create function clickstream.make_partitions(from_day date, to_day date) returns integer
language plpgsql
-- Days are UTC's whatever the session says, and times are written so that they are read as they were meant.
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
  day date;
  name text;
  made integer := 0;
begin
  -- Two at once would make the same partition.
  perform pg_advisory_xact_lock(7226914056);
  for day in select d::date from generate_series(from_day::timestamp, to_day::timestamp, '1 day') as d loop
    name := 'events_' || to_char(day, 'YYYYMMDD');
    continue when to_regclass(format('clickstream.%I', name)) is not null;
    if made = 0 then
      -- An event of the day that came between moving its events and attaching the partition would be in the way.
      lock table clickstream.events_default in access exclusive mode;
    end if;
    execute format(
      'create table clickstream.%I (like clickstream.events including comments including defaults)', name);
    execute format('comment on table clickstream.%I is %L', name, format('Events of %s, UTC.', day));
    execute format(
      'with moved as (delete from clickstream.events_default where event_time >= %L and event_time < %L returning *)
       insert into clickstream.%I select * from moved', day::timestamptz, (day + 1)::timestamptz, name);
    execute format('alter table clickstream.events attach partition clickstream.%I for values from (%L) to (%L)',
      name, day::timestamptz, (day + 1)::timestamptz);
    made := made + 1;
  end loop;
  return made;
end
$$;
comment on function clickstream.make_partitions(date, date) is
  'Makes the partitions of events for these UTC days, both included, where they are missing; events that came before their partition move into it. Returns how many were made.';
