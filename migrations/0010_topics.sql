-- Which topic the offsets belong to, and every offset accounted for: consumed, skipped, or gone before it was read.
set local role clickstream_owner;

alter table clickstream.progress
  add column topic_id text,
  add column first_offset bigint,
  add column skipped bigint not null default 0,
  add column gaps bigint not null default 0;
-- Until now only what was consumed was counted: what else was passed lies before the new beginning.
update clickstream.progress set first_offset = next_offset - consumed;
alter table clickstream.progress
  alter column first_offset set not null,
  add constraint accounted check (next_offset - first_offset = consumed + skipped + gaps);

comment on column clickstream.progress.topic_id is
  'Kafka''s id of the topic, as Kafka prints it: a topic made anew under the same name has another. Null until the first commit that knows it.';
comment on column clickstream.progress.first_offset is
  'Where taking in began: next_offset - first_offset = consumed + skipped + gaps. For rows older than this column: next_offset - consumed as it was then.';
comment on column clickstream.progress.skipped is
  'Offsets that hold no record to judge: control records, aborted transactions, offsets removed by compaction.';
comment on column clickstream.progress.gaps is
  'Offsets whose records Kafka had deleted before they were read: the sum of the partition''s rows of gaps.';

-- adopt-topic takes away the rows of partitions that the new topic doesn't have.
grant delete on clickstream.progress to clickstream_writer;

create table clickstream.gaps (
  id bigint generated always as identity primary key,
  topic text not null,
  partition integer not null,
  from_offset bigint not null,
  to_offset bigint not null,
  found_at timestamptz not null default now(),
  acknowledged_at timestamptz,
  former boolean not null default false,
  constraint not_empty check (from_offset < to_offset)
);

comment on table clickstream.gaps is
  'One row per run of offsets whose records Kafka had deleted before they were read: they are in no table.';
comment on column clickstream.gaps.id is 'Number of the gap.';
comment on column clickstream.gaps.topic is 'Kafka topic.';
comment on column clickstream.gaps.partition is 'Partition of the topic.';
comment on column clickstream.gaps.from_offset is 'First offset that is missing.';
comment on column clickstream.gaps.to_offset is 'First offset after it that is not missing: the row stands for to_offset - from_offset records.';
comment on column clickstream.gaps.found_at is 'When a commit passed it.';
comment on column clickstream.gaps.acknowledged_at is 'When somebody took note of it (clickstream gaps acknowledge); null until then.';
comment on column clickstream.gaps.former is 'True once adopt-topic has replaced the log that it lay in.';

grant select, insert, update on clickstream.gaps to clickstream_writer;
grant select on clickstream.gaps to clickstream_reader;

create table clickstream.former_progress (
  adopted_at timestamptz not null default now(),
  topic text not null,
  partition integer not null,
  topic_id text,
  first_offset bigint not null,
  next_offset bigint not null,
  watermark timestamptz,
  consumed bigint not null,
  stored bigint not null,
  duplicates bigint not null,
  refused bigint not null,
  skipped bigint not null,
  gaps bigint not null,
  committed_at timestamptz not null,
  committed_by text not null,
  primary key (topic, partition, adopted_at),
  constraint conserved check (consumed = stored + duplicates + refused),
  constraint accounted check (next_offset - first_offset = consumed + skipped + gaps)
);

comment on table clickstream.former_progress is
  'One row per partition of a log that adopt-topic has replaced: its row of progress as it was. What was counted from it is still in the tables.';
comment on column clickstream.former_progress.adopted_at is 'When adopt-topic replaced the log.';
comment on column clickstream.former_progress.topic is 'Kafka topic.';
comment on column clickstream.former_progress.partition is 'Partition of the topic.';
comment on column clickstream.former_progress.topic_id is 'Kafka''s id of the topic that was replaced; null where it was not known.';
comment on column clickstream.former_progress.first_offset is 'Where taking in began.';
comment on column clickstream.former_progress.next_offset is 'First offset that had not been taken in.';
comment on column clickstream.former_progress.watermark is 'Largest event time taken in, less 10 seconds.';
comment on column clickstream.former_progress.consumed is 'Records taken in: stored, duplicates and refused.';
comment on column clickstream.former_progress.stored is 'Events counted in the tables.';
comment on column clickstream.former_progress.duplicates is 'Events left out because their eventId had been seen.';
comment on column clickstream.former_progress.refused is 'Records that can''t be an event: rows of refusals that are former.';
comment on column clickstream.former_progress.skipped is 'Offsets that held no record to judge.';
comment on column clickstream.former_progress.gaps is 'Offsets whose records Kafka had deleted before they were read.';
comment on column clickstream.former_progress.committed_at is 'When the partition was last committed.';
comment on column clickstream.former_progress.committed_by is 'Which instance committed it last.';

grant select, insert on clickstream.former_progress to clickstream_writer;
grant select on clickstream.former_progress to clickstream_reader;

-- The offsets of a new topic begin again: a refusal of the old one may have the same place.
alter table clickstream.refusals
  add column former boolean not null default false,
  drop constraint refusals_topic_partition_offset_key;
create unique index refusals_place on clickstream.refusals (topic, partition, "offset") where not former;
comment on column clickstream.refusals.former is
  'True once adopt-topic has replaced the log that it lay in: a record of the new log may have its place.';
