-- Revenue in one currency: rates, what was bought in which currency, and the currency that revenue is in. All tables are
-- new, so nothing waits for a lock. The table currencies begins empty; a rebuild fills it for the days before.
set local role clickstream_owner;

create table clickstream.settings (
  name text collate "C" primary key,
  value text not null,
  set_at timestamptz not null default now()
);
comment on table clickstream.settings is
  'Settings that rows of other tables depend on, by the name of the environment variable. migrate and rebuild set them; the service refuses to run with others.';
comment on column clickstream.settings.name is 'Name of the setting, such as CURRENCY.';
comment on column clickstream.settings.value is 'Its value, as the environment variable has it.';
comment on column clickstream.settings.set_at is 'When it was set.';
grant select on clickstream.settings to clickstream_writer, clickstream_reader;

create function clickstream.minor_units() returns double precision
language sql stable parallel safe
begin atomic
  select 10.0::double precision ^ coalesce(
    (select s.value::integer from clickstream.settings s where s.name = 'CURRENCY_DIGITS'), 2
  );
end;
comment on function clickstream.minor_units() is
  'How many units of revenue_cents are one unit of the currency that revenue is in: 100, but 1 for yen and 1000 for Kuwaiti dinars.';
grant execute on function clickstream.minor_units() to clickstream_reader, clickstream_writer;

create table clickstream.rates (
  currency text collate "C" not null check (currency ~ '^[A-Z]{3}$'),
  from_day date not null check (isfinite(from_day)),
  rate numeric not null check (rate > 0 and rate < 1e15 and scale(rate) <= 15),
  primary key (currency, from_day)
);
comment on table clickstream.rates is
  'What one unit of a currency is worth in the shop''s currency (CURRENCY), from a UTC day on until the next rate. clickstream rates fills it; a rate for days that are in the tables already takes effect with a rebuild.';
comment on column clickstream.rates.currency is 'ISO 4217 code.';
comment on column clickstream.rates.from_day is 'The first UTC day with this rate.';
comment on column clickstream.rates.rate is 'Units of the shop''s currency for one unit, such as 0.92 for a dollar in euros.';
grant select on clickstream.rates to clickstream_writer, clickstream_reader;

create table clickstream.currencies (
  window_start timestamptz not null,
  currency text collate "C" not null,
  purchases bigint not null,
  revenue_cents bigint not null,
  unconverted bigint not null,
  primary key (window_start, currency)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
comment on table clickstream.currencies is 'Purchases and revenue by the currency of the purchase, each UTC day.';
comment on column clickstream.currencies.window_start is 'Midnight at which the UTC day begins.';
comment on column clickstream.currencies.currency is
  'ISO 4217 code as it was sent; purchases without one are in no row.';
comment on column clickstream.currencies.purchases is 'Purchases, with a rate or without.';
comment on column clickstream.currencies.revenue_cents is
  'Their revenue, counted as in all tables: converted if the shop has a currency, otherwise as it was sent.';
comment on column clickstream.currencies.unconverted is
  'Purchases without a rate, which add 0 to revenue; always 0 if the shop has no currency.';
grant select, insert, update on clickstream.currencies to clickstream_writer;
grant select on clickstream.currencies to clickstream_reader;

create function clickstream.unconverted()
returns table (currency text, since timestamptz, until timestamptz, purchases bigint)
language sql stable parallel safe
begin atomic
  select c.currency, min(c.window_start), max(c.window_start) + interval '24 hours', sum(c.unconverted)::bigint
  from clickstream.currencies c
  where c.unconverted > 0
  group by c.currency
  order by 4 desc, 1;
end;
comment on function clickstream.unconverted() is
  'Purchases that had no rate, and so add nothing to revenue, by currency: the first and the end of the last UTC day with one, and how many. Fill the rates, and run a rebuild from since.';
grant execute on function clickstream.unconverted() to clickstream_reader, clickstream_writer;
