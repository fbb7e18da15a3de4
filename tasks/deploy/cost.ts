/**
 * The monthly cost of a deployment: on-demand list prices of us-east-1 for every synthesized resource, and an estimate of
 * what the deployment itself causes in logs, in snapshots and in traffic between zones.
 * @module
 */
import { App } from "../../infra/aws.ts";
import { unbuiltFiles } from "../../infra/built.ts";
import { DATABASE_CLASSES, MACHINES } from "../../infra/instances.ts";
import { addStacks } from "../../infra/main.ts";
import type { Settings } from "../../infra/settings.ts";

/** Source of the prices. */
export const PRICES_OF = "of 2025";

const HOURS = 730;
const DAYS = HOURS / 24;

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
  /** Detailed monitoring has seven metrics per instance; the agent adds four, and the host reports three. */
  watchedInstance: 4.2,
  logsPerGib: 0.5,
  keptLogsPerGib: 0.03,
  throughEndpointPerGib: 0.01,
  throughNatPerGib: 0.045,
  snapshotPerGib: 0.05,
  betweenZonesPerGib: 0.02,
} as const;

/** A synthesized resource. */
export interface Resource {
  readonly type: string;
  /** Its arguments, with Terraform's names. */
  readonly is: Readonly<Record<string, unknown>>;
}

/** An item of the bill. */
export interface Item {
  readonly what: string;
  readonly dollars: number;
}

/** A kind of items: how many there are of what a resource costs by. */
interface Priced {
  readonly group: string;
  dollars(is: Readonly<Record<string, unknown>>): number;
}

const hosts = "hosts, with detailed monitoring";
const database = "database, and one that stands by if there is one";
const small = "keys, secrets, names, alarms";
const number = (value: unknown) => Number(value ?? 0);

/** What is paid for by the month. */
const PRICED: Readonly<Record<string, Priced>> = {
  aws_instance: {
    group: hosts,
    dollars: (is) => MACHINES[String(is["instance_type"])]!.dollarsPerHour * HOURS + PRICE.watchedInstance,
  },
  // The root volume of the host that is started from it.
  aws_launch_template: { group: "disks", dollars: (is) => rootGib(is) * PRICE.diskPerGib },
  aws_ebs_volume: { group: "disks", dollars: (is) => number(is["size"]) * PRICE.diskPerGib },
  aws_db_instance: {
    group: database,
    dollars: (is) =>
      (is["multi_az"] ? 2 : 1) *
        (DATABASE_CLASSES[String(is["instance_class"])]!.dollarsPerHour * HOURS +
          number(is["allocated_storage"]) * PRICE.databaseDiskPerGib) +
      // RDS makes a secret for the administrator.
      PRICE.secretPerMonth,
  },
  aws_vpc_endpoint: {
    group: "ways to AWS",
    dollars: (is) =>
      is["vpc_endpoint_type"] === "Interface"
        ? (is["subnet_ids"] as unknown[]).length * PRICE.endpointPerHour * HOURS
        : 0,
  },
  aws_nat_gateway: { group: "ways to AWS", dollars: () => PRICE.natPerHour * HOURS },
  aws_eip: { group: "ways to AWS", dollars: () => PRICE.publicAddressPerHour * HOURS },
  aws_kms_key: { group: small, dollars: () => PRICE.keyPerMonth },
  aws_secretsmanager_secret: { group: small, dollars: () => PRICE.secretPerMonth },
  aws_route53_zone: { group: small, dollars: () => PRICE.zonePerMonth },
  aws_cloudwatch_metric_alarm: { group: small, dollars: () => PRICE.alarmPerMonth },
  // Two seconds of half a GiB each minute.
  aws_lambda_function: { group: "generator", dollars: () => HOURS * 60 * PRICE.lambdaPerGibSecond },
};

/**
 * Types that cost nothing, or so little by use that it rounds to nothing. RDS keeps backups of up to the disk's size free
 * of charge; log groups and snapshots are in the estimates.
 */
const FREE =
  /^aws_(cloudwatch_event_|cloudwatch_log_group|db_(parameter|subnet)_group|default_security_group|dlm_|flow_log|iam_|internet_gateway|kms_alias|lambda_(function_event|permission)|route$|route_table|route53_record|s3_|secretsmanager_secret_version|security_group|sns_|sqs_|ssm_|subnet|volume_attachment|vpc$|vpc_security_group)/;

/** GiB a month that a host or the database writes to CloudWatch: its journal, and its part of the flow logs. */
const LOG_GIB_PER_HOST = 0.7;

/** Bytes of an event with its share of what carries it. */
const EVENT_BYTES = 300;

/**
 * Monthly cost by item.
 *
 * @throws {Error} if there is a type of resource whose price is not known
 */
export function monthlyCost(resources: readonly Resource[], settings: Settings): Item[] {
  const unknown = resources.map(({ type }) => type).filter((type) => !(type in PRICED) && !FREE.test(type));
  if (unknown.length > 0) throw new Error(`what does it cost: ${[...new Set(unknown)].join(", ")}?`);
  const groups = new Map<string, { count: number; dollars: number }>();
  for (const { type, is } of resources) {
    const priced = PRICED[type];
    if (priced === undefined) continue;
    const dollars = priced.dollars(is);
    const { count, dollars: before } = groups.get(priced.group) ?? { count: 0, dollars: 0 };
    groups.set(priced.group, { count: count + (dollars > 0 ? 1 : 0), dollars: before + dollars });
  }
  const instances = groups.get(hosts)?.count ?? 0;
  const databases = groups.get(database)?.count ?? 0;
  return [
    ...[...groups].map(([group, { count, dollars }]) => ({
      what: group === hosts ? `${count} ${group}` : group,
      dollars,
    })),
    {
      what: `logs and flow logs, at ${LOG_GIB_PER_HOST} GiB of each host and the database`,
      dollars: logs(settings, instances + databases),
    },
    ...(resources.some(({ type }) => type === "aws_dlm_lifecycle_policy")
      ? [{
        what: `daily snapshots, at ${settings.DEPLOY_RATE} events/s`,
        dollars: snapshots(settings, resources.filter(({ type }) => type === "aws_ebs_volume")),
      }]
      : []),
    { what: `traffic between zones, at ${settings.DEPLOY_RATE} events/s`, dollars: betweenZones(settings) },
  ];
}

/** Logs are sent out of the network, taken in, and kept for some days. */
function logs({ DEPLOY_EGRESS: egress, DEPLOY_LOG_DAYS: days }: Settings, writers: number): number {
  const way = egress === "nat" ? PRICE.throughNatPerGib : PRICE.throughEndpointPerGib;
  return writers * LOG_GIB_PER_HOST * (PRICE.logsPerGib + way + days / DAYS * PRICE.keptLogsPerGib);
}

/** A snapshot has what changed since the one before: of a broker the day's events, of the host of Prometheus all. */
function snapshots(settings: Settings, volumes: readonly Resource[]): number {
  const { DEPLOY_BACKUP_DAYS: kept, DEPLOY_RATE: rate, DEPLOY_RETENTION_HOURS: hours } = settings;
  const events = rate * EVENT_BYTES * 86_400 * (kept + hours / 24) / 2 ** 30;
  return volumes.reduce((sum, { is }) => {
    const isBroker = /kafka-\d+-data$/.test((is["tags"] as { readonly Name: string }).Name);
    const size = number(is["size"]);
    return sum + (isBroker ? Math.min(size, events) : size) * PRICE.snapshotPerGib;
  }, 0);
}

/** An event is sent, copied to the other brokers and read: two thirds of each way lead to another zone. */
function betweenZones(
  { DEPLOY_BROKERS: brokers, DEPLOY_RATE: rate, DEPLOY_ZONES: { length: zones } }: Settings,
): number {
  const gib = rate * EVENT_BYTES * HOURS * 3600 / 2 ** 30;
  const share = 1 - 1 / zones;
  return gib * (share * 2 + (brokers - 1)) * PRICE.betweenZonesPerGib;
}

function rootGib(template: Readonly<Record<string, unknown>>): number {
  const mappings = template["block_device_mappings"] as readonly { readonly ebs: { readonly volume_size: number } }[];
  return mappings.reduce((sum, { ebs }) => sum + ebs.volume_size, 0);
}

/** Total in whole dollars. */
export function total(items: readonly Item[]): number {
  return Math.round(items.reduce((sum, { dollars }) => sum + dollars, 0));
}

/** Monthly cost of a deployment with these settings; synthesizes it into a folder that is removed. */
export async function costOf(settings: Settings): Promise<Item[]> {
  const outdir = await Deno.makeTempDir({ prefix: "clickstream-cost-" });
  try {
    const app = new App({ outdir, skipValidation: true });
    addStacks(app, settings, await unbuiltFiles());
    app.synth();
    const resources: Resource[] = [];
    for await (const { name } of Deno.readDir(`${outdir}/stacks`)) {
      const { resource } = JSON.parse(await Deno.readTextFile(`${outdir}/stacks/${name}/cdk.tf.json`)) as {
        resource: Readonly<Record<string, Readonly<Record<string, Resource["is"]>>>>;
      };
      for (const [type, named] of Object.entries(resource)) {
        for (const is of Object.values(named)) resources.push({ type, is });
      }
    }
    return monthlyCost(resources, settings);
  } finally {
    await Deno.remove(outdir, { recursive: true });
  }
}
