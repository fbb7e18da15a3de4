import type { ActiveUsersRow, CurrencyRow, PageRow, SessionRow, StoredEvent, TrafficRow, UserDayRow } from "./rows.ts";
import { compareText, cutPage, isoTime, localDay, minuteOf } from "./values.ts";

const MINUTE_MS = 60_000;
const HOPPING_MINUTES = 5;

/** The rows of `traffic`, sorted by window, event type, device, region and mark. */
export function trafficOf(events: readonly StoredEvent[]): TrafficRow[] {
  const rows: TrafficRow[] = [];
  for (const [window, inWindow] of byTime(groupBy(events, (event) => minuteOf(event.timeMs)))) {
    // Parts of the key can't hold a NUL, so joined keys are equal only if all parts are.
    const cells = groupBy(
      inWindow,
      (event) => [event.eventType, event.device, event.region, event.isListed].join("\0"),
    );
    for (const [, inCell] of byText(cells)) {
      const { eventType, device, region, isListed } = inCell[0]!;
      rows.push({
        ...{ window_start: isoTime(window), event_type: eventType, device, region, is_bot: isListed },
        ...{ events: inCell.length, users: usersOf(inCell).size, revenue_cents: revenueOf(inCell) },
      });
    }
  }
  return rows;
}

/** The rows of `pages`, sorted by window, page and mark. */
export function pagesOf(events: readonly StoredEvent[]): PageRow[] {
  const rows: PageRow[] = [];
  const views = events.filter((event) => event.eventType === "page_view");
  for (const [window, inWindow] of byTime(groupBy(views, (event) => minuteOf(event.timeMs)))) {
    for (const [page, ofPage] of byText(groupBy(inWindow, (event) => cutPage(event.page)))) {
      for (const [is_bot, marked] of byMark(ofPage)) {
        rows.push({ window_start: isoTime(window), page, is_bot, views: marked.length, users: usersOf(marked).size });
      }
    }
  }
  return rows;
}

/** The rows of `active_users`, sorted by mark and window: a window has the users of its five minutes. */
export function activeUsersOf(events: readonly StoredEvent[]): ActiveUsersRow[] {
  return byMark(events).flatMap(([is_bot, marked]) => windowsOfUsers(marked).map((row) => ({ ...row, is_bot })));
}

function windowsOfUsers(events: readonly StoredEvent[]): Omit<ActiveUsersRow, "is_bot">[] {
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

/** The rows of `user_days`, sorted by user and day. Sessions of bots mark the days that they have an event on. */
export function userDaysOf(
  events: readonly StoredEvent[],
  sessions: readonly SessionRow[],
  timeZone?: string,
): UserDayRow[] {
  const ofBots = groupBy(sessions.filter(({ is_bot }) => is_bot), ({ user_id }) => user_id);
  const rows: UserDayRow[] = [];
  for (const [user, ofUser] of byText(groupBy(events, (event) => event.userId))) {
    for (const [day, ofDay] of byText(groupBy(ofUser, (event) => localDay(event.timeMs, timeZone)))) {
      const purchases = ofDay.filter((event) => event.eventType === "purchase").length;
      const bot_sessions = (ofBots.get(user) ?? []).filter((session) =>
        ofDay.some(({ sessionId, timeMs }) =>
          sessionId === session.session_id && isoTime(timeMs) >= session.started_at &&
          isoTime(timeMs) <= session.ended_at
        )
      ).length;
      rows.push({
        ...{ user_id: user, day, events: ofDay.length, purchases, revenue_cents: revenueOf(ofDay) },
        ...{ bot_sessions, is_bot: bot_sessions > 0 },
      });
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

/** The events that are not on the list of bots, and those that are; without a mark that has none. */
function byMark(events: readonly StoredEvent[]): [boolean, StoredEvent[]][] {
  return [...groupBy(events, ({ isListed }) => isListed)].sort(([left], [right]) => Number(left) - Number(right));
}

function usersOf(events: readonly StoredEvent[]): Set<string> {
  return new Set(events.map((event) => event.userId));
}
