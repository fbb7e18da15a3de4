import { isBotSession } from "./bots.ts";
import {
  activityHeatmap,
  centsIn,
  conversion,
  daysOfUsers,
  devices,
  isIn,
  type Range,
  share,
  topUsers,
} from "./reports.ts";
import type { EventRow, Expected, SessionRow } from "./rows.ts";
import { compareText, cutPage, isoTime } from "./values.ts";
import { byText, groupBy } from "./windows.ts";
import type { Row } from "./table_shapes.ts";

const LONGEST_PAUSE_MS = 30 * 60_000;

/** The devices and regions that a report selects; null selects all. */
export interface Chosen {
  readonly devices: readonly string[] | null;
  readonly regions: readonly string[] | null;
}

/** The expectation with only the rows of the selected devices and regions, in the tables that have these columns. */
function ofChosen(expected: Expected, { devices, regions }: Chosen): Expected {
  const isChosen = (row: { readonly device: string; readonly region: string }) =>
    (devices?.includes(row.device) ?? true) && (regions?.includes(row.region) ?? true);
  return {
    ...expected,
    traffic: expected.traffic.filter(isChosen),
    sessions: expected.sessions.filter(isChosen),
  };
}

/** The row of `conversion(from, to, devices, regions)`. */
export function conversionOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => conversion(ofChosen(expected, chosen), range);
}

/** The rows of `devices(from, to, devices, regions)`. */
export function devicesOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => devices(ofChosen(expected, chosen), range);
}

/** The rows of `activity_heatmap(from, to, devices, regions)`. */
export function heatmapOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => activityHeatmap(ofChosen(expected, chosen), range);
}

/** The rows of `regions(from, to, devices, regions)`: like `devices`, with device and region swapped. */
export function regionsOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  const exchanged = <R extends { readonly device: string; readonly region: string }>(row: R): R => {
    return { ...row, device: row.region, region: row.device };
  };
  return (expected, range) => {
    const { traffic, sessions } = ofChosen(expected, chosen);
    const rows = devices({ ...expected, traffic: traffic.map(exchanged), sessions: sessions.map(exchanged) }, range);
    return rows.map(({ device, ...counts }) => ({ region: device!, ...counts }));
  };
}

/** The rows of `session_lengths(from, to)`. */
export function sessionLengths(expected: Expected, range: Range): Row[] {
  const seconds = ({ started_at, ended_at }: SessionRow) => (Date.parse(ended_at) - Date.parse(started_at)) / 1000;
  return distribution(startedIn(expected, range), [
    ["0 s", (s) => seconds(s) === 0],
    ["under 10 s", (s) => seconds(s) > 0 && seconds(s) < 10],
    ["10 s to 1 min", (s) => seconds(s) >= 10 && seconds(s) < 60],
    ["1 to 3 min", (s) => seconds(s) >= 60 && seconds(s) < 180],
    ["3 to 10 min", (s) => seconds(s) >= 180 && seconds(s) < 600],
    ["10 to 30 min", (s) => seconds(s) >= 600 && seconds(s) < 1800],
    ["30 min to 1 h", (s) => seconds(s) >= 1800 && seconds(s) < 3600],
    ["1 h and more", (s) => seconds(s) >= 3600],
  ]);
}

/** The rows of `session_depths(from, to)`. */
export function sessionDepths(expected: Expected, range: Range): Row[] {
  const between = (least: number, most: number) => (s: SessionRow) => s.page_views >= least && s.page_views <= most;
  return distribution(startedIn(expected, range), [
    ["none", between(0, 0)],
    ["1", between(1, 1)],
    ["2", between(2, 2)],
    ["3", between(3, 3)],
    ["4 or 5", between(4, 5)],
    ["6 to 10", between(6, 10)],
    ["11 to 20", between(11, 20)],
    ["21 and more", between(21, Infinity)],
  ]);
}

function distribution(
  all: readonly SessionRow[],
  buckets: readonly (readonly [name: string, holds: (session: SessionRow) => boolean])[],
): Row[] {
  return buckets.map(([name, holds], bucket) => {
    const sessions = all.filter(holds).length;
    return { bucket, name, sessions, share: all.length === 0 ? null : sessions / all.length };
  });
}

/** The rows of `new_users(from_day, to_day)`, from the raw events. */
export function newUsers(expected: Expected, range: Range): Row[] {
  const all = daysOfUsers(expected).flatMap(({ first, days }) => [...days].map((day) => ({ day, first })));
  return [...groupBy(all, ({ day }) => day)].filter(([day]) => range.from <= day && day < range.to)
    .map(([day, users]) => {
      const fresh = users.filter(({ first }) => first === day).length;
      return { day, users: users.length, new_users: fresh, returning_users: users.length - fresh };
    });
}

/** The row of `bounces(from, to, devices, regions)`. */
export function bouncesOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const viewing = startedIn(ofChosen(expected, chosen), range).filter(({ page_views }) => page_views > 0);
    const bounces = viewing.filter(({ page_views, events }) => page_views === 1 && events === 1).length;
    return [{
      ...{ sessions: viewing.length, bounces },
      bounce_rate: viewing.length === 0 ? null : bounces / viewing.length,
    }];
  };
}

/** The rows of `conversions(from, to, step, devices, regions)`. */
export function conversionsOf(stepMs: number, chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) =>
    stepsIn(range, stepMs).map(({ time, from, to }) => {
      const [row] = conversion(ofChosen(expected, chosen), { from, to });
      const { sessions, conversions, conversion_rate, revenue_cents } = row!;
      return { time, sessions, conversions, conversion_rate, revenue_cents } as Row;
    });
}

/** The rows of `event_rates(from, to, step, devices, regions)`: for types with an event in a step. */
export function eventRatesOf(stepMs: number, chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) =>
    stepsIn(range, stepMs).flatMap(({ time, from, to }) => {
      const rows = ofChosen(expected, chosen).traffic.filter((row) =>
        from <= row.window_start && row.window_start < to
      );
      return [...groupBy(rows, ({ event_type }) => event_type)].map(([event_type, ofType]) => {
        const events = ofType.reduce((sum, row) => sum + row.events, 0);
        return { time, event_type, events, per_second: events / (stepMs / 1000) };
      });
    });
}

/** The rows of `bot_shares(from, to, step)`: what people do not make. */
export function botSharesOf(stepMs: number): (expected: Expected, range: Range) => Row[] {
  return (expected, range) =>
    stepsIn(range, stepMs).map(({ time, from, to }) => {
      const windows = expected.traffic.filter(({ window_start }) => isIn(window_start, { from, to }));
      const sessions = expected.sessions.filter(({ started_at }) => isIn(started_at, { from, to }));
      const count = (rows: typeof windows) => rows.reduce((sum, row) => sum + row.events, 0);
      const [events, ofBots] = [count(windows), count(windows.filter(({ is_bot }) => is_bot))];
      const bots = sessions.filter(({ is_bot }) => is_bot).length;
      return {
        ...{ time, events, bot_events: ofBots, event_share: share(ofBots, events) },
        ...{ sessions: sessions.length, bot_sessions: bots, session_share: share(bots, sessions.length) },
      };
    });
}

/** The parts of a range in each step; steps begin at multiples of their length. */
function stepsIn(
  range: Range,
  stepMs: number,
): { readonly time: string; readonly from: string; readonly to: string }[] {
  const steps = [];
  const [fromMs, toMs] = [Date.parse(range.from), Date.parse(range.to)];
  for (let ms = Math.floor(fromMs / stepMs) * stepMs; ms < toMs; ms += stepMs) {
    const [from, to] = [isoTime(Math.max(ms, fromMs)), isoTime(Math.min(ms + stepMs, toMs))];
    steps.push({ time: isoTime(ms), from, to });
  }
  return steps;
}

/** The rows of `top_users(from, to, most)`: the first ones of `top_users(from, to)`. */
export function topUsersOf(most: number): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const less = (a: bigint | number, b: bigint | number) => a < b ? 1 : a > b ? -1 : 0;
    return topUsers(expected, range).toSorted((a, b) =>
      less(BigInt(a["revenue_cents"]!), BigInt(b["revenue_cents"]!)) ||
      less(Number(a["events"]), Number(b["events"])) ||
      compareText(String(a["user_id"]), String(b["user_id"]))
    ).slice(0, most);
  };
}

/**
 * The row of `carts(from, to)`; a session is over if it ended more than the longest pause before the lowest event-time
 * watermark.
 */
export function carts(expected: Expected, range: Range): Row[] {
  const marks = expected.progress.flatMap(({ watermark }) => watermark === null ? [] : [Date.parse(watermark)]);
  const latestMs = marks.length === 0 ? -Infinity : Math.min(...marks) - LONGEST_PAUSE_MS;
  const all = startedIn(expected, range).filter((session) => session.carts > 0);
  const left = all.filter(({ purchases }) => purchases === 0);
  const abandoned = left.filter(({ ended_at }) => Date.parse(ended_at) < latestMs).length;
  const bought = all.length - left.length;
  return [{
    ...{ carts: all.length, bought, abandoned, open: left.length - abandoned },
    abandonment_rate: abandoned + bought === 0 ? null : abandoned / (abandoned + bought),
  }];
}

/** The rows of `entry_paths(from, to)`. */
export function entryPaths(expected: Expected, range: Range): Row[] {
  const viewing = startedIn(expected, range).filter((session) => session.entry_page !== null);
  return [...groupBy(viewing, (session) => session.entry_page!)].map(([entry_page, sessions]) => {
    const carted = sessions.filter((session) => session.funnel_step >= 2).length;
    const purchased = sessions.filter((session) => session.funnel_step >= 3).length;
    return {
      ...{ entry_page, sessions: sessions.length, carted, purchased },
      cart_rate: carted / sessions.length,
      purchase_rate: purchased / sessions.length,
      revenue_cents: centsIn(sessions),
    };
  });
}

/** The order of page views: by time, id and page. */
function inOrder(a: EventRow, b: EventRow): number {
  return Date.parse(a.event_time) - Date.parse(b.event_time) || compareText(a.event_id, b.event_id) ||
    compareText(cutPage(a.page), cutPage(b.page));
}

/** The rows of `paths(from, to, steps, direction)`, from the raw events. */
export function pathsOf(steps: number, direction: "start" | "end"): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const all = rebuiltSessions(expected, range).flatMap((events) => {
      const pages = events.filter(({ event_type }) => event_type === "page_view").sort(inOrder)
        .map(({ page }) => cutPage(page));
      const some = direction === "start" ? pages.slice(0, steps) : pages.slice(-steps);
      return some.length === 0 ? [] : [{ path: some.join(" → "), events }];
    });
    return byText(groupBy(all, ({ path }) => path)).map(([path, those]) => {
      const bought = those.filter(({ events }) => events.some(({ event_type }) => event_type === "purchase")).length;
      return {
        ...{ path, sessions: those.length, share: those.length / all.length },
        ...{ conversions: bought, conversion_rate: bought / those.length },
        revenue_cents: centsIn(those.flatMap(({ events }) => events)),
      };
    });
  };
}

/** The rows of `funnel(from, to, steps)`, from the raw events. */
export function funnelOf(steps: readonly string[]): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const reached = rebuiltSessions(expected, range).map((events) => chainIn(events, steps));
    const count = (step: number) => reached.filter((most) => most >= step).length;
    const rate = (k: number, n: number) => n === 0 ? null : k / n;
    return steps.map((name, index) => ({
      ...{ step: index + 1, name, sessions: count(index + 1) },
      step_rate: index === 0 ? null : rate(count(index + 1), count(index)),
      overall_rate: rate(count(index + 1), count(1)),
    }));
  };
}

/** Number of steps that follow each other, each at the time of the previous one or later. */
function chainIn(events: readonly EventRow[], steps: readonly string[]): number {
  let time = "";
  for (const [step, type] of steps.entries()) {
    const times = events.filter((event) => event.event_type === type && event.event_time >= time)
      .map((event) => event.event_time);
    if (times.length === 0) return step;
    time = times.sort()[0]!;
  }
  return steps.length;
}

/** The sessions that begin in a range, rebuilt from the raw events. */
function rebuiltSessions({ events, peopleOnly }: Expected, range: Range): EventRow[][] {
  const visitors = groupBy(events, ({ user_id, session_id }) => JSON.stringify([user_id, session_id]));
  const signs = ({ event_time, is_bot }: EventRow) => ({ timeMs: Date.parse(event_time), isListed: is_bot });
  return [...visitors.values()].flatMap(splitAtPauses).filter((session) =>
    isIn(session[0]!.event_time, range) && (peopleOnly === undefined || !isBotSession(session.map(signs)))
  );
}

function splitAtPauses(events: readonly EventRow[]): EventRow[][] {
  const sessions: EventRow[][] = [];
  let lastMs = -Infinity;
  for (const event of events.toSorted((a, b) => a.event_time < b.event_time ? -1 : 1)) {
    const timeMs = Date.parse(event.event_time);
    if (timeMs - lastMs > LONGEST_PAUSE_MS) sessions.push([]);
    sessions.at(-1)!.push(event);
    lastMs = timeMs;
  }
  return sessions;
}

function startedIn(expected: Expected, range: Range): SessionRow[] {
  return expected.sessions.filter(({ started_at }) => isIn(started_at, range));
}

/** The rows of `goals(from, to, devices, regions)`. */
export function goalsOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const all: readonly Row[] = startedIn(ofChosen(expected, chosen), range);
    return (expected.declared?.goals ?? []).map(({ name }) => {
      const counts = all.map((session) => Number(session[`goal_${name}`]));
      const conversions = counts.filter((count) => count > 0).length;
      return {
        ...{ goal: name, sessions: all.length, conversions, conversion_rate: share(conversions, all.length) },
        times: counts.reduce((sum, count) => sum + count, 0),
      };
    });
  };
}

/** The rows of `funnels(from, to, devices, regions)`. */
export function funnelsOf(chosen: Chosen): (expected: Expected, range: Range) => Row[] {
  return (expected, range) => {
    const all: readonly Row[] = startedIn(ofChosen(expected, chosen), range);
    return (expected.declared?.funnels ?? []).flatMap(({ name: funnel, steps }) => {
      const reached = steps.map((_, n) => all.filter((session) => Number(session[`funnel_${funnel}`]) > n).length);
      return steps.map(({ name }, n) => ({
        ...{ funnel, step: n + 1, name, sessions: reached[n]! },
        step_rate: n === 0 ? null : share(reached[n]!, reached[n - 1]!),
        overall_rate: share(reached[n]!, reached[0]!),
      }));
    });
  };
}
