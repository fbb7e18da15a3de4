import { distinctUsers } from "../measures/distinct_users.ts";
import { count, sum } from "../measures/totals.ts";
import { minutes, tumbling, type View, view } from "./view.ts";

/** Events, users and revenue by event type, device and region, each minute. */
export const traffic: View = view({
  name: "traffic",
  about: "Events, users and revenue by event type, device and region, each minute.",
  window: tumbling(minutes(1)),
  by: ["type", "device", "region", "bot"],
  measures: { events: count(), users: distinctUsers(), revenue_cents: sum("revenue") },
  rollups: [{
    table: "traffic_hours",
    window: tumbling(minutes(60)),
    parts: [{
      by: { type: "event_type", device: "device", region: "region", bot: "is_bot" },
      sums: { events: "events" },
    }],
  }],
});
