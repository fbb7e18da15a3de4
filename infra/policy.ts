/**
 * IAM policies as JSON.
 * @module
 */

/** One permission. */
export interface Statement {
  readonly effect?: "Allow" | "Deny";
  /** Listed one by one: `service:Action`. */
  readonly actions: readonly string[];
  /** ARNs; `*` only if the action supports no resources. */
  readonly resources: readonly string[];
  /** Principal, in the policy of a resource. */
  readonly principal?: { readonly service: string } | { readonly account: string } | "everybody";
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Actions that support no resources and therefore need `*`. Any other on everything is an error. */
export const WITHOUT_RESOURCE: ReadonlySet<string> = new Set([
  "cloudwatch:PutMetricData",
  "ec2:DescribeInstances",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSnapshots",
  "ec2:DescribeSubnets",
  "ec2:DescribeVolumes",
  "ssmmessages:CreateControlChannel",
  "ssmmessages:CreateDataChannel",
  "ssmmessages:OpenControlChannel",
  "ssmmessages:OpenDataChannel",
]);

/**
 * Formats statements as IAM's JSON.
 *
 * @throws {Error} if a statement allows more than it names
 */
export function policy(...statements: readonly Statement[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements.map(written) });
}

/**
 * Services that give a role to code of the same account only, and whose documentation does not promise that they name
 * the account when they assume it. For them the condition holds if they do; required, it could lock a host or the
 * function out of its own role.
 */
const MAY_NOT_NAME_ACCOUNT: ReadonlySet<string> = new Set(["ec2.amazonaws.com", "lambda.amazonaws.com"]);

/** The policy that lets a service assume a role, on behalf of this account only. */
export function trust(service: string, account: string): string {
  const operator = MAY_NOT_NAME_ACCOUNT.has(service) ? "StringEqualsIfExists" : "StringEquals";
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{
      Effect: "Allow",
      Action: "sts:AssumeRole",
      Principal: { Service: service },
      Condition: { [operator]: { "aws:SourceAccount": account } },
    }],
  });
}

/** Permission to decrypt with a key, by way of one service only: nobody can use it on what was read elsewhere. */
export function decrypt(keyArn: string, service: string, region: string): Statement {
  return {
    actions: ["kms:Decrypt"],
    resources: [keyArn],
    condition: { StringEquals: { "kms:ViaService": `${service}.${region}.amazonaws.com` } },
  };
}

function written({ effect = "Allow", actions, resources, principal, condition }: Statement): unknown {
  for (const action of actions) {
    if (effect === "Allow" && action.includes("*") && principal === undefined) {
      throw new Error(`${action} is allowed: name the actions one by one`);
    }
    if (effect === "Allow" && resources.includes("*") && principal === undefined && !WITHOUT_RESOURCE.has(action)) {
      throw new Error(`${action} is allowed on everything: name its resources`);
    }
  }
  return {
    Effect: effect,
    ...(principal === undefined ? {} : { Principal: principalOf(principal) }),
    Action: actions,
    Resource: resources,
    ...(condition === undefined ? {} : { Condition: condition }),
  };
}

function principalOf(principal: NonNullable<Statement["principal"]>): unknown {
  if (principal === "everybody") return "*";
  return "service" in principal ? { Service: principal.service } : { AWS: `arn:aws:iam::${principal.account}:root` };
}
