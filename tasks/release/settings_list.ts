/**
 * The list of settings that a package installs. It is not the file of settings itself: that one would change with each
 * version, and every upgrade would ask what to keep.
 * @module
 */
import { describeSettings } from "../../processor/config/settings_shown.ts";

const HEAD = "# Every setting of clickstream: its meaning, what is allowed, and its default.\n";

/** What a setting without a default may look like. */
const EXAMPLES: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://clickstream@localhost/clickstream",
  KAFKA_TLS_CA: "/etc/clickstream/kafka-ca.pem",
  KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
  KAFKA_SASL_USERNAME: "clickstream",
  KAFKA_TLS_CERT: "/etc/clickstream/client.pem",
  KAFKA_TLS_KEY: "/etc/clickstream/client.key",
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: "https://idp.example.com/token",
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: "clickstream",
  KAFKA_SASL_OAUTHBEARER_SCOPE: "kafka",
  KAFKA_SASL_OAUTHBEARER_EXTENSIONS: "logicalCluster=lkc-1,identityPoolId=pool-1",
  AWS_REGION: "eu-west-1",
  DATABASE_TLS_CA: "/etc/clickstream/database-ca.pem",
  HTTP_HOSTS: "clicks.example.com",
};

/** Every setting with its meaning, none of them set. */
export function allSettings(): string {
  const settings = describeSettings().map(({ name, about, allowed, default: fallback, required }) => {
    const value = fallback ?? EXAMPLES[name] ?? "";
    return `\n# ${about[0]!.toUpperCase()}${about.slice(1)}.${required ? " Required." : ""}
# Allowed: ${allowed}
#${name}=${value}\n`;
  });
  return HEAD + settings.join("");
}
