import { scenario } from "../testing/scenario.ts";
import { sessions } from "./sessions.ts";

scenario(
  sessions,
  "the funnel counts steps in event-time order",
  `
  userId    eventType    time
  viewer    page_view    12:00:00.000
  viewer    purchase     12:00:01.000
  carter    page_view    12:00:00.000
  carter    add_to_cart  12:00:01.000
  buyer     page_view    12:00:00.000
  buyer     add_to_cart  12:00:01.000
  buyer     purchase     12:00:02.000
  hurried   purchase     12:00:00.000
  hurried   add_to_cart  12:00:00.000
  hurried   page_view    12:00:00.000
  backward  purchase     12:00:00.000
  backward  add_to_cart  12:00:01.000
  backward  page_view    12:00:02.000
  early     add_to_cart  12:00:00.000
  early     page_view    12:00:01.000
  early     purchase     12:00:02.000
  unpaid    page_view    12:00:00.000
  unpaid    purchase     12:00:01.000
  unpaid    add_to_cart  12:00:02.000
  again     page_view    12:00:00.000
  again     purchase     12:00:01.000
  again     add_to_cart  12:00:02.000
  again     purchase     12:00:02.000
  robot     add_to_cart  12:00:00.000
  thief     remove_from_cart  12:00:00.000
  `,
  `
  user_id   funnel_step  carts  purchases
  viewer    1            0      1
  carter    2            1      0
  buyer     3            1      1
  hurried   3            1      1
  backward  1            1      1
  early     1            1      1
  unpaid    2            1      1
  again     3            1      2
  robot     0            1      0
  thief     0            0      0
  `,
);

scenario(
  sessions,
  "steps in two sessions are no chain until a late event merges the sessions",
  `
  userId  eventType    time
  apart   page_view    12:00:00.000
  apart   add_to_cart  12:30:00.001
  apart   purchase     12:30:00.002
  joined  page_view    12:00:00.000
  joined  add_to_cart  12:30:00.001
  joined  purchase     12:30:00.002
  joined  wink         12:15:00.000
  `,
  `
  user_id  started_at    events  funnel_step
  apart    12:00:00.000  1       1
  apart    12:30:00.001  2       0
  joined   12:00:00.000  4       3
  `,
);

scenario(
  sessions,
  "a client's own sessions keep their own funnels",
  `
  sessionId  eventType    time
  s1         page_view    12:00:00.000
  s2         add_to_cart  12:00:01.000
  s1         purchase     12:00:02.000
  -          page_view    12:00:00.000
  -          add_to_cart  12:00:00.000
  `,
  `
  session_id  funnel_step
  s1          1
  s2          0
  -           2
  `,
);
