/**
 * Which settings each command reads, for the command itself and for its help.
 * @module
 */
import type { SettingName } from "../../config/config.ts";
import { TELEMETRY } from "../../config/telemetry.ts";

/** Names of the settings that connect to a topic. */
export const KAFKA = [
  "KAFKA_BROKERS",
  "KAFKA_TOPIC",
  "KAFKA_TLS_CA",
  "KAFKA_TLS_CERT",
  "KAFKA_TLS_KEY",
  "KAFKA_TLS_KEY_PASSWORD",
  "KAFKA_SASL_MECHANISM",
  "KAFKA_SASL_USERNAME",
  "KAFKA_SASL_PASSWORD",
  "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
  "KAFKA_SASL_OAUTHBEARER_CLIENT_ID",
  "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET",
  "KAFKA_SASL_OAUTHBEARER_SCOPE",
  "KAFKA_SASL_OAUTHBEARER_EXTENSIONS",
] as const;
const DATABASE = ["DATABASE_URL", "DATABASE_TLS_CA", "DATABASE_AUTH"] as const;
/** What logins to both depend on. */
const LOGINS = ["AWS_REGION", "ALLOW_PLAINTEXT"] as const;
const PROCESSING = [
  "WORKERS",
  "MEMORY_MB",
  "COMMIT_EVERY_MS",
  "EVENTS_KEEP_DAYS",
  "STORE_EVENTS",
  "HASH_ROUTES",
  "SITE_HOSTS",
  "CURRENCY",
  "TIME_ZONE",
  "VIEWS",
  "VIEWS_FILE",
] as const;
const LOGGING = ["LOG_LEVEL", "LOG_FORMAT"] as const;
const OTEL = Object.keys(TELEMETRY) as readonly (keyof typeof TELEMETRY)[];

/** Names of the settings that a command reads. */
export const READS = {
  run: [
    ...KAFKA,
    "KAFKA_GROUP_ID",
    ...DATABASE,
    ...LOGINS,
    "HTTP_LISTEN",
    "HTTP_HOSTS",
    ...PROCESSING,
    ...LOGGING,
    ...OTEL,
  ],
  generate: [...KAFKA, ...LOGINS, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  produce: [...KAFKA, ...LOGINS, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  migrate: [...DATABASE, ...LOGINS, "EVENTS_KEEP_DAYS", "CURRENCY", "TIME_ZONE"],
  rates: [...DATABASE, ...LOGINS, "CURRENCY"],
  maintain: [...DATABASE, ...LOGINS, "EVENTS_KEEP_DAYS", "ROLLUPS_KEEP_DAYS"],
  refusals: [...DATABASE, ...LOGINS],
  replay: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, ...LOGINS, "EVENTS_KEEP_DAYS"],
  forget: [...KAFKA, ...DATABASE, ...LOGINS],
  adoptTopic: [...KAFKA, ...DATABASE, ...LOGINS],
  export: [...DATABASE, ...LOGINS],
  report: [...DATABASE, ...LOGINS],
  gaps: ["KAFKA_TOPIC", ...DATABASE, ...LOGINS],
  status: ["HTTP_LISTEN"],
  doctor: [
    ...[...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, ...LOGINS, "HTTP_LISTEN", "WORKERS", "EVENTS_KEEP_DAYS", "CURRENCY"],
    ...["TIME_ZONE", "VIEWS_FILE", ...OTEL],
  ],
  flink: [
    ...[...KAFKA, "KAFKA_GROUP_ID", "DATABASE_TLS_CA", "EVENTS_KEEP_DAYS", "HASH_ROUTES", "CURRENCY", "TIME_ZONE"],
    ...["VIEWS", "VIEWS_FILE"],
  ],
  rebuild: [
    ...[...KAFKA, ...DATABASE, ...LOGINS, "EVENTS_KEEP_DAYS", "STORE_EVENTS", "HASH_ROUTES", "SITE_HOSTS"],
    ...["CURRENCY", "TIME_ZONE", "VIEWS", "VIEWS_FILE"],
  ],
  views: [...DATABASE, ...LOGINS],
} as const satisfies Readonly<Record<string, readonly SettingName[]>>;
