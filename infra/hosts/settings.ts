/**
 * What a host is told: a little at its first boot, and everything that may change later by its release, an SSM
 * parameter that it looks at once a minute. So a new version reaches hosts without replacing them.
 * @module
 */

/** What a host is for. */
export type HostKind = "kafka" | "processor" | "monitoring";

/** All kinds, in the order in which they come up. */
export const HOST_KINDS = ["kafka", "processor", "monitoring"] as const satisfies readonly HostKind[];

/** Where hosts listen; only `processor`, `broker` and the exporters can be reached from other hosts. */
export const PORTS = {
  /** Kafka's clients: SASL_SSL with SCRAM-SHA-512. */
  broker: 9093,
  /** Brokers among themselves, and the controllers: SASL_SSL too. */
  controller: 9094,
  kafkaExporter: 9404,
  nodeExporter: 9100,
  processor: 8080,
  /** On the monitoring host's own loopback: reached by SSM port forwarding. */
  prometheus: 9090,
  grafana: 3000,
  postgresExporter: 9187,
} as const;

/**
 * What the user data tells a host. Nothing here changes with a version, or the host would be replaced by each; all are
 * plain text that is known before anything is created.
 */
export interface BootSettings {
  readonly kind: HostKind;
  /** Name of the host: `kafka-1`, `processor-2`, `monitoring-1`; its number is the broker's node id. */
  readonly host: string;
  /** Its full name in the private zone. */
  readonly hostName: string;
  readonly region: string;
  /** Name of the SSM parameter that holds this host's `HostSettings` as JSON. */
  readonly releaseParameter: string;
  /** Where the data volume shows up, and where it is mounted; null where all is on the root volume. */
  readonly dataVolume: { readonly device: string; readonly mount: string } | null;
}

/** A file in the bucket; its key holds its hash, so the same key is always the same bytes. */
export interface Artifact {
  readonly key: string;
  /** SHA-256 in hexadecimal, which the host checks. */
  readonly sha256: string;
}

/**
 * Files that hosts fetch:
 * `clickstream`: the binary for the host's architecture, migrations inside;
 * `host`: a tar (gzip) of this kind's units and scripts, laid out from `/`;
 * `kafka`: a tar of the broker's jars, the JMX exporter's with them;
 * `rds-ca`: the PEM file of the authorities that RDS certificates come from;
 * `prometheus`, `node_exporter`, `postgres_exporter`, `grafana`: the makers' own tars, for the host's architecture;
 * `dashboards`: a tar of Grafana's dashboards, data sources and alert rules, and Prometheus' rules.
 */
export type ArtifactName =
  | "clickstream"
  | "host"
  | "kafka"
  | "rds-ca"
  | "prometheus"
  | "node_exporter"
  | "postgres_exporter"
  | "grafana"
  | "dashboards";

/**
 * Secrets of Secrets Manager, by ARN; a host is given, and may read, only those that it needs. `database-admin` is
 * RDS's own (`{"username", "password"}`), rotated by it; every other is a plain password.
 * kafka: `kafka-admin`, `kafka-processor`, `kafka-generator`: to make the SCRAM users;
 * processor: `kafka-processor`, `database-admin` (to migrate, and to make the login users), `database-processor`,
 * `database-monitoring`;
 * monitoring: `database-monitoring` (Grafana and the PostgreSQL exporter), `grafana-admin`.
 */
export type SecretName =
  | "kafka-admin"
  | "kafka-processor"
  | "kafka-generator"
  | "database-admin"
  | "database-processor"
  | "database-monitoring"
  | "grafana-admin";

/** A host's release: what is in its SSM parameter, as JSON. */
export interface HostSettings {
  readonly kind: HostKind;
  readonly bucket: string;
  readonly artifacts: Readonly<Partial<Record<ArtifactName, Artifact>>>;
  readonly secrets: Readonly<Partial<Record<SecretName, string>>>;
  /**
   * Settings by the names that they have everywhere (docs of the binary): KAFKA_BROKERS, KAFKA_TOPIC, WORKERS, … None
   * is secret. KAFKA_TLS_CA, DATABASE_TLS_CA, KAFKA_SASL_PASSWORD and DATABASE_URL the host makes itself.
   */
  readonly environment: Readonly<Record<string, string>>;
  readonly database: { readonly host: string; readonly port: string; readonly name: string };
  readonly kafka: {
    /** Every broker: its node id, its name, and the SSM parameter with its certificate (PEM), which it writes itself. */
    readonly brokers: readonly {
      readonly id: number;
      readonly hostName: string;
      readonly certificateParameter: string;
    }[];
    /** KRaft's cluster id, 22 characters. */
    readonly clusterId: string;
    readonly heapMiB: number;
    readonly replicas: number;
    readonly minInSyncReplicas: number;
    readonly retentionHours: number;
  };
  /** What Prometheus scrapes, as host:port. */
  readonly targets: Readonly<Record<"processor" | "kafka" | "node", readonly string[]>>;
  /** Where the CloudWatch agent sends logs, and under which name metrics. */
  readonly logGroup: string;
  readonly namespace: string;
}

/** Environment of the Lambda function, next to the settings that the contract names. */
export interface FunctionEnvironment {
  readonly KAFKA_BROKERS: string;
  readonly KAFKA_TOPIC: string;
  readonly KAFKA_PARTITIONS: string;
  readonly KAFKA_SASL_MECHANISM: "SCRAM-SHA-512";
  readonly KAFKA_SASL_USERNAME: string;
  /** ARN of the secret with the password. */
  readonly KAFKA_SASL_PASSWORD_SECRET: string;
  /** Names of the SSM parameters with the brokers' certificates, separated by commas. */
  readonly KAFKA_TLS_CA_PARAMETERS: string;
  /** Events a second, and seconds between two ticks of the schedule. */
  readonly GENERATOR_RATE: string;
  readonly GENERATOR_SECONDS: string;
  readonly GENERATOR_SEED: string;
}
