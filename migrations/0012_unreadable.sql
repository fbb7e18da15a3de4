-- Batches that can't be unpacked or are damaged are refused as a whole.
set local role clickstream_owner;

alter table clickstream.refusals
  drop constraint refusals_reason_check,
  add constraint refusals_reason_check check (reason in (
    'unreadable_batch', 'empty', 'too_large', 'not_utf8', 'not_json', 'not_an_object', 'missing_field', 'wrong_type',
    'bad_value', 'bad_timestamp', 'from_the_future', 'expired'));

comment on table clickstream.refusals is
  'One row per record that can''t be an event, and per batch of records that can''t be read.';
comment on column clickstream.refusals.detail is
  'The value, and what is allowed; of a batch its offsets, how many records it has, and why it can''t be read.';
comment on column clickstream.refusals."offset" is
  'Its offset there; of a batch the first one that had not been committed.';
comment on column clickstream.refusals.payload is
  'First 64 KiB of the record''s value, byte for byte; nothing if it had no value. Of a batch, its first 64 KiB as they lie in the log.';
