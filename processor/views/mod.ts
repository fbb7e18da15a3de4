/**
 * The views, in the order in which a commit writes them. Tables with rows of single users come first: several instances
 * can write them in parallel. Windows come last, because all instances share them.
 * @module
 */
import { day, type View } from "./view.ts";
import { activeUsers } from "./active_users.ts";
import { currencies } from "./currencies.ts";
import { pages, pagesOf } from "./pages.ts";
import { sessions, sessionsOf } from "./sessions.ts";
import type { TimeZone } from "./time_zone.ts";
import { traffic } from "./traffic.ts";
import { userDays, userDaysOf } from "./user_days.ts";

/** All views, in the order of a commit. */
export const VIEWS: readonly View[] = [userDays, sessions, traffic, pages, activeUsers, currencies];

/** The views of a shop with a currency of its own: what has no rate must be counted, whatever else is. */
export function withCurrencies(views: readonly View[]): readonly View[] {
  return views.includes(currencies) ? views : [...views, currencies];
}

/** What views must know of a shop. */
export interface Shop {
  readonly siteHosts: readonly string[];
  readonly zone: TimeZone;
}

/** The views for a shop. */
export function forShop(views: readonly View[], { siteHosts, zone }: Shop): readonly View[] {
  const own = new Map([userDaysOf(zone), sessionsOf(siteHosts, zone), pagesOf(zone)].map((view) => [view.name, view]));
  return views.map((view) => {
    const made = own.get(view.name);
    // Goals and funnels of the shop stay.
    if (made !== undefined) return { ...made, measures: { ...view.measures, ...made.measures } };
    return view.window.kind === "day" ? { ...view, window: day(zone) } : view;
  });
}
