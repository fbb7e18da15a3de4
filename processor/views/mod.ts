/**
 * The views, in the order in which a commit writes them. Tables with rows of single users come first: several instances
 * can write them in parallel. Windows come last, because all instances share them.
 * @module
 */
import type { View } from "./view.ts";
import { activeUsers } from "./active_users.ts";
import { currencies } from "./currencies.ts";
import { pages } from "./pages.ts";
import { sessions, sessionsOf } from "./sessions.ts";
import { traffic } from "./traffic.ts";
import { userDays } from "./user_days.ts";

/** All views, in the order of a commit. */
export const VIEWS: readonly View[] = [userDays, sessions, traffic, pages, activeUsers, currencies];

/** The views of a shop with a currency of its own: what has no rate must be counted, whatever else is. */
export function withCurrencies(views: readonly View[]): readonly View[] {
  return views.includes(currencies) ? views : [...views, currencies];
}

/** The views for a shop with these hosts. */
export function withSiteHosts(views: readonly View[], siteHosts: readonly string[]): readonly View[] {
  return views.map((view) => view.name === sessions.name ? sessionsOf(siteHosts) : view);
}
