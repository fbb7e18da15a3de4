/**
 * Connects commands to Kafka.
 * @module
 */
import type { Settings } from "../../config/config.ts";
import type { KafkaSettings as SourceSettings } from "../../kafka/source.ts";

type ClusterSettings = Settings<
  | "KAFKA_BROKERS"
  | "KAFKA_TOPIC"
  | "KAFKA_TLS_CA"
  | "KAFKA_SASL_MECHANISM"
  | "KAFKA_SASL_USERNAME"
  | "KAFKA_SASL_PASSWORD"
>;

/** The settings that reading and writing the topic share. */
export function clusterOf(settings: ClusterSettings): Pick<SourceSettings, "brokers" | "topic" | "tlsCa" | "sasl"> {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = settings;
  const sasl = mechanism === null || username === null || password === null
    ? {}
    : { sasl: { mechanism, username, password: password.reveal() } };
  const tls = settings.KAFKA_TLS_CA === null ? {} : { tlsCa: settings.KAFKA_TLS_CA.pem };
  return { brokers: settings.KAFKA_BROKERS, topic: settings.KAFKA_TOPIC, ...tls, ...sasl };
}
