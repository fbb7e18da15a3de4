import { count, sum } from "../measures/totals.ts";
import { day, type View, view } from "./view.ts";

/** Events, purchases and revenue of each user, each UTC day. */
export const userDays: View = view({
  name: "user_days",
  about: "Events, purchases and revenue of each user, each UTC day.",
  window: day(),
  by: ["user"],
  measures: { events: count(), purchases: count({ type: ["purchase"] }), revenue_cents: sum("revenue") },
  // This table knows the day on which a user was first seen, and the days with events of an erased user.
  keep: "forever",
  firsts: "is_first",
});
