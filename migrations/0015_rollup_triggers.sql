-- Functions of triggers that keep rollups say so by their names.
set local role clickstream_owner;

alter function clickstream.traffic_followed() rename to traffic_rollup_trigger;
alter function clickstream.pages_followed() rename to pages_rollup_trigger;
alter function clickstream.sessions_followed() rename to sessions_rollup_trigger;
alter function clickstream.user_days_added() rename to user_days_insert_trigger;
alter function clickstream.user_days_removed() rename to user_days_delete_trigger;
