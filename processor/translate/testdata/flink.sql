-- The views of clickstream as a job of Flink SQL 2.x, for more than one PostgreSQL can merge. Needs the connectors kafka
-- and jdbc, PostgreSQL's driver, and a Java machine in UTC (env.java.opts.all: -Duser.timezone=UTC), since jdbc writes
-- times in its zone. Put the password where it says <password>.
--
-- It writes into the tables that "clickstream migrate" makes. Never let "clickstream run" write into the same tables:
-- the processor could not merge with these rows, which come without what it keeps to tell users apart.
--
-- Once, in PostgreSQL, as the owner of schema clickstream:
--
--     create unique index flink_sessions on clickstream.sessions (user_id, session_id, started_at) nulls not distinct;
--     create function clickstream.flink_no_session() returns trigger language plpgsql as
--       $$ begin new.session_id := nullif(new.session_id, ''); return new; end $$;
--     create trigger flink_no_session before insert on clickstream.sessions
--       for each row execute function clickstream.flink_no_session();
--     create unique index flink_pages on clickstream.pages (window_start, page, is_bot) nulls not distinct;
--
-- A page, product or campaign of more bytes than an index holds is left out of views by it.
--
-- What Flink does otherwise than the processor:
-- - A window is written once, when the watermark has passed its end; an event that comes later still is left out of it.
--   A session is written when it is over. Only views by day go on counting.
-- - What can't be an event is left out and leaves no row in refusals. Text is taken for a number and a number for text,
--   lengths count code points, and no check is made of the other fields.
-- - No raw events are stored and no progress: nothing says which windows are final, and heatmap and retention count what
--   the tables have.
-- - Repetitions within 10 min are told by the job's clock: one that reads a backlog leaves out more of them.
-- - After a failure it goes on from its last checkpoint and writes rows anew. An upsert makes that harmless, but for a
--   moment older rows may stand there; tables and offsets are not one transaction. Without a checkpoint it begins where
--   the consumer group was, with empty windows, and overwrites those that were half counted.
-- - Bots are told by the same list; Java may take a user agent with letters outside ASCII for something else. user_days are
--   never a bot's, so new_users and retention count bots, too.
-- - Sessions have no source, medium and campaign: campaigns counts them as (not set).
-- - Of declared funnels, only those whose steps are one event type each are counted; the columns of others stay 0.
-- - No purchase is converted. With CURRENCY, purchases in other currencies add 0 to revenue and count as unconverted, since
--   the job does not read the table rates. Without it, revenue adds up prices in hundredths, as the processor does.
-- - Distinct users are counted exactly, with all of a window's users in its state.

SET 'pipeline.name' = 'clickstream';
SET 'table.optimizer.reuse-optimize-block-with-digest-enabled' = 'true';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.source.idle-timeout' = '5 min';
SET 'table.exec.state.ttl' = '10 min';
SET 'execution.checkpointing.interval' = '10 s';

CREATE TABLE clicks (
  `eventId` STRING,
  `userId` STRING,
  `sessionId` STRING,
  `eventType` STRING,
  `timestamp` STRING,
  `page` STRING,
  `device` STRING,
  `region` STRING,
  `productId` STRING,
  `campaign` STRING,
  `price` STRING,
  `quantity` STRING,
  `currency` STRING,
  `userAgent` STRING,
  kafka_topic STRING METADATA FROM 'topic' VIRTUAL,
  kafka_partition INT METADATA FROM 'partition' VIRTUAL,
  kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL,
  kafka_time TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  -- A time can't be absent; 1970 stands for none, and is too old to count.
  event_time AS COALESCE(
    TO_TIMESTAMP_LTZ(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '^(\d{1,15})(\.\d+)?$', 1) AS BIGINT), 3),
    CAST(TIMESTAMPADD(SECOND,
      3600 * (COALESCE(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '[Tt ](\d{2}):?(\d{2}):?(\d{2})?', 1) AS INT), 0) - COALESCE(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '[Tt ].*([+-]\d{2}):?(\d{2})?$', 1) AS INT), 0))
      + 60 * (COALESCE(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '[Tt ](\d{2}):?(\d{2}):?(\d{2})?', 2) AS INT), 0) - COALESCE(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '[Tt ].*([+-]\d{2}):?(\d{2})?$', 2) AS INT), 0) * CASE WHEN REGEXP(`timestamp`, '[Tt ].*-\d{2}:?(\d{2})?$') THEN -1 ELSE 1 END) + COALESCE(TRY_CAST(REGEXP_EXTRACT(`timestamp`, '[Tt ](\d{2}):?(\d{2}):?(\d{2})?', 3) AS INT), 0),
      TRY_CAST(CASE WHEN REGEXP(`timestamp`, '^(\d{4}-\d{2}-\d{2}[Tt ](([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?|24:00(:00([.,]0+)?)?)|\d{8}[Tt ](([01]\d|2[0-3])[0-5]\d(([0-5]\d|60)([.,]\d+)?)?|2400(00([.,]0+)?)?))([Zz]|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)$') THEN
        REGEXP_EXTRACT(`timestamp`, '^(\d{4})', 1) || '-' || REGEXP_EXTRACT(`timestamp`, '^\d{4}-?(\d{2})', 1)
        || '-' || REGEXP_EXTRACT(`timestamp`, '^\d{4}-?\d{2}-?(\d{2})', 1)
        || ' 00:00:00.' || RPAD(COALESCE(REGEXP_EXTRACT(`timestamp`, '[.,](\d{1,3})', 1), ''), 3, '0')
      END AS TIMESTAMP(3))) AS TIMESTAMP_LTZ(3)),
    TO_TIMESTAMP_LTZ(0, 3)),
  -- What is refused for lying in the future must not take the watermark there.
  WATERMARK FOR event_time AS CASE
    WHEN event_time <= kafka_time + INTERVAL '5' MINUTE THEN event_time - INTERVAL '10' SECOND END
) WITH (
  'connector' = 'kafka',
  'topic' = 'clickstream-events',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'clickstream',
  'properties.auto.offset.reset' = 'earliest',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'group-offsets',
  'value.format' = 'json',
  'value.json.ignore-parse-errors' = 'true'
);

CREATE TEMPORARY VIEW valid_events AS
SELECT
  COALESCE(eventId, kafka_topic || '/' || CAST(kafka_partition AS STRING) || '/' || CAST(kafka_offset AS STRING)) AS event_id,
  userId AS user_id,
  sessionId AS session_id,
  eventType AS event_type,
  COALESCE(NULLIF(REGEXP_REPLACE(page, '(?s)[?#].*', '') || COALESCE(REGEXP_EXTRACT(page, '^[^?#]*(\?[^#]*)?(#!?/[^?#]*)', 2), ''), ''), '/') AS page,
  CASE WHEN device IS NULL THEN 'unknown' WHEN device IN ('desktop', 'mobile', 'tablet') THEN device ELSE 'other' END AS device,
  COALESCE(region, 'unknown') AS region,
  productId AS product_id,
  campaign AS campaign,
  currency AS currency,
  CAST(ROUND(TRY_CAST(price AS DECIMAL(38, 18)), 2) * 100 AS BIGINT) AS price_cents,
  COALESCE(REGEXP(userAgent, '(?i) daum[ /]| deusu\/|(?:^|[^g])news(?!sapphire)|(?<! channel\/|google\/)google(?!(?:wv|app|\/google| pixel))|(?<! cu)bots?(?:\b|_)|(?<!cam)scan|(?<!lib)http|24x7|;\s\w+;$|@[a-z][\w-]+\.|\(\)|\.com\b|\b\w+\/1\.0;|\bbw\/|\bdlc\b|\bort\/|\bperl\b|\btime\/|\||^[<\(;]|^[\w \.\-\(?:\):%]+(?:\/v?\d+(?:\.\d+)?(?:\.\d{1,10})*?)?(?:,|$)|^[\w\-]+\/[\w]+$|^[^ ]{50,}$|^\d+\b|^\w*search\b|^\w+\/[\w\(\)]*$|^\w+\/\d\.\d\s\([\w@]+\)$|^active|^ad muncher|^amaya|^apache\/|^avsdevicesdk\/|^azure|^biglotron|^blackbox exporter|^bot|^clamav[ /]|^claude-code\/|^client\/|^cobweb\/|^custom|^ddg[_-]android|^discourse|^dispatch\/\d|^downcast\/|^duckduckgo|^email|^exodusmovement|^facebook|^getright\/|^gozilla\/|^hobbit|^hotzonu|^hwcdn\/|^igetter\/|^jeode\/|^jetty\/|^jigsaw|^microsoft bits|^movabletype|^mozilla\/\d\.\d\s[\w\.-]+$|^mozilla\/\d\.\d\s\((?:compatible;)?(?:\s?[\w\d-.]+[\s/]\d+\.\d+)?\)$|^navermailapp|^netsurf|^offline|^openai\/|^owler|^php|^postman|^ps_daily\/|^python|^rank|^read|^reed|^remove\.bg\/|^rest|^rss|^snapchat|^sora |^space bison|^stape\/|^svn|^swcd |^taringa|^thumbor\/|^track|^w3c|^webbandit\/|^webcopier|^wget|^whatsapp|^wordpress|^xenu link sleuth|^yahoo|^yandex|^zdm\/\d|^zoom marketplace\/|abuse|advisor|agent\b|analyzer|archive|ask jeeves\/teoma|attracta|audit|bluecoat drtr|browsex|burpcollaborator|capture|catch|check\b|checker|chrome-lighthouse|chromeframe|classifier|cloudflare|collapsify\b|convertify|cookiehubverify\/|crawl|cursor\/|cypress\/|dareboost|datanyze|dejaclick|detect|discovery|dmbrowser|download|exaleadcloudview|feed|firephp|foregenix|functionize|grab|hardenize\b|headless|hotjar|httrack|hubspot marketing grader|ibisbrowser|infrawatch|insight|inspect|iplabel|java(?!;)|library|linkcheck|linktiger|mail\.ru\/|manus-user\/|marketgoo\/|measure|monitor\b|neustar wpm|node\b|nutch|offbyone|openvas|optimize|pageburst|pagespeed|parser|phantomjs|pingdom|playwright|powermarks|preview|productfinder|prospectingstudio|proxy|ptst[ /]\d|radar|readable\/|retriever|rexx;|rigor|rss\b|scrape|securityheaders|selenium|server|silktide|sindup\/|sogou|sparkler\/|speedcurve|spider|splash|statuscake|supercleaner|synapse|synthetic|testlocally|tools|torrent|transcoder|url|validator|virtuoso|wappalyzer|watchtowr|webglance|webkit2png|whatcms\/|xtate\/'), FALSE) AS is_bot,
  CASE WHEN eventType = 'purchase' THEN COALESCE(CAST(ROUND(
    TRY_CAST(price AS DECIMAL(38, 18)), 2) * 100 AS BIGINT) * COALESCE(TRY_CAST(quantity AS BIGINT), 1), 0) ELSE 0 END AS revenue_cents,
  0 AS unconverted,
  event_time,
  kafka_partition,
  PROCTIME() AS arrived
FROM clicks
WHERE REGEXP(eventType, '^[a-z][a-z0-9_]{0,63}$')
  AND CHAR_LENGTH(userId) BETWEEN 1 AND 128
  AND CHAR_LENGTH(page) BETWEEN 1 AND 2048
  AND (eventId IS NULL OR CHAR_LENGTH(eventId) BETWEEN 1 AND 128)
  AND (sessionId IS NULL OR CHAR_LENGTH(sessionId) BETWEEN 1 AND 128)
  AND (region IS NULL OR CHAR_LENGTH(region) BETWEEN 1 AND 64)
  AND (userAgent IS NULL OR CHAR_LENGTH(userAgent) BETWEEN 1 AND 1024)
  AND POSITION(CHR(0) IN userId || page || COALESCE(eventId, '') || COALESCE(sessionId, '') || COALESCE(region, '') || COALESCE(productId, '') || COALESCE(campaign, '')) = 0
  AND (price IS NULL OR COALESCE(ROUND(TRY_CAST(price AS DECIMAL(38, 18)), 2) BETWEEN 0 AND 10000000000, FALSE))
  AND (quantity IS NULL OR REGEXP(quantity, '^0*[1-9]\d{0,15}$'))
  AND (eventType <> 'purchase' OR COALESCE(ROUND(TRY_CAST(price AS DECIMAL(38, 18)), 2) * TRY_CAST(quantity AS DECIMAL(16, 0)), 0) <= 10000000000)
  AND (currency IS NULL OR REGEXP(currency, '^[A-Z]{3}$'))
  AND event_time > TO_TIMESTAMP_LTZ(0, 3)
  AND event_time BETWEEN kafka_time - INTERVAL '30' DAY AND kafka_time + INTERVAL '5' MINUTE;

-- Repetitions: the first counts, by the clock of this job (table.exec.state.ttl) and not by Kafka timestamps.
CREATE TEMPORARY VIEW events AS
SELECT event_id, user_id, session_id, event_type, page, device, region, product_id, campaign, currency, price_cents, is_bot, revenue_cents, unconverted, event_time,
  DATE_FORMAT(event_time, 'yyyy-MM-dd HH:mm:ss.SSS') || CHR(0) || event_id AS place
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY kafka_partition, event_id ORDER BY arrived) AS repetition
  FROM valid_events
)
WHERE repetition = 1;

CREATE TABLE `user_days` (
  `day` DATE NOT NULL,
  `user_id` STRING NOT NULL,
  `events` BIGINT,
  `purchases` BIGINT,
  `revenue_cents` BIGINT,
  PRIMARY KEY (`day`, `user_id`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.user_days'
);

CREATE TABLE `sessions` (
  `started_at` TIMESTAMP(3) NOT NULL,
  `ended_at` TIMESTAMP(3),
  `user_id` STRING NOT NULL,
  `session_id` STRING NOT NULL,
  `events` BIGINT,
  `page_views` BIGINT,
  `entry_page` STRING,
  `entry_at` TIMESTAMP(3),
  `entry_event_id` STRING,
  `exit_page` STRING,
  `exit_at` TIMESTAMP(3),
  `exit_event_id` STRING,
  `device` STRING,
  `first_event_id` STRING,
  `region` STRING,
  `carts` BIGINT,
  `purchases` BIGINT,
  `revenue_cents` BIGINT,
  `funnel_step` SMALLINT,
  `is_bot` BOOLEAN,
  `bot_events` BIGINT,
  PRIMARY KEY (`user_id`, `session_id`, `started_at`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.sessions'
);

CREATE TABLE `traffic` (
  `window_start` TIMESTAMP(3) NOT NULL,
  `event_type` STRING NOT NULL,
  `device` STRING NOT NULL,
  `region` STRING NOT NULL,
  `is_bot` BOOLEAN NOT NULL,
  `events` BIGINT,
  `users` BIGINT,
  `users_state` BYTES,
  `revenue_cents` BIGINT,
  PRIMARY KEY (`window_start`, `event_type`, `device`, `region`, `is_bot`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.traffic'
);

CREATE TABLE `pages` (
  `window_start` TIMESTAMP(3) NOT NULL,
  `page` STRING NOT NULL,
  `is_bot` BOOLEAN NOT NULL,
  `views` BIGINT,
  `users` BIGINT,
  `users_state` BYTES,
  PRIMARY KEY (`window_start`, `page`, `is_bot`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.pages'
);

CREATE TABLE `active_users` (
  `window_start` TIMESTAMP(3) NOT NULL,
  `window_end` TIMESTAMP(3),
  `is_bot` BOOLEAN NOT NULL,
  `users` BIGINT,
  `users_state` BYTES,
  PRIMARY KEY (`window_start`, `is_bot`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.active_users'
);

CREATE TABLE `currencies` (
  `window_start` TIMESTAMP(3) NOT NULL,
  `currency` STRING NOT NULL,
  `purchases` BIGINT,
  `revenue_cents` BIGINT,
  `unconverted` BIGINT,
  PRIMARY KEY (`window_start`, `currency`) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://<host>:5432/<database>',
  'username' = '<user>',
  'password' = '<password>',
  'driver' = 'org.postgresql.Driver',
  'table-name' = 'clickstream.currencies'
);

EXECUTE STATEMENT SET
BEGIN

-- Events, purchases and revenue of each user, each day.
INSERT INTO `user_days` (`day`, user_id, `events`, `purchases`, `revenue_cents`)
SELECT
  `day`,
  user_id,
  `events`,
  `purchases`,
  `revenue_cents`
FROM (
  SELECT /*+ STATE_TTL('events' = '31 d') */ CAST(event_time AS DATE) AS `day`, user_id,
    COUNT(*) AS `events`,
    COUNT(*) FILTER (WHERE event_type IN ('purchase')) AS `purchases`,
    COALESCE(SUM(revenue_cents), 0) AS `revenue_cents`
  FROM events
  GROUP BY CAST(event_time AS DATE), user_id
);

-- Visits: events of one user with at most 30 minutes between them.
INSERT INTO `sessions` (`started_at`, `ended_at`, user_id, session_id, `events`, `page_views`, `entry_page`, `entry_at`, `entry_event_id`, `exit_page`, `exit_at`, `exit_event_id`, `device`, `first_event_id`, `region`, `carts`, `purchases`, `revenue_cents`, `funnel_step`, `is_bot`, `bot_events`)
SELECT
  window_start AS `started_at`,
  window_end - INTERVAL '30' MINUTE AS `ended_at`,
  user_id,
  COALESCE(session_id, '') AS session_id,
  `events`,
  `page_views`,
  SPLIT_INDEX(`entry_page`, CHR(0), 2) AS `entry_page`,
  CAST(SPLIT_INDEX(`entry_page`, CHR(0), 0) AS TIMESTAMP(3)) AS `entry_at`,
  SPLIT_INDEX(`entry_page`, CHR(0), 1) AS `entry_event_id`,
  SPLIT_INDEX(`exit_page`, CHR(0), 2) AS `exit_page`,
  CAST(SPLIT_INDEX(`exit_page`, CHR(0), 0) AS TIMESTAMP(3)) AS `exit_at`,
  SPLIT_INDEX(`exit_page`, CHR(0), 1) AS `exit_event_id`,
  SPLIT_INDEX(`device`, CHR(0), 2) AS `device`,
  SPLIT_INDEX(`device`, CHR(0), 1) AS `first_event_id`,
  SPLIT_INDEX(`region`, CHR(0), 2) AS `region`,
  `carts`,
  `purchases`,
  `revenue_cents`,
  CAST(CASE WHEN REGEXP(`funnel_step`, 'a.*b.*c') THEN 3 WHEN REGEXP(`funnel_step`, 'a.*b') THEN 2 WHEN REGEXP(`funnel_step`, 'a') THEN 1 ELSE 0 END AS SMALLINT) AS `funnel_step`,
  `is_bot` > 0 OR `events` >= 200 AND `events` > 60 * (TIMESTAMPDIFF(MINUTE, window_start, window_end - INTERVAL '30' MINUTE) + 1) AS `is_bot`,
  `is_bot` AS `bot_events`
FROM (
  SELECT window_start, window_end, user_id, session_id,
    COUNT(*) AS `events`,
    COUNT(*) FILTER (WHERE event_type IN ('page_view')) AS `page_views`,
    MIN(place || CHR(0) || COALESCE(page, '')) FILTER (WHERE event_type IN ('page_view')) AS `entry_page`,
    MAX(place || CHR(0) || COALESCE(page, '')) FILTER (WHERE event_type IN ('page_view')) AS `exit_page`,
    MIN(place || CHR(0) || COALESCE(device, '')) AS `device`,
    MIN(place || CHR(0) || COALESCE(region, '')) AS `region`,
    COUNT(*) FILTER (WHERE event_type IN ('add_to_cart')) AS `carts`,
    COUNT(*) FILTER (WHERE event_type IN ('purchase')) AS `purchases`,
    COALESCE(SUM(revenue_cents), 0) AS `revenue_cents`,
    ARRAY_JOIN(ARRAY_SORT(ARRAY_AGG(DATE_FORMAT(event_time, 'yyyy-MM-dd HH:mm:ss.SSS') || CASE event_type WHEN 'page_view' THEN 'a' WHEN 'add_to_cart' THEN 'b' WHEN 'purchase' THEN 'c' END) FILTER (WHERE event_type IN ('page_view', 'add_to_cart', 'purchase'))), '') AS `funnel_step`,
    COUNT(*) FILTER (WHERE is_bot) AS `is_bot`
  FROM TABLE(SESSION(TABLE events PARTITION BY (user_id, session_id), DESCRIPTOR(event_time), INTERVAL '30' MINUTE))
  GROUP BY window_start, window_end, user_id, session_id
);

-- Events, users and revenue by event type, device and region, each minute.
INSERT INTO `traffic` (`window_start`, event_type, device, region, is_bot, `events`, `users`, `users_state`, `revenue_cents`)
SELECT
  window_start AS `window_start`,
  event_type,
  device,
  region,
  is_bot,
  `events`,
  `users`,
  CAST(X'' AS BYTES) AS `users_state`,
  `revenue_cents`
FROM (
  SELECT window_start, window_end, event_type, device, region, is_bot,
    COUNT(*) AS `events`,
    COUNT(DISTINCT user_id) AS `users`,
    COALESCE(SUM(revenue_cents), 0) AS `revenue_cents`
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, event_type, device, region, is_bot
);

-- Page views and their users by page, each minute.
INSERT INTO `pages` (`window_start`, page, is_bot, `views`, `users`, `users_state`)
SELECT
  window_start AS `window_start`,
  page,
  is_bot,
  `views`,
  `users`,
  CAST(X'' AS BYTES) AS `users_state`
FROM (
  SELECT window_start, window_end, page, is_bot,
    COUNT(*) AS `views`,
    COUNT(DISTINCT user_id) AS `users`
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type IN ('page_view') AND CHAR_LENGTH(TO_BASE64(page)) <= 3464
  GROUP BY window_start, window_end, page, is_bot
);

-- Users with any event in five minutes, every minute.
INSERT INTO `active_users` (`window_start`, `window_end`, is_bot, `users`, `users_state`)
SELECT
  window_start AS `window_start`,
  window_end AS `window_end`,
  is_bot,
  `users`,
  CAST(X'' AS BYTES) AS `users_state`
FROM (
  SELECT window_start, window_end, is_bot,
    COUNT(DISTINCT user_id) AS `users`
  FROM TABLE(HOP(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE))
  GROUP BY window_start, window_end, is_bot
);

-- Purchases and revenue by the currency of the purchase, each UTC day.
INSERT INTO `currencies` (`window_start`, currency, `purchases`, `revenue_cents`, `unconverted`)
SELECT
  window_start AS `window_start`,
  currency,
  `purchases`,
  `revenue_cents`,
  `unconverted`
FROM (
  SELECT window_start, window_end, currency,
    COUNT(*) AS `purchases`,
    COALESCE(SUM(revenue_cents), 0) AS `revenue_cents`,
    COALESCE(SUM(unconverted), 0) AS `unconverted`
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' DAY))
  WHERE event_type IN ('purchase') AND currency IS NOT NULL
  GROUP BY window_start, window_end, currency
);

END;
