-- What can't be an event, kept byte for byte and committed with the offsets that passed it.
set local role clickstream_owner;

create table clickstream.refusals (
  id bigint generated always as identity primary key,
  reason text not null check (reason in (
    'empty', 'too_large', 'not_utf8', 'not_json', 'not_an_object', 'missing_field', 'wrong_type', 'bad_value',
    'bad_timestamp', 'from_the_future', 'expired')),
  field text,
  detail text,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  payload bytea,
  refused_at timestamptz not null default now(),
  replayed_at timestamptz,
  unique (topic, partition, "offset")
);

comment on table clickstream.refusals is 'One row per record that can''t be an event.';
comment on column clickstream.refusals.id is 'Number of the refusal.';
comment on column clickstream.refusals.reason is 'Why it can''t be an event.';
comment on column clickstream.refusals.field is 'The field at fault, if it is one.';
comment on column clickstream.refusals.detail is 'The value, and what is allowed.';
comment on column clickstream.refusals.topic is 'Kafka topic.';
comment on column clickstream.refusals.partition is 'Partition that the record was read from.';
comment on column clickstream.refusals."offset" is 'Its offset there.';
comment on column clickstream.refusals.payload is 'First 64 KiB of the record''s value, byte for byte; nothing if it had no value.';
comment on column clickstream.refusals.refused_at is 'When it was refused.';
comment on column clickstream.refusals.replayed_at is 'When it was sent back into the topic.';

grant select, insert, update, delete on clickstream.refusals to clickstream_writer;
grant select on clickstream.refusals to clickstream_reader;
