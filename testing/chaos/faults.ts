/**
 * All kinds of faults.
 * @module
 */
import type { Fault } from "./fault.ts";
import { KILLS } from "./kills.ts";
import { NETWORK } from "./network.ts";

/** All faults, by kind. */
export const FAULTS: readonly Fault[] = [...KILLS, ...NETWORK];
