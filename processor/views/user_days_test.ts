import { scenario } from "../testing/scenario.ts";
import { userDays } from "./user_days.ts";

scenario(
  userDays,
  "days are UTC, and end at midnight to the millisecond",
  `
  time                     userId
  00:00:00.000             ann
  23:59:59.999             ann
  2026-11-03T00:00:00.000  ann
  2026-11-01T23:59:59.999  ann
  12:00:00.000             bob
  `,
  `
  user_id  day         events
  ann      2026-11-01  1
  ann      2026-11-02  2
  ann      2026-11-03  1
  bob      2026-11-02  1
  `,
);

scenario(
  userDays,
  "all events count, with purchases and revenue, across sessions",
  `
  time          userId  sessionId  eventType  price  quantity
  09:00:00.000  ann     s1         purchase   10     2
  18:00:00.000  ann     s2         purchase   0.01   1
  18:30:00.000  ann     -          page_view  -      -
  18:31:00.000  ann     -          checkout   5      -
  `,
  `
  user_id  day         events  purchases  revenue_cents
  ann      2026-11-02  4       2          2001
  `,
);
