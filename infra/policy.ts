/**
 * What is allowed to whom, as the JSON that IAM reads.
 * @module
 */

/** One permission. */
export interface Statement {
  readonly effect?: "Allow" | "Deny";
  /** Named one by one: `service:Action`. */
  readonly actions: readonly string[];
  /** ARNs; `*` only where the action knows no resource. */
  readonly resources: readonly string[];
  /** Whom it is about, in a policy that hangs on a resource. */
  readonly principal?: { readonly service: string } | { readonly account: string } | "everybody";
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Actions that know no resource, so that `*` is all that can be said. */
export const WITHOUT_RESOURCE: ReadonlySet<string> = new Set([
  "cloudwatch:PutMetricData",
  "ec2:AssignPrivateIpAddresses",
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:UnassignPrivateIpAddresses",
  "ssm:UpdateInstanceInformation",
  "ssmmessages:CreateControlChannel",
  "ssmmessages:CreateDataChannel",
  "ssmmessages:OpenControlChannel",
  "ssmmessages:OpenDataChannel",
]);

/**
 * The statements as IAM's JSON.
 *
 * @throws {Error} where one allows more than it names
 */
export function policy(...statements: readonly Statement[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements.map(written) });
}

/** The policy by which a service takes a role. */
export function trust(service: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: service } }],
  });
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
