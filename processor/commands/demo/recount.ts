/**
 * Visits, devices and days as the log has them, counted once more by the definitions, and by nothing that decodes, folds
 * or reports in the processor.
 * @module
 */
import { type ClickEvent, DEVICES } from "../../event.ts";

/** What was counted. */
export interface Recounted {
  readonly devices: Readonly<Record<string, number>>;
  readonly sessions: number;
  readonly conversions: number;
  /** Sessions that reached each step of the funnel. */
  readonly funnel: readonly number[];
  /** Users who came on a day that is over, summed over those days. */
  readonly retained: number;
}

interface Click {
  readonly time: number;
  readonly type: string;
}

const GAP_MS = 30 * 60_000;
const DAY_MS = 86_400_000;
const STEPS = ["page_view", "add_to_cart", "purchase"];

/** Counts events, of which none is a duplicate. */
export function recounted(events: Iterable<Partial<ClickEvent>>, nowMs: number): Recounted {
  const devices: Record<string, number> = {};
  const clicks = new Map<string, Click[]>();
  const days = new Set<string>();
  const today = Math.floor(nowMs / DAY_MS);
  for (const { userId, sessionId, eventType, timestamp, device } of events) {
    const time = typeof timestamp === "number" ? timestamp : Date.parse(String(timestamp));
    const kind = device === undefined || device === null ? "unknown" : DEVICES.has(device) ? device : "other";
    devices[kind] = (devices[kind] ?? 0) + 1;
    const visitor = JSON.stringify([userId, sessionId ?? null]);
    if (!clicks.has(visitor)) clicks.set(visitor, []);
    clicks.get(visitor)!.push({ time, type: String(eventType) });
    const day = Math.floor(time / DAY_MS);
    if (day < today) days.add(JSON.stringify([userId, day]));
  }
  const sessions = [...clicks.values()].flatMap(visitsOf);
  const reached = sessions.map(stepOf);
  return {
    devices,
    sessions: sessions.length,
    conversions: sessions.filter((session) => session.some(({ type }) => type === "purchase")).length,
    funnel: STEPS.map((_, step) => reached.filter((most) => most > step).length),
    retained: days.size,
  };
}

/** Cuts what a visitor did where half an hour passed without anything. */
function visitsOf(clicks: readonly Click[]): Click[][] {
  const visits: Click[][] = [];
  let last = -Infinity;
  for (const click of clicks.toSorted((a, b) => a.time - b.time)) {
    if (click.time - last > GAP_MS) visits.push([]);
    visits.at(-1)!.push(click);
    last = click.time;
  }
  return visits;
}

/** How many steps a visit has, each at the time of the one before or later: the earliest of each leaves most room. */
function stepOf(visit: readonly Click[]): number {
  let from = -Infinity;
  for (const [step, name] of STEPS.entries()) {
    const next = visit.find(({ type, time }) => type === name && time >= from);
    if (next === undefined) return step;
    from = next.time;
  }
  return STEPS.length;
}
