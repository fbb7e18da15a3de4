-- What the operator's commands must remember, so that they can be killed anywhere and run again.
set local role clickstream_owner;

create table clickstream.forgotten (
  id bigint generated always as identity primary key,
  user_hash bytea not null,
  topic text not null,
  partitions integer[] not null,
  below bigint[] not null,
  days date[],
  forgotten_at timestamptz not null default now(),
  done_at timestamptz,
  constraint an_offset_each check (cardinality(partitions) = cardinality(below))
);

comment on table clickstream.forgotten is
  'One row per user who was forgotten: what the log held of them until then is never stored again, however often it is read.';
comment on column clickstream.forgotten.id is 'Number of the forgetting; every commit checks that it knows the latest.';
comment on column clickstream.forgotten.user_hash is 'SHA-256 of the user''s id, which itself is not kept.';
comment on column clickstream.forgotten.topic is 'Kafka topic.';
comment on column clickstream.forgotten.partitions is 'Its partitions.';
comment on column clickstream.forgotten.below is 'Where each of them ended: what lies below is forgotten, what comes later is not.';
comment on column clickstream.forgotten.days is 'Days whose events are still to be searched; null where all are, and once it is done.';
comment on column clickstream.forgotten.forgotten_at is 'When the user was forgotten.';
comment on column clickstream.forgotten.done_at is 'When the last event and refusal was erased; null where the command was ended before.';

create table clickstream.replays (
  id bigint primary key,
  refusals bigint[] not null,
  begun_at timestamptz not null default now(),
  done_at timestamptz
);
comment on table clickstream.replays is
  'One row per transaction of Kafka by which refusals were sent back into the topic; noted before it begins.';
comment on column clickstream.replays.id is 'Random number, which the transaction leaves in Kafka as an offset.';
comment on column clickstream.replays.refusals is 'Refusals that it sends.';
comment on column clickstream.replays.begun_at is 'When it was noted.';
comment on column clickstream.replays.done_at is 'When the refusals were marked; null where nobody knows yet whether Kafka has them.';

-- Forgetting and replaying are a writer's work. What needs definitions is the owner's: making and dropping partitions,
-- and the tables that a rebuild fills.
grant select, insert, update on clickstream.forgotten, clickstream.replays to clickstream_writer;
grant select on clickstream.forgotten, clickstream.replays to clickstream_reader;
