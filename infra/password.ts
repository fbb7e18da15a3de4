/**
 * Passwords that nobody needs to know: AWS creates and stores each, and Terraform's plan and state never contain it.
 * @module
 */
import { Construct, SecretsmanagerSecret, SecretsmanagerSecretVersion } from "./aws.ts";
import type { AwsStack } from "./stack.ts";

/** Only letters and digits, so that it needs no quoting anywhere: 190 bits. */
const LENGTH = 32;

/** A secret of Secrets Manager with a password as plain text. */
export class Password extends Construct {
  readonly arn: string;

  constructor(stack: AwsStack, name: string, about: string, keyArn: string) {
    super(stack, name);
    const secret = new SecretsmanagerSecret(this, "secret", {
      name: `${stack.settings.DEPLOY_NAME}/${name}`,
      description: about,
      kmsKeyId: keyArn,
      // Deleted at once, so that its name is free for the next deployment, which creates a new one.
      recoveryWindowInDays: 0,
    });
    this.arn = secret.arn;
    const made = `${name}-password`;
    // CDKTF does not support ephemeral resources, so this is written as Terraform JSON.
    stack.addOverride(`ephemeral.aws_secretsmanager_random_password.${made}`, {
      password_length: LENGTH,
      exclude_punctuation: true,
    });
    new SecretsmanagerSecretVersion(this, "value", {
      secretId: secret.id,
      secretStringWo: `\${ephemeral.aws_secretsmanager_random_password.${made}.random_password}`,
      secretStringWoVersion: 1,
    });
  }
}
