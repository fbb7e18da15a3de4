-- The first day of a user is marked in user_days. To store it in a table of its own cost as much as the row of the day
-- again: one more row and one more index entry for each new user. The sink marks the days that it inserts, at the price of
-- a look at the user's neighbours in the index. After any other write a trigger does it. The trigger is told by a setting
-- of the transaction when the sink writes.
set local role clickstream_owner;

alter table clickstream.user_days add column is_first boolean not null default false;
comment on column clickstream.user_days.is_first is 'The first day of the user: the one of the first event ever stored.';

drop trigger added on clickstream.user_days;
drop trigger removed on clickstream.user_days;
drop trigger truncated on clickstream.user_days;
drop function clickstream.user_days_insert_trigger();
drop function clickstream.user_days_delete_trigger();

update clickstream.user_days d set is_first = true
from clickstream.users u
where u.user_id = d.user_id and u.first_day = d.day;

-- As the owner, so that it does not depend on the rights of who writes.
create function clickstream.user_days_first_trigger() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update clickstream.user_days d set is_first = d.day = f.day
  from (
    select c.user_id, (select min(k.day) from clickstream.user_days k where k.user_id = c.user_id) as day
    from changed c group by c.user_id
  ) f
  where d.user_id = f.user_id and d.is_first <> (d.day = f.day);
  return null;
end
$$;
comment on function clickstream.user_days_first_trigger() is
  'Trigger: marks the first day of each user of whom a day was added or removed.';

create trigger added after insert on clickstream.user_days
referencing new table as changed for each statement
when (current_setting('clickstream.firsts', true) is distinct from 'kept')
execute function clickstream.user_days_first_trigger();
create trigger removed after delete on clickstream.user_days
referencing old table as changed for each statement execute function clickstream.user_days_first_trigger();

create or replace function clickstream.retention(from_day date, to_day date)
returns table (cohort_day date, cohort_size bigint, day_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  select c.cohort_day, s.users, c.day_number, c.users, c.users::double precision / s.users
  from (
    select u.day as cohort_day, d.day - u.day as day_number, count(*) as users
    from clickstream.user_days u
    join clickstream.user_days d on d.user_id = u.user_id
    where u.is_first and u.day >= from_day and u.day < to_day
      and d.day >= from_day and d.day < (now() at time zone 'UTC')::date
    group by 1, 2
  ) c
  join (
    select u.day, count(*) as users
    from clickstream.user_days u
    where u.is_first and u.day >= from_day and u.day < to_day
    group by u.day
  ) s on s.day = c.cohort_day
  order by 1, 3;
end;

create or replace function clickstream.new_users(from_day date, to_day date)
returns table (day date, users bigint, new_users bigint, returning_users bigint)
language sql stable parallel safe
begin atomic
  select d.day, count(*), count(*) filter (where d.is_first), count(*) filter (where not d.is_first)
  from clickstream.user_days d
  where d.day >= from_day and d.day < to_day
  group by d.day
  order by d.day;
end;

drop table clickstream.users;
create view clickstream.users as
select d.user_id, d.day as first_day from clickstream.user_days d where d.is_first;
comment on view clickstream.users is 'One row per user: the first days of user_days.';
comment on column clickstream.users.user_id is 'The shopper.';
comment on column clickstream.users.first_day is 'UTC day of the first event ever stored.';
grant select on clickstream.users to clickstream_writer, clickstream_reader;
