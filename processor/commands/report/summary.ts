/**
 * What happened in a day or a week, beside the one before.
 * @module
 */
import { priceDigits } from "../../currency.ts";
import { currencyUsed } from "../../postgres/currency.ts";
import type { Database } from "../../postgres/database.ts";
import { timeZoneName } from "../../postgres/time_zone.ts";

/** How a number is written. */
export type Unit = "count" | "money" | "share";

/** A number; null where there is nothing to divide by. */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number | null;
  readonly previous: number | null;
}

/** The first rows of a report: a text, and its number. */
export interface Ranking {
  readonly title: string;
  readonly unit: Unit;
  readonly rows: readonly Figure[];
}

/** A day or a week of a shop. */
export interface Summary {
  readonly period: Period;
  /** The currency that money is in; null if purchases are not converted. */
  readonly currency: string | null;
  /** Name of the time zone of the days. */
  readonly timeZone: string;
  readonly figures: readonly Figure[];
  /** Without those that have no row. */
  readonly rankings: readonly Ranking[];
}

/** The days of a report, in the shop's time zone, as `YYYY-MM-DD`. */
export interface Period {
  readonly name: "daily" | "weekly";
  /** The first day. */
  readonly from: string;
  /** The day after the last one. */
  readonly to: string;
}

const DAY_MS = 86_400_000;

/** Rows of a ranking. */
const MOST_ROWS = 10;

/** The day, or the week from Monday on, that has this day. */
export function periodAt(name: Period["name"], date: string): Period {
  const today = Date.parse(date) / DAY_MS;
  // 1 January 1970 was a Thursday.
  const first = name === "daily" ? today : today - (today + 3) % 7;
  const dayOf = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10);
  return { name, from: dayOf(first), to: dayOf(first + (name === "daily" ? 1 : 7)) };
}

/** The last such day or week that is over. */
export function lastPeriod(name: Period["name"], today: string): Period {
  const dayBefore = Date.parse(periodAt(name, today).from) - DAY_MS;
  return periodAt(name, new Date(dayBefore).toISOString().slice(0, 10));
}

/** The figures: a name, its unit, and what it is of a row of `now`, whose columns begin with `previous_` for before. */
const FIGURES: readonly (readonly [name: string, unit: Unit, of: string])[] = [
  ["Sessions", "count", "sessions"],
  ["Users", "count", "users"],
  ["New users", "count", "new_users"],
  ["Conversions", "count", "conversions"],
  ["Conversion rate", "share", "conversion_rate"],
  ["Revenue", "money", "revenue_cents"],
  ["Carts abandoned", "share", "abandonment_rate"],
];

/** The rankings: a title, the unit of its number, and the rows as `name`, `value`, `previous`. */
const RANKINGS: readonly (readonly [title: string, unit: Unit, from: string, name: string, value: string])[] = [
  ["Pages by views", "count", "top_pages_compared", "page", "views"],
  ["Products by revenue", "money", "products_compared", "product_id", "revenue_cents"],
  ["Searches", "count", "searches_compared", "term", "searches"],
  ["Regions by sessions", "count", "regions_compared", "region", "sessions"],
  ["Devices by sessions", "count", "devices_compared", "device", "sessions"],
];

/** Asks for the summary of a period, as of one moment. */
export async function summaryOf(db: Database, period: Period): Promise<Summary> {
  const days = [period.from, period.to];
  const range = "clickstream.day_start($1::date), clickstream.day_start($2::date)";
  return await db.transaction(async (tx) => {
    await tx.exec("set transaction isolation level repeatable read, read only");
    const { rows: [row] } = await tx.query<Record<string, string | null>>(
      `select ${FIGURES.flatMap(([, , of]) => [of, `previous_${of}`]).map((name) => `n.${name}::text`).join(", ")}
         from (
           select * from clickstream.conversion_compared(${range}) c
           cross join clickstream.carts_compared(${range}) a
           cross join (
             select coalesce(sum(u.new_users), 0) as new_users, coalesce(sum(u.previous_new_users), 0) as previous_new_users
               from clickstream.new_users_compared($1::date, $2::date) u
           ) u
         ) n`,
      days,
    );
    const currency = await currencyUsed(tx);
    const figure = figuresIn(currency);
    const rankings: Ranking[] = [];
    for (const [title, unit, from, name, value] of RANKINGS) {
      const { rows } = await tx.query<Record<"name" | "value" | "previous", string>>(
        `select r.${name} as name, r.${value}::text as value, r.previous_${value}::text as previous
           from clickstream.${from}(${range}) r where r.${value} > 0
          order by r.${value} desc, r.${name} collate "C" limit ${MOST_ROWS}`,
        days,
      );
      const figures = rows.map((row) => figure(row.name, unit, row.value, row.previous));
      if (figures.length > 0) rankings.push({ title, unit, rows: figures });
    }
    const figures = FIGURES.map(([name, unit, of]) => figure(name, unit, row![of]!, row![`previous_${of}`]!));
    return { period, currency, timeZone: await timeZoneName(tx), figures, rankings };
  });
}

/** Makes figures of texts; money is in units of this currency. */
function figuresIn(currency: string | null) {
  const minorUnits = 10 ** priceDigits(null, currency);
  return (name: string, unit: Unit, value: string | null, previous: string | null): Figure => {
    const numberOf = (text: string) => unit === "money" ? Number(text) / minorUnits : Number(text);
    return {
      ...{ name, unit, value: value === null ? null : numberOf(value) },
      previous: previous === null ? null : numberOf(previous),
    };
  };
}
