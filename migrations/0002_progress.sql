-- How far the log has been taken in. Moved in the same transaction as the rows, by compare-and-swap on next_offset.
set local role clickstream_owner;

create table clickstream.progress (
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  replay_offset bigint not null,
  watermark timestamptz,
  consumed bigint not null default 0,
  stored bigint not null default 0,
  duplicates bigint not null default 0,
  refused bigint not null default 0,
  committed_at timestamptz not null default now(),
  committed_by text not null default current_user,
  primary key (topic, partition),
  constraint conserved check (consumed = stored + duplicates + refused),
  constraint forward check (replay_offset <= next_offset)
)
-- A row per partition, each written anew by every commit: with room to spare its versions stay in one page.
with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

comment on table clickstream.progress is 'One row per partition of the topic: how far it has been taken in.';
comment on column clickstream.progress.topic is 'Kafka topic.';
comment on column clickstream.progress.partition is 'Partition of the topic.';
comment on column clickstream.progress.next_offset is 'First offset that has not been taken in.';
comment on column clickstream.progress.replay_offset is
  'Offset from which the log is read again after a start, so that duplicates are told apart as without one.';
comment on column clickstream.progress.watermark is 'Largest event time taken in, less 10 seconds.';
comment on column clickstream.progress.consumed is 'Records taken in: stored, duplicates and refused.';
comment on column clickstream.progress.stored is 'Events counted in the tables.';
comment on column clickstream.progress.duplicates is 'Events left out because their eventId had been seen.';
comment on column clickstream.progress.refused is 'Records that can''t be an event: rows of refusals.';
comment on column clickstream.progress.committed_at is 'When the partition was last committed.';
comment on column clickstream.progress.committed_by is 'Which instance committed it last.';

grant select, insert, update on clickstream.progress to clickstream_writer;
grant select on clickstream.progress to clickstream_reader;

create function clickstream.watermark() returns timestamptz
language sql stable parallel safe
begin atomic
  -- A partition that has brought nothing but refusals has passed no end yet.
  select case when bool_and(p.watermark is not null) then min(p.watermark) end
  from clickstream.progress p
  where p.committed_at > now() - interval '5 minutes';
end;
comment on function clickstream.watermark() is
  'Windows that end no later than this are final: every partition committed in the last 5 minutes has passed their end. Null where there is no such partition, or one of them has brought no event yet.';
grant execute on function clickstream.watermark() to clickstream_writer, clickstream_reader;
