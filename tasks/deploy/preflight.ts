/**
 * What must be there before anything is created: programs, a login, zones, quotas. All is checked at once, and each fault
 * has its cure.
 * @module
 */
import type { Settings } from "../../infra/settings.ts";
import { CHOICES } from "../../infra/sizes.ts";
import { TERRAFORM } from "../../infra/stack.ts";
import { AwsError } from "./aws.ts";

/** Required programs, what each does, and its cure. */
const PROGRAMS: Readonly<Record<string, { readonly does: string; readonly cure: string }>> = {
  terraform: {
    does: "creates what the stacks describe",
    cure: "https://developer.hashicorp.com/terraform/install",
  },
  aws: {
    does: "asks AWS and the hosts",
    cure: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
  },
  "session-manager-plugin": {
    does: "forwards ports to the hosts",
    cure:
      "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
  },
  mvn: { does: "fetches Kafka", cure: "https://maven.apache.org/install.html, or apt-get install maven" },
};

/** Programs of which `deno task destroy` needs no more. */
export const FOR_DESTROY = ["terraform", "aws"] as const;

/** Reports programs that are missing or too old. */
export async function faultsOfPrograms(names: readonly string[] = Object.keys(PROGRAMS)): Promise<string[]> {
  const faults: string[] = [];
  for (const name of names) {
    const { does, cure } = PROGRAMS[name]!;
    const found = new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null", stderr: "null" });
    if (!(await found.output()).success) faults.push(`${name} is missing: it ${does}. Install it: ${cure}`);
    else if (name === "terraform") faults.push(...faultOfTerraform(await terraformVersion()));
  }
  return faults;
}

async function terraformVersion(): Promise<string> {
  const { stdout } = await new Deno.Command("terraform", { args: ["version", "-json"], stderr: "null" }).output();
  return (JSON.parse(new TextDecoder().decode(stdout)) as { terraform_version: string }).terraform_version;
}

/** Reports a version of Terraform that does not know what the stacks use. */
export function faultOfTerraform(version: string): string[] {
  const [major, minor] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = TERRAFORM.replace(">=", "").split(".").map(Number);
  const isNew = major! > leastMajor! || (major === leastMajor && minor! >= leastMinor!);
  return isNew
    ? []
    : [`terraform is ${version}, and ${TERRAFORM} is needed. Install it: ${PROGRAMS["terraform"]!.cure}`];
}

/** Asks AWS, as `Aws` does. */
export interface Asks {
  readonly region: string;
  json<T>(...args: readonly string[]): Promise<T>;
}

/** AWS's code for running on-demand standard instances, in vCPUs. */
const VCPUS = "L-1216C47A";

/** Concurrent executions that AWS keeps unreserved in every account. */
const UNRESERVED = 100;

/** Zones of the region that offer all these machines, as letters in order. */
export async function zonesOf(aws: Asks, settings: Settings): Promise<string[]> {
  const only = ["Name=zone-type,Values=availability-zone", "Name=state,Values=available"];
  const { AvailabilityZones: zones } = await aws.json<{ AvailabilityZones: { ZoneName: string }[] }>(
    ...["ec2", "describe-availability-zones", "--filters", ...only],
  );
  const machines = new Set(Object.keys(machinesOf(settings)));
  const offers = await aws.json<{ InstanceTypeOfferings: { InstanceType: string; Location: string }[] }>(
    ...["ec2", "describe-instance-type-offerings", "--location-type", "availability-zone"],
    ...["--filters", `Name=instance-type,Values=${[...machines].join(",")}`],
  );
  const offered = (zone: string) =>
    new Set(offers.InstanceTypeOfferings.filter(({ Location }) => Location === zone).map((one) => one.InstanceType));
  return zones.map(({ ZoneName }) => ZoneName).filter((zone) => machines.isSubsetOf(offered(zone)))
    .map((zone) => zone.slice(aws.region.length)).sort();
}

/** The zones for a first deployment that names none: as many as its size has, from those that there are. */
export function chooseZones(available: readonly string[], settings: Settings): string {
  return available.slice(0, CHOICES[settings.DEPLOY_SIZE].DEPLOY_ZONES.split(",").length).join(",");
}

/** How many hosts run on each machine. */
function machinesOf(settings: Settings): Record<string, number> {
  const counts: Record<string, number> = {};
  for (
    const [machine, count] of [
      [settings.DEPLOY_BROKER_MACHINE, settings.DEPLOY_BROKERS],
      [settings.DEPLOY_PROCESSOR_MACHINE, settings.DEPLOY_PROCESSORS],
      [settings.DEPLOY_MONITORING_MACHINE, 1],
    ] as const
  ) counts[machine] = (counts[machine] ?? 0) + count;
  return counts;
}

/** vCPUs of a machine: two up to `large`, then four for each `xlarge`. */
function vcpusOf(machine: string): number {
  const [, times] = /\.(\d*)xlarge$/.exec(machine) ?? [];
  return times === undefined ? 2 : 4 * Number(times || 1);
}

/** vCPUs that a deployment runs on. */
export function vcpus(settings: Settings): number {
  return Object.entries(machinesOf(settings)).reduce((sum, [machine, count]) => sum + count * vcpusOf(machine), 0);
}

/** A check of the account; its result is a fault with its cure, or null. */
type Check = (aws: Asks, settings: Settings) => Promise<string | null>;

const CHECKS: Readonly<Record<string, Check>> = {
  zones: async (aws, settings) => {
    const available = await zonesOf(aws, settings);
    const lacking = settings.DEPLOY_ZONES.filter((zone) => !available.includes(zone));
    if (lacking.length === 0) return null;
    return `zones ${lacking.join(", ")} of ${aws.region} don't have these machines: ` +
      `set DEPLOY_ZONES to some of ${available.join(",")}, or choose other machines`;
  },
  vCPUs: async (aws, settings) => {
    const quota = await aws.json<{ Quota: { Value: number } }>(
      ...["service-quotas", "get-service-quota", "--service-code", "ec2", "--quota-code", VCPUS],
    );
    const [needed, others] = [vcpus(settings), await vcpusOfOthers(aws, settings.DEPLOY_NAME)];
    if (needed + others <= quota.Quota.Value) return null;
    return `${needed} vCPUs are needed and ${others} are in use, and the account may run ${quota.Quota.Value} in ` +
      `${aws.region}: aws service-quotas request-service-quota-increase --region ${aws.region} --service-code ec2 ` +
      `--quota-code ${VCPUS} --desired-value ${needed + others}`;
  },
  Lambda: async (aws, settings) => {
    if (!settings.DEPLOY_RESERVED) return null;
    const answer = await aws.json<{ AccountLimit: { UnreservedConcurrentExecutions: number } }>(
      ...["lambda", "get-account-settings"],
    );
    const left = answer.AccountLimit.UnreservedConcurrentExecutions;
    if (left > UNRESERVED) return null;
    return `the account may run ${left} functions at once and none can be reserved: set DEPLOY_RESERVED=false, or ask ` +
      "for more: https://console.aws.amazon.com/servicequotas/home/services/lambda/quotas";
  },
  "RDS's role": async (aws) => {
    const found = await aws.json("iam", "get-role", "--role-name", "AWSServiceRoleForRDS").catch((error) => {
      if (error instanceof AwsError && error.code === "NoSuchEntity") return null;
      throw error;
    });
    if (found !== null) return null;
    return "RDS has no role in this account: aws iam create-service-linked-role --aws-service-name rds.amazonaws.com";
  },
  "the state's bucket": async (aws, { DEPLOY_STATE_BUCKET: bucket }) => {
    if (bucket === null) return null;
    const versioning = await aws.json<{ Status?: string } | "">("s3api", "get-bucket-versioning", "--bucket", bucket)
      .catch((error) => {
        if (error instanceof AwsError && error.code === "NoSuchBucket") return null;
        throw error;
      });
    return versioning === null ? `there is no bucket ${bucket}: aws s3 mb s3://${bucket} --region ${aws.region}` : null;
  },
};

/** vCPUs of running machines that are no part of this deployment. */
async function vcpusOfOthers(aws: Asks, deployment: string): Promise<number> {
  interface Machine {
    readonly InstanceType: string;
    readonly CpuOptions?: { readonly CoreCount: number; readonly ThreadsPerCore: number };
    readonly Tags?: readonly { readonly Key: string; readonly Value: string }[];
  }
  const { Reservations: all } = await aws.json<{ Reservations: { Instances: Machine[] }[] }>(
    ...["ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=pending,running"],
  );
  const others = all.flatMap(({ Instances }) => Instances).filter(({ Tags = [] }) =>
    !Tags.some(({ Key, Value }) => Key === "deployment" && Value === deployment)
  );
  const count = ({ CpuOptions: has, InstanceType }: Machine) =>
    has === undefined ? vcpusOf(InstanceType) : has.CoreCount * has.ThreadsPerCore;
  return others.reduce((sum, machine) => sum + count(machine), 0);
}

/**
 * Reports what the account lacks for a deployment. A check that may not be made, for want of rights, is no fault: it is
 * reported to `skipped`.
 */
export async function faultsOfAccount(
  aws: Asks,
  settings: Settings,
  skipped: (what: string) => void,
): Promise<string[]> {
  const results = await Promise.all(
    Object.entries(CHECKS).map(async ([name, check]) =>
      await check(aws, settings).catch((error) => {
        skipped(`${name} could not be checked: ${error instanceof Error ? error.message : error}`);
        return null;
      })
    ),
  );
  return results.filter((fault) => fault !== null);
}

/**
 * Returns the account that the login belongs to.
 *
 * @throws {Error} with the cure if there is no login
 */
export async function accountOf(aws: Asks): Promise<string> {
  try {
    return (await aws.json<{ Account: string }>("sts", "get-caller-identity")).Account;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`no login to AWS: ${why}. Log in with aws sso login or aws configure, or set AWS_PROFILE`);
  }
}
