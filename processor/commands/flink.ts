/**
 * Prints the views as a Flink SQL job.
 * @module
 */
import { type Settings, viewsOf } from "../config/config.ts";
import { hostText, parseDatabaseUrl } from "../config/database_url.ts";
import { WINDOW_MS } from "../pipeline/duplicates.ts";
import { ALLOWED_DELAY_MS } from "../pipeline/reading.ts";
import type { Secret } from "../config/secret.ts";
import { flinkPreparation } from "../postgres/dialect.ts";
import { type FlinkJob, flinkJob } from "../translate/flink.ts";
import { DAY_MS, minutes } from "../views/view.ts";
import { EXIT, WrongUse } from "./cli/exit.ts";
import type { READS } from "./cli/reads.ts";

/** Settings of the job; without `DATABASE_URL`, the job has placeholders. */
export type FlinkSettings = Settings<typeof READS.flink[number]> & { readonly DATABASE_URL: Secret | null };

/** Prints the job; returns the exit code. Passwords are never printed. */
export function flink(settings: FlinkSettings, write: (text: string) => void): number {
  write(flinkJob(jobOf(settings)));
  return EXIT.done;
}

/** The job for these settings. */
export function jobOf(settings: FlinkSettings): FlinkJob {
  const views = viewsOf(settings);
  return {
    views,
    preparation: views.flatMap(flinkPreparation),
    kafka: {
      connector: "kafka",
      topic: settings.KAFKA_TOPIC,
      "properties.bootstrap.servers": settings.KAFKA_BROKERS.join(","),
      "properties.group.id": settings.KAFKA_GROUP_ID,
      "properties.auto.offset.reset": "earliest",
      "properties.isolation.level": "read_committed",
      ...security(settings),
      "scan.startup.mode": "group-offsets",
      "value.format": "json",
      "value.json.ignore-parse-errors": "true",
    },
    database: database(settings),
    delayMs: ALLOWED_DELAY_MS,
    keepMs: settings.EVENTS_KEEP_DAYS * DAY_MS,
    timeZone: settings.TIME_ZONE ?? "UTC",
    hashRoutes: settings.HASH_ROUTES,
    currency: settings.CURRENCY,
    repeatMs: WINDOW_MS,
    idleMs: minutes(5),
  };
}

function security(settings: FlinkSettings): Record<string, string> {
  const { KAFKA_TLS_CA: tls, KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: user } = settings;
  const properties: Record<string, string> = {};
  if (tls !== null || mechanism !== null) {
    properties["properties.security.protocol"] = `${mechanism === null ? "" : "SASL_"}${
      tls === null ? "PLAINTEXT" : "SSL"
    }`;
  }
  if (tls !== null && tls.file !== "public") {
    properties["properties.ssl.truststore.type"] = "PEM";
    properties["properties.ssl.truststore.location"] = tls.file;
  }
  if (settings.KAFKA_TLS_CERT !== null) {
    // Flink's PEM key store is one file with the key and the chain.
    properties["properties.ssl.keystore.type"] = "PEM";
    properties["properties.ssl.keystore.location"] = "<file with the key and the certificate>";
  }
  if (mechanism === "OAUTHBEARER" || mechanism === "AWS_MSK_IAM") Object.assign(properties, byToken(settings));
  else if (mechanism !== null && user !== null) {
    const module = `org.apache.kafka.common.security.${
      mechanism === "PLAIN" ? "plain.Plain" : "scram.Scram"
    }LoginModule`;
    const name = user.replaceAll(/["\\]/g, "\\$&");
    properties["properties.sasl.mechanism"] = mechanism;
    // The connector's jar contains Kafka's classes under another package name.
    properties["properties.sasl.jaas.config"] =
      `org.apache.flink.kafka.shaded.${module} required username="${name}" password="<password>";`;
  }
  return properties;
}

const OAUTH = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.oauthbearer";

/** Options of a login by token. */
function byToken(settings: FlinkSettings): Record<string, string> {
  if (settings.KAFKA_SASL_MECHANISM === "AWS_MSK_IAM") {
    // The classes are in aws-msk-iam-auth, which Flink needs beside the connector.
    return {
      "properties.sasl.mechanism": "AWS_MSK_IAM",
      "properties.sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
      "properties.sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
    };
  }
  const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
  const { KAFKA_SASL_OAUTHBEARER_CLIENT_ID: id, KAFKA_SASL_OAUTHBEARER_SCOPE: scope } = settings;
  const client = id === null ? "" : ` clientId=${quoted(id)} clientSecret="<secret>"`;
  return {
    "properties.sasl.mechanism": "OAUTHBEARER",
    "properties.sasl.login.callback.handler.class": `${OAUTH}.OAuthBearerLoginCallbackHandler`,
    "properties.sasl.oauthbearer.token.endpoint.url": settings.KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL ?? "<url>",
    "properties.sasl.jaas.config": `${OAUTH}.OAuthBearerLoginModule required${client}${
      scope === null ? "" : ` scope=${quoted(scope)}`
    };`,
  };
}

const PLACEHOLDER = { hosts: [{ host: "<host>", port: 5432 }], database: "<database>", user: "<user>", wants: "any" };

function database({ DATABASE_URL: url, DATABASE_TLS_CA: tls }: FlinkSettings): Record<string, string> {
  const { hosts, database, user, wants } = url === null ? PLACEHOLDER : parseDatabaseUrl(url.reveal());
  if (hosts.some(({ host }) => host.startsWith("/"))) {
    throw new WrongUse("DATABASE_URL names a socket, which the job's JDBC driver cannot use; name a host instead");
  }
  const authorities = tls?.file === "public"
    ? "sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory"
    : `sslrootcert=${encodeURIComponent(tls?.file ?? "")}`;
  const parameters = [
    ...(tls === null ? [] : [`sslmode=verify-full&${authorities}`]),
    ...(wants === "any" ? [] : ["targetServerType=primary"]),
  ];
  const name = url === null ? database : encodeURIComponent(database);
  return {
    url: `jdbc:postgresql://${hosts.map(hostText).join()}/${name}${
      parameters.length === 0 ? "" : `?${parameters.join("&")}`
    }`,
    username: user ?? "<user>",
    password: "<password>",
    driver: "org.postgresql.Driver",
  };
}
