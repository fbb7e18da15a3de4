import { distinctUsers } from "../measures/distinct_users.ts";
import { hopping, minutes, type View, view } from "./view.ts";

/** Users with any event in the last five minutes, every minute. */
export const activeUsers: View = view({
  name: "active_users",
  about: "Users with any event in five minutes, every minute.",
  window: hopping(minutes(5), minutes(1)),
  by: ["bot"],
  measures: { users: distinctUsers() },
});
