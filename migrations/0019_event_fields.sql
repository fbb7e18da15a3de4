-- What the client calls itself, and the order that a purchase belongs to. Null in the rows that are there already, which
-- are not touched.
set local role clickstream_owner;

alter table clickstream.events add column user_agent text, add column order_id text;
comment on column clickstream.events.user_agent is 'What the client calls itself, as HTTP''s header of this name.';
comment on column clickstream.events.order_id is 'The order that a purchase belongs to.';
