/**
 * Settings of a host. User data has the few that it needs at first boot. Everything that may change later is in its
 * release, an SSM parameter that the host reads once a minute, so a new version needs no new host.
 */

/** Kind of a host. */
export type HostKind = "kafka" | "processor" | "monitoring";

/** All kinds, in the order in which they start. */
export const HOST_KINDS = ["kafka", "processor", "monitoring"] as const satisfies readonly HostKind[];

/** Ports on which hosts listen. Other hosts can reach only `processor`, `broker` and the exporters. */
export const PORTS = {
  /** For Kafka's clients: SASL_SSL with SCRAM-SHA-512. */
  broker: 9093,
  /** For brokers and controllers among themselves: SASL_SSL too. */
  controller: 9094,
  kafkaExporter: 9404,
  nodeExporter: 9100,
  processor: 8080,
  /** On the monitoring host's loopback; reached through SSM port forwarding. */
  prometheus: 9090,
  grafana: 3000,
  postgresExporter: 9187,
} as const;

/**
 * Settings in user data. They must not change with a version, or every version would replace the host. All are plain
 * text that is known before anything is created.
 */
export interface BootSettings {
  readonly kind: HostKind;
  /** Name of the host: `kafka-1`, `processor-2`, `monitoring-1`. Its number is the broker's node id. */
  readonly host: string;
  /** Fully qualified name in the private zone. */
  readonly hostName: string;
  readonly region: string;
  /** Name of the SSM parameter with this host's `HostSettings` as JSON. */
  readonly releaseParameter: string;
  /** Device and mount point of the data volume; null if all data is on the root volume. */
  readonly dataVolume: { readonly device: string; readonly mount: string } | null;
}

/** A file in the bucket; its key contains its hash, so a key always has the same content. */
export interface Artifact {
  readonly key: string;
  /** SHA-256 in hexadecimal, which the host verifies. */
  readonly sha256: string;
}

/**
 * Files that hosts fetch:
 * `clickstream`: the binary for the host's architecture, migrations inside;
 * `host`: a tar (gzip) of this kind's units and scripts, laid out from `/`;
 * `kafka`: a tar of the broker's jars, including the JMX exporter's;
 * `rds-ca`: the certificates of RDS's authorities as PEM;
 * `prometheus`, `node_exporter`, `postgres_exporter`, `grafana`: the makers' archives for the host's architecture;
 * `dashboards`: a tar of Grafana's dashboards, data sources and alert rules, and Prometheus' rules;
 * `views`: the shop's own views, goals and funnels as YAML, if the deployment has `VIEWS_FILE`.
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
  | "dashboards"
  | "views";

/**
 * Secrets of Secrets Manager, by ARN. A host knows and may read only those that it needs. RDS creates and rotates
 * `database-admin` (`{"username", "password"}`); every other secret is a plain password.
 * kafka: `kafka-admin`, `kafka-processor`, `kafka-generator`: to create the SCRAM users;
 * processor: `kafka-processor`, `database-admin` (to migrate and to create the login users), `database-processor`,
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

/** A host's release: the JSON in its SSM parameter. */
export interface HostSettings {
  readonly kind: HostKind;
  readonly bucket: string;
  readonly artifacts: Readonly<Partial<Record<ArtifactName, Artifact>>>;
  readonly secrets: Readonly<Partial<Record<SecretName, string>>>;
  /**
   * Settings of the binary by name: KAFKA_BROKERS, KAFKA_TOPIC, WORKERS, … None is secret. The host itself sets
   * KAFKA_TLS_CA, DATABASE_TLS_CA, KAFKA_SASL_PASSWORD, DATABASE_URL and VIEWS_FILE.
   */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether applying `views` may drop what was counted. */
  readonly mayDropViews?: boolean;
  readonly database: { readonly host: string; readonly port: string; readonly name: string };
  readonly kafka: {
    /** Every broker: its node id, its name, and the SSM parameter to which it writes its certificate (PEM). */
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
  /** Scrape targets of Prometheus, as host:port. */
  readonly targets: Readonly<Record<"processor" | "kafka" | "node", readonly string[]>>;
  /** Log group and metrics namespace of the CloudWatch agent. */
  readonly logGroup: string;
  readonly namespace: string;
}

/** Environment of the Lambda function. */
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
  /** Events/s, and seconds between two ticks of the schedule. */
  readonly GENERATOR_RATE: string;
  readonly GENERATOR_SECONDS: string;
  readonly GENERATOR_SEED: string;
}
