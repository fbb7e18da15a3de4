import { list } from "isbot";

const MINUTE_MS = 60_000;

const known = new Map<string, boolean>();

/** Whether a user agent is on the list, pattern by pattern. */
export function isListed(userAgent: string | null): boolean {
  if (userAgent === null) return false;
  let listed = known.get(userAgent);
  if (listed === undefined) {
    listed = list.some((pattern) => new RegExp(pattern, "i").test(userAgent));
    known.set(userAgent, listed);
  }
  return listed;
}

/** What tells whether the events of a session are a bot's. */
export interface Marked {
  readonly timeMs: number;
  readonly isListed: boolean;
}

/** Whether the events of a session are a bot's: one is on the list, or they are too many for the minutes since the first. */
export function isBotSession(events: readonly Marked[]): boolean {
  if (events.some((event) => event.isListed)) return true;
  const times = events.map(({ timeMs }) => timeMs);
  const lengthMs = Math.max(...times) - Math.min(...times);
  // A session of 59.999 s takes one minute, and one of 60 s begins a second.
  let minutes = 1;
  while (minutes * MINUTE_MS <= lengthMs) minutes += 1;
  return events.length >= 200 && events.length / minutes > 60;
}
