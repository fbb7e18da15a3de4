/**
 * From Kafka to PostgreSQL: brokers, each with a volume that survives a replacement of its machine, and processors.
 * @module
 */
import { createHash } from "node:crypto";
import { SETTINGS } from "../processor/config/config.ts";
import { type Construct, SsmParameter } from "./aws.ts";
import type { DatabaseStack } from "./database.ts";
import { type Ground, Host } from "./host.ts";
import { type HostSettings, PORTS } from "./hosts/settings.ts";
import { MACHINES } from "./instances.ts";
import { Password } from "./password.ts";
import type { Settings } from "./settings.ts";
import { makeSnapshots } from "./snapshots.ts";
import { AwsStack } from "./stack.ts";

/** Where a broker keeps its log. */
const KAFKA_DATA = "/var/lib/kafka";

/** Share of a broker's memory for its heap; the rest caches the log. */
const HEAP = 3 / 8;

/** The tables of declared views, as what holds data is named. */
const DECLARED_VIEWS = "database/views";

/** What every host knows about the others. */
export type Shared = Pick<HostSettings, "database" | "kafka" | "targets">;

/** Brokers and processors. */
export class StreamStack extends AwsStack {
  /** What hosts know about each other. */
  readonly shared: Shared;
  /** Parameters with the brokers' certificates; each broker writes its own. */
  readonly certificates: readonly SsmParameter[];
  /** The password with which the function sends. */
  readonly generator: Password;
  readonly #ground: Ground;
  readonly #passwords: Readonly<Record<"kafka-admin" | "kafka-processor" | "kafka-generator", Password>>;

  constructor(scope: Construct, settings: Settings, ground: Ground, database: DatabaseStack) {
    super(scope, "stream", settings);
    this.#ground = ground;
    const password = (name: string, about: string) =>
      new Password(this, name, about, ground.network.keys.arn("secrets"));
    this.#passwords = {
      "kafka-admin": password("kafka-admin", "the user by which brokers speak to each other"),
      "kafka-processor": password("kafka-processor", "the user who reads the topic"),
      "kafka-generator": password("kafka-generator", "the user who writes the topic"),
    };
    this.generator = this.#passwords["kafka-generator"];
    this.certificates = numbers(settings.DEPLOY_BROKERS).map((id) => this.#makeCertificate(id));
    this.shared = this.#share(database);
    const brokers = this.certificates.map((certificate, i) => this.#makeBroker(i + 1, certificate));
    const processors = numbers(settings.DEPLOY_PROCESSORS).map((number) => this.#makeProcessor(number, database));
    // Where a last snapshot is kept, one of each day is, too.
    if (settings.DEPLOY_SNAPSHOT) makeSnapshots(this, ground.network.account);
    this.says("brokers", brokers.map(({ instanceId }) => instanceId), "machines of Kafka");
    this.says("processors", processors.map(({ instanceId }) => instanceId), "machines of the processor");
  }

  /** Settings of the binary that identify the topic. */
  environment(user: "processor" | "generator"): Record<string, string> {
    const standing = Object.fromEntries(
      (["KAFKA_TOPIC", "KAFKA_PARTITIONS", "KAFKA_GROUP_ID"] as const).map((name) => [name, SETTINGS[name].default]),
    );
    return {
      ...standing,
      ...this.settings.passedOn,
      KAFKA_BROKERS: this.shared.kafka.brokers.map(({ hostName }) => `${hostName}:${PORTS.broker}`).join(","),
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: user,
    };
  }

  /** Each broker writes its certificate at its first start. It is public; the private key never leaves the broker. */
  #makeCertificate(id: number): SsmParameter {
    return new SsmParameter(this, `certificate-${id}`, {
      name: certificateName(this.settings, id),
      description: `certificate of kafka-${id}`,
      type: "String",
      value: "not written yet",
      lifecycle: { ignoreChanges: ["value"] },
    });
  }

  #share(database: DatabaseStack): Shared {
    const { settings } = this;
    const { network } = this.#ground;
    const named = (kind: string, count: number) => numbers(count).map((n) => network.hostName(`${kind}-${n}`));
    const brokers = named("kafka", settings.DEPLOY_BROKERS);
    const processors = named("processor", settings.DEPLOY_PROCESSORS);
    return {
      database: { host: database.host, port: database.port, name: database.databaseName },
      kafka: {
        brokers: brokers.map((hostName, i) => ({
          id: i + 1,
          hostName,
          certificateParameter: certificateName(settings, i + 1),
        })),
        clusterId: clusterIdOf(settings.DEPLOY_NAME),
        heapMiB: Math.floor(MACHINES[settings.DEPLOY_BROKER_MACHINE]!.memoryMiB * HEAP),
        replicas: settings.DEPLOY_BROKERS,
        minInSyncReplicas: settings.DEPLOY_BROKERS === 3 ? 2 : 1,
        retentionHours: settings.DEPLOY_RETENTION_HOURS,
      },
      targets: {
        processor: processors.map((hostName) => `${hostName}:${PORTS.processor}`),
        kafka: brokers.map((hostName) => `${hostName}:${PORTS.kafkaExporter}`),
        node: [...brokers, ...processors, network.hostName("monitoring-1")].map((hostName) =>
          `${hostName}:${PORTS.nodeExporter}`
        ),
      },
    };
  }

  #makeBroker(number: number, certificate: SsmParameter): Host {
    const { DEPLOY_BROKER_MACHINE: machine, DEPLOY_BROKER_DISK_GIB: gib } = this.settings;
    return new Host(this, this.#ground, {
      kind: "kafka",
      number,
      machine,
      disk: { gib, mount: KAFKA_DATA },
      secrets: Object.fromEntries(Object.entries(this.#passwords).map(([name, { arn }]) => [name, arn])),
      certificates: this.certificates,
      may: [{ actions: ["ssm:PutParameter"], resources: [certificate.arn] }],
      release: { ...this.shared, environment: this.environment("processor") },
    });
  }

  #makeProcessor(number: number, database: DatabaseStack): Host {
    return new Host(this, this.#ground, {
      kind: "processor",
      number,
      machine: this.settings.DEPLOY_PROCESSOR_MACHINE,
      secrets: {
        "kafka-processor": this.#passwords["kafka-processor"].arn,
        "database-admin": database.administrator,
        "database-processor": database.processor.arn,
        "database-monitoring": database.monitoring.arn,
      },
      certificates: this.certificates,
      release: {
        ...this.shared,
        ...(this.settings.DEPLOY_DESTROY.includes(DECLARED_VIEWS) ? { mayDropViews: true } : {}),
        environment: {
          ...this.environment("processor"),
          HTTP_LISTEN: `0.0.0.0:${PORTS.processor}`,
          // The name that Prometheus looks up.
          HTTP_HOSTS: this.#ground.network.hostName(`processor-${number}`),
          LOG_FORMAT: "json",
        },
      },
    });
  }
}

function certificateName({ DEPLOY_NAME: deployment }: Settings, id: number): string {
  return `/${deployment}/kafka-${id}/certificate`;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** A cluster id for KRaft: 16 bytes in base64url, derived from the deployment's name. */
function clusterIdOf(deployment: string): string {
  // Kafka's tools would take a leading `-` for an option.
  const [, ...bytes] = createHash("sha256").update(deployment).digest().subarray(0, 16);
  return btoa(String.fromCharCode(0, ...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}
