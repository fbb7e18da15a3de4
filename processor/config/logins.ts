/**
 * Checks that the settings of logins fit together.
 * @module
 */
import { regionIn } from "../aws/tokens.ts";
import { parseDatabaseUrl } from "./database_url.ts";
import { type Authorities, keyOf, readText, UnusableKey } from "./files.ts";
import { list } from "./schemas.ts";
import { Secret } from "./secret.ts";

/** What is set, and the values that are valid, by name. */
interface Given {
  readonly names: readonly string[];
  /** The text of a setting; undefined if it is absent. */
  readonly text: (name: string) => string | undefined;
  readonly value: (name: string) => unknown;
}

/** Faults of logins: each names a setting, and says what to do. Settings that are not read are not judged. */
export function loginFaults(given: Given): string[] {
  return [...clientCertificateFaults(given), ...saslFaults(given), ...databaseFaults(given)];
}

const PASSWORD_LOGIN = ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] as const;
const ENDPOINT = "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL";
const CLIENT = ["KAFKA_SASL_OAUTHBEARER_CLIENT_ID", "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"] as const;
const OAUTH = [ENDPOINT, ...CLIENT, "KAFKA_SASL_OAUTHBEARER_SCOPE", "KAFKA_SASL_OAUTHBEARER_EXTENSIONS"] as const;

function clientCertificateFaults({ names, text, value }: Given): string[] {
  const pair = ["KAFKA_TLS_CERT", "KAFKA_TLS_KEY"];
  if (!pair.every((name) => names.includes(name))) return [];
  const absent = pair.filter((name) => !text(name));
  if (absent.length === 1) return [`${absent[0]} is not set; set both of ${pair.join(" and ")}, or none of them`];
  if (absent.length === 2) return unneeded(text, ["KAFKA_TLS_KEY_PASSWORD"], "KAFKA_TLS_KEY is not set");
  const faults = text("KAFKA_TLS_CA")
    ? []
    : ["KAFKA_TLS_CA is not set; KAFKA_TLS_CERT needs TLS: set it to the authorities of the brokers, or to 'public'"];
  const [certificate, key, password] = [...pair, "KAFKA_TLS_KEY_PASSWORD"].map(value);
  if (!isPem(certificate) || !(key instanceof Secret)) return faults;
  try {
    keyOf(certificate.pem, key.reveal(), password instanceof Secret ? password.reveal() : null);
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error;
    faults.push(`KAFKA_TLS_KEY ${error.message}; check KAFKA_TLS_CERT, KAFKA_TLS_KEY and KAFKA_TLS_KEY_PASSWORD`);
  }
  return faults;
}

function saslFaults({ names, text }: Given): string[] {
  if (!PASSWORD_LOGIN.every((name) => names.includes(name))) return [];
  const mechanism = text("KAFKA_SASL_MECHANISM");
  const others = `KAFKA_SASL_MECHANISM is ${mechanism ?? "not set"}`;
  if (mechanism === "AWS_MSK_IAM") {
    const faults = unneeded(text, [...PASSWORD_LOGIN.slice(1), ...OAUTH], others);
    if (!text("KAFKA_TLS_CA")) faults.push("KAFKA_TLS_CA is not set; AWS_MSK_IAM needs TLS: set it to 'public'");
    if (!text("AWS_REGION") && brokersOf(text("KAFKA_BROKERS")).every((broker) => regionIn(broker) === null)) {
      faults.push("AWS_REGION is not set, and no host in KAFKA_BROKERS names a region; set it for AWS_MSK_IAM");
    }
    return faults;
  }
  if (mechanism === "OAUTHBEARER") {
    const faults = unneeded(text, PASSWORD_LOGIN.slice(1), others);
    const isFile = text(ENDPOINT)?.startsWith("file:") ?? false;
    const needed = isFile ? [] : [ENDPOINT, ...CLIENT];
    faults.push(...needed.filter((name) => !text(name)).map((name) => `${name} is not set; OAUTHBEARER needs it`));
    const useless = isFile ? [...CLIENT, "KAFKA_SASL_OAUTHBEARER_SCOPE"] : [];
    return [...faults, ...unneeded(text, useless, `${ENDPOINT} names a file`)];
  }
  const absent = PASSWORD_LOGIN.filter((name) => !text(name));
  const faults = unneeded(text, OAUTH, others);
  if (absent.length === PASSWORD_LOGIN.length) return faults;
  return [
    ...faults,
    ...absent.map((name) => `${name} is not set; set all of ${PASSWORD_LOGIN.join(", ")}, or none of them`),
  ];
}

function databaseFaults({ names, text, value }: Given): string[] {
  const url = value("DATABASE_URL");
  if (!names.includes("DATABASE_URL") || !(url instanceof Secret)) return [];
  const { files, tls, hosts, user, password } = parseDatabaseUrl(url.reveal());
  const faults = fileFaults(files);
  if (text("DATABASE_AUTH") !== "AWS_RDS_IAM") return faults;
  const how = "DATABASE_AUTH is AWS_RDS_IAM";
  if (password !== null) faults.push(`DATABASE_URL has a password, and ${how}; remove it`);
  if (user === null) faults.push(`DATABASE_URL has no user, and ${how}; name the database's user`);
  if (hosts.some(({ host }) => host.startsWith("/"))) {
    faults.push(`DATABASE_URL has a socket, and ${how}; name the host of the instance`);
  }
  if (tls !== "verify-full" && !text("DATABASE_TLS_CA")) {
    faults.push(
      `${how}, which sends its token as a password; set DATABASE_TLS_CA to RDS's certificate bundle, or sslmode=verify-full`,
    );
  }
  if (!text("AWS_REGION") && hosts.some(({ host }) => regionIn(host) === null)) {
    faults.push(`AWS_REGION is not set, and a host in DATABASE_URL names no region; set it for AWS_RDS_IAM`);
  }
  return faults;
}

/** Faults of the files that the database's address names; without their paths, which could be part of a password. */
function fileFaults(files: ReturnType<typeof parseDatabaseUrl>["files"]): string[] {
  const read = (name: string, file: string | null): string | null | Error => {
    if (file === null || file === "system") return null;
    try {
      return readText(file);
    } catch (error) {
      const message = (error instanceof Error ? error.message : String(error)).replace(/: [a-z]+ '.*'$/s, "");
      return new Error(`DATABASE_URL has an ${name} that cannot be read: ${message}`);
    }
  };
  const texts = [read("sslrootcert", files.ca), read("sslcert", files.cert), read("sslkey", files.key)] as const;
  const unread = texts.filter((text) => text instanceof Error).map(({ message }) => message);
  const [, certificate, key] = texts;
  if (unread.length > 0 || typeof certificate !== "string" || typeof key !== "string") return unread;
  try {
    keyOf(certificate, key, files.keyPassword);
    return [];
  } catch (error) {
    if (!(error instanceof UnusableKey)) throw error;
    return [`DATABASE_URL has an sslkey that ${error.message}; check sslcert, sslkey and sslpassword`];
  }
}

/** Faults of settings that are set and have no effect. */
function unneeded(text: Given["text"], names: readonly string[], why: string): string[] {
  return names.filter((name) => text(name)).map((name) => `${name} is set, but ${why}; unset it`);
}

function brokersOf(brokers: string | undefined): readonly string[] {
  return brokers === undefined ? [] : list(`${brokers},`).map((broker) => broker.replace(/:\d+$/, ""));
}

function isPem(value: unknown): value is Authorities {
  return typeof value === "object" && value !== null && "pem" in value;
}
