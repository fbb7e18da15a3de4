/**
 * All kinds of faults.
 * @module
 */
import { BROKERS } from "./broker_faults.ts";
import { DENIALS } from "./denials.ts";
import type { Fault } from "./fault.ts";
import { KILLS } from "./kills.ts";
import { NETWORK } from "./network.ts";
import { OPERATIONS } from "./operations.ts";
import { OUTAGES } from "./outages.ts";

/** All faults. */
export const FAULTS: readonly Fault[] = [...KILLS, ...NETWORK, ...BROKERS, ...OUTAGES, ...DENIALS, ...OPERATIONS];
