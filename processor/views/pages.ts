import { distinctUsers } from "../measures/distinct_users.ts";
import { count } from "../measures/totals.ts";
import { DAY_MS, minutes, tumbling, type View, view } from "./view.ts";

/** Page views and their users by page, each minute. */
export const pages: View = view({
  name: "pages",
  about: "Page views and their users by page, each minute.",
  where: { type: ["page_view"] },
  window: tumbling(minutes(1)),
  by: ["pagePath"],
  measures: { views: count(), users: distinctUsers() },
  rollups: [{ table: "page_days", everyMs: DAY_MS, parts: [{ by: { pagePath: "page" }, sums: { views: "views" } }] }],
});
