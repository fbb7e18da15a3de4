/**
 * The private network and what all stacks share: the record of the settings, a DNS zone, a key, a topic for alarms.
 * @module
 */
import { addressIn, cidrText, subnetOf, type Tier } from "./addresses.ts";
import {
  CloudwatchLogGroup,
  type Construct,
  DataAwsAvailabilityZones,
  DataAwsCallerIdentity,
  DefaultSecurityGroup,
  EgressRule,
  Eip,
  FlowLog,
  IamRole,
  IamRolePolicy,
  IngressRule,
  InternetGateway,
  KmsAlias,
  KmsKey,
  NatGateway,
  Route,
  Route53Zone,
  RouteTable,
  RouteTableAssociation,
  SecurityGroup,
  SnsTopic,
  SnsTopicPolicy,
  SnsTopicSubscription,
  Subnet,
  Vpc,
  VpcEndpoint,
} from "./aws.ts";
import { PORTS } from "./hosts/settings.ts";
import { policy, trust } from "./policy.ts";
import { addRecord } from "./record.ts";
import type { Settings } from "./settings.ts";
import { AwsStack } from "./stack.ts";

/** AWS services that hosts and the function use. */
const ENDPOINTS = ["ssm", "ssmmessages", "secretsmanager", "logs", "monitoring"] as const;

/** Parties of the network; each has a security group. */
export const PARTIES = ["kafka", "processor", "monitoring", "generator", "database", "endpoints"] as const;

/** A party of the network. */
export type Party = typeof PARTIES[number];

const HTTPS = 443;
const POSTGRES = 5432;

/** Allowed connections: from, to, and ports. All others are blocked. */
export const TALKS: readonly (readonly [from: Party, to: Party, ports: readonly number[]])[] = [
  ["kafka", "kafka", [PORTS.broker, PORTS.controller]],
  ["processor", "kafka", [PORTS.broker]],
  ["generator", "kafka", [PORTS.broker]],
  ["monitoring", "kafka", [PORTS.kafkaExporter, PORTS.nodeExporter]],
  ["monitoring", "processor", [PORTS.processor, PORTS.nodeExporter]],
  ["processor", "database", [POSTGRES]],
  ["monitoring", "database", [POSTGRES]],
  ["kafka", "endpoints", [HTTPS]],
  ["processor", "endpoints", [HTTPS]],
  ["monitoring", "endpoints", [HTTPS]],
  ["generator", "endpoints", [HTTPS]],
];

/** First address of each kind of host in its subnet. */
const FIRST_ADDRESS = { kafka: 10, processor: 20, monitoring: 30 } as const;

/** The network. */
export class NetworkStack extends AwsStack {
  readonly vpc: Vpc;
  readonly key: KmsKey;
  readonly zone: Route53Zone;
  readonly alarms: SnsTopic;
  /** Where hosts write their logs. */
  readonly logs: CloudwatchLogGroup;
  readonly #subnets: Readonly<Record<Exclude<Tier, "public">, readonly Subnet[]>>;
  readonly #groups: ReadonlyMap<Party, SecurityGroup>;

  constructor(scope: Construct, settings: Settings) {
    super(scope, "network", settings);
    addRecord(this, settings);
    this.key = this.#makeKey();
    this.vpc = new Vpc(this, "vpc", {
      cidrBlock: cidrText(settings.DEPLOY_NETWORK),
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: { Name: settings.DEPLOY_NAME },
      lifecycle: { precondition: [this.#zonesExist()] },
    });
    // The default security group: it allows nothing in or out.
    new DefaultSecurityGroup(this, "nobody", { vpcId: this.vpc.id });
    this.#subnets = {
      hosts: this.#makeSubnets("hosts"),
      services: this.#makeSubnets("services"),
      database: this.#makeSubnets("database"),
    };
    const routes = this.#makeRoutes();
    const s3 = this.#makeS3Endpoint(routes);
    this.#groups = this.#makeGroups(s3);
    if (settings.DEPLOY_EGRESS === "endpoints") this.#makeEndpoints();
    else this.#makeNat(routes);
    this.#makeFlowLog();
    this.logs = this.#makeLogGroup("hosts");
    this.zone = new Route53Zone(this, "zone", {
      name: this.#zoneName,
      comment: "names of the hosts, which outlive them",
      vpc: [{ vpcId: this.vpc.id }],
    });
    this.alarms = this.#makeAlarms();
  }

  /** Subnets of a tier, one per zone. */
  subnets(tier: Exclude<Tier, "public">): readonly Subnet[] {
    return this.#subnets[tier];
  }

  /** The security group of a party. */
  group(party: Party): SecurityGroup {
    return this.#groups.get(party)!;
  }

  /** Where a host runs: the hosts of a kind, counted from 1, are spread over the zones. */
  placeOf(kind: keyof typeof FIRST_ADDRESS, number: number): { subnet: Subnet; zone: string; address: string } {
    const { DEPLOY_ZONES: zones, DEPLOY_NETWORK: network } = this.settings;
    const zone = (number - 1) % zones.length;
    return {
      subnet: this.#subnets.hosts[zone]!,
      zone: this.#zoneOf(zone),
      address: addressIn(subnetOf(network, "hosts", zone), FIRST_ADDRESS[kind] + number),
    };
  }

  /** The fully qualified name of a host. */
  hostName(host: string): string {
    return `${host}.${this.#zoneName}`;
  }

  get #zoneName(): string {
    return `${this.settings.DEPLOY_NAME}.internal`;
  }

  #zoneOf(zone: number): string {
    return `${this.settings.AWS_REGION}${this.settings.DEPLOY_ZONES[zone]}`;
  }

  /** Not every region, and not every account, has the zones a, b and c. */
  #zonesExist(): { condition: string; errorMessage: string } {
    const { fqn } = new DataAwsAvailabilityZones(this, "zones", { state: "available" });
    const wanted = JSON.stringify(this.settings.DEPLOY_ZONES.map((_, zone) => this.#zoneOf(zone)));
    return {
      condition: `\${length(setsubtract(${wanted}, ${fqn}.names)) == 0}`,
      errorMessage: `The account has the zones \${join(", ", ${fqn}.names)}: set DEPLOY_ZONES to the letters of some.`,
    };
  }

  #makeKey(): KmsKey {
    const { accountId: account } = new DataAwsCallerIdentity(this, "account");
    const region = this.settings.AWS_REGION;
    const key = new KmsKey(this, "key", {
      description: `encrypts what ${this.settings.DEPLOY_NAME} keeps`,
      enableKeyRotation: true,
      deletionWindowInDays: 7,
      policy: policy(
        { actions: ["kms:*"], resources: ["*"], principal: { account } },
        {
          actions: [
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:GenerateDataKey",
            "kms:DescribeKey",
          ],
          resources: ["*"],
          principal: { service: `logs.${region}.amazonaws.com` },
          condition: {
            ArnLike: { "kms:EncryptionContext:aws:logs:arn": `arn:aws:logs:${region}:${account}:log-group:*` },
          },
        },
        ...["cloudwatch.amazonaws.com", "events.amazonaws.com"].map((service) => ({
          actions: ["kms:Decrypt", "kms:GenerateDataKey"],
          resources: ["*"],
          principal: { service },
          condition: { StringEquals: { "aws:SourceAccount": account } },
        })),
      ),
    });
    new KmsAlias(this, "key-name", { name: `alias/${this.settings.DEPLOY_NAME}`, targetKeyId: key.keyId });
    return key;
  }

  #makeSubnets(tier: Tier, zones = this.settings.DEPLOY_ZONES): Subnet[] {
    return zones.map((letter, zone) =>
      new Subnet(this, `${tier}-${letter}`, {
        vpcId: this.vpc.id,
        cidrBlock: cidrText(subnetOf(this.settings.DEPLOY_NETWORK, tier, zone)),
        availabilityZone: this.#zoneOf(zone),
        mapPublicIpOnLaunch: false,
        tags: { Name: this.named(`${tier}-${letter}`) },
      })
    );
  }

  /** The database's subnets have no route out of the network; hosts and the function share a route table. */
  #makeRoutes(): RouteTable {
    const inside = new RouteTable(this, "inside", { vpcId: this.vpc.id, tags: { Name: this.named("inside") } });
    const database = new RouteTable(this, "database", { vpcId: this.vpc.id, tags: { Name: this.named("database") } });
    for (const tier of ["hosts", "services", "database"] as const) {
      this.#subnets[tier].forEach((subnet, zone) => {
        new RouteTableAssociation(this, `${tier}-${this.settings.DEPLOY_ZONES[zone]}-routes`, {
          subnetId: subnet.id,
          routeTableId: tier === "database" ? database.id : inside.id,
        });
      });
    }
    return inside;
  }

  /** Artifacts, and Amazon Linux's packages, which are in a bucket of each region. */
  #makeS3Endpoint(routes: RouteTable): VpcEndpoint {
    const region = this.settings.AWS_REGION;
    return new VpcEndpoint(this, "s3", {
      vpcId: this.vpc.id,
      serviceName: `com.amazonaws.${region}.s3`,
      vpcEndpointType: "Gateway",
      routeTableIds: [routes.id],
      policy: policy({
        actions: ["s3:GetObject"],
        resources: [`arn:aws:s3:::${this.named("artifacts")}-*/*`, `arn:aws:s3:::al2023-repos-${region}-*/*`],
        principal: "everybody",
      }),
      tags: { Name: this.named("s3") },
    });
  }

  #makeGroups(s3: VpcEndpoint): Map<Party, SecurityGroup> {
    const groups = new Map(PARTIES.map((party) => [
      party,
      new SecurityGroup(this, `group-${party}`, {
        name: this.named(party),
        description: `${party} of ${this.settings.DEPLOY_NAME}`,
        vpcId: this.vpc.id,
        tags: { Name: this.named(party) },
      }),
    ]));
    for (const [from, to, ports] of TALKS) {
      for (const port of ports) {
        const rule = { ipProtocol: "tcp", fromPort: port, toPort: port, description: `${from} to ${to}` };
        const [source, target] = [groups.get(from)!.id, groups.get(to)!.id];
        new EgressRule(this, `${from}-out-${to}-${port}`, {
          ...rule,
          securityGroupId: source,
          referencedSecurityGroupId: target,
        });
        new IngressRule(this, `${to}-in-${from}-${port}`, {
          ...rule,
          securityGroupId: target,
          referencedSecurityGroupId: source,
        });
      }
    }
    for (const host of ["kafka", "processor", "monitoring"] as const) {
      new EgressRule(this, `${host}-out-s3`, {
        securityGroupId: groups.get(host)!.id,
        prefixListId: s3.prefixListId,
        ipProtocol: "tcp",
        fromPort: HTTPS,
        toPort: HTTPS,
        description: `${host} to artifacts and packages`,
      });
    }
    return groups;
  }

  /** `dev` has it in one zone, and the other zone uses it there. */
  #makeEndpoints(): void {
    const subnets = this.#subnets.services.slice(0, this.settings.DEPLOY_SIZE === "dev" ? 1 : undefined);
    for (const service of ENDPOINTS) {
      new VpcEndpoint(this, `endpoint-${service}`, {
        vpcId: this.vpc.id,
        serviceName: `com.amazonaws.${this.settings.AWS_REGION}.${service}`,
        vpcEndpointType: "Interface",
        privateDnsEnabled: true,
        subnetIds: subnets.map(({ id }) => id),
        securityGroupIds: [this.group("endpoints").id],
        tags: { Name: this.named(service) },
      });
    }
  }

  /** One for all zones. If its zone fails, hosts keep running but cannot be managed. */
  #makeNat(routes: RouteTable): void {
    const [outside] = this.#makeSubnets("public", this.settings.DEPLOY_ZONES.slice(0, 1));
    const gateway = new InternetGateway(this, "gateway", {
      vpcId: this.vpc.id,
      tags: { Name: this.settings.DEPLOY_NAME },
    });
    const table = new RouteTable(this, "outside", { vpcId: this.vpc.id, tags: { Name: this.named("outside") } });
    new Route(this, "outside-internet", {
      routeTableId: table.id,
      destinationCidrBlock: "0.0.0.0/0",
      gatewayId: gateway.id,
    });
    new RouteTableAssociation(this, "outside-routes", { subnetId: outside!.id, routeTableId: table.id });
    const nat = new NatGateway(this, "nat", {
      subnetId: outside!.id,
      allocationId: new Eip(this, "nat-address", { domain: "vpc", dependsOn: [gateway] }).allocationId,
      tags: { Name: this.settings.DEPLOY_NAME },
    });
    new Route(this, "inside-internet", {
      routeTableId: routes.id,
      destinationCidrBlock: "0.0.0.0/0",
      natGatewayId: nat.id,
    });
    for (const party of ["kafka", "processor", "monitoring", "generator"] as const) {
      new EgressRule(this, `${party}-out-internet`, {
        securityGroupId: this.group(party).id,
        cidrIpv4: "0.0.0.0/0",
        ipProtocol: "tcp",
        fromPort: HTTPS,
        toPort: HTTPS,
        description: `${party} to AWS, over the NAT`,
      });
    }
  }

  #makeLogGroup(name: string): CloudwatchLogGroup {
    return new CloudwatchLogGroup(this, name, {
      name: `/${this.settings.DEPLOY_NAME}/${name}`,
      retentionInDays: this.settings.DEPLOY_LOG_DAYS,
      kmsKeyId: this.key.arn,
    });
  }

  #makeFlowLog(): void {
    const group = this.#makeLogGroup("flows");
    const role = new IamRole(this, "flows-role", {
      name: this.named("flows"),
      assumeRolePolicy: trust("vpc-flow-logs.amazonaws.com"),
    });
    new IamRolePolicy(this, "flows-policy", {
      name: "write",
      role: role.id,
      policy: policy({
        actions: ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
        resources: [group.arn, `${group.arn}:*`],
      }),
    });
    new FlowLog(this, "flow-log", {
      vpcId: this.vpc.id,
      trafficType: "ALL",
      logDestinationType: "cloud-watch-logs",
      logDestination: group.arn,
      iamRoleArn: role.arn,
      tags: { Name: this.settings.DEPLOY_NAME },
    });
  }

  #makeAlarms(): SnsTopic {
    const topic = new SnsTopic(this, "alarms", { name: this.named("alarms"), kmsMasterKeyId: this.key.arn });
    new SnsTopicPolicy(this, "alarms-policy", {
      arn: topic.arn,
      policy: policy({
        actions: ["sns:Publish"],
        resources: [topic.arn],
        principal: { service: "cloudwatch.amazonaws.com" },
      }),
    });
    const email = this.settings.DEPLOY_ALARM_EMAIL;
    if (email !== null) {
      new SnsTopicSubscription(this, "alarms-email", { topicArn: topic.arn, protocol: "email", endpoint: email });
    }
    return topic;
  }
}
