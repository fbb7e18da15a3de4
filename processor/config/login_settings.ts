/**
 * The settings of logins to Kafka, and of AWS's.
 * @module
 */
import { certificates, clientCertificate, privateKey } from "./files.ts";
import { list, oneOf, parsed, type Setting, text } from "./schemas.ts";
import { Secret } from "./secret.ts";

const secret = () => parsed((value) => new Secret(value));

/** Settings of logins to Kafka, in the order in which they are shown. */
export const KAFKA_LOGIN_SETTINGS = {
  KAFKA_TLS_CA: {
    schema: parsed(certificates),
    default: null,
    allowed: "a readable PEM file, its text, or 'public' for the well-known authorities",
    about: "certificate authorities of the brokers; turns TLS on",
  },
  KAFKA_TLS_CERT: {
    schema: parsed(clientCertificate),
    default: null,
    allowed: "a readable PEM file, or its text",
    about: "certificate that the client presents to the brokers (mutual TLS), and those between it and its authority",
  },
  KAFKA_TLS_KEY: {
    schema: parsed(privateKey),
    default: null,
    allowed: "a readable PEM file, or its text",
    about: "private key of KAFKA_TLS_CERT",
    secret: true,
  },
  KAFKA_TLS_KEY_PASSWORD: {
    schema: secret(),
    default: null,
    allowed: "any text",
    about: "password of KAFKA_TLS_KEY, if it is encrypted",
    secret: true,
  },
  KAFKA_SASL_MECHANISM: {
    schema: oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"),
    default: null,
    allowed: "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM",
    about: "SASL mechanism of the brokers",
  },
  KAFKA_SASL_USERNAME: {
    schema: text(/^\P{Cc}{1,255}$/u),
    default: null,
    allowed: "1 to 255 characters",
    about: "SASL user of PLAIN and SCRAM",
  },
  KAFKA_SASL_PASSWORD: {
    schema: secret(),
    default: null,
    allowed: "any text",
    about: "password of KAFKA_SASL_USERNAME",
    secret: true,
  },
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: {
    schema: parsed(tokenEndpoint),
    default: null,
    allowed: "https://… or http://… of the identity provider's token endpoint, or file:///… of a file with a token",
    about: "where OAUTHBEARER gets its tokens: by client credentials, or from a file that is read again at each login",
  },
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: {
    schema: text(/^\P{Cc}{1,1024}$/u),
    default: null,
    allowed: "1 to 1024 characters",
    about: "client id at the token endpoint",
  },
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: {
    schema: secret(),
    default: null,
    allowed: "any text",
    about: "secret of KAFKA_SASL_OAUTHBEARER_CLIENT_ID",
    secret: true,
  },
  KAFKA_SASL_OAUTHBEARER_SCOPE: {
    schema: text(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/),
    default: null,
    allowed: "scopes, separated by blanks",
    about: "scope to ask the token endpoint for",
  },
  KAFKA_SASL_OAUTHBEARER_EXTENSIONS: {
    schema: parsed(extensions),
    default: null,
    allowed: "key=value, several separated by commas; keys are letters",
    about: "SASL extensions, such as logicalCluster=lkc-1,identityPoolId=pool-1 for Confluent Cloud",
  },
} as const satisfies Record<string, Setting>;

/** Settings of logins by AWS's IAM. */
export const AWS_SETTINGS = {
  AWS_REGION: {
    schema: text(/^[a-z]{2}(-[a-z]+)+-\d$/),
    default: null,
    allowed: "a region, such as eu-west-1",
    about: "region of AWS_MSK_IAM and AWS_RDS_IAM (default: from the host names)",
  },
} as const satisfies Record<string, Setting>;

/** The URL of a token endpoint or of a file; without a login in it, which would be shown. */
function tokenEndpoint(value: string): string {
  const url = URL.parse(value);
  if (url === null || !["https:", "http:", "file:"].includes(url.protocol)) {
    throw new RangeError("it is not an https, http or file address");
  }
  if (url.username !== "" || url.password !== "") {
    throw new RangeError("it contains a login; use KAFKA_SASL_OAUTHBEARER_CLIENT_ID and _CLIENT_SECRET");
  }
  if (url.hash !== "") throw new RangeError("it has a fragment");
  if (url.protocol === "file:" && url.host !== "") throw new RangeError("a file is file:///path, with three slashes");
  return url.href;
}

/** Keys that Kafka's protocol reserves. */
const RESERVED = /^auth$/i;

function extensions(value: string): string {
  for (const pair of list(value)) {
    const [, key = "", text = ""] = /^([A-Za-z]+)=([\x20-\x7e\t\r\n]+)$/.exec(pair) ?? [];
    if (text === "") throw new RangeError("a part is not key=value");
    if (RESERVED.test(key)) throw new RangeError("the key auth is the token's own");
  }
  return value;
}

/** The extensions in a valid value of `KAFKA_SASL_OAUTHBEARER_EXTENSIONS`. */
export function extensionsOf(value: string | null): Readonly<Record<string, string>> {
  if (value === null) return {};
  return Object.fromEntries(
    list(value).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}
