-- The login that owns the schema. PostgreSQL runs this once, when it makes its files.
\set ON_ERROR_STOP 1
\set password `cat /run/secrets/owner-password`
create role clicks_owner login password :'password' createrole;
grant create on database clickstream to clicks_owner;
