-- A server has roles of other projects as well: only those get a time limit here that may connect to this database and were
-- made readers themselves, by an administrator of this schema. Who is a reader through a group of its own, may pass the
-- membership on, or administers the server is left alone.
set local role clickstream_owner;

create or replace function clickstream.limit_readers() returns table (reader text, limited boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  for reader in
    select r.rolname
    from pg_roles r
    where r.rolcanlogin
      and not (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls)
      and has_database_privilege(r.oid, current_database(), 'connect')
      and exists (
        select from pg_auth_members m join pg_roles g on g.oid = m.grantor
        where m.roleid = 'clickstream_reader'::regrole and m.member = r.oid and not m.admin_option
          and (g.rolsuper or g.rolname in (current_user, session_user)
               or pg_has_role(g.oid, 'clickstream_owner', 'member')))
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
  'Gives the logins that were granted clickstream_reader by an administrator of this schema, only read, may connect to this database and have no time limit of their own the 30 seconds of clickstream_reader in this database. Returns them, and whether the caller may alter them; if not, an administrator has to.';
