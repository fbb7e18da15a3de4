import { scenario } from "../testing/scenario.ts";
import { traffic } from "./traffic.ts";

scenario(
  traffic,
  "a minute is half open",
  `
  time          userId
  12:00:00.000  ann
  12:00:59.999  bob
  12:01:00.000  ann
  `,
  `
  window_start  event_type  device   region   events  users  revenue_cents
  12:00:00.000  page_view   unknown  unknown  2       2      0
  12:01:00.000  page_view   unknown  unknown  1       1      0
  `,
);

scenario(
  traffic,
  "types, devices and regions are counted separately",
  `
  time          userId  eventType  device   region
  12:00:01.000  ann     page_view  mobile   eu
  12:00:02.000  ann     page_view  mobile   eu
  12:00:03.000  bob     page_view  mobile   eu
  12:00:04.000  ann     search     mobile   eu
  12:00:05.000  ann     page_view  desktop  eu
  12:00:06.000  ann     page_view  mobile   us
  12:00:07.000  cyd     page_view  fridge   -
  12:00:08.000  dan     page_view  -        -
  12:00:09.000  ann     wink       mobile   eu
  `,
  `
  window_start  event_type  device   region   events  users
  12:00:00.000  page_view   mobile   eu       3       2
  12:00:00.000  search      mobile   eu       1       1
  12:00:00.000  page_view   desktop  eu       1       1
  12:00:00.000  page_view   mobile   us       1       1
  12:00:00.000  page_view   other    unknown  1       1
  12:00:00.000  page_view   unknown  unknown  1       1
  12:00:00.000  wink        mobile   eu       1       1
  `,
);

scenario(
  traffic,
  "revenue counts purchases only, to the cent",
  `
  time          userId  eventType    price  quantity
  12:00:01.000  ann     purchase     0.10   3
  12:00:02.000  bob     purchase     1.005  1
  12:00:03.000  ann     purchase     -      2
  12:00:04.000  ann     add_to_cart  99.99  1
  12:00:05.000  ann     checkout     99.99  -
  `,
  `
  window_start  event_type   events  users  revenue_cents
  12:00:00.000  purchase     3       2      131
  12:00:00.000  add_to_cart  1       1      0
  12:00:00.000  checkout     1       1      0
  `,
);

scenario(
  traffic,
  "an event that is weeks late counts in its own minute",
  `
  time                     userId
  12:00:30.000             ann
  2026-10-05T00:00:00.000  ann
  2026-10-05T00:00:59.999  bob
  2026-10-04T23:59:59.999  bob
  `,
  `
  window_start             events  users
  12:00:00.000             1       1
  2026-10-05T00:00:00.000  2       2
  2026-10-04T23:59:00.000  1       1
  `,
);
