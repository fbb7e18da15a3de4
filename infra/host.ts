/**
 * A host: an EC2 machine with a permanent name and address, its permissions and its release. It is reached through SSM
 * only.
 * @module
 */
import { Buffer } from "node:buffer";
import { type Alarm, alarm } from "./alarm.ts";
import type { ArtifactsStack } from "./artifacts.ts";
import {
  Construct,
  DataAwsSsmParameter,
  EbsVolume,
  IamInstanceProfile,
  IamRole,
  IamRolePolicy,
  Instance,
  LaunchTemplate,
  Route53Record,
  SsmParameter,
  VolumeAttachment,
} from "./aws.ts";
import { userData } from "./hosts/mod.ts";
import type { BootSettings, HostKind, HostSettings, SecretName } from "./hosts/settings.ts";
import type { NetworkStack } from "./network.ts";
import { decrypt, policy, type Statement, trust } from "./policy.ts";
import type { Settings } from "./settings.ts";
import { SNAPSHOT_TAG } from "./snapshots.ts";
import type { AwsStack } from "./stack.ts";

/** Definition of a host. */
export interface HostOptions {
  readonly kind: HostKind;
  /** Number among the hosts of its kind, from 1. */
  readonly number: number;
  readonly machine: string;
  /** Its data volume, which survives a replacement of the machine. */
  readonly disk?: { readonly gib: number; readonly mount: string } | undefined;
  /** ARNs of the secrets that it may read. */
  readonly secrets: Readonly<Partial<Record<SecretName, string>>>;
  /** Parameters with the brokers' certificates, which all hosts may read. */
  readonly certificates: readonly SsmParameter[];
  /** Additional permissions. */
  readonly may?: readonly Statement[];
  readonly release: Omit<HostSettings, "kind" | "bucket" | "artifacts" | "secrets" | "logGroup" | "namespace">;
}

/** Resources that all hosts share. */
export interface Ground {
  readonly network: NetworkStack;
  readonly artifacts: ArtifactsStack;
}

/** AWS's parameter for the newest image of Amazon Linux 2023. */
export const IMAGES = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default";

/** The system and the fetched programs. Data has its own volume. */
const ROOT_GIB = 16;

/** Instance metadata requires IMDSv2 and is reachable only from the machine itself. */
const METADATA = { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 };

const DATA_DEVICE = "/dev/sdf";

/** A host. */
export class Host extends Construct {
  readonly instanceId: string;
  /** Such as `kafka-1`. */
  readonly host: string;
  readonly hostName: string;
  readonly #stack: AwsStack;

  constructor(stack: AwsStack, ground: Ground, options: HostOptions) {
    const host = `${options.kind}-${options.number}`;
    super(stack, host);
    const { network } = ground;
    const { subnet, zone, address } = network.placeOf(options.kind, options.number);
    this.#stack = stack;
    this.host = host;
    this.hostName = network.hostName(host);
    const release = this.#makeRelease(ground, options);
    const profile = this.#makeProfile(ground, options, release);
    const template = this.#makeTemplate(network, options, release, profile);
    const instance = new Instance(this, "machine", {
      launchTemplate: { id: template.id, version: `${template.latestVersion}` },
      // Repeated here, because checkers look for it here.
      instanceType: options.machine,
      iamInstanceProfile: profile.name,
      monitoring: true,
      ebsOptimized: true,
      metadataOptions: METADATA,
      subnetId: subnet.id,
      privateIp: address,
      vpcSecurityGroupIds: [network.group(options.kind).id],
      disableApiTermination: stack.settings.DEPLOY_PROTECTED && options.disk !== undefined,
      maintenanceOptions: { autoRecovery: "default" },
      tags: { Name: stack.named(host) },
      // Terraform would replace, or stop, all hosts at once: `deno task roll` changes one after another.
      lifecycle: { ignoreChanges: ["launch_template", "instance_type"] },
    });
    this.instanceId = instance.id;
    if (options.disk !== undefined) this.#makeVolume(instance, zone, options.disk.gib);
    new Route53Record(this, "name", {
      zoneId: network.zone.zoneId,
      name: this.hostName,
      type: "A",
      ttl: 60,
      records: [address],
    });
    this.#makeAlarms(network.alarms.arn);
  }

  #named(name: string): string {
    return `/${this.#stack.settings.DEPLOY_NAME}/${this.host}/${name}`;
  }

  #makeRelease({ network, artifacts }: Ground, { kind, secrets, release }: HostOptions): SsmParameter {
    const settings: HostSettings = {
      kind,
      bucket: artifacts.bucket.id,
      artifacts: artifacts.artifactsOf(kind),
      secrets,
      logGroup: network.logs.name,
      namespace: this.#stack.settings.DEPLOY_NAME,
      ...release,
    };
    return new SsmParameter(this, "release", {
      name: this.#named("release"),
      description: `what ${this.host} runs`,
      type: "String",
      value: JSON.stringify(settings),
    });
  }

  #makeProfile({ network, artifacts }: Ground, options: HostOptions, release: SsmParameter): IamInstanceProfile {
    const name = this.#stack.named(this.host);
    const region = this.#stack.settings.AWS_REGION;
    const role = new IamRole(this, "role", { name, assumeRolePolicy: trust("ec2.amazonaws.com", network.account) });
    const secrets = Object.values(options.secrets);
    new IamRolePolicy(this, "policy", {
      name: "host",
      role: role.id,
      policy: policy(
        {
          // Permissions for SSM's agent: sessions, port forwarding and commands. AWS's own policy would allow reading
          // all parameters.
          actions: [
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
          ],
          resources: ["*"],
        },
        {
          actions: ["ssm:UpdateInstanceInformation"],
          resources: [`arn:aws:ec2:${region}:${network.account}:instance/*`],
        },
        {
          actions: ["ssm:GetParameter", "ssm:GetParameters"],
          resources: [release.arn, ...options.certificates.map(({ arn }) => arn)],
        },
        { actions: ["s3:GetObject"], resources: artifacts.readableBy(options.kind) },
        { actions: ["secretsmanager:GetSecretValue"], resources: secrets },
        decrypt(network.keys.arn("artifacts"), "s3", region),
        decrypt(network.keys.arn("secrets"), "secretsmanager", region),
        {
          actions: ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
          resources: [network.logs.arn, `${network.logs.arn}:*`],
        },
        {
          actions: ["cloudwatch:PutMetricData"],
          resources: ["*"],
          condition: { StringEquals: { "cloudwatch:namespace": this.#stack.settings.DEPLOY_NAME } },
        },
        ...(options.may ?? []),
      ),
    });
    return new IamInstanceProfile(this, "profile", { name, role: role.name });
  }

  #makeTemplate(
    network: NetworkStack,
    { kind, machine, disk }: HostOptions,
    release: SsmParameter,
    profile: IamInstanceProfile,
  ): LaunchTemplate {
    const { AWS_REGION: region, DEPLOY_ARCHITECTURE: architecture } = this.#stack.settings;
    const boot: BootSettings = {
      kind,
      host: this.host,
      hostName: this.hostName,
      region,
      releaseParameter: this.#named("release"),
      dataVolume: disk === undefined ? null : { device: DATA_DEVICE, mount: disk.mount },
    };
    const tags = { ...this.#stack.tags, Name: this.#stack.named(this.host) };
    return new LaunchTemplate(this, "template", {
      name: this.#stack.named(this.host),
      description: `how ${this.host} starts`,
      imageId: new DataAwsSsmParameter(this, "image", { name: `${IMAGES}-${architecture}` }).insecureValue,
      instanceType: machine,
      iamInstanceProfile: { arn: profile.arn },
      vpcSecurityGroupIds: [network.group(kind).id],
      metadataOptions: METADATA,
      monitoring: { enabled: true },
      ebsOptimized: "true",
      blockDeviceMappings: [{
        deviceName: "/dev/xvda",
        ebs: { encrypted: "true", volumeSize: ROOT_GIB, volumeType: "gp3", deleteOnTermination: "true" },
      }],
      userData: Buffer.from(userData(boot)).toString("base64"),
      tagSpecifications: [{ resourceType: "instance", tags }, { resourceType: "volume", tags }],
      updateDefaultVersion: true,
      // A host keeps its image until it is replaced for another reason.
      lifecycle: { ignoreChanges: ["image_id"] },
      // The host reads it at its first boot.
      dependsOn: [release],
    });
  }

  #makeVolume(instance: Instance, zone: string, gib: number): void {
    const { DEPLOY_SNAPSHOT: snapshot } = this.#stack.settings;
    const volume = new EbsVolume(this, "data", {
      availabilityZone: zone,
      size: gib,
      type: "gp3",
      // AWS's own key: a final snapshot would be unreadable once our key is destroyed.
      encrypted: true,
      finalSnapshot: snapshot,
      lifecycle: this.#stack.keeping(`${this.node.path}/data`),
      tags: { Name: `${this.#stack.named(this.host)}-data`, [SNAPSHOT_TAG]: "daily" },
    });
    new VolumeAttachment(this, "attachment", {
      deviceName: DATA_DEVICE,
      instanceId: instance.id,
      volumeId: volume.id,
      stopInstanceBeforeDetaching: true,
    });
  }

  #makeAlarms(topic: string): void {
    const common = {
      namespace: "AWS/EC2",
      of: { InstanceId: this.instanceId },
      statistic: "Maximum",
      when: "above",
    } as const;
    alarm(this, "alarm-hardware", {
      ...common,
      name: `${this.#stack.named(this.host)}-hardware`,
      about: `What ${this.host} runs on has failed: it is started again elsewhere, with its volumes.`,
      metric: "StatusCheckFailed_System",
      threshold: 0,
      minutes: 2,
      tell: [topic, `arn:aws:automate:${this.#stack.settings.AWS_REGION}:ec2:recover`],
    });
    alarm(this, "alarm-alive", {
      ...common,
      name: `${this.#stack.named(this.host)}-alive`,
      about: `${this.host} doesn't answer: look at its system log, or reboot it.`,
      metric: "StatusCheckFailed_Instance",
      threshold: 0,
      minutes: 3,
      tell: [topic],
    });
    alarm(this, "alarm-disk", {
      ...common,
      namespace: this.#stack.settings.DEPLOY_NAME,
      name: `${this.#stack.named(this.host)}-disk`,
      about: `A disk of ${this.host} is nearly full: make its volume larger, or keep less on it.`,
      metric: "disk_used_percent",
      threshold: 85,
      minutes: 5,
      tell: [topic],
    });
    this.#watch(topic);
  }

  /** Alarms on what the host itself reports each minute (`hosts/scripts/report`). Silence is a fault as well. */
  #watch(topic: string): void {
    const own = { namespace: this.#stack.settings.DEPLOY_NAME, of: { Host: this.host }, tell: [topic] };
    const kind = this.host.slice(0, this.host.lastIndexOf("-")) as HostKind;
    alarm(this, "alarm-ready", {
      ...own,
      name: `${this.#stack.named(this.host)}-ready`,
      about: `${this.host} doesn't do its work, or says nothing of it: ${READY_HELP[kind]}`,
      metric: "Ready",
      statistic: "Maximum",
      when: "below",
      threshold: 1,
      // A processor starts within a minute; another image takes the others some minutes to boot.
      minutes: kind === "processor" ? 5 : 10,
      silence: "breaching",
    });
    for (const { id, ...more } of WATCHED[kind](this.#stack.settings)) {
      alarm(this, `alarm-${id}`, { ...own, name: `${this.#stack.named(this.host)}-${id}`, ...more });
    }
  }
}

/** What to look at on a host that is not ready. */
const READY_HELP: Readonly<Record<HostKind, string>> = {
  kafka: "journalctl -u kafka says why.",
  processor: "its status page, and journalctl -u clickstream, say why.",
  monitoring: "systemctl --failed says what doesn't run. Prometheus' alerts reach nobody meanwhile.",
};

type Watched = Pick<Alarm, "about" | "metric" | "statistic" | "when" | "threshold" | "minutes"> & {
  readonly id: string;
};

/** Least lag to tell somebody of, in records: that of ten minutes of the simulated shop, or more. */
const LAG_RECORDS = 10_000;

/** Alarms of each kind of host, besides whether it is ready. */
const WATCHED: Readonly<Record<HostKind, (settings: Settings) => readonly Watched[]>> = {
  kafka: ({ DEPLOY_BROKERS: brokers }) =>
    brokers === 1 ? [] : [{
      id: "replicas",
      about: "Partitions lack replicas for a quarter of an hour: one more broker lost, and they take no events.",
      metric: "UnderReplicated",
      statistic: "Minimum",
      when: "above",
      threshold: 0,
      minutes: 15,
    }],
  processor: ({ DEPLOY_RATE: rate }) => [
    {
      id: "lag",
      about: "The lag has been high for ten minutes: see its status page; another processor may be needed.",
      metric: "Lag",
      statistic: "Minimum",
      when: "above",
      threshold: Math.max(LAG_RECORDS, 600 * rate),
      minutes: 10,
    },
    {
      id: "gaps",
      about: 'Kafka deleted records before they were read: see docs/debugging.md, "Records were deleted".',
      metric: "Gaps",
      statistic: "Maximum",
      when: "above",
      threshold: 0,
      minutes: 1,
    },
  ],
  monitoring: () =>
    ([["critical", 2], ["warning", 15]] as const).map(([severity, minutes]) => ({
      id: `alerts-${severity}`,
      about: `Prometheus has alerts of severity ${severity}: Grafana shows which, under Alerting.`,
      metric: `Alerts-${severity}`,
      statistic: "Minimum",
      when: "above",
      threshold: 0,
      minutes,
    })),
};
