-- The schema, and the three roles that use it. They can log in once an administrator has given them a password:
-- settings of a role, such as the reader's time limit, hold only for the role that logs in, not for its members.

do $$
declare
  role text;
begin
  foreach role in array array['clickstream_owner', 'clickstream_writer', 'clickstream_reader'] loop
    if not exists (select from pg_roles where rolname = role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole', role);
    end if;
  end loop;
  -- Whoever migrates acts as the owner from here on; a role does not become a member of itself.
  if current_user <> 'clickstream_owner' and not pg_has_role(current_user, 'clickstream_owner', 'member') then
    execute format('grant clickstream_owner to %I', current_user);
  end if;
end
$$;

alter role clickstream_reader set statement_timeout = '30s';

create schema clickstream authorization clickstream_owner;
comment on schema clickstream is 'What shoppers did: events, windows, sessions, and the offsets of the log they came from.';

set local role clickstream_owner;

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
comment on column clickstream.schema_version.checksum is 'SHA-256 of the file as it was applied.';
comment on column clickstream.schema_version.applied_at is 'When it was applied.';
grant select on clickstream.schema_version to clickstream_writer, clickstream_reader;
