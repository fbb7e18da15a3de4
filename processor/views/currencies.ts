import { ANY } from "../measures/measure.ts";
import { count, sum } from "../measures/totals.ts";
import { DAY_MS, tumbling, type View, view } from "./view.ts";

/**
 * Purchases by the currency that they were sent in, each UTC day, and how many of them had no rate. Without `CURRENCY`,
 * nothing needs a rate. A purchase without a currency is in no row.
 */
export const currencies: View = view({
  name: "currencies",
  about: "Purchases and revenue by the currency of the purchase, each UTC day.",
  where: { type: ["purchase"], currency: [ANY] },
  window: tumbling(DAY_MS),
  by: ["currency"],
  measures: { purchases: count(), revenue_cents: sum("revenue"), unconverted: sum("unconverted") },
});
