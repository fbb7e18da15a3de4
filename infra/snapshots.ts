/**
 * Daily snapshots of the data volumes, which Data Lifecycle Manager makes and deletes.
 * @module
 */
import { DlmLifecyclePolicy, IamRole, IamRolePolicy } from "./aws.ts";
import { policy, trust } from "./policy.ts";
import type { AwsStack } from "./stack.ts";

/** Tag of the volumes of which snapshots are made. */
export const SNAPSHOT_TAG = "snapshots";

/** Makes a snapshot of each data volume of the deployment every night, and keeps as many as there are days of backups. */
export function makeSnapshots(stack: AwsStack, account: string): void {
  const { AWS_REGION: region, DEPLOY_BACKUP_DAYS: days, DEPLOY_NAME: name } = stack.settings;
  const role = new IamRole(stack, "snapshots-role", {
    name: stack.named("snapshots"),
    assumeRolePolicy: trust("dlm.amazonaws.com", account),
  });
  const own = { StringEquals: { "aws:ResourceTag/deployment": name } };
  new IamRolePolicy(stack, "snapshots-policy", {
    name: "snapshots",
    role: role.id,
    policy: policy(
      { actions: ["ec2:DescribeInstances", "ec2:DescribeVolumes", "ec2:DescribeSnapshots"], resources: ["*"] },
      { actions: ["ec2:CreateSnapshot"], resources: [`arn:aws:ec2:${region}:${account}:volume/*`], condition: own },
      // A new snapshot has no tags yet. Snapshots belong to no account in their ARNs.
      { actions: ["ec2:CreateSnapshot"], resources: [`arn:aws:ec2:${region}::snapshot/*`] },
      {
        actions: ["ec2:CreateTags"],
        resources: [`arn:aws:ec2:${region}::snapshot/*`],
        condition: { StringEquals: { "ec2:CreateAction": "CreateSnapshot" } },
      },
      { actions: ["ec2:DeleteSnapshot"], resources: [`arn:aws:ec2:${region}::snapshot/*`], condition: own },
    ),
  });
  new DlmLifecyclePolicy(stack, "snapshots", {
    description: `daily snapshots of the data volumes of ${name}`,
    executionRoleArn: role.arn,
    state: "ENABLED",
    policyDetails: {
      resourceTypes: ["VOLUME"],
      targetTags: { deployment: name, [SNAPSHOT_TAG]: "daily" },
      schedule: [{
        name: "daily",
        copyTags: true,
        createRule: { interval: 24, intervalUnit: "HOURS", times: ["01:00"] },
        retainRule: { count: days },
      }],
    },
  });
}
