import { acquisitionOf } from "./acquisition.ts";
import { isBotSession } from "./bots.ts";
import { declaredCounts, NONE_DECLARED } from "./goals.ts";
import type { Declarations, SessionRow, StoredEvent } from "./rows.ts";
import { compareText, cutPage, isoTime } from "./values.ts";
import { byText, groupBy, revenueOf } from "./windows.ts";

const LONGEST_PAUSE_MS = 30 * 60_000;

/** The rows of `sessions`, sorted by user, session id (none first) and start. */
export function sessionsOf(
  events: readonly StoredEvent[],
  siteHosts: readonly string[] = [],
  declared: Declarations = NONE_DECLARED,
): SessionRow[] {
  // Ids can't hold a NUL, so the key without a session id differs from every key with one.
  const visitors = groupBy(events, (event) => event.userId + (event.sessionId === null ? "" : "\0" + event.sessionId));
  return byText(visitors).flatMap(([, ofVisitor]) =>
    splitAtPauses(ofVisitor.sort(inTime)).map((sorted) => sessionOf(sorted, siteHosts, declared))
  );
}

/** The order of events: by time, then by id. */
export function inTime(left: StoredEvent, right: StoredEvent): number {
  return left.timeMs - right.timeMs || compareText(left.eventId, right.eventId);
}

function splitAtPauses(sorted: readonly StoredEvent[]): StoredEvent[][] {
  const sessions: StoredEvent[][] = [];
  let lastMs = -Infinity;
  for (const event of sorted) {
    if (event.timeMs - lastMs > LONGEST_PAUSE_MS) sessions.push([]);
    sessions.at(-1)!.push(event);
    lastMs = event.timeMs;
  }
  return sessions;
}

function sessionOf(
  sorted: readonly StoredEvent[],
  siteHosts: readonly string[],
  declared: Declarations,
): SessionRow {
  const first = sorted[0]!;
  const ofType = (type: string) => sorted.filter((event) => event.eventType === type);
  const views = ofType("page_view");
  return {
    user_id: first.userId,
    session_id: first.sessionId,
    started_at: isoTime(first.timeMs),
    ended_at: isoTime(sorted.at(-1)!.timeMs),
    events: sorted.length,
    page_views: views.length,
    entry_page: views.length === 0 ? null : cutPage(views[0]!.page),
    exit_page: views.length === 0 ? null : cutPage(views.at(-1)!.page),
    device: first.device,
    region: first.region,
    carts: ofType("add_to_cart").length,
    purchases: ofType("purchase").length,
    revenue_cents: revenueOf(sorted),
    funnel_step: funnelStepOf(sorted),
    bounced: sorted.length === 1 && views.length === 1,
    ...acquisitionOf(first, siteHosts),
    first_event_id: first.eventId,
    bot_events: sorted.filter(({ isListed }) => isListed).length,
    is_bot: isBotSession(sorted),
    ...declaredCounts(declared, sorted),
  };
}

// Choosing the earliest possible event for each step leaves the most events for the next steps.
function funnelStepOf(sorted: readonly StoredEvent[]): number {
  let step = 0;
  let fromMs = -Infinity;
  for (const type of ["page_view", "add_to_cart", "purchase"]) {
    const next = sorted.find((event) => event.eventType === type && event.timeMs >= fromMs);
    if (next === undefined) break;
    step += 1;
    fromMs = next.timeMs;
  }
  return step;
}
