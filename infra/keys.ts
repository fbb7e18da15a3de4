/**
 * A key of KMS for each purpose: whoever may read logs can't read secrets with the same right.
 * @module
 */
import { Construct, KmsAlias, KmsKey } from "./aws.ts";
import { policy, type Statement } from "./policy.ts";
import type { AwsStack } from "./stack.ts";

/**
 * What keys are for:
 * `secrets`: passwords;
 * `artifacts`: the files in the bucket;
 * `logs`: log groups, and the database's Performance Insights;
 * `messages`: alarms, lost ticks, and the function that makes ticks into events.
 */
export const PURPOSES = ["secrets", "artifacts", "logs", "messages"] as const;

/** What a key is for. */
export type Purpose = typeof PURPOSES[number];

/** The keys of a deployment. */
export class Keys extends Construct {
  readonly #keys: ReadonlyMap<Purpose, KmsKey>;

  /** @param account the account that they belong to */
  constructor(stack: AwsStack, account: string) {
    super(stack, "keys");
    const { DEPLOY_NAME: name, AWS_REGION: region } = stack.settings;
    this.#keys = new Map(PURPOSES.map((purpose) => {
      const key = new KmsKey(this, purpose, {
        description: `encrypts ${purpose} of ${name}`,
        enableKeyRotation: true,
        deletionWindowInDays: 7,
        policy: policy(
          { actions: ["kms:*"], resources: ["*"], principal: { account } },
          ...SERVICES[purpose](region, account),
        ),
      });
      new KmsAlias(this, `${purpose}-name`, { name: `alias/${name}-${purpose}`, targetKeyId: key.keyId });
      return [purpose, key];
    }));
  }

  /** ARN of the key for a purpose. */
  arn(purpose: Purpose): string {
    return this.#keys.get(purpose)!.arn;
  }
}

/** Services that use a key by themselves, not with the rights of whoever calls them. */
const SERVICES: Readonly<Record<Purpose, (region: string, account: string) => readonly Statement[]>> = {
  secrets: () => [],
  artifacts: () => [],
  logs: (region, account) => [{
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
    condition: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": `arn:aws:logs:${region}:${account}:log-group:*` } },
  }],
  messages: (_, account) =>
    ["cloudwatch.amazonaws.com", "events.amazonaws.com"].map((service) => ({
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: ["*"],
      principal: { service },
      condition: { StringEquals: { "aws:SourceAccount": account } },
    })),
};
