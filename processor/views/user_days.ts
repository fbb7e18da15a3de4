import { count, sum } from "../measures/totals.ts";
import type { TimeZone } from "./time_zone.ts";
import { day, type View, view } from "./view.ts";

/** Events, purchases and revenue of each user, each day. */
export const userDays: View = userDaysOf();

/** The same by days of a time zone (default: UTC). */
export function userDaysOf(zone?: TimeZone): View {
  return view({
    name: "user_days",
    about: "Events, purchases and revenue of each user, each day.",
    window: day(zone),
    by: ["user"],
    measures: { events: count(), purchases: count({ type: ["purchase"] }), revenue_cents: sum("revenue") },
    // This table knows the day on which a user was first seen, and the days with events of an erased user.
    keep: "forever",
    firsts: "is_first",
    ofBots: { mark: "is_bot", sessions: "bot_sessions" },
  });
}
