import { scenario } from "../testing/scenario.ts";
import { currencies } from "./currencies.ts";

scenario(
  currencies,
  "only purchases with a currency count, by UTC day",
  `
  time                     eventType  price  quantity  currency
  00:00:00.000             purchase   1.50   2         EUR
  23:59:59.999             purchase   2      -         EUR
  12:00:00.000             purchase   10     -         USD
  12:00:00.000             purchase   7      -         -
  12:00:00.000             page_view  3      -         EUR
  2026-11-03T00:00:00.000  purchase   4      -         EUR
  `,
  `
  window_start             currency  purchases  revenue_cents  unconverted
  00:00:00.000             EUR       2          500            0
  00:00:00.000             USD       1          1000           0
  2026-11-03T00:00:00.000  EUR       1          400            0
  `,
);
