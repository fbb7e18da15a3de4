import { scenario } from "../testing/scenario.ts";
import { pages } from "./pages.ts";

scenario(
  pages,
  "only page views count, by page without query string and fragment",
  `
  time          userId  eventType    page
  12:00:01.000  ann     page_view    /shoes
  12:00:02.000  ann     page_view    /shoes?size=42
  12:00:03.000  bob     page_view    /shoes#reviews
  12:00:04.000  bob     page_view    /shoes/?x
  12:00:05.000  bob     add_to_cart  /shoes
  12:00:06.000  cyd     purchase     /checkout
  12:01:00.000  cyd     page_view    /shoes
  `,
  `
  window_start  page     views  users
  12:00:00.000  /shoes   3      2
  12:00:00.000  /shoes/  1      1
  12:01:00.000  /shoes   1      1
  `,
);

scenario(pages, "no page view, no row", "time eventType\n 12:00:00.000 search\n 12:00:01.000 purchase", "page views");
