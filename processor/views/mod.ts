/**
 * The questions that the shop asks, in the order in which a commit writes them: first what belongs to one user, which
 * several instances write side by side, then the windows that all of them share.
 * @module
 */
import type { View } from "./view.ts";
import { activeUsers } from "./active_users.ts";
import { pages } from "./pages.ts";
import { sessions } from "./sessions.ts";
import { traffic } from "./traffic.ts";
import { userDays } from "./user_days.ts";

/** All views, in the order of a commit. */
export const VIEWS: readonly View[] = [userDays, sessions, traffic, pages, activeUsers];
