-- Which record was taken in last: after an unclean leader election another one may have its offset.
set local role clickstream_owner;

alter table clickstream.progress add column leader_epoch integer;
comment on column clickstream.progress.leader_epoch is
  'Epoch of the leader that wrote the record before next_offset. If the log has another record there, it was truncated since. Null if it is unknown.';
