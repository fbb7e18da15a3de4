-- Who was there when: users by the UTC day of their first event, and the reports that follow them from that day on. The
-- first day is kept, because to find it anew among all days of all users takes longer the longer a shop is open. It
-- follows user_days by triggers, in the same statement, so that nobody who writes there needs to know of it; only the
-- first event of a user on a day makes a row there, and work here.
set local role clickstream_owner;

create table clickstream.users (
  user_id text collate "C" primary key,
  first_day date not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index users_first_day on clickstream.users using brin (first_day) with (pages_per_range = 32, autosummarize = on);

comment on table clickstream.users is 'One row per user: kept from user_days, by triggers.';
comment on column clickstream.users.user_id is 'The shopper.';
comment on column clickstream.users.first_day is 'UTC day of the first event ever stored.';
grant select on clickstream.users to clickstream_writer, clickstream_reader;

-- As the owner, because nobody else writes there.
create function clickstream.user_days_added() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Those who are known are left out at once: a conflict would lock their rows, and so write them.
  insert into clickstream.users as u
  select a.user_id, min(a.day)
  from added a
  where not exists (select from clickstream.users k where k.user_id = a.user_id and k.first_day <= a.day)
  group by a.user_id
  order by a.user_id
  on conflict (user_id) do update set first_day = excluded.first_day where excluded.first_day < u.first_day;
  return null;
end
$$;
comment on function clickstream.user_days_added() is 'Trigger: takes note of users whose first day it is.';

create function clickstream.user_days_removed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'TRUNCATE' then
    truncate clickstream.users;
    return null;
  end if;
  delete from clickstream.users u using (select distinct r.user_id from removed r) r where u.user_id = r.user_id;
  insert into clickstream.users
  select d.user_id, min(d.day) from clickstream.user_days d
  where d.user_id in (select r.user_id from removed r)
  group by d.user_id;
  return null;
end
$$;
comment on function clickstream.user_days_removed() is
  'Trigger: forgets users of whom no day is left, and finds the first of those that are.';

create trigger added after insert on clickstream.user_days
referencing new table as added for each statement execute function clickstream.user_days_added();
create trigger removed after delete on clickstream.user_days
referencing old table as removed for each statement execute function clickstream.user_days_removed();
create trigger truncated after truncate on clickstream.user_days
for each statement execute function clickstream.user_days_removed();

create function clickstream.retention(from_day date, to_day date)
returns table (cohort_day date, cohort_size bigint, day_number integer, users bigint, rate double precision)
language sql stable parallel safe
begin atomic
  select c.cohort_day, s.users, c.day_number, c.users, c.users::double precision / s.users
  from (
    select u.first_day as cohort_day, d.day - u.first_day as day_number, count(*) as users
    from clickstream.users u
    join clickstream.user_days d on d.user_id = u.user_id
    where u.first_day >= from_day and u.first_day < to_day
      and d.day >= from_day and d.day < (now() at time zone 'UTC')::date
    group by 1, 2
  ) c
  join (
    select u.first_day, count(*) as users
    from clickstream.users u
    where u.first_day >= from_day and u.first_day < to_day
    group by u.first_day
  ) s on s.first_day = c.cohort_day
  order by 1, 3;
end;
comment on function clickstream.retention(date, date) is
  'Of the users first seen on cohort_day, how many came on the nth day after; days that are not over have no row.';

create function clickstream.new_users(from_day date, to_day date)
returns table (day date, users bigint, new_users bigint, returning_users bigint)
language sql stable parallel safe
begin atomic
  select d.day, sum(d.users)::bigint, sum(d.new_users)::bigint, sum(d.users - d.new_users)::bigint
  from (
    select v.day, count(*) as users, 0::bigint as new_users
    from clickstream.user_days v
    where v.day >= from_day and v.day < to_day
    group by v.day
    union all
    select u.first_day, 0, count(*)
    from clickstream.users u
    where u.first_day >= from_day and u.first_day < to_day
    group by u.first_day
  ) d
  group by d.day
  order by d.day;
end;
comment on function clickstream.new_users(date, date) is
  'Users of each UTC day: those whose first event ever stored is of that day, and those who had been there before.';

grant execute on function clickstream.retention(date, date), clickstream.new_users(date, date) to clickstream_reader;
