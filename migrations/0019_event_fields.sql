-- What the client calls itself, and the order that a purchase belongs to. Null in the rows that are there already, which
-- are not touched.
set local role clickstream_owner;

alter table clickstream.events add column user_agent text, add column order_id text;

-- A partition has its own comments.
do $$
declare
  part regclass;
begin
  for part in
    select 'clickstream.events'::regclass
    union all
    select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'clickstream.events'::regclass
  loop
    execute format('comment on column %s.user_agent is %L', part, 'What the client calls itself, as HTTP''s header of this name.');
    execute format('comment on column %s.order_id is %L', part, 'The order that a purchase belongs to.');
  end loop;
end
$$;
