import type { ActiveUsersRow, CurrencyRow, PageRow, StoredEvent, TrafficRow, UserDayRow } from "./rows.ts";
import { compareText, cutPage, isoTime, localDay, minuteOf } from "./values.ts";

const MINUTE_MS = 60_000;
const HOPPING_MINUTES = 5;

/** The rows of `traffic`, sorted by window, event type, device and region. */
export function trafficOf(events: readonly StoredEvent[]): TrafficRow[] {
  const rows: TrafficRow[] = [];
  for (const [window, inWindow] of byTime(groupBy(events, (event) => minuteOf(event.timeMs)))) {
    // Parts of the key can't hold a NUL, so joined keys are equal only if all parts are.
    const cells = groupBy(inWindow, (event) => [event.eventType, event.device, event.region].join("\0"));
    for (const [, inCell] of byText(cells)) {
      const { eventType, device, region } = inCell[0]!;
      rows.push({
        ...{ window_start: isoTime(window), event_type: eventType, device, region },
        ...{ events: inCell.length, users: usersOf(inCell).size, revenue_cents: revenueOf(inCell) },
      });
    }
  }
  return rows;
}

/** The rows of `pages`, sorted by window and page. */
export function pagesOf(events: readonly StoredEvent[]): PageRow[] {
  const rows: PageRow[] = [];
  const views = events.filter((event) => event.eventType === "page_view");
  for (const [window, inWindow] of byTime(groupBy(views, (event) => minuteOf(event.timeMs)))) {
    for (const [page, ofPage] of byText(groupBy(inWindow, (event) => cutPage(event.page)))) {
      rows.push({ window_start: isoTime(window), page, views: ofPage.length, users: usersOf(ofPage).size });
    }
  }
  return rows;
}

/** The rows of `active_users`, sorted by window: a window has the users of its five minutes. */
export function activeUsersOf(events: readonly StoredEvent[]): ActiveUsersRow[] {
  const minutes = new Map<number, Set<string>>();
  for (const [minute, inMinute] of groupBy(events, (event) => minuteOf(event.timeMs))) {
    minutes.set(minute, usersOf(inMinute));
  }
  const starts = new Set<number>();
  for (const minute of minutes.keys()) {
    for (let back = 0; back < HOPPING_MINUTES; back++) starts.add(minute - back * MINUTE_MS);
  }
  return [...starts].sort((a, b) => a - b).map((start) => {
    const users = new Set<string>();
    for (let minute = 0; minute < HOPPING_MINUTES; minute++) {
      for (const user of minutes.get(start + minute * MINUTE_MS) ?? []) users.add(user);
    }
    const end = start + HOPPING_MINUTES * MINUTE_MS;
    return { window_start: isoTime(start), window_end: isoTime(end), users: users.size };
  });
}

/** The rows of `user_days`, sorted by user and day. */
export function userDaysOf(events: readonly StoredEvent[], timeZone?: string): UserDayRow[] {
  const rows: UserDayRow[] = [];
  for (const [user, ofUser] of byText(groupBy(events, (event) => event.userId))) {
    for (const [day, ofDay] of byText(groupBy(ofUser, (event) => localDay(event.timeMs, timeZone)))) {
      const purchases = ofDay.filter((event) => event.eventType === "purchase").length;
      rows.push({ user_id: user, day, events: ofDay.length, purchases, revenue_cents: revenueOf(ofDay) });
    }
  }
  return rows;
}

/** The rows of `currencies`, sorted by day and currency. */
export function currenciesOf(events: readonly StoredEvent[]): CurrencyRow[] {
  const named = events.filter(({ eventType, currency }) => eventType === "purchase" && currency !== null);
  return byText(groupBy(named, ({ timeMs }) => `${localDay(timeMs)}T00:00:00.000Z`)).flatMap(([window_start, ofDay]) =>
    byText(groupBy(ofDay, ({ currency }) => currency!)).map(([currency, all]) => {
      const unconverted = `${all.filter((event) => event.isUnconverted).length}`;
      return { window_start, currency, purchases: all.length, revenue_cents: revenueOf(all), unconverted };
    })
  );
}

/** The sum of the events' revenue as decimal text. */
export function revenueOf(events: readonly StoredEvent[]): string {
  let cents = 0n;
  for (const event of events) cents += event.revenueCents;
  return cents.toString();
}

/** The items by key; each group keeps the order of the items. */
export function groupBy<K, T>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** The entries sorted by their keys as text. */
export function byText<V>(groups: ReadonlyMap<string, V>): [string, V][] {
  return [...groups].sort(([left], [right]) => compareText(left, right));
}

function byTime<V>(groups: ReadonlyMap<number, V>): [number, V][] {
  return [...groups].sort(([left], [right]) => left - right);
}

function usersOf(events: readonly StoredEvent[]): Set<string> {
  return new Set(events.map((event) => event.userId));
}
