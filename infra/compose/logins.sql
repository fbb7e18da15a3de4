-- The logins of the service and of Grafana, once `migrate` has made the roles. It may run again.
\set service `cat /run/secrets/service-password`
\set grafana `cat /run/secrets/grafana-password`
select format('create role %I login in role %I', login, role)
  from (values ('clicks_service', 'clickstream_writer'), ('grafana', 'clickstream_reader')) as wanted (login, role)
  where not exists (select from pg_roles where rolname = login)
\gexec
alter role clicks_service password :'service';
alter role grafana password :'grafana';
-- As `migrate` does for the readers that it finds.
alter role grafana in database clickstream set statement_timeout = '30s';
