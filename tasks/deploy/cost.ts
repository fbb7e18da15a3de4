/**
 * The monthly cost of a deployment: on-demand list prices of us-east-1 for everything that always runs. Usage (traffic,
 * logs, requests) is extra.
 * @module
 */
import { DATABASE_CLASSES, MACHINES } from "../../infra/instances.ts";
import type { Settings } from "../../infra/settings.ts";

/** Source of the prices. */
export const PRICES_OF = "of 2025";

const HOURS = 730;

/** US dollars. */
const PRICE = {
  endpointPerHour: 0.01,
  natPerHour: 0.045,
  publicAddressPerHour: 0.005,
  diskPerGib: 0.08,
  databaseDiskPerGib: 0.115,
  keyPerMonth: 1,
  secretPerMonth: 0.4,
  zonePerMonth: 0.5,
  alarmPerMonth: 0.1,
  lambdaPerGibSecond: 0.0000133334,
  /** Detailed monitoring has seven metrics per instance; the agent adds four. */
  watchedInstance: 3.3,
} as const;

/** An item of the bill. */
export interface Item {
  readonly what: string;
  readonly dollars: number;
}

const ENDPOINTS = 5;
const ROOT_GIB = 16;
const SECRETS = 7;

/** Monthly cost by item. */
export function monthlyCost(settings: Settings): Item[] {
  const { DEPLOY_BROKERS: brokers, DEPLOY_PROCESSORS: processors, DEPLOY_ZONES: zones } = settings;
  const hosts = brokers + processors + 1;
  const hourly = brokers * MACHINES[settings.DEPLOY_BROKER_MACHINE]!.dollarsPerHour +
    processors * MACHINES[settings.DEPLOY_PROCESSOR_MACHINE]!.dollarsPerHour +
    MACHINES[settings.DEPLOY_MONITORING_MACHINE]!.dollarsPerHour;
  const disks = brokers * settings.DEPLOY_BROKER_DISK_GIB + settings.DEPLOY_MONITORING_DISK_GIB + hosts * ROOT_GIB;
  const databases = settings.DEPLOY_DATABASE_STANDBY ? 2 : 1;
  const ways = settings.DEPLOY_EGRESS === "nat"
    ? PRICE.natPerHour + PRICE.publicAddressPerHour
    : ENDPOINTS * PRICE.endpointPerHour * (settings.DEPLOY_SIZE === "dev" ? 1 : zones.length);
  return [
    { what: `${hosts} hosts`, dollars: hourly * HOURS + hosts * PRICE.watchedInstance },
    { what: `${disks} GiB of disks`, dollars: disks * PRICE.diskPerGib },
    {
      what: `database${databases === 2 ? ", and one that stands by" : ""}`,
      dollars: databases * (DATABASE_CLASSES[settings.DEPLOY_DATABASE_CLASS]!.dollarsPerHour * HOURS +
        settings.DEPLOY_DATABASE_DISK_GIB * PRICE.databaseDiskPerGib),
    },
    { what: settings.DEPLOY_EGRESS === "nat" ? "NAT" : "endpoints", dollars: ways * HOURS },
    {
      what: "key, secrets, names, alarms",
      dollars: PRICE.keyPerMonth + SECRETS * PRICE.secretPerMonth + PRICE.zonePerMonth +
        (7 + 3 * hosts) * PRICE.alarmPerMonth,
    },
    // Two seconds of half a GiB each minute.
    { what: "generator", dollars: HOURS * 60 * PRICE.lambdaPerGibSecond },
  ];
}

/** Total in whole dollars. */
export function total(items: readonly Item[]): number {
  return Math.round(items.reduce((sum, { dollars }) => sum + dollars, 0));
}
