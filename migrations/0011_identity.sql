-- What tells ids, users and pages apart, so that nobody who may send clicks can make two that collide.
set local role clickstream_owner;

-- The key under which ids and users are hashed. Sets of users that were stored before hold hashes without a key: their
-- windows go on without one, and every new window has it.
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

-- The key of a page was its MD5, for which two pages can be made that collide: as rows of one commit they stopped it for
-- good. This writes pages and page_days anew, with their indexes. To bytea a text goes as it is but for backslashes.
alter table clickstream.pages drop column page_key;
alter table clickstream.pages
  add column page_key bytea not null generated always as (sha256(replace(page, '\', '\\')::bytea)) stored,
  add primary key (window_start, page_key);
comment on column clickstream.pages.page_key is 'SHA-256 of page, for the key.';

alter table clickstream.page_days drop column page_key;
alter table clickstream.page_days
  add column page_key bytea not null generated always as (sha256(replace(page, '\', '\\')::bytea)) stored,
  add primary key (window_start, page_key);
comment on column clickstream.page_days.page_key is 'SHA-256 of page, for the key.';

create or replace function clickstream.pages_followed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    truncate clickstream.page_days;
  elsif tg_op = 'DELETE' then
    update clickstream.page_days p set views = p.views - r.views
    from (
      select date_bin('1 day', d.window_start, '1970-01-01T00:00Z') as start, d.page_key, sum(d.views) as views
      from removed d group by 1, 2
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select date_bin('1 day', d.window_start, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, views)
    select date_bin('1 day', c.window_start, '1970-01-01T00:00Z'), c.page, sum(c.views)
    from (
      select a.window_start, a.page, a.views from added a
      union all
      select r.window_start, r.page, -r.views from removed r
    ) c
    group by 1, c.page
    having sum(c.views) <> 0
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  else
    insert into clickstream.page_days as p (window_start, page, views)
    select date_bin('1 day', a.window_start, '1970-01-01T00:00Z'), a.page, sum(a.views)
    from added a
    group by 1, a.page
    on conflict (window_start, page_key) do update set views = p.views + excluded.views;
  end if;
  return null;
end
$$;

create or replace function clickstream.sessions_followed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock(7226914055);
  if tg_op = 'TRUNCATE' then
    update clickstream.page_days set entries = 0, bounces = 0, exits = 0 where entries <> 0 or exits <> 0;
    delete from clickstream.page_days where views = 0;
  elsif tg_op = 'DELETE' then
    update clickstream.page_days p
    set entries = p.entries - r.entries, bounces = p.bounces - r.bounces, exits = p.exits - r.exits
    from (
      select date_bin('1 day', e.at, '1970-01-01T00:00Z') as start, sha256(replace(e.page, '\', '\\')::bytea) as page_key,
        sum(e.entries) as entries, sum(e.bounces) as bounces, sum(e.exits) as exits
      from (
        select d.started_at as at, d.entry_page as page, 1 as entries, d.bounced::integer as bounces, 0 as exits from removed d
        union all
        select d.started_at, d.exit_page, 0, 0, 1 from removed d
      ) e
      where e.page is not null
      group by 1, e.page
    ) r
    where p.window_start = r.start and p.page_key = r.page_key;
    delete from clickstream.page_days
    where views = 0 and entries = 0 and exits = 0
      and window_start in (select date_bin('1 day', d.started_at, '1970-01-01T00:00Z') from removed d);
  elsif tg_op = 'UPDATE' then
    insert into clickstream.page_days as p (window_start, page, entries, bounces, exits)
    select date_bin('1 day', e.at, '1970-01-01T00:00Z'), e.page, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
      union all
      select r.started_at, r.entry_page, -1, -r.bounced::integer, 0 from removed r
      union all
      select r.started_at, r.exit_page, 0, 0, -1 from removed r
    ) e
    where e.page is not null
    group by 1, e.page
    having sum(e.entries) <> 0 or sum(e.bounces) <> 0 or sum(e.exits) <> 0
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  else
    insert into clickstream.page_days as p (window_start, page, entries, bounces, exits)
    select date_bin('1 day', e.at, '1970-01-01T00:00Z'), e.page, sum(e.entries), sum(e.bounces), sum(e.exits)
    from (
      select a.started_at as at, a.entry_page as page, 1 as entries, a.bounced::integer as bounces, 0 as exits from added a
      union all
      select a.started_at, a.exit_page, 0, 0, 1 from added a
    ) e
    where e.page is not null
    group by 1, e.page
    on conflict (window_start, page_key) do update set entries = p.entries + excluded.entries,
      bounces = p.bounces + excluded.bounces, exits = p.exits + excluded.exits;
  end if;
  return null;
end
$$;
