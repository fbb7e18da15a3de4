import { scenario } from "../testing/scenario.ts";
import { sessions, sessionsOf } from "./sessions.ts";

scenario(
  sessions,
  "30:00.000 is one session, 30:00.001 is two",
  `
  time          userId
  12:00:00.000  ann
  12:30:00.000  ann
  12:00:00.000  bob
  12:30:00.001  bob
  `,
  `
  user_id  session_id  started_at    ended_at      events
  ann      -           12:00:00.000  12:30:00.000  2
  bob      -           12:00:00.000  12:00:00.000  1
  bob      -           12:30:00.001  12:30:00.001  1
  `,
);

scenario(
  sessions,
  "a session continues while no pause is longer than 30 minutes",
  `
  time          page
  12:00:00.000  /1
  12:30:00.000  /2
  13:00:00.000  /3
  13:30:00.000  /4
  14:00:00.001  /5
  `,
  `
  started_at    ended_at      events  page_views  entry_page  exit_page
  12:00:00.000  13:30:00.000  4       4           /1          /4
  14:00:00.001  14:00:00.001  1       1           /5          /5
  `,
);

scenario(
  sessions,
  "a late event between two sessions merges them",
  `
  time          page  device   region  eventType    price
  12:00:00.000  /a    mobile   eu      page_view    -
  13:00:00.000  /c    desktop  us      purchase     7.5
  12:30:00.000  /b    tablet   asia    add_to_cart  -
  `,
  `
  started_at    ended_at      events  entry_page  exit_page  device  region  carts  purchases  revenue_cents  funnel_step
  12:00:00.000  13:00:00.000  3       /a          /a         mobile  eu      1      1          750            3
  `,
);

scenario(
  sessions,
  "a late event near one session only does not merge them",
  `
  time          page
  12:00:00.000  /a
  13:00:00.001  /c
  12:30:00.000  /b
  `,
  `
  started_at    ended_at      events  entry_page  exit_page
  12:00:00.000  12:30:00.000  2       /a          /b
  13:00:00.001  13:00:00.001  1       /c          /c
  `,
);

scenario(
  sessions,
  "an earlier event moves the start and changes the values taken from it",
  `
  time          page  device   region
  12:10:00.000  /b    desktop  us
  12:05:00.000  /a    mobile   eu
  `,
  `
  started_at    ended_at      entry_page  exit_page  device  region
  12:05:00.000  12:10:00.000  /a          /b         mobile  eu
  `,
);

scenario(
  sessions,
  "a client's own sessions are separate from each other and from events without one",
  `
  time          userId  sessionId  page
  12:00:00.000  ann     s1         /1
  12:00:01.000  ann     s2         /2
  12:00:02.000  ann     -          /3
  12:00:03.000  ann     s1         /4
  12:00:04.000  bob     s1         /5
  13:00:00.000  ann     s1         /6
  `,
  `
  user_id  session_id  started_at    events  entry_page  exit_page
  ann      s1          12:00:00.000  2       /1          /4
  ann      s2          12:00:01.000  1       /2          /2
  ann      -           12:00:02.000  1       /3          /3
  bob      s1          12:00:04.000  1       /5          /5
  ann      s1          13:00:00.000  1       /6          /6
  `,
);

scenario(
  sessions,
  "a session crosses midnight",
  `
  time                     page
  23:59:59.999             /a
  2026-11-03T00:00:00.000  /b
  2026-11-03T00:30:00.000  /c
  `,
  `
  started_at    ended_at                 events  entry_page  exit_page
  23:59:59.999  2026-11-03T00:30:00.000  3       /a          /c
  `,
);

scenario(
  sessions,
  "ties in time are broken by eventId: the smaller comes first",
  `
  time          eventId  page  device   region
  12:00:00.000  b        /b    mobile   eu
  12:00:00.000  a        /a    desktop  us
  12:00:00.000  B        /B    tablet   asia
  12:00:00.000  😀       /😀   -        africa
  12:00:00.000  ﬀ        /ﬀ    -        -
  `,
  `
  events  entry_page  exit_page  device  region
  5       /B          /😀        tablet  asia
  `,
);

scenario(
  sessions,
  "entry and exit come from page views only; device and region come from the earliest event of any type",
  `
  time          eventType    page       device   region
  12:00:00.000  search       /search    mobile   eu
  12:01:00.000  page_view    /entry?q   desktop  us
  12:02:00.000  page_view    /exit#x    desktop  us
  12:03:00.000  purchase     /checkout  desktop  us
  `,
  `
  events  page_views  entry_page  exit_page  device  region
  4       2           /entry      /exit      mobile  eu
  `,
);

scenario(
  sessions,
  "a session without a page view has neither entry nor exit",
  `
  time          eventType
  12:00:00.000  search
  12:01:00.000  purchase
  `,
  `
  events  page_views  entry_page  exit_page  device   region   purchases  funnel_step
  2       0           -           -          unknown  unknown  1          0
  `,
);

// `bounced` means one page view and nothing else: PostgreSQL generates it from these two columns.
scenario(
  sessions,
  "a bounce is one page view and nothing else",
  `
  userId  eventType  time
  one     page_view  12:00:00.000
  two     page_view  12:00:00.000
  two     page_view  12:00:01.000
  more    page_view  12:00:00.000
  more    wink       12:00:00.000
  none    search     12:00:00.000
  `,
  `
  user_id  page_views  events
  one      1           1
  two      2           2
  more     1           2
  none     0           1
  `,
);

scenario(
  sessions,
  "source, medium and campaign come from the earliest event of any type",
  `
  time          userId  eventType  page                          referrer                 campaign
  12:01:00.000  ann     page_view  /?gclid=1                     -                        -
  12:00:00.000  ann     search     /s?utm_source=A&utm_medium=b  https://www.google.com/  c
  12:02:00.000  ann     page_view  /                             https://www.bing.com/    -
  12:00:00.000  bob     page_view  /?q=1                         https://www.google.com/  Spring
  12:00:00.000  cat     page_view  /                             https://www.google.com/  -
  12:00:00.000  dan     page_view  /                             -                        -
  12:00:01.000  dan     page_view  /?gclid=1                     -                        -
  `,
  `
  user_id  started_at    source      medium    campaign
  ann      12:00:00.000  a           b         -
  bob      12:00:00.000  spring      campaign  Spring
  cat      12:00:00.000  google.com  organic   -
  dan      12:00:00.000  (direct)    (none)    -
  `,
);

scenario(
  sessions,
  "at equal times, the source is that of the smaller eventId",
  `
  time          userId  eventId  page
  12:00:00.000  ann     b        /?utm_source=b&utm_medium=m
  12:00:00.000  ann     a        /?utm_source=c&utm_medium=m
  12:00:00.000  ann     c        /?utm_source=a&utm_medium=m
  `,
  `
  user_id  source  medium
  ann      c       m
  `,
);

scenario(
  sessionsOf(["shop.example"]),
  "a referrer from the shop itself is not where a session comes from",
  `
  time          userId  referrer
  12:00:00.000  ann     https://www.shop.example/cart
  12:00:00.000  bob     https://notshop.example/
  `,
  `
  user_id  source           medium
  ann      (direct)         (none)
  bob      notshop.example  referral
  `,
);
