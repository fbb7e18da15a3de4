import { distinctUsers } from "../measures/distinct_users.ts";
import { count } from "../measures/totals.ts";
import type { TimeZone } from "./time_zone.ts";
import { day, minutes, tumbling, type View, view } from "./view.ts";

/** Page views and their users by page, each minute. */
export const pages: View = pagesOf();

/** The same, with a rollup by days of a time zone (default: UTC). */
export function pagesOf(zone?: TimeZone): View {
  return view({
    name: "pages",
    about: "Page views and their users by page, each minute.",
    where: { type: ["page_view"] },
    window: tumbling(minutes(1)),
    by: ["pagePath", "bot"],
    measures: { views: count(), users: distinctUsers() },
    rollups: [{
      table: "page_days",
      window: day(zone),
      parts: [{ by: { pagePath: "page", bot: "is_bot" }, sums: { views: "views" } }],
    }],
  });
}
