/**
 * Connects commands to Kafka.
 * @module
 */
import { CredentialSource } from "../../aws/credentials.ts";
import { mskToken, regionIn } from "../../aws/tokens.ts";
import { addressOf } from "../../config/address.ts";
import { awsEnvironment } from "../../config/aws.ts";
import type { Settings } from "../../config/config.ts";
import { keyOf } from "../../config/files.ts";
import { extensionsOf } from "../../config/login_settings.ts";
import type { KafkaAccess } from "../../kafka/broker.ts";
import { tokensOf, type TokenSource } from "../../kafka/login/oauth.ts";
import type { KafkaSettings as SourceSettings } from "../../kafka/source.ts";
import { VERSION } from "../../version.ts";
import type { KAFKA } from "./reads.ts";

type ClusterSettings = Settings<typeof KAFKA[number] | "AWS_REGION">;

/** The settings that reading and writing the topic share. */
export function clusterOf(
  settings: ClusterSettings,
): Pick<SourceSettings, "brokers" | "topic" | "tlsCa" | "tlsClient" | "sasl"> {
  const { KAFKA_TLS_CA: authorities } = settings;
  const tls = authorities === null ? {} : { tlsCa: authorities.pem };
  return {
    brokers: settings.KAFKA_BROKERS,
    topic: settings.KAFKA_TOPIC,
    ...tls,
    ...certificateOf(settings),
    ...loginOf(settings),
  };
}

function certificateOf(settings: ClusterSettings): Pick<KafkaAccess, "tlsClient"> {
  const { KAFKA_TLS_CERT: cert, KAFKA_TLS_KEY: key, KAFKA_TLS_KEY_PASSWORD: password } = settings;
  if (cert === null || key === null) return {};
  return { tlsClient: { cert: cert.pem, key: keyOf(cert.pem, key.reveal(), password?.reveal() ?? null) } };
}

function loginOf(settings: ClusterSettings): Pick<KafkaAccess, "sasl"> {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  if (mechanism === null) return {};
  if (mechanism === "OAUTHBEARER" || mechanism === "AWS_MSK_IAM") {
    const extensions = extensionsOf(settings.KAFKA_SASL_OAUTHBEARER_EXTENSIONS);
    return { sasl: { mechanism: "OAUTHBEARER", token: tokens(settings, mechanism), extensions } };
  }
  if (username === null || password === null) return {};
  return { sasl: { mechanism, username, password: password.reveal() } };
}

/** One source for the settings of a process, so that its clients share a token. */
const sources = new WeakMap<ClusterSettings, TokenSource>();

function tokens(settings: ClusterSettings, mechanism: "OAUTHBEARER" | "AWS_MSK_IAM"): TokenSource {
  const known = sources.get(settings);
  if (known !== undefined) return known;
  const source = mechanism === "AWS_MSK_IAM" ? signed(settings) : tokensOf({
    url: settings.KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL ?? "",
    clientId: settings.KAFKA_SASL_OAUTHBEARER_CLIENT_ID,
    clientSecret: settings.KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET?.reveal() ?? null,
    scope: settings.KAFKA_SASL_OAUTHBEARER_SCOPE,
    tlsCa: settings.KAFKA_TLS_CA?.pem ?? null,
  });
  sources.set(settings, source);
  return source;
}

/** Tokens of MSK's access control by IAM: a new one for each login, which needs no network. */
function signed({ AWS_REGION: given, KAFKA_BROKERS: brokers }: ClusterSettings): TokenSource {
  const named = brokers.map((broker) => regionIn(addressOf(broker).hostname)).find((region) => region !== null);
  // The settings are valid, so one of them is there.
  const region = given ?? named!;
  const credentials = new CredentialSource(awsEnvironment(region));
  return async () => await mskToken(region, await credentials.get(), `clickstream/${VERSION}`, Date.now());
}
