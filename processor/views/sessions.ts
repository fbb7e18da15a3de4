import { funnel } from "../measures/funnel.ts";
import { bots } from "../measures/bots.ts";
import { firstAcquisition } from "../measures/first_acquisition.ts";
import { first, last } from "../measures/picks.ts";
import { count, sum } from "../measures/totals.ts";
import type { TimeZone } from "./time_zone.ts";
import { day, minutes, session, type View, view } from "./view.ts";

const pageView = { type: ["page_view"] };
const earliest = { at: "started_at", by: "first_event_id" };

/**
 * Sessions: events of a user at most half an hour apart; a client's own session id splits them further. Whether a
 * session is over follows from the event-time watermark, so no timers are needed.
 */
export const sessions: View = sessionsOf([]);

/**
 * Sessions of a shop with these hosts: where a session came from is never one of them. Their rollup is by days of a time
 * zone (default: UTC).
 */
export function sessionsOf(siteHosts: readonly string[], zone?: TimeZone): View {
  return view({
    name: "sessions",
    about: "Visits: events of one user with at most 30 minutes between them.",
    window: session(minutes(30)),
    by: ["user", "session"],
    measures: {
      events: count(),
      page_views: count(pageView),
      entry_page: first("pagePath", { at: "entry_at", by: "entry_event_id" }, pageView),
      exit_page: last("pagePath", { at: "exit_at", by: "exit_event_id" }, pageView),
      device: first("device", earliest),
      region: first("region", earliest),
      source: firstAcquisition({ medium: "medium", campaign: "campaign", ...earliest }, siteHosts),
      carts: count({ type: ["add_to_cart"] }),
      purchases: count({ type: ["purchase"] }),
      revenue_cents: sum("revenue"),
      funnel_step: funnel(["page_view", "add_to_cart", "purchase"].map((type) => ({ type: [type] })), "funnel_state"),
      is_bot: bots({ listed: "bot_events", events: "events", from: "started_at", to: "ended_at" }),
    },
    derived: { bounced: { page_views: 1, events: 1 } },
    rollups: [{
      table: "page_days",
      window: day(zone),
      parts: [
        { by: { pagePath: "entry_page", bot: "is_bot" }, sums: { entries: null, bounces: "bounced" } },
        { by: { pagePath: "exit_page", bot: "is_bot" }, sums: { exits: null } },
      ],
    }],
  });
}
