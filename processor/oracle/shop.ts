import { decoded } from "./acquisition.ts";
import { centsIn, daysOfUsers, isIn, type Range, share } from "./reports.ts";
import type { EventRow, Expected } from "./rows.ts";
import type { Row } from "./table_shapes.ts";
import { localDay } from "./values.ts";
import { byText, groupBy } from "./windows.ts";

const WEEK_MS = 7 * 24 * 60 * 60_000;

/** The rows of `products(from, to)`. */
export function products(expected: Expected, range: Range): Row[] {
  const shown = eventsIn(expected, range).filter(({ product_id }) => product_id !== null);
  return byText(groupBy(shown, ({ product_id }) => product_id!)).map(([product_id, events]) => {
    const count = (type: string) => events.filter(({ event_type }) => event_type === type).length;
    return {
      ...{ product_id, views: count("page_view"), carts: count("add_to_cart"), purchases: count("purchase") },
      revenue_cents: centsIn(events),
    };
  });
}

/** The row of `orders(from, to)`. */
export function orders(expected: Expected, range: Range): Row[] {
  const bought = expected.events.filter(({ event_type }) => event_type === "purchase");
  const days = expected.user_days.filter(({ purchases, is_bot }) =>
    purchases > 0 && (expected.peopleOnly === undefined || !is_bot)
  );
  const ofRange = eventsIn({ ...expected, events: bought }, range);
  const ofOrders = groupBy(
    ofRange,
    ({ user_id, order_id, kafka_partition, kafka_offset }) =>
      JSON.stringify(order_id === null ? [kafka_partition, kafka_offset] : [user_id, order_id]),
  );
  const buyers = groupBy(ofRange, ({ user_id }) => user_id);
  const returning = [...buyers].filter(([user, events]) => {
    const last = events.map(({ event_time }) => event_time).sort().at(-1)!;
    const lastDay = localDay(Date.parse(last), expected.timeZone);
    return days.some(({ user_id, day }) => user_id === user && day < lastDay);
  });
  const revenue = centsIn(ofRange);
  return [{
    ...{ orders: ofOrders.size, revenue_cents: revenue },
    average_order_cents: share(Number(revenue), ofOrders.size),
    ...{ buyers: buyers.size, returning_buyers: returning.length },
  }];
}

/** The rows of `searches(from, to)`. */
export function searches(expected: Expected, range: Range): Row[] {
  const asked = eventsIn(expected, range).flatMap(({ event_type, page, user_id }) => {
    const term = event_type === "search" ? termOf(page) : "";
    return term === "" ? [] : [{ term, user_id }];
  });
  return byText(groupBy(asked, ({ term }) => term)).map(([term, all]) => {
    return { term, searches: all.length, users: new Set(all.map(({ user_id }) => user_id)).size };
  });
}

/** What a page's query string searches for; empty if for nothing. */
function termOf(page: string): string {
  const [, query = ""] = /\?([^#]*)/.exec(page) ?? [];
  const names = new Set(["q", "query", "s", "search", "keyword"]);
  for (const pair of query.split("&")) {
    const at = pair.indexOf("=");
    if (at < 0 || !names.has(pair.slice(0, at))) continue;
    const spaced = pair.slice(at + 1).replaceAll("+", " ");
    return decoded(spaced).replace(/^ +| +$/g, "").replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  }
  return "";
}

/** The rows of `retention_weeks(from_day, to_day)`: weeks that begin in the range; only those that ended by `nowMs`. */
export function retentionWeeks(expected: Expected, range: Range, nowMs: number): Row[] {
  const weekOf = (day: string) => {
    // 5 January 1970 was a Monday.
    const ms = Date.parse(day) - Date.parse("1970-01-05");
    return new Date(Date.parse("1970-01-05") + Math.floor(ms / WEEK_MS) * WEEK_MS).toISOString().slice(0, 10);
  };
  const next = (week: string) => new Date(Date.parse(week) + WEEK_MS).toISOString().slice(0, 10);
  return cohortsBy(expected, range, nowMs, weekOf, next).map(({ cohort, number, ...row }) => {
    return { cohort_week: cohort, ...row, week_number: number };
  });
}

/** The rows of `retention_months(from_day, to_day)`: like those of weeks. */
export function retentionMonths(expected: Expected, range: Range, nowMs: number): Row[] {
  const monthOf = (day: string) => `${day.slice(0, 8)}01`;
  const next = (month: string) => monthOf(new Date(Date.parse(month) + 31 * 24 * 60 * 60_000).toISOString());
  return cohortsBy(expected, range, nowMs, monthOf, next).map(({ cohort, number, ...row }) => {
    return { cohort_month: cohort, ...row, month_number: number };
  });
}

interface Cohort {
  readonly cohort: string;
  readonly cohort_size: number;
  /** Periods since the cohort's own. */
  readonly number: number;
  readonly users: number;
  readonly rate: number;
}

function cohortsBy(
  expected: Expected,
  range: Range,
  nowMs: number,
  periodOf: (day: string) => string,
  next: (period: string) => string,
): Cohort[] {
  const today = localDay(nowMs, expected.timeZone);
  const periodsOf = daysOfUsers(expected).filter(({ first, days }) => days.has(first)).map(({ days }) =>
    [...new Set([...days].map(periodOf))].sort()
  );
  return byText(groupBy(periodsOf, ([first]) => first!)).flatMap(([cohort, all]) => {
    const rows: Cohort[] = [];
    if (!isIn(cohort, range)) return rows;
    for (let [period, number] = [cohort, 0]; next(period) <= today; period = next(period), number++) {
      const users = all.filter((periods) => periods.includes(period)).length;
      if (users > 0) rows.push({ cohort, cohort_size: all.length, number, users, rate: users / all.length });
    }
    return rows;
  });
}

function eventsIn({ events, peopleOnly }: Expected, range: Range): EventRow[] {
  return events.filter(({ event_time, is_bot }) => isIn(event_time, range) && (peopleOnly === undefined || !is_bot));
}
