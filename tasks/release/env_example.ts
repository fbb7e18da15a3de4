/**
 * The file of settings that a package installs: every setting with its meaning, none of them set.
 * @module
 */
import { describeSettings } from "../../processor/config/settings_shown.ts";

const HEAD = `# Settings of clickstream: one NAME=value on each line. Remove the # before a name to set it.
# Check them:  clickstream --config /etc/clickstream/clickstream.env config check
# Use them:    systemctl restart clickstream.service
#
# Secrets may stand here, or in files that only root can read, with nothing but the value in them:
#   /etc/credstore/clickstream.DATABASE_URL          the login of the service
#   /etc/credstore/clickstream.DATABASE_ADMIN_URL    the login that migrates and maintains, if it is another one
#   /etc/credstore/clickstream.KAFKA_SASL_PASSWORD
`;

/** What a setting without a default may look like. */
const EXAMPLES: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://clickstream@localhost/clickstream",
  KAFKA_TLS_CA: "/etc/clickstream/kafka-ca.pem",
  KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
  KAFKA_SASL_USERNAME: "clickstream",
  DATABASE_TLS_CA: "/etc/clickstream/database-ca.pem",
  HTTP_HOSTS: "clicks.example.com",
};

/** The text of the file. */
export function envExample(): string {
  const settings = describeSettings().map(({ name, about, allowed, default: fallback, required }) => {
    const value = fallback ?? EXAMPLES[name] ?? "";
    return `\n# ${about[0]!.toUpperCase()}${about.slice(1)}.${required ? " Required." : ""}
# Allowed: ${allowed}
#${name}=${value}\n`;
  });
  return HEAD + settings.join("");
}
