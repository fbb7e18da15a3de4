/**
 * A declared view as the pipeline computes it.
 * @module
 */
import { type Dimension, OPTIONAL, type Quantity } from "../columns/batch.ts";
import { distinctUsers } from "../measures/distinct_users.ts";
import { max, min } from "../measures/extremes.ts";
import { ANY, type Filter, type Matcher, type Measure } from "../measures/measure.ts";
import { first, last } from "../measures/picks.ts";
import { count, sum } from "../measures/totals.ts";
import { day, hopping, tumbling, type View, view, type Window } from "../views/view.ts";
import { DAY, type DeclaredFilter, type DeclaredView, KEYS, lengthOf } from "./schema.ts";

const DIMENSION: { readonly [key in typeof KEYS[number]]: Dimension } = {
  event: "type",
  page: "pagePath",
  device: "device",
  region: "region",
  product: "product",
  campaign: "campaign",
};

/**
 * The view.
 *
 * @throws {RangeError} naming the view and what is wrong with it
 */
export function viewOf({ name, description, filter, window, keys, measures }: DeclaredView): View {
  // As in the built-in views: bots are counted, but never in the same row as people.
  const by = [...keys.map((key) => DIMENSION[key]), "bot" as const];
  const where: Filter = {
    // An event without a product has no place among products.
    ...Object.fromEntries(
      by.filter((dimension) => OPTIONAL.includes(dimension)).map((dimension) => [dimension, [ANY]]),
    ),
    ...filterOf(filter),
  };
  const made = view({
    name,
    about: description,
    where,
    window: windowOf(window),
    by,
    measures: Object.fromEntries(
      Object.entries(measures).map((
        [column, declared],
      ) => [column, measureOf(column, declared.measure, filterOf(declared.filter))]),
    ),
  });
  const columns = new Map(OTHERS.map((column) => [column, "the window or the keys"]));
  for (const [measure, { columns: of }] of Object.entries(made.measures)) {
    for (const { name: column } of of(measure)) {
      const before = columns.get(column);
      if (before !== undefined) {
        throw new RangeError(`view ${JSON.stringify(name)}: ${measure} has a column ${column}, as ${before}`);
      }
      columns.set(column, measure);
    }
  }
  return made;
}

/** Columns that tables have besides measures. */
const OTHERS: readonly string[] = [
  ...["window_start", "window_end", "day", "event_type", "page", "page_key", "device", "region"],
  ...["product_id", "product_id_key", "campaign", "campaign_key", "is_bot"],
];

function windowOf(declared: DeclaredView["window"]): Window {
  if (declared === DAY) return day();
  if (typeof declared === "string") return tumbling(lengthOf(declared));
  return hopping(lengthOf(declared.size), lengthOf(declared.every));
}

/** The filter that a declaration means. */
export function filterOf(declared: DeclaredFilter = {}): Filter {
  return Object.fromEntries(
    KEYS.flatMap((key) => declared[key] === undefined ? [] : [[DIMENSION[key], declared[key].map(matcherOf)]]),
  );
}

function matcherOf(declared: NonNullable<DeclaredFilter["page"]>[number]): Matcher {
  if (typeof declared === "string") return declared;
  return { around: "prefix" in declared ? [declared.prefix, ""] : declared.pattern.split("*") };
}

function measureOf(column: string, computes: string, where: Filter): Measure {
  const [kind, of] = computes.split(" ");
  const picked = { at: `${column}_at`, by: `${column}_event_id` };
  switch (kind) {
    case "users":
      return distinctUsers(where);
    case "sum":
      return sum(of as Quantity, where);
    case "min":
      return min(of as Quantity, where);
    case "max":
      return max(of as Quantity, where);
    case "first":
      return first(DIMENSION[of as typeof KEYS[number]], picked, where);
    case "last":
      return last(DIMENSION[of as typeof KEYS[number]], picked, where);
    default:
      return count(where);
  }
}
