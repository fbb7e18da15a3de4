import type { EventRow, Expected, SessionRow } from "./rows.ts";
import { isoTime, localDay, localTime } from "./values.ts";
import { byText, groupBy } from "./windows.ts";
import type { Row } from "./table_shapes.ts";

/** A half-open range of a report: times as ISO text in UTC with milliseconds, or days as `YYYY-MM-DD`. */
export interface Range {
  readonly from: string;
  readonly to: string;
}

/** `k ÷ n`, or null if `n` is 0. */
export function share(k: number, n: number): number | null {
  return n === 0 ? null : k / n;
}

/** Whether a time lies in a range: ISO texts of one form sort by time. */
export function isIn(time: string, range: Range): boolean {
  return range.from <= time && time < range.to;
}

function sessionsIn(expected: Expected, range: Range): SessionRow[] {
  return expected.sessions.filter((session) => isIn(session.started_at, range));
}

/** The row of `conversion(from, to)`. */
export function conversion(expected: Expected, range: Range): Row[] {
  const sessions = sessionsIn(expected, range);
  const converted = sessions.filter((session) => session.purchases > 0);
  return [{
    sessions: sessions.length,
    conversions: converted.length,
    conversion_rate: share(converted.length, sessions.length),
    users: new Set(sessions.map((session) => session.user_id)).size,
    buyers: new Set(converted.map((session) => session.user_id)).size,
    revenue_cents: centsIn(sessions),
  }];
}

/** The rows of `top_pages(from, to)`, by page: every page with a view, an entry or an exit in the range. */
export function topPages(expected: Expected, range: Range): Row[] {
  const views = new Map<string, number>();
  for (const row of expected.pages) {
    if (isIn(row.window_start, range)) views.set(row.page, (views.get(row.page) ?? 0) + row.views);
  }
  const viewing = sessionsIn(expected, range).filter((session) => session.page_views > 0);
  const entered = groupBy(viewing, (session) => session.entry_page!);
  const left = groupBy(viewing, (session) => session.exit_page!);
  const pages = new Set([...views.keys(), ...entered.keys(), ...left.keys()]);
  return [...pages].map((page) => {
    const ofPage = { views: views.get(page) ?? 0, entries: entered.get(page) ?? [], exits: left.get(page) ?? [] };
    const bounces = ofPage.entries.filter((session) => session.bounced).length;
    return {
      ...{ page, views: ofPage.views, entries: ofPage.entries.length, bounces },
      bounce_rate: share(bounces, ofPage.entries.length),
      exits: ofPage.exits.length,
      exit_rate: share(ofPage.exits.length, ofPage.views),
    };
  });
}

/** The rows of `page_views(from, to)`, by page: every page with a view in the range. */
export function pageViews(expected: Expected, range: Range): Row[] {
  return topPages(expected, range).filter(({ views }) => views !== 0).map(({ page, views }) => {
    return { page: page!, views: views! };
  });
}

/** The rows of `devices(from, to)`: events by minute and their device, sessions by start and their device. */
export function devices(expected: Expected, range: Range): Row[] {
  const events = new Map<string, number>();
  for (const row of expected.traffic) {
    if (isIn(row.window_start, range)) events.set(row.device, (events.get(row.device) ?? 0) + row.events);
  }
  const sessions = groupBy(sessionsIn(expected, range), (session) => session.device);
  return [...new Set([...events.keys(), ...sessions.keys()])].map((device) => {
    return { device, events: events.get(device) ?? 0, sessions: sessions.get(device)?.length ?? 0 };
  });
}

/** The rows of `activity_heatmap(from, to)` with any events. */
export function activityHeatmap(expected: Expected, range: Range): Row[] {
  const cells = new Map<string, { day_of_week: number; hour: number; events: number }>();
  for (const row of expected.traffic) {
    if (!isIn(row.window_start, range)) continue;
    const start = new Date(`${localTime(Date.parse(row.window_start), expected.timeZone)}Z`);
    // Sunday is 0 in JavaScript and 7 in ISO 8601.
    const [day_of_week, hour] = [start.getUTCDay() || 7, start.getUTCHours()];
    const cell = cells.get(`${day_of_week} ${hour}`) ?? { day_of_week, hour, events: 0 };
    cells.set(`${day_of_week} ${hour}`, { ...cell, events: cell.events + row.events });
  }
  return [...cells.values()];
}

/** The rows of `funnel(from, to)`; the first step has no rate, because no step precedes it. */
export function funnel(expected: Expected, range: Range): Row[] {
  const sessions = sessionsIn(expected, range);
  const reached = (step: number) => sessions.filter((session) => session.funnel_step >= step).length;
  return ["page_view", "add_to_cart", "purchase"].map((name, index) => {
    const step = index + 1;
    return {
      ...{ step, name, sessions: reached(step) },
      step_rate: step === 1 ? null : share(reached(step), reached(step - 1)),
      overall_rate: share(reached(step), reached(1)),
    };
  });
}

/** The rows of `top_users(from, to)`. */
export function topUsers(expected: Expected, range: Range): Row[] {
  return byText(groupBy(sessionsIn(expected, range), (session) => session.user_id)).map(([user_id, sessions]) => ({
    user_id,
    events: sessions.reduce((sum, session) => sum + session.events, 0),
    sessions: sessions.length,
    purchases: sessions.reduce((sum, session) => sum + session.purchases, 0),
    revenue_cents: centsIn(sessions),
    last_seen: sessions.map((session) => session.ended_at).sort().at(-1)!,
  }));
}

/** The days of a user: the first one with any event, and those that count. */
export interface UserDays {
  readonly user: string;
  readonly first: string;
  readonly days: ReadonlySet<string>;
}

/** The days of each user, from the raw events; of people only if it is asked for, also those whose first is a bot's. */
export function daysOfUsers(expected: Expected): UserDays[] {
  const { events, user_days, peopleOnly } = expected;
  const ofBots = new Set(user_days.filter(({ is_bot }) => is_bot).map(({ user_id, day }) => `${day} ${user_id}`));
  return [...groupBy(events, ({ user_id }) => user_id)].map(([user, all]) => {
    const days = [...new Set(all.map((event) => dayOf(event, expected)))].sort();
    const counted = days.filter((day) => peopleOnly === undefined || !ofBots.has(`${day} ${user}`));
    return { user, first: days[0]!, days: new Set(counted) };
  });
}

/** The rows of `retention(from_day, to_day)`; only for days that ended by `nowMs`. */
export function retention(expected: Expected, range: Range, nowMs: number): Row[] {
  const rows: Row[] = [];
  const cohorts = groupBy(daysOfUsers(expected).filter(({ first, days }) => days.has(first)), ({ first }) => first);
  for (const [cohort_day, cohort] of byText(cohorts)) {
    if (!isIn(cohort_day, range)) continue;
    for (const day of new Set(cohort.flatMap(({ days }) => [...days]))) {
      if (day >= localDay(nowMs, expected.timeZone)) continue;
      const users = cohort.filter(({ days }) => days.has(day)).length;
      const day_number = (startOf(day) - startOf(cohort_day)) / DAY_MS;
      rows.push({ cohort_day, cohort_size: cohort.length, day_number, users, rate: users / cohort.length });
    }
  }
  return rows;
}

/** The day of an event in the shop's time zone. */
function dayOf({ event_time }: EventRow, { timeZone }: Expected): string {
  return localDay(Date.parse(event_time), timeZone);
}

const DAY_MS = 24 * 60 * 60_000;

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00.000Z`);
}

/** The revenue of sessions or events, in cents. */
export function centsIn(rows: readonly { readonly revenue_cents: string }[]): string {
  return rows.reduce((sum, row) => sum + BigInt(row.revenue_cents), 0n).toString();
}

/** The range between two times in epoch milliseconds. */
export function rangeOf(fromMs: number, toMs: number): Range {
  return { from: isoTime(fromMs), to: isoTime(toMs) };
}
