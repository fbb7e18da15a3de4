import assert from "node:assert/strict";
import { PARTIES, TALKS } from "./network.ts";
import { WITHOUT_RESOURCE } from "./policy.ts";
import { SIZES } from "./sizes.ts";
import { type Json, type JsonObject, leaves, type Resource, synthesize, type Synthesized } from "./testing/synth.ts";

/** A property of every deployment; `wrong` lists what violates it. */
interface Property {
  readonly name: string;
  readonly wrong: (deployment: Synthesized) => string[];
}

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Principal?: Json;
  readonly Condition?: Json;
}

const where = ({ stack, type, name }: Resource) => `${stack} ${type}.${name}`;

const list = <T>(value: T | readonly T[]): readonly T[] => Array.isArray(value) ? value : [value as T];

/** Lists resources of these types that violate a condition. */
const every = (types: readonly string[], is: (resource: JsonObject) => boolean) => (deployment: Synthesized) => {
  const all = types.flatMap((type) => deployment.resources(type));
  return all.length === 0 ? [`there is no ${types.join(" or ")}`] : all.filter((one) => !is(one.is)).map(where);
};

function statements({ is }: Resource): Statement[] {
  return ["policy", "assume_role_policy"].flatMap((name) => {
    const text = is[name];
    return typeof text === "string" ? (JSON.parse(text) as { Statement: Statement[] }).Statement : [];
  });
}

/** Everything that is written out and readable: the JSON, and user data decoded. */
function texts({ stacks }: Synthesized): (readonly [path: string, text: string])[] {
  return [...stacks].flatMap(([stack, json]) => leaves(json, stack)).flatMap(([path, value]) => {
    if (typeof value !== "string") return [];
    return [[path, path.endsWith("user_data") ? atob(value) : value] as const];
  });
}

const SECRET_NAMES = /pass(word|wd)?\b|secret|token|private_?key|credential/i;

/** A private key, a URL with a password, or an AWS key. */
function looksSecret(text: string): boolean {
  return /-----BEGIN [A-Z ]*PRIVATE KEY|:\/\/[^\s:/@]+:[^\s:/@$]+@|\bAKIA[0-9A-Z]{16}\b/.test(text);
}

const PROPERTIES: readonly Property[] = [
  {
    name: "nothing is open to everybody",
    wrong: (deployment) => [
      ...deployment.resources("aws_vpc_security_group_ingress_rule")
        .filter(({ is }) => is["referenced_security_group_id"] === undefined || is["cidr_ipv4"] || is["cidr_ipv6"])
        .map(where),
      ...deployment.resources("aws_security_group").filter(({ is }) => is["ingress"] || is["egress"]).map(where),
      ...deployment.resources("aws_default_security_group").filter(({ is }) => is["ingress"] || is["egress"]).map(
        where,
      ),
    ],
  },
  {
    name: "the Internet is reached through the NAT or not at all",
    wrong: (deployment) => {
      const nat = deployment.resources("aws_nat_gateway").length > 0;
      return [...deployment.resources("aws_vpc_security_group_egress_rule"), ...deployment.resources("aws_route")]
        .filter(({ is }) => !nat && (is["cidr_ipv4"] !== undefined || is["destination_cidr_block"] !== undefined))
        .map(where);
    },
  },
  {
    name: "nothing has a public address",
    wrong: (deployment) => [
      ...every(["aws_subnet"], (is) => is["map_public_ip_on_launch"] === false)(deployment),
      ...every(["aws_instance"], (is) => is["associate_public_ip_address"] === undefined)(deployment),
      ...every(["aws_db_instance"], (is) => is["publicly_accessible"] === false)(deployment),
    ],
  },
  {
    name: "disks, database, bucket, logs, queue, topic and secrets are encrypted",
    wrong: (deployment) => [
      ...every(["aws_ebs_volume"], (is) => is["encrypted"] === true)(deployment),
      ...every(
        ["aws_launch_template"],
        (is) =>
          (is["block_device_mappings"] as JsonObject[]).every(({ ebs }) => (ebs as JsonObject)["encrypted"] === "true"),
      )(
        deployment,
      ),
      ...every(["aws_db_instance"], (is) => is["storage_encrypted"] === true)(deployment),
      ...every(["aws_cloudwatch_log_group", "aws_secretsmanager_secret"], (is) => is["kms_key_id"] !== undefined)(
        deployment,
      ),
      ...every(["aws_sqs_queue", "aws_sns_topic"], (is) => is["kms_master_key_id"] !== undefined)(deployment),
      ...every(["aws_lambda_function"], (is) => is["kms_key_arn"] !== undefined)(deployment),
      ...every(["aws_s3_object"], (is) => is["server_side_encryption"] === "aws:kms")(deployment),
      ...every(["aws_s3_bucket_server_side_encryption_configuration"], () => true)(deployment),
      ...every(["aws_kms_key"], (is) => is["enable_key_rotation"] === true)(deployment),
    ],
  },
  {
    name: "TLS is required",
    wrong: (deployment) => [
      ...every(
        ["aws_db_parameter_group"],
        (is) => (is["parameter"] as JsonObject[]).some(({ name, value }) => name === "rds.force_ssl" && value === "1"),
      )(
        deployment,
      ),
      ...every(["aws_s3_bucket_policy"], (is) => /"Deny".*"aws:SecureTransport":"false"/.test(is["policy"] as string))(
        deployment,
      ),
      ...every(
        ["aws_lambda_function"],
        (is) =>
          /^SCRAM-SHA-512$/.test(
            ((is["environment"] as JsonObject)["variables"] as JsonObject)["KAFKA_SASL_MECHANISM"] as string,
          ),
      )(
        deployment,
      ),
    ],
  },
  {
    name: "the bucket is private and versioned",
    wrong: (deployment) => [
      ...every(
        ["aws_s3_bucket_public_access_block"],
        (is) =>
          ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"].every((name) =>
            is[name] === true
          ),
      )(
        deployment,
      ),
      ...every(
        ["aws_s3_bucket_versioning"],
        (is) => (is["versioning_configuration"] as JsonObject)["status"] === "Enabled",
      )(deployment),
    ],
  },
  {
    name: "instance metadata requires IMDSv2",
    wrong: every(["aws_instance", "aws_launch_template"], (is) => {
      const options = is["metadata_options"] as JsonObject | undefined;
      return options?.["http_tokens"] === "required" && options["http_put_response_hop_limit"] === 1;
    }),
  },
  {
    name: "there is no SSH access",
    wrong: (deployment) => [
      ...deployment.resources("aws_key_pair").map(where),
      ...["aws_instance", "aws_launch_template"].flatMap((type) => deployment.resources(type))
        .filter(({ is }) => is["key_name"] !== undefined).map(where),
      ...deployment.resources("aws_vpc_security_group_ingress_rule")
        .filter(({ is }) => (is["from_port"] as number) <= 22 && (is["to_port"] as number) >= 22).map(where),
    ],
  },
  {
    name: "no policy allows more than it names",
    wrong: (deployment) =>
      deployment.resources().flatMap((resource) =>
        statements(resource).filter(({ Effect }) => Effect === "Allow").flatMap((statement) => {
          const { Action, Resource: resources = [], Principal } = statement;
          // The policy of a key: `*` means the key itself, and the account may delegate its rights.
          if (resource.type === "aws_kms_key" && JSON.stringify(Principal).includes(":root")) return [];
          const actions = list(Action).filter((action) => action.includes("*"));
          const wide = resource.type === "aws_kms_key"
            ? []
            : list(Action).filter((action) => list(resources).includes("*") && !WITHOUT_RESOURCE.has(action));
          const anybody = Principal === "*" && resource.type !== "aws_vpc_endpoint" ? ["everybody"] : [];
          return [...actions, ...wide, ...anybody].map((what) => `${where(resource)} allows ${what}`);
        })
      ),
  },
  {
    name: "services that act for others do so only for this account",
    wrong: (deployment) =>
      ["aws_sqs_queue_policy", "aws_sns_topic_policy", "aws_kms_key", "aws_iam_role"]
        .flatMap((type) => deployment.resources(type)).flatMap((resource) =>
          statements(resource)
            .filter(({ Principal, Condition }) =>
              /"Service"/.test(JSON.stringify(Principal)) &&
              !/aws:SourceAccount|aws:SourceArn|encryptioncontext/i.test(JSON.stringify(Condition) ?? "")
            )
            .map(() => where(resource))
        ),
  },
  {
    name: "a role uses a key by way of one service only",
    wrong: (deployment) =>
      deployment.resources("aws_iam_role_policy").flatMap((resource) =>
        statements(resource)
          .filter(({ Effect, Action, Condition }) =>
            Effect === "Allow" && list(Action).some((action) => action.startsWith("kms:")) &&
            !/"kms:ViaService":"[a-z0-9]+\./.test(JSON.stringify(Condition) ?? "")
          )
          .map(() => where(resource))
      ),
  },
  {
    name: "each purpose has a key of its own",
    wrong: (deployment) => {
      const keys = (type: string, argument: string) => [
        ...new Set(deployment.resources(type).map(({ is }) => /keys_(\w+?)_\w{8}/.exec(is[argument] as string)?.[1])),
      ];
      const used = [
        keys("aws_secretsmanager_secret", "kms_key_id"),
        keys("aws_cloudwatch_log_group", "kms_key_id"),
        keys("aws_s3_object", "kms_key_id"),
        keys("aws_sns_topic", "kms_master_key_id"),
      ];
      const isRight = JSON.stringify(used) === '[["secrets"],["logs"],["artifacts"],["messages"]]';
      return isRight ? [] : [JSON.stringify(used)];
    },
  },
  {
    name: "the network reaches no other account's bucket",
    wrong: (deployment) =>
      deployment.resources("aws_vpc_endpoint").flatMap((resource) =>
        statements(resource)
          .filter(({ Resource: resources = [], Condition }) =>
            !list(resources).every((arn) => arn.startsWith("arn:aws:s3:::al2023-repos-")) &&
            !JSON.stringify(Condition ?? {}).includes("s3:ResourceAccount")
          )
          .map(() => where(resource))
      ),
  },
  {
    name: "the function can't change the network itself",
    wrong: (deployment) =>
      deployment.resources("aws_iam_role_policy").flatMap((resource) => {
        const all = statements(resource);
        const allowed = all.filter(({ Effect }) => Effect === "Allow").flatMap(({ Action }) => list(Action));
        const denied = all.filter(({ Effect, Condition }) =>
          Effect === "Deny" && JSON.stringify(Condition).includes("lambda:SourceFunctionArn")
        ).flatMap(({ Action }) => list(Action));
        if (!allowed.includes("ec2:CreateNetworkInterface")) return [];
        return allowed.filter((action) => action.startsWith("ec2:") && !denied.includes(action))
          .map((action) => `${where(resource)} allows ${action}`);
      }),
  },
  {
    name: "no change of a template, an image or a machine replaces or stops a host: one after another is `roll`'s work",
    wrong: every(["aws_instance"], (is) => {
      const ignored = (is["lifecycle"] as JsonObject | undefined)?.["ignore_changes"] as string[] | undefined ?? [];
      return ignored.includes("launch_template") && ignored.includes("instance_type");
    }),
  },
  {
    name: "each role is assumed by one service",
    wrong: every(["aws_iam_role"], (is) =>
      /^\{"Service":"[a-z0-9.-]+\.amazonaws\.com"\}$/.test(
        JSON.stringify(
          (JSON.parse(is["assume_role_policy"] as string) as { Statement: { Principal: Json }[] }).Statement[0]!
            .Principal,
        ),
      )),
  },
  {
    name: "no secret is in the output, not even in user data and releases",
    wrong: (deployment) => [
      ...texts(deployment).filter(([, text]) => looksSecret(text)).map(([path]) => path),
      ...texts(deployment).filter(([path, text]) =>
        SECRET_NAMES.test(path.split(".").at(-1)!) && !/^(arn:|\$\{|true$|false$)/.test(text) &&
        !["name", "description", "password_encryption", "http_tokens"].includes(path.split(".").at(-1)!)
      ).map(([path, text]) => `${path} is ${text}`),
      ...every(
        ["aws_secretsmanager_secret_version"],
        (is) => is["secret_string"] === undefined && /^\$\{ephemeral\./.test(is["secret_string_wo"] as string),
      )(deployment),
      ...every(["aws_db_instance"], (is) => is["password"] === undefined && is["manage_master_user_password"] === true)(
        deployment,
      ),
    ],
  },
  {
    name: "hosts read only their own secrets",
    wrong: (deployment) =>
      deployment.resources("aws_iam_role_policy").flatMap((resource) => {
        const host = /^(kafka|processor|monitoring)-\d/.exec(resource.name)?.[1] as keyof typeof READS | undefined;
        if (host === undefined) return [];
        return statements(resource).filter(({ Action }) => list(Action).includes("secretsmanager:GetSecretValue"))
          .flatMap(({ Resource: arns = [] }) => list(arns)).filter((arn) => !READS[host].test(arn))
          .map((arn) => `${where(resource)} reads ${arn}`);
      }),
  },
  {
    name: "network traffic is logged",
    wrong: every(["aws_flow_log"], (is) => is["traffic_type"] === "ALL"),
  },
  {
    name: "everything is tagged",
    wrong: ({ stacks }) =>
      [...stacks].filter(([stack, { provider }]) => {
        const tags = ((((provider as JsonObject)["aws"] as JsonObject[])[0]!["default_tags"] as JsonObject[])[0]!)[
          "tags"
        ] as JsonObject;
        return tags["application"] !== "clickstream" || tags["stack"] !== stack || !tags["deployment"];
      }).map(([stack]) => stack),
  },
  {
    name: "logs are kept for a limited time",
    wrong: every(["aws_cloudwatch_log_group"], (is) => (is["retention_in_days"] as number) > 0),
  },
];

/** Secrets by the kind of host that may read them. */
const READS = {
  kafka: /kafka-(admin|processor|generator)_secret/,
  processor: /kafka-processor_secret|database-(processor|monitoring)_secret|database-?master_user_secret/,
  monitoring: /database-monitoring_secret|grafana-admin_secret/,
} as const;

for (const { name, wrong } of PROPERTIES) {
  Deno.test(`infra, of every size: ${name}`, async () => {
    for (
      const choices of [...SIZES.map((size) => ({ DEPLOY_SIZE: size })), { DEPLOY_SIZE: "small", DEPLOY_EGRESS: "nat" }]
    ) {
      assert.deepEqual(wrong(await synthesize(choices)), [], JSON.stringify(choices));
    }
  });
}

Deno.test("infra: only the listed connections are allowed", async () => {
  const deployment = await synthesize({ DEPLOY_SIZE: "small" });
  const name = (group: Json) => /group-(\w+)\.id\}$/.exec(group as string)![1]!;
  const said = TALKS.flatMap(([from, to, ports]) => ports.map((port) => `${from} ${to} ${port}`)).sort();
  const rules = (type: string, from: string, to: string) =>
    deployment.resources(type).filter(({ is }) => is[from] !== undefined && is[to] !== undefined)
      .map(({ is }) => `${name(is[from]!)} ${name(is[to]!)} ${is["from_port"]}`).sort();
  const [own, other] = ["security_group_id", "referenced_security_group_id"] as const;
  assert.deepEqual(rules("aws_vpc_security_group_ingress_rule", other, own), said);
  assert.deepEqual(rules("aws_vpc_security_group_egress_rule", own, other), said);
  assert.deepEqual([...new Set(TALKS.flatMap(([from, to]) => [from, to]))].sort(), [...PARTIES].sort());
});

/** Planted faults: what changes in a deployment, and which property must find it. */
const PLANTED: readonly {
  readonly fault: string;
  readonly of: string;
  readonly change: Readonly<Record<string, Json>>;
  readonly seenBy: string;
}[] = [
  {
    fault: "a port for everybody",
    of: "aws_vpc_security_group_ingress_rule",
    change: { cidr_ipv4: "0.0.0.0/0" },
    seenBy: "nothing is open to everybody",
  },
  {
    fault: "a way out",
    of: "aws_vpc_security_group_egress_rule",
    change: { cidr_ipv4: "0.0.0.0/0" },
    seenBy: "the Internet is reached through the NAT or not at all",
  },
  {
    fault: "public subnets",
    of: "aws_subnet",
    change: { map_public_ip_on_launch: true },
    seenBy: "nothing has a public address",
  },
  {
    fault: "a public database",
    of: "aws_db_instance",
    change: { publicly_accessible: true },
    seenBy: "nothing has a public address",
  },
  {
    fault: "a plain disk",
    of: "aws_ebs_volume",
    change: { encrypted: false },
    seenBy: "disks, database, bucket, logs, queue, topic and secrets are encrypted",
  },
  {
    fault: "a plain database",
    of: "aws_db_instance",
    change: { storage_encrypted: false },
    seenBy: "disks, database, bucket, logs, queue, topic and secrets are encrypted",
  },
  { fault: "plain connections", of: "aws_db_parameter_group", change: { parameter: [] }, seenBy: "TLS is required" },
  {
    fault: "an open bucket",
    of: "aws_s3_bucket_public_access_block",
    change: { block_public_acls: false },
    seenBy: "the bucket is private and versioned",
  },
  {
    fault: "IMDSv1",
    of: "aws_launch_template",
    change: { metadata_options: { http_tokens: "optional" } },
    seenBy: "instance metadata requires IMDSv2",
  },
  { fault: "SSH", of: "aws_instance", change: { key_name: "mine" }, seenBy: "there is no SSH access" },
  {
    fault: "a wildcard action",
    of: "aws_iam_role_policy",
    change: { policy: '{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::x"}]}' },
    seenBy: "no policy allows more than it names",
  },
  {
    fault: "a wildcard resource",
    of: "aws_iam_role_policy",
    change: { policy: '{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}' },
    seenBy: "no policy allows more than it names",
  },
  {
    fault: "a password",
    of: "aws_db_instance",
    change: { password: "hunter2hunter2" },
    seenBy: "no secret is in the output, not even in user data and releases",
  },
  {
    fault: "a secret's value",
    of: "aws_secretsmanager_secret_version",
    change: { secret_string: "x" },
    seenBy: "no secret is in the output, not even in user data and releases",
  },
  {
    fault: "an address with a password",
    of: "aws_ssm_parameter",
    change: { value: "postgres://u:hunter2@h/d" },
    seenBy: "no secret is in the output, not even in user data and releases",
  },
  {
    fault: "a password in user data",
    of: "aws_launch_template",
    change: { user_data: btoa("postgres://u:hunter2@h/d") },
    seenBy: "no secret is in the output, not even in user data and releases",
  },
  {
    fault: "alarms from any account",
    of: "aws_sns_topic_policy",
    change: {
      policy:
        '{"Statement":[{"Effect":"Allow","Action":"sns:Publish","Principal":{"Service":"cloudwatch.amazonaws.com"}}]}',
    },
    seenBy: "services that act for others do so only for this account",
  },
  {
    fault: "a trust for any account",
    of: "aws_iam_role",
    change: {
      assume_role_policy:
        '{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"dlm.amazonaws.com"}}]}',
    },
    seenBy: "services that act for others do so only for this account",
  },
  {
    fault: "a host's role for any account",
    of: "aws_iam_role",
    change: {
      assume_role_policy:
        '{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}',
    },
    seenBy: "services that act for others do so only for this account",
  },
  {
    fault: "a key for any service",
    of: "aws_iam_role_policy",
    change: { policy: '{"Statement":[{"Effect":"Allow","Action":["kms:Decrypt"],"Resource":["arn:key"]}]}' },
    seenBy: "a role uses a key by way of one service only",
  },
  {
    fault: "one key for all",
    of: "aws_sns_topic",
    change: { kms_master_key_id: "${aws_kms_key.keys_secrets_12345678.arn}" },
    seenBy: "each purpose has a key of its own",
  },
  {
    fault: "a way to any bucket of that name",
    of: "aws_vpc_endpoint",
    change: {
      policy:
        '{"Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::clickstream-artifacts-*/*"],"Principal":"*"}]}',
    },
    seenBy: "the network reaches no other account's bucket",
  },
  {
    fault: "a function that may make interfaces",
    of: "aws_iam_role_policy",
    change: {
      policy: '{"Statement":[{"Effect":"Allow","Action":["ec2:CreateNetworkInterface"],"Resource":["arn:x"]}]}',
    },
    seenBy: "the function can't change the network itself",
  },
  {
    fault: "a host that its template replaces",
    of: "aws_instance",
    change: { lifecycle: {} },
    seenBy:
      "no change of a template, an image or a machine replaces or stops a host: one after another is `roll`'s work",
  },
  {
    fault: "another's secret",
    of: "aws_iam_role_policy",
    change: {
      policy:
        '{"Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"grafana-admin_secret_1.arn"}]}',
    },
    seenBy: "hosts read only their own secrets",
  },
  {
    fault: "logs for ever",
    of: "aws_cloudwatch_log_group",
    change: { retention_in_days: 0 },
    seenBy: "logs are kept for a limited time",
  },
];

for (const { fault, of, change, seenBy } of PLANTED) {
  Deno.test(`infra: ${fault} is found`, async () => {
    const sound = await synthesize({ DEPLOY_SIZE: "small" });
    const stacks = new Map([...sound.stacks].map(([stack, json]) => [stack, planted(json, of, change)]));
    const broken: Synthesized = {
      ...sound,
      stacks,
      resources: (type) =>
        sound.resources(type).map((one) => one.type === of ? { ...one, is: { ...one.is, ...change } } : one),
    };
    const property = PROPERTIES.find(({ name }) => name === seenBy)!;
    assert.deepEqual(property.wrong(sound), []);
    assert.notDeepEqual(property.wrong(broken), []);
  });
}

function planted(json: JsonObject, type: string, change: JsonObject): JsonObject {
  const all = json["resource"] as JsonObject;
  const changed = Object.entries((all[type] ?? {}) as JsonObject).map((
    [name, is],
  ) => [name, { ...is as JsonObject, ...change }]);
  return { ...json, resource: { ...all, [type]: Object.fromEntries(changed) } };
}

Deno.test("infra: data volumes have daily snapshots where a last one is kept, and somebody is told of silence", async () => {
  for (const size of SIZES) {
    const deployment = await synthesize({ DEPLOY_SIZE: size });
    const policies = deployment.resources("aws_dlm_lifecycle_policy");
    assert.equal(policies.length, size === "dev" ? 0 : 1, size);
    for (const { is } of deployment.resources("aws_ebs_volume")) {
      assert.equal((is["tags"] as JsonObject)["snapshots"], "daily");
    }
    for (const { is } of policies) {
      const { target_tags: tags } = is["policy_details"] as JsonObject;
      assert.deepEqual(tags, { deployment: "clickstream", snapshots: "daily" });
    }
    const hosts = deployment.resources("aws_instance").map(({ is }) => (is["tags"] as JsonObject)["Name"] as string);
    const alarms = new Map(
      deployment.resources("aws_cloudwatch_metric_alarm").map(({ is }) => [is["alarm_name"] as string, is]),
    );
    for (const host of hosts) {
      const ready = alarms.get(`${host}-ready`);
      assert.equal(ready?.["treat_missing_data"], "breaching", host);
      assert.ok((ready["alarm_actions"] as string[]).length > 0);
      if (host.includes("processor")) assert.ok(alarms.has(`${host}-lag`) && alarms.has(`${host}-gaps`), host);
    }
  }
});
