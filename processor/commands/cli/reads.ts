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
  run: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, "HTTP_LISTEN", "HTTP_HOSTS", ...PROCESSING, ...LOGGING],
  generate: [...KAFKA, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  produce: [...KAFKA, "KAFKA_PARTITIONS", "EVENTS_KEEP_DAYS"],
  migrate: [...DATABASE, "EVENTS_KEEP_DAYS"],
  maintain: [...DATABASE, "EVENTS_KEEP_DAYS", "ROLLUPS_KEEP_DAYS"],
  refusals: DATABASE,
  replay: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, "EVENTS_KEEP_DAYS"],
  forget: [...KAFKA, ...DATABASE],
  adoptTopic: [...KAFKA, ...DATABASE],
  gaps: ["KAFKA_TOPIC", ...DATABASE],
  status: ["HTTP_LISTEN"],
  doctor: [...KAFKA, "KAFKA_GROUP_ID", ...DATABASE, "HTTP_LISTEN", "WORKERS", "EVENTS_KEEP_DAYS"],
  flink: [...KAFKA, "KAFKA_GROUP_ID", "DATABASE_TLS_CA", "EVENTS_KEEP_DAYS", "HASH_ROUTES", "VIEWS"],
  rebuild: [...KAFKA, ...DATABASE, "EVENTS_KEEP_DAYS", "STORE_EVENTS", "HASH_ROUTES", "VIEWS"],
} as const satisfies Readonly<Record<string, readonly SettingName[]>>;
