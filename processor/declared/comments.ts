/**
 * What the columns of a declared view mean, in words.
 * @module
 */
import type { Dimension } from "../columns/batch.ts";
import type { Measure } from "../measures/measure.ts";
import type { View } from "../views/view.ts";

/** Comments on the columns of a view's table, by column. Those of distinct users are the table's own. */
export function columnComments(view: View): Readonly<Record<string, string>> {
  const window: Record<string, string> = view.window.kind === "day"
    ? { day: "Day." }
    : { window_start: "Where the window begins." };
  if (view.window.kind === "hopping") window["window_end"] = "Where it ends, excluded.";
  return {
    ...window,
    ...Object.assign({}, ...view.by.map((dimension) => KEYS[dimension])),
    ...Object.fromEntries(Object.entries(view.measures).flatMap(([name, measure]) => ofMeasure(name, measure))),
  };
}

const KEYS: { readonly [dimension in Dimension]?: Readonly<Record<string, string>> } = {
  type: { event_type: "What happened, such as page_view or purchase." },
  pagePath: { page: "Page without query string and fragment.", page_key: "Hash of page, for the key." },
  device: { device: "desktop, mobile, tablet, other or unknown." },
  region: { region: "Where the shoppers are, or unknown." },
  product: { product_id: "The product.", product_id_key: "Hash of product_id, for the key." },
  campaign: { campaign: "The campaign.", campaign_key: "Hash of campaign, for the key." },
  bot: { is_bot: "Whether these are the events with a user agent on the list of bots." },
};

function ofMeasure(name: string, { kind, of, columns }: Measure): [column: string, comment: string][] {
  const named = columns(name).map((column) => column.name);
  switch (kind) {
    case "count":
      return [[name, "Number of events."]];
    case "sum":
      return [[name, `Sum of ${of}, in minor units.`]];
    case "min":
      return [[name, `Least ${of}, in minor units.`]];
    case "max":
      return [[name, `Greatest ${of}, in minor units.`]];
    case "distinct":
      return [[named[1]!, `What ${name} is counted from, for the processor.`]];
    default:
      return [
        [name, `Value of the ${kind} event.`],
        [named[1]!, `Time of the event of ${name}.`],
        [named[2]!, `Id of the event of ${name}.`],
      ];
  }
}
