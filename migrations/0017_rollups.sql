-- The sink adds up what a commit changes in the rollups, from the same deltas, and writes it once. A setting of its
-- transaction tells the triggers so. They do the work after every other insert and update (a rebuild, Flink, an older
-- program), and after every delete, since the sink deletes next to nothing.
set local role clickstream_owner;

grant insert, update on clickstream.traffic_hours, clickstream.page_days to clickstream_writer;

drop trigger added on clickstream.traffic;
drop trigger changed on clickstream.traffic;
create trigger added after insert on clickstream.traffic
referencing new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.traffic_rollup_trigger();
create trigger changed after update on clickstream.traffic
referencing old table as removed new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.traffic_rollup_trigger();

drop trigger added on clickstream.pages;
drop trigger changed on clickstream.pages;
create trigger added after insert on clickstream.pages
referencing new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.pages_rollup_trigger();
create trigger changed after update on clickstream.pages
referencing old table as removed new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.pages_rollup_trigger();

drop trigger added on clickstream.sessions;
drop trigger changed on clickstream.sessions;
create trigger added after insert on clickstream.sessions
referencing new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.sessions_rollup_trigger();
create trigger changed after update on clickstream.sessions
referencing old table as removed new table as added for each statement
when (current_setting('clickstream.rollups', true) is distinct from 'kept')
execute function clickstream.sessions_rollup_trigger();
