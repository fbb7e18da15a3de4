/**
 * Which settings each command reads, for the command itself and for its help.
 * @module
 */
import type { SettingName } from "../../config/config.ts";

const KAFKA = [
  "KAFKA_BROKERS",
  "KAFKA_TOPIC",
  "KAFKA_TLS_CA",
  "KAFKA_SASL_MECHANISM",
  "KAFKA_SASL_USERNAME",
  "KAFKA_SASL_PASSWORD",
] as const;
const DATABASE = ["DATABASE_URL", "DATABASE_TLS_CA"] as const;
const SAFETY = ["ALLOW_PLAINTEXT"] as const;
const PROCESSING = [
  "WORKERS",
  "MEMORY_MB",
  "COMMIT_EVERY_MS",
  "EVENTS_KEEP_DAYS",
  "STORE_EVENTS",
  "HASH_ROUTES",
  "VIEWS",
] as const;
const LOGGING = ["LOG_LEVEL", "LOG_FORMAT"] as const;

/** Names of the settings that a command reads. */
export const READS = {
  run: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, ...SAFETY, "HTTP_LISTEN", "HTTP_HOSTS", ...PROCESSING, ...LOGGING],
  generate: [...KAFKA, ...SAFETY, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  produce: [...KAFKA, ...SAFETY, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  migrate: [...DATABASE, ...SAFETY, "EVENTS_KEEP_DAYS"],
  maintain: [...DATABASE, ...SAFETY, "EVENTS_KEEP_DAYS", "ROLLUPS_KEEP_DAYS"],
  refusals: [...DATABASE, ...SAFETY],
  replay: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, ...SAFETY, "EVENTS_KEEP_DAYS"],
  forget: [...KAFKA, ...DATABASE, ...SAFETY],
  adoptTopic: [...KAFKA, ...DATABASE, ...SAFETY],
  gaps: ["KAFKA_TOPIC", ...DATABASE, ...SAFETY],
  status: ["HTTP_LISTEN"],
  doctor: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, ...SAFETY, "HTTP_LISTEN", "WORKERS", "EVENTS_KEEP_DAYS"],
  flink: [...KAFKA, "KAFKA_GROUP_ID", "DATABASE_TLS_CA", "EVENTS_KEEP_DAYS", "HASH_ROUTES", "VIEWS"],
  rebuild: [...KAFKA, ...DATABASE, ...SAFETY, "EVENTS_KEEP_DAYS", "STORE_EVENTS", "HASH_ROUTES", "VIEWS"],
} as const satisfies Readonly<Record<string, readonly SettingName[]>>;
