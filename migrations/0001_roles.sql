-- The schema, and the three roles whose rights are granted here. None of them logs in: login users are made members,
-- such as by `grant clickstream_reader to grafana`. Whoever migrates needs CREATE on the database, and CREATEROLE unless
-- the roles are there already and it is a member of clickstream_owner.

do $$
declare
  role text;
  role_before text := current_setting('role');
begin
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception 'database % is encoded in %', current_database(), current_setting('server_encoding')
      using hint = 'Events are UTF-8: create the database with encoding ''UTF8''.';
  end if;

  foreach role in array array['clickstream_owner', 'clickstream_writer', 'clickstream_reader'] loop
    begin
      if not exists (select from pg_catalog.pg_roles where rolname = role) then
        execute format('create role %I nologin', role);
      end if;
    exception when duplicate_object or unique_violation then
      null; -- Roles belong to the whole server, and another database was migrated in this moment.
    end;
  end loop;

  -- From here on whoever migrates acts as the owner. Since PostgreSQL 16 having made a role is not enough for that.
  begin
    perform set_config('role', 'clickstream_owner', true);
  exception when insufficient_privilege then
    execute format('grant clickstream_owner to %I', current_user);
  end;
  perform set_config('role', role_before, true);

  -- A setting of a role reaches those who log in as it, and none of its members: see limit_readers() for these.
  begin
    alter role clickstream_reader set statement_timeout = '30s';
  exception
    when insufficient_privilege then
      raise warning 'clickstream_reader has no statement_timeout: only an administrator can set it';
    when internal_error then
      null; -- "tuple concurrently updated": the other database again, which sets the same.
  end;

  if not exists (select from pg_catalog.pg_namespace where nspname = 'clickstream') then
    create schema clickstream authorization clickstream_owner;
  end if;
end
$$;

set local role clickstream_owner;

comment on schema clickstream is 'What shoppers did: events, windows, sessions, and the offsets of the log they came from.';

-- Nothing is for everybody: what a role may do is granted to it.
alter default privileges revoke execute on functions from public;
revoke all on schema clickstream from public;
grant usage on schema clickstream to clickstream_writer, clickstream_reader;

create table clickstream.schema_version (
  name text primary key,
  checksum text not null,
  applied_at timestamptz not null default now()
);
comment on table clickstream.schema_version is 'One row per migration that has been applied.';
comment on column clickstream.schema_version.name is 'File name of the migration.';
comment on column clickstream.schema_version.checksum is 'SHA-256 of the file as it was applied, in hexadecimal.';
comment on column clickstream.schema_version.applied_at is 'When it was applied.';
grant select on clickstream.schema_version to clickstream_writer, clickstream_reader;

create function clickstream.limit_readers() returns table (reader text, limited boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  for reader in
    select r.rolname
    from pg_roles r
    where r.rolcanlogin and not r.rolsuper
      and pg_has_role(r.oid, 'clickstream_reader', 'usage')
      and not pg_has_role(r.oid, 'clickstream_writer', 'member')
      and not pg_has_role(r.oid, 'clickstream_owner', 'member')
      and not exists (
        select from pg_db_role_setting s, unnest(s.setconfig) as setting
        where s.setrole = r.oid and setting like 'statement\_timeout=%'
          and s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database())))
    order by r.rolname
  loop
    begin
      execute format('alter role %I in database %I set statement_timeout = %L', reader, current_database(), '30s');
      limited := true;
    exception when insufficient_privilege then
      limited := false;
    end;
    return next;
  end loop;
end
$$;
comment on function clickstream.limit_readers() is
  'Gives the users who only read, and have no time limit of their own, the 30 seconds of clickstream_reader in this database. Returns them, and whether the caller may alter them; if not, an administrator has to.';
