-- Where sessions come from: source, medium and campaign of each session, the channel that follows from them, and what
-- sessions of each channel bought. The columns are null in the rows that are there already, which are not touched:
-- `clickstream rebuild` fills them, and reports show them as (not set).
set local role clickstream_owner;

alter table clickstream.sessions add column source text collate "C", add column medium text collate "C",
  add column campaign text collate "C";
comment on column clickstream.sessions.source is
  'Where its earliest event came from, in lower case: utm_source, the site of a click id, the field campaign, the host of the referrer, or (direct). Null in sessions of versions that had no such column.';
comment on column clickstream.sessions.medium is
  'How its earliest event came, in lower case: utm_medium, cpc, paid_social, campaign, organic, social, referral, or (none). Null where source is.';
comment on column clickstream.sessions.campaign is
  'Campaign of its earliest event: utm_campaign or the field campaign; null without one.';

-- The sessions of a user in their order, for the touches of campaigns: those before one are found without a look at the
-- rows. As it leaves out the rows that are there already, it is made as quickly as they are read. Its columns change only
-- when an earlier event comes late. They have at most 100 characters each, so that they fit into an entry.
create index sessions_touches on clickstream.sessions (user_id, started_at) include (source, medium, campaign)
where source is not null;

create table clickstream.sources (
  source text collate "C" primary key,
  category text collate "C" not null check (category in ('search', 'social', 'shopping', 'video'))
);
comment on table clickstream.sources is
  'Known sources, as Google sorts them for the default channel group of GA4. A host covers its subdomains; name.* is the name alone or with any top-level domain.';
comment on column clickstream.sources.source is 'A host, a name with .*, or a value of utm_source, in lower case.';
comment on column clickstream.sources.category is 'search, social, shopping or video.';

insert into clickstream.sources (source, category)
select unnest(v.sources), v.category
from (values
  ('search', array[
    'google.*', 'bing.*', 'yahoo.*', 'duckduckgo.*', 'yandex.*', 'baidu.*', 'ecosia.*', 'qwant.*', 'startpage.*',
    'naver.*', 'daum.*', 'seznam.*', 'sogou.*', 'ask.*', 'aol.*', 'lycos.*', 'dogpile.*', 'rambler.*',
    'virgilio.*', 'excite.*', 'mojeek.*', 'babylon.*', 'biglobe.*', 'conduit.*', 'eniro.*', 'exalead.*',
    'kvasir.*', 'mamma.*', 'najdi.*', 'onet.*', 'pchome.*', 'startsiden.*', 'sesam.*', 'swisscows.*', 'metager.*',
    'gibiru.*', 'presearch.*', 'webcrawler.*', 'infospace.*', 'alltheweb.*', 'altavista.*', 'incredimail.*',
    'search-results.*', 'coccoc.*', 'images.google.com', 'lens.google.com', 'news.google.com',
    'scholar.google.com', 'search.google.com', 'cn.bing.com', 'search.yahoo.com', 'search.yahoo.co.jp',
    'search.aol.com', 'search.aol.co.uk', 'suche.aol.de', 'recherche.aol.fr', 'html.duckduckgo.com',
    'lite.duckduckgo.com', 'ya.ru', 'm.baidu.com', 'image.baidu.com', 'wap.baidu.com', 'so.com', '360.cn', 'sm.cn',
    'wap.sogou.com', 'm.sogou.com', 'search.naver.com', 'search.daum.net', 'm.naver.com', 'm.daum.net',
    'search.seznam.cz', 'firmy.cz', 'centrum.cz', 'go.mail.ru', 'nova.rambler.ru', 'search.ukr.net',
    'search.smt.docomo.ne.jp', 'search.goo.ne.jp', 'websearch.rakuten.co.jp', 'search.nifty.com',
    'search.biglobe.ne.jp', 'search.msn.com', 'ntp.msn.com', 'search.brave.com', 'kagi.com', 'you.com',
    'search.avg.com', 'search.avira.com', 'search.lilo.org', 'search.t-online.de', 'suche.t-online.de',
    'suche.web.de', 'suche.gmx.net', 'search.walla.co.il', 'search.globo.com', 'buscador.terra.es',
    'search.virgilio.it', 'search.alice.it', 'search.comcast.net', 'search.xfinity.com', 'search.tut.by',
    'szukaj.onet.pl', 'szukaj.wp.pl', 'yep.com', 'oceanhero.today', 'gigablast.com', 'petalsearch.com',
    'zapmeta.com', 'info.com', 'com.google.android.googlequicksearchbox', 'google-play', 'auone', 'docomo', 'msn',
    'terra', 'globo', 'ukr'
  ]),
  ('social', array[
    'facebook.*', 'instagram.*', 'linkedin.*', 'pinterest.*', 'tiktok.*', 'twitter.*', 'snapchat.*', 'tumblr.*',
    'quora.*', 'weibo.*', 'messenger.*', 'flickr.*', 'meetup.*', 'myspace.*', 'nextdoor.*', 'renren.*',
    'facebook.com', 'fb.com', 'fb.me', 'fb', 'facebook-ads', 'facebookads', 'meta', 'messenger.com',
    'instagram.com', 'ig', 'threads.net', 'threads.com', 'threads', 'x.com', 't.co', 'twitter.com', 'linkedin.com',
    'lnkd.in', 'pinterest.com', 'pin.it', 'tiktok.com', 'snapchat.com', 'reddit.com', 'redd.it', 'reddit',
    'tumblr.com', 't.umblr.com', 'quora.com', 'vk.com', 'vk.ru', 'vkontakte.ru', 'vkontakte', 'ok.ru',
    'odnoklassniki.ru', 'my.mail.ru', 'weibo.com', 'weibo.cn', 'wechat.com', 'wechat', 'weixin.qq.com',
    'qzone.qq.com', 'douban.com', 'zhihu.com', 'tieba.baidu.com', 'xiaohongshu.com', 'plus.google.com',
    'plus.url.google.com', 'groups.google.com', 'googlegroups.com', 'whatsapp.com', 'wa.me', 'whatsapp',
    'telegram.org', 'telegram.me', 't.me', 'telegram', 'org.telegram.messenger', 'viber.com', 'line.me',
    'kakao.com', 'band.us', 'cafe.naver.com', 'blog.naver.com', 'ameblo.jp', 'mixi.jp', 'hatena.ne.jp', 'note.com',
    'discord.com', 'discordapp.com', 'discord.gg', 'discord', 'slack.com', 'mastodon.social', 'mastodon.online',
    'mastodon', 'bsky.app', 'bluesky', 'gab.com', 'gettr.com', 'truthsocial.com', 'parler.com', 'mewe.com',
    'minds.com', 'news.ycombinator.com', 'hackernews', 'stackoverflow.com', 'stackexchange.com', 'dev.to',
    'lobste.rs', 'slashdot.org', 'digg.com', 'flipboard.com', 'getpocket.com', 'pocket.co', 'scoop.it',
    'stumbleupon.com', 'delicious.com', 'diigo.com', 'medium.com', 'blogspot.com', 'blogger.com', 'wordpress.com',
    'livejournal.com', 'dreamwidth.org', 'typepad.com', 'disqus.com', 'goodreads.com', 'last.fm', 'soundcloud.com',
    'deviantart.com', 'behance.net', 'dribbble.com', 'flickr.com', '500px.com', 'imgur.com', '9gag.com',
    'xing.com', 'viadeo.com', 'nextdoor.com', 'meetup.com', 'yelp.com', 'yelp.co.uk', 'tripadvisor.com',
    'foursquare.com', 'couchsurfing.com', 'care2.com', 'classmates.com', 'tagged.com', 'badoo.com', 'skyrock.com',
    'taringa.net', 'hi5.com', 'ravelry.com', 'wattpad.com', 'patreon.com', 'linktr.ee', 'buffer.com',
    'hootsuite.com', 'social', 'linkedin', 'lnkd', 'com.facebook.katana', 'com.facebook.orca',
    'com.instagram.android', 'com.linkedin.android', 'com.pinterest', 'com.twitter.android',
    'com.reddit.frontpage', 'com.slack', 'com.whatsapp', 'lemmy.world', 'substack.com', 'clubhouse.com',
    'tinder.com'
  ]),
  ('shopping', array[
    'amazon.*', 'ebay.*', 'etsy.*', 'aliexpress.*', 'alibaba.*', 'walmart.*', 'shopify.*', 'shopping.*',
    'mercadolibre.*', 'mercadolivre.*', 'idealo.*', 'kelkoo.*', 'zalando.*', 'rakuten.*', 'shopzilla.*',
    'bizrate.*', 'pricegrabber.*', 'shopping.google.com', 'shopping.yahoo.com', 'shopping.yahoo.co.jp',
    'shopping.naver.com', 'amazon.com', 'amazon.co.uk', 'amazon.de', 'amazon.fr', 'amazon.co.jp', 'ebay.com',
    'ebay.co.uk', 'ebay.de', 'etsy.com', 'aliexpress.com', 'alibaba.com', 'walmart.com', 'target.com',
    'bestbuy.com', 'wish.com', 'temu.com', 'shein.com', 'taobao.com', 'tmall.com', 'jd.com', 'flipkart.com',
    'lazada.com', 'shopee.com', 'allegro.pl', 'bol.com', 'otto.de', 'shop.app', 'checkout.shopify.com',
    'pricerunner.com', 'priceminister.com', 'twenga.com', 'skroutz.gr', 'ceneo.pl', 'heureka.cz', 'billiger.de',
    'geizhals.de', 'geizhals.at', 'preisvergleich.de', 'google-shopping', 'igshopping'
  ]),
  ('video', array[
    'youtube.*', 'vimeo.*', 'dailymotion.*', 'twitch.*', 'netflix.*', 'hulu.*', 'disneyplus.*', 'youku.*',
    'iqiyi.*', 'youtube.com', 'youtu.be', 'vimeo.com', 'dailymotion.com', 'twitch.tv', 'netflix.com', 'hulu.com',
    'disneyplus.com', 'youku.com', 'iqiyi.com', 'bilibili.com', 'v.qq.com', 'nicovideo.jp', 'rumble.com',
    'odysee.com', 'bitchute.com', 'veoh.com', 'wistia.com', 'wistia.net', 'ted.com', 'crackle.com', 'viewster.com',
    'tv.naver.com', 'utreon.com', 'curiositystream.com', 'com.google.android.youtube', 'crunchyroll.com'
  ])
) v (category, sources);

create table clickstream.channels (
  position smallint primary key,
  channel text collate "C" not null,
  category text collate "C" check (category in ('search', 'social', 'shopping', 'video')),
  source text collate "C",
  medium text collate "C",
  campaign text collate "C"
);
comment on table clickstream.channels is
  'The rules of the default channel group of GA4, in the order in which they are tried. A rule matches if each of its conditions does; a null is no condition. What no rule matches is Unassigned.';
comment on column clickstream.channels.position is 'Order of the rules: the first that matches decides.';
comment on column clickstream.channels.channel is 'The channel of what this rule matches.';
comment on column clickstream.channels.category is 'The category of the source in clickstream.sources.';
comment on column clickstream.channels.source is 'A regular expression for the source.';
comment on column clickstream.channels.medium is 'A regular expression for the medium.';
comment on column clickstream.channels.campaign is 'A regular expression for the campaign in lower case.';

insert into clickstream.channels (position, channel, category, source, medium, campaign) values
  (10, 'Direct', null, '^\(direct\)$', '^\((not set|none)\)$', null),
  (20, 'Cross-network', null, null, null, 'cross-network'),
  (30, 'Paid Shopping', 'shopping', null, '^(.*cp.*|ppc|retargeting|paid.*)$', null),
  (31, 'Paid Shopping', null, null, '^(.*cp.*|ppc|retargeting|paid.*)$', '^(.*(([^a-df-z]|^)shop|shopping).*)$'),
  (40, 'Paid Search', 'search', null, '^(.*cp.*|ppc|retargeting|paid.*)$', null),
  (50, 'Paid Social', 'social', null, '^(.*cp.*|ppc|retargeting|paid.*)$', null),
  (60, 'Paid Video', 'video', null, '^(.*cp.*|ppc|retargeting|paid.*)$', null),
  (70, 'Display', null, null, '^(display|banner|expandable|interstitial|cpm)$', null),
  (80, 'Paid Other', null, null, '^(.*cp.*|ppc|retargeting|paid.*)$', null),
  (90, 'Organic Shopping', 'shopping', null, null, null),
  (91, 'Organic Shopping', null, null, null, '^(.*(([^a-df-z]|^)shop|shopping).*)$'),
  (100, 'Organic Social', 'social', null, null, null),
  (101, 'Organic Social', null, null, '^(social|social-network|social-media|sm|social network|social media)$', null),
  (110, 'Organic Video', 'video', null, null, null),
  (111, 'Organic Video', null, null, '^(.*video.*)$', null),
  (120, 'Organic Search', 'search', null, null, null),
  (121, 'Organic Search', null, null, '^organic$', null),
  (130, 'Referral', null, null, '^(referral|app|link)$', null),
  (140, 'Email', null, '^e[-_ ]?mail$', null, null),
  (141, 'Email', null, null, '^e[-_ ]?mail$', null),
  (150, 'Affiliates', null, null, '^affiliates?$', null),
  (160, 'Audio', null, null, '^audio$', null),
  (170, 'SMS', null, '^sms$', null, null),
  (171, 'SMS', null, null, '^sms$', null),
  (180, 'Mobile Push Notifications', null, null, 'push$', null),
  (181, 'Mobile Push Notifications', null, null, 'mobile|notification', null),
  (182, 'Mobile Push Notifications', null, '^firebase$', null, null);

grant select on clickstream.sources, clickstream.channels to clickstream_reader;

create function clickstream.source_category(source text) returns text
language sql stable parallel safe
begin atomic
  -- A host goes before its parent, and both before a name with any top-level domain.
  select s.category
  from clickstream.sources s
  where s.source = any (
    array[
      source_category.source,
      coalesce(
        substring(source_category.source from '^([^.]+)\.(?:com|org|net|[a-z]{2}|com?\.[a-z]{2})$'),
        substring(source_category.source from '^[^.]+$')
      ) || '.*'
    ] || array(
      select substr(source_category.source, p.n + 1)
      from generate_series(1, length(source_category.source)) p (n)
      where substr(source_category.source, p.n, 1) = '.' and position('.' in substr(source_category.source, p.n + 1)) > 0
    )
  )
  order by s.source like '%.*', length(s.source) desc
  limit 1;
end;
comment on function clickstream.source_category(text) is
  'The category of a source in lower case, by the table sources; null if it is not known.';

create function clickstream.channel(source text, medium text, campaign text) returns text
language sql stable parallel safe
begin atomic
  select coalesce((
    select c.channel
    from clickstream.channels c
    where (c.category is null or c.category = k.category)
      and (c.source is null or channel.source ~ c.source)
      and (c.medium is null or channel.medium ~ c.medium)
      and (c.campaign is null or lower(channel.campaign) ~ c.campaign)
    order by c.position
    limit 1
  ), 'Unassigned')
  from (select clickstream.source_category(channel.source) as category) k;
end;
comment on function clickstream.channel(text, text, text) is
  'The channel of a source, a medium and a campaign, by the rules in the table channels.';

create function clickstream.campaigns("from" timestamptz, "to" timestamptz, touch text)
returns table (channel text, source text, medium text, campaign text, sessions bigint, conversions bigint,
  revenue_cents bigint, average_order_cents double precision)
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
-- The users of a month are added up in memory.
set work_mem = '64MB'
as $$
begin
  if touch is null or touch not in ('last', 'last_non_direct', 'first') then
    raise exception 'campaigns: touch is %', coalesce(quote_literal(touch), 'null')
      using hint = 'Allowed are ''last'', ''last_non_direct'' and ''first''.', errcode = 'invalid_parameter_value';
  end if;
  return query
  with touched as (
    select s.source, s.medium, s.campaign, count(*) as sessions, count(*) filter (where s.purchases > 0) as conversions,
      sum(s.revenue_cents) as revenue_cents
    from clickstream.sessions s
    where touch = 'last' and s.started_at >= "from" and s.started_at < "to"
    group by s.source, s.medium, s.campaign
    union all
    -- A direct session looks for those before in the index of its user. Where two start at the same time, their texts
    -- decide, because the index has nothing else.
    select n.source, n.medium, n.campaign, count(*), count(*) filter (where s.purchases > 0), sum(s.revenue_cents)
    from clickstream.sessions s
    left join lateral (
      select e.source, e.medium, e.campaign
      from clickstream.sessions e
      where s.source = '(direct)' and e.user_id = s.user_id and e.source <> '(direct)'
        -- In hours, because days would be those of the time zone of the connection.
        and e.started_at < s.started_at and e.started_at >= s.started_at - interval '720 hours'
      order by e.started_at desc, e.source desc, e.medium desc, coalesce(e.campaign, '') desc
      limit 1
    ) e on true
    cross join lateral (
      select case when e.source is null then s.source else e.source end as source,
        case when e.source is null then s.medium else e.medium end as medium,
        case when e.source is null then s.campaign else e.campaign end as campaign
    ) n
    where touch = 'last_non_direct' and s.started_at >= "from" and s.started_at < "to"
    group by n.source, n.medium, n.campaign
    union all
    select f.source, f.medium, f.campaign, sum(u.sessions), sum(u.conversions), sum(u.revenue_cents)
    from (
      select s.user_id, count(*) as sessions, count(*) filter (where s.purchases > 0) as conversions,
        sum(s.revenue_cents) as revenue_cents
      from clickstream.sessions s
      where touch = 'first' and s.started_at >= "from" and s.started_at < "to"
      group by s.user_id
    ) u
    left join lateral (
      select e.source, e.medium, e.campaign
      from clickstream.sessions e
      where e.user_id = u.user_id and e.source is not null
      order by e.started_at, e.source, e.medium, coalesce(e.campaign, '')
      limit 1
    ) f on true
    group by f.source, f.medium, f.campaign
  )
  select clickstream.channel(g.source, g.medium, g.campaign), g.source, g.medium, g.campaign, g.sessions, g.conversions,
    g.revenue_cents, g.revenue_cents::double precision / nullif(g.conversions, 0)::double precision
  from (
    select coalesce(t.source, '(not set)') as source, coalesce(t.medium, '(not set)') as medium,
      coalesce(t.campaign, '(not set)') as campaign, sum(t.sessions)::bigint as sessions,
      sum(t.conversions)::bigint as conversions, sum(t.revenue_cents)::bigint as revenue_cents
    from touched t
    group by 1, 2, 3
  ) g
  order by g.revenue_cents desc, g.sessions desc, g.source collate "C", g.medium collate "C", g.campaign collate "C";
end
$$;
comment on function clickstream.campaigns(timestamptz, timestamptz, text) is
  'Sessions that began in the time by where they came from: how many, those with a purchase, their revenue, and its mean by session with a purchase. The touch is last: the session itself; last_non_direct: if it is direct, the latest session of its user in the 30 days before that is not; or first: the first session of its user whose source is known. What is not known is (not set).';

create function clickstream.campaigns("from" timestamptz, "to" timestamptz)
returns table (channel text, source text, medium text, campaign text, sessions bigint, conversions bigint,
  revenue_cents bigint, average_order_cents double precision)
language sql stable parallel safe
begin atomic
  select c.* from clickstream.campaigns("from", "to", 'last') c;
end;
comment on function clickstream.campaigns(timestamptz, timestamptz) is
  'Campaigns by last touch: what each session itself came from.';

-- 0020 makes these in a loop for reports without further arguments; this one has a touch.
create function clickstream.campaigns_compared("from" timestamptz, "to" timestamptz, touch text)
returns table (channel text, source text, medium text, campaign text, sessions bigint, previous_sessions bigint,
  conversions bigint, previous_conversions bigint, revenue_cents bigint, previous_revenue_cents bigint,
  average_order_cents double precision, previous_average_order_cents double precision)
language sql stable parallel safe
begin atomic
  select coalesce(n.channel, b.channel), coalesce(n.source, b.source), coalesce(n.medium, b.medium),
    coalesce(n.campaign, b.campaign), coalesce(n.sessions, 0), coalesce(b.sessions, 0), coalesce(n.conversions, 0),
    coalesce(b.conversions, 0), coalesce(n.revenue_cents, 0), coalesce(b.revenue_cents, 0), n.average_order_cents,
    b.average_order_cents
  from clickstream.campaigns("from", "to", touch) n
  full join clickstream.campaigns(
    "from" - make_interval(secs => extract(epoch from "to" - "from")::double precision), "from", touch
  ) b on n.channel = b.channel and n.source = b.source and n.medium = b.medium and n.campaign = b.campaign
  order by 9 desc, 5 desc, 2, 3, 4;
end;
comment on function clickstream.campaigns_compared(timestamptz, timestamptz, text) is
  'What campaigns says of the time, and beside it of the time of the same length before.';

create function clickstream.campaigns_compared("from" timestamptz, "to" timestamptz)
returns table (channel text, source text, medium text, campaign text, sessions bigint, previous_sessions bigint,
  conversions bigint, previous_conversions bigint, revenue_cents bigint, previous_revenue_cents bigint,
  average_order_cents double precision, previous_average_order_cents double precision)
language sql stable parallel safe
begin atomic
  select c.* from clickstream.campaigns_compared("from", "to", 'last') c;
end;
comment on function clickstream.campaigns_compared(timestamptz, timestamptz) is
  'What campaigns says of the time, and beside it of the time of the same length before.';

grant execute on function
  clickstream.source_category(text),
  clickstream.channel(text, text, text),
  clickstream.campaigns(timestamptz, timestamptz, text),
  clickstream.campaigns(timestamptz, timestamptz),
  clickstream.campaigns_compared(timestamptz, timestamptz, text),
  clickstream.campaigns_compared(timestamptz, timestamptz)
to clickstream_reader;
