/**
 * Passwords that nobody has to know: AWS makes each and keeps it, and neither Terraform's plan nor its state sees it.
 * @module
 */
import { Construct, SecretsmanagerSecret, SecretsmanagerSecretVersion } from "./aws.ts";
import type { AwsStack } from "./stack.ts";

/** Of letters and digits alone, so that it needs no quoting anywhere: 190 bits. */
const LENGTH = 32;

/** A secret of Secrets Manager that holds a password as its plain text. */
export class Password extends Construct {
  readonly arn: string;

  constructor(stack: AwsStack, name: string, about: string, keyArn: string) {
    super(stack, name);
    const secret = new SecretsmanagerSecret(this, "secret", {
      name: `${stack.settings.DEPLOY_NAME}/${name}`,
      description: about,
      kmsKeyId: keyArn,
      // Gone at once, or its name would not be free for the next deployment; a new one is made with that.
      recoveryWindowInDays: 0,
    });
    this.arn = secret.arn;
    const made = `${name}-password`;
    // CDKTF has no word for ephemeral resources: it is written as Terraform reads it.
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
