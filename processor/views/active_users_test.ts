import { scenario } from "../testing/scenario.ts";
import { activeUsers } from "./active_users.ts";

scenario(
  activeUsers,
  "an event is in the five windows that hold its minute",
  `
  time          userId
  12:07:59.999  ann
  `,
  `
  window_start  window_end    users
  12:03:00.000  12:08:00.000  1
  12:04:00.000  12:09:00.000  1
  12:05:00.000  12:10:00.000  1
  12:06:00.000  12:11:00.000  1
  12:07:00.000  12:12:00.000  1
  `,
);

scenario(
  activeUsers,
  "a window counts each user once, over all event types",
  `
  time          userId  eventType
  12:00:00.000  ann     page_view
  12:04:59.999  ann     purchase
  12:05:00.000  bob     search
  12:05:00.000  ann     wink
  `,
  `
  window_start  window_end    users
  11:56:00.000  12:01:00.000  1
  11:57:00.000  12:02:00.000  1
  11:58:00.000  12:03:00.000  1
  11:59:00.000  12:04:00.000  1
  12:00:00.000  12:05:00.000  1
  12:01:00.000  12:06:00.000  2
  12:02:00.000  12:07:00.000  2
  12:03:00.000  12:08:00.000  2
  12:04:00.000  12:09:00.000  2
  12:05:00.000  12:10:00.000  2
  `,
);

scenario(
  activeUsers,
  "windows cross midnight",
  `
  time                     userId
  23:59:00.000             ann
  2026-11-03T00:01:00.000  bob
  `,
  `
  window_start             window_end               users
  23:55:00.000             2026-11-03T00:00:00.000  1
  23:56:00.000             2026-11-03T00:01:00.000  1
  23:57:00.000             2026-11-03T00:02:00.000  2
  23:58:00.000             2026-11-03T00:03:00.000  2
  23:59:00.000             2026-11-03T00:04:00.000  2
  2026-11-03T00:00:00.000  2026-11-03T00:05:00.000  1
  2026-11-03T00:01:00.000  2026-11-03T00:06:00.000  1
  `,
);
