-- The views that a shop declares in a file. They are part of the schema: whoever commits must know them all, since an event
-- that is counted without one of them is never counted there.
set local role clickstream_owner;

create table clickstream.declarations (
  one boolean primary key default true check (one),
  declared jsonb not null,
  hash text not null,
  applied_at timestamptz not null default now()
);
comment on table clickstream.declarations is 'The declared views, as clickstream views apply has read them: one row.';
comment on column clickstream.declarations.one is 'There is one row.';
comment on column clickstream.declarations.declared is 'Content of the file.';
comment on column clickstream.declarations.hash is 'SHA-256 of the content; empty without declared views.';
comment on column clickstream.declarations.applied_at is 'When it was applied.';
insert into clickstream.declarations (declared, hash) values ('{"views": []}', '');

-- A commit keeps its lock to its end, so declarations cannot change between its check and its rows.
create function clickstream.verify_declarations(hash text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if verify_declarations.hash is distinct from (select d.hash from clickstream.declarations d) then
    raise exception using errcode = 'CSD01', message = 'the declared views of the database are others';
  end if;
end
$$;
comment on function clickstream.verify_declarations(text) is
  'Fails unless the declared views are those of this hash. Every commit calls it.';

grant select on clickstream.declarations to clickstream_writer, clickstream_reader;
revoke execute on function clickstream.verify_declarations(text) from public;
grant execute on function clickstream.verify_declarations(text) to clickstream_writer;
