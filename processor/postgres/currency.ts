/**
 * The currency that revenue in the tables is in, and the rates to it.
 * @module
 */
import { HUNDREDTHS, minorDigits, type MoneyState, type Rate } from "../currency.ts";
import type { Database } from "./database.ts";
import { SCHEMA } from "./schema.ts";

/** SQL for the currency that revenue is in; null if purchases are not converted. */
export const CURRENCY_USED = `(select s.value from ${SCHEMA}.settings s where s.name = 'CURRENCY')`;

/** `CURRENCY` is not the currency that revenue in the tables is in. */
export class CurrencyMismatch extends Error {
  override readonly name = "CurrencyMismatch";
}

/** The currency that revenue in the tables is in; null if purchases are not converted. */
export async function currencyUsed(db: Database): Promise<string | null> {
  const { rows } = await db.query<{ currency: string | null }>(`select ${CURRENCY_USED} as currency`);
  return rows[0]!.currency;
}

/** What `CURRENCY` is, in words. */
export function currencyInWords(currency: string | null): string {
  return currency === null ? "not set" : currency;
}

/**
 * Verifies that revenue in the tables is in this currency, or is not converted (null).
 *
 * @throws {CurrencyMismatch} with the command to run
 */
export async function verifyCurrency(db: Database, wanted: string | null): Promise<void> {
  const used = await currencyUsed(db);
  if (used === wanted) return;
  if (used === null) {
    throw new CurrencyMismatch(
      `CURRENCY is ${wanted}, and the tables have no currency yet. Type: clickstream migrate, with this CURRENCY`,
    );
  }
  throw new CurrencyMismatch(
    `CURRENCY is ${currencyInWords(wanted)}, and revenue in the tables is in ${used}. Set CURRENCY=${used}, or type: ` +
      `clickstream rebuild --from DAY, with the new CURRENCY and a DAY before all purchases`,
  );
}

/** All rates. */
export async function readRates(db: Database): Promise<readonly Rate[]> {
  const { rows } = await db.query<Rate>(
    `select currency, to_char(from_day, 'YYYY-MM-DD') as "fromDay", rate::text as rate
       from ${SCHEMA}.rates order by rates.currency, rates.from_day`,
  );
  return rows;
}

/** Reads how revenue is counted, from a few rows of each day. */
export async function readMoney(db: Database): Promise<MoneyState> {
  const { rows } = await db.query<{ currency: string; since: string | null; purchases: number }>(
    `select c.currency, to_char(u.since at time zone 'UTC', 'YYYY-MM-DD') as since, u.purchases::float8 as purchases
       from (select distinct currency from ${SCHEMA}.currencies) c left join ${SCHEMA}.unconverted() u using (currency)
      order by u.purchases desc nulls last, c.currency`,
  );
  return {
    currency: await currencyUsed(db),
    currencies: rows.map(({ currency }) => currency).sort(),
    unconverted: rows.flatMap(({ since, ...row }) => since === null ? [] : [{ ...row, since }]),
  };
}

/**
 * Records in the transaction `tx`, as the owner, that revenue is in this currency from now on (null: not converted), and
 * describes the columns.
 */
export async function useCurrency(tx: Database, currency: string | null): Promise<void> {
  await tx.query(`delete from ${SCHEMA}.settings where name in ('CURRENCY', 'CURRENCY_DIGITS')`);
  if (currency !== null) {
    await tx.query(
      `insert into ${SCHEMA}.settings (name, value) values ('CURRENCY', $1::text), ('CURRENCY_DIGITS', $2::text)`,
      [currency, String(minorDigits(currency))],
    );
  }
  const unit = currency === null
    ? "cents of whatever currency a purchase is in"
    : `minor units of ${currency}, which has ${minorDigits(currency)} digits after the point`;
  const { rows } = await tx.query<{ name: string }>(
    `select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = '${SCHEMA}'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attname = 'revenue_cents' and not a.attisdropped`,
  );
  for (const { name } of rows) {
    const what = name === "events" ? "price_cents times quantity of a purchase, otherwise 0; in " : "Revenue in ";
    await tx.exec(`comment on column ${SCHEMA}.${name}.revenue_cents is '${what}${unit}.'`);
  }
  const price = currency === null
    ? "Unit price in cents of currency."
    : `Unit price in minor units of its own currency by ISO 4217, such as cents or yen; of ${currency} where it has none.`;
  await tx.exec(`comment on column ${SCHEMA}.events.price_cents is '${price}'`);
}

/**
 * Why revenue in the tables cannot be called revenue in this currency as it is, in words; null if it can: all purchases
 * were sent in it, or none has a price.
 */
export async function whyNotIn(db: Database, currency: string | null): Promise<string | null> {
  const used = await currencyUsed(db);
  if (used === currency || !await hasRevenueBefore(db, null)) return null;
  if (used !== null) return `it is in ${used}`;
  const { rows } = await db.query<{ currency: string }>(
    `select distinct p.currency from (
       select currency from ${SCHEMA}.currencies
       union all
       select currency from ${SCHEMA}.events where event_type = 'purchase' and currency is not null) p
      where p.currency <> $1::text order by 1`,
    [currency],
  );
  if (rows.length > 0) {
    return `it adds up purchases in ${rows.slice(0, 5).map((row) => row.currency).join(", ")} without conversion`;
  }
  return minorDigits(currency!) === HUNDREDTHS ? null : `it is in hundredths, which ${currency} does not have`;
}

/** Whether there is revenue of windows, sessions or days before a UTC midnight, `YYYY-MM-DD`; null: at any time. */
export async function hasRevenueBefore(db: Database, day: string | null): Promise<boolean> {
  const before = "coalesce($1::text || 'T00:00Z', 'infinity')::timestamptz";
  const { rows } = await db.query<{ found: boolean }>(
    `select exists (select from ${SCHEMA}.traffic where revenue_cents <> 0 and window_start < ${before})
         or exists (select from ${SCHEMA}.sessions where revenue_cents <> 0 and started_at < ${before})
         or exists (select from ${SCHEMA}.user_days where revenue_cents <> 0 and day < ${before}) as found`,
    [day],
  );
  return rows[0]!.found;
}
