-- The key under which ids and users are hashed, so that nobody who may send clicks can make two that collide. Sets of
-- users that were stored before hold hashes without a key: their windows go on without one, and every new window has it.
set local role clickstream_owner;

create table clickstream.hash_key (
  only_one boolean primary key default true check (only_one),
  key bytea not null check (octet_length(key) = 16)
);
comment on table clickstream.hash_key is
  'One row: the secret key of the hashes in columns users_state. It is kept with them in every backup.';
comment on column clickstream.hash_key.only_one is 'Makes a second row impossible.';
comment on column clickstream.hash_key.key is '128 random bits, made when the table was.';

-- Two random UUIDs have 244 random bits.
insert into clickstream.hash_key (key)
select substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 16);

-- Not to readers: who knows the key can make ids that collide.
grant select on clickstream.hash_key to clickstream_writer;
