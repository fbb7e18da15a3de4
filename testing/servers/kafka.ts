/**
 * A real Kafka broker for tests: its jars are fetched once, and it runs as one process that ends with the test.
 * @module
 */
import { fileURLToPath } from "node:url";
import { type Admin, type ITopicConfig, Kafka, logLevel } from "kafkajs";
import { type Authority, makeAuthority } from "./certificates.ts";
import { Child, freePort, prepared, run, until } from "./child.ts";
import { jarsOf } from "./maven.ts";

/** SASL mechanisms with passwords. */
export type Mechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

/** The place of a broker among several, which are all started at the same time. */
export interface ClusterNode {
  /** From 1. */
  readonly id: number;
  /** Ports of all controllers, in the order of the ids. */
  readonly controllerPorts: readonly number[];
  /** Port of the secured listener, and the port at which clients are told to find it. */
  readonly securePort: number;
  readonly advertisedPort: number;
}

/** Options of the broker. */
export interface KafkaOptions {
  /** Makes it one of several brokers (default: it is alone). */
  readonly node?: ClusterNode;
  /** A second listener with encryption, authentication, or both. */
  readonly secure?: { readonly tls: boolean; readonly sasl?: Mechanism | "OAUTHBEARER" };
  /** A listener that demands certificates of clients and no other login; needs a secured listener with TLS. */
  readonly mutualTls?: true;
  /** Folder of Java classes for the broker, beside Kafka's own. */
  readonly classes?: string;
  /** Port of the open listener (default: a free one). */
  readonly port?: number;
  /** Folder that keeps the broker's data after its end (default: a temporary folder). */
  readonly dataDir?: string;
  readonly heapMiB?: number;
  /** Additional JVM options. */
  readonly java?: readonly string[];
  /** Additional lines of `server.properties`. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** The user of a secured listener, and its password. */
export const USER = { username: "alice", password: "alice-secret" } as const;

/** A running broker. */
export interface Broker extends AsyncDisposable {
  /** Address of the open listener: `host:port`. */
  readonly bootstrap: string;
  readonly port: number;
  readonly pid: number;
  /** Address of the secured listener, if there is one. */
  readonly secureBootstrap: string;
  /** Address of the listener that demands certificates, if there is one. */
  readonly mutualBootstrap: string;
  /** PEM of the authority of its certificate; empty without TLS. */
  readonly caPem: string;
  /** That authority; null without TLS. */
  readonly authority: Authority | null;
  /** Folder of the jars, which include Kafka's tools. */
  readonly libs: string;
  createTopic(name: string, partitions: number): Promise<void>;
  /** Deletes the topics with this name prefix. */
  deleteTopics(prefix: string): Promise<void>;
  /** Ends the broker with a signal (default: gracefully). */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** The same as `stop("SIGKILL")`. */
  kill(): Promise<void>;
  /** Starts it again after `stop`, on the same ports with the same data. */
  start(): Promise<void>;
  /** `stop()` and `start()`. */
  restart(): Promise<void>;
}

/** Compiles the Java classes beside this file for the broker; returns their folder. */
export async function brokerClasses(): Promise<string> {
  const libs = await jarsOf("kafka-4.3.1", new URL("kafka/pom.xml", import.meta.url));
  const source = new URL("kafka/SignedRequestValidator.java", import.meta.url);
  const bytes = await crypto.subtle.digest("SHA-256", await Deno.readFile(source));
  const version = new Uint8Array(bytes).toHex().slice(0, 12);
  return await prepared(`kafka-classes-${version}`, async (folder) => {
    await run("javac", ["-cp", `${libs}/*`, "-d", folder, fileURLToPath(source)]);
  });
}

/** JVM options for a short-lived process. */
const SHORT_LIVED = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/**
 * JVM options that load the broker's classes from an archive, which a first broker has written at its end. It saves
 * almost half of the CPU time of a start. Formatting writes an archive, too, which the broker replaces; another version of
 * Java ignores it.
 */
async function archivedClasses(): Promise<string[]> {
  const folder = await prepared("kafka-4.3.1-archive", async (folder) => {
    await using broker = await start({}, [`-XX:ArchiveClassesAtExit=${folder}/classes.jsa`]);
    await broker.stop();
  });
  return [`-XX:SharedArchiveFile=${folder}/classes.jsa`];
}

/**
 * Creates a topic, and waits until each partition has a leader. Just after the creation, a broker may not know the topic
 * yet, which KafkaJS takes for an error.
 */
export async function createTopic(
  admin: Admin,
  topic: ITopicConfig & { readonly numPartitions: number },
): Promise<void> {
  await admin.createTopics({ topics: [topic], waitForLeaders: false });
  await until(`topic ${topic.topic} has leaders`, async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic.topic] }).catch(() => ({ topics: [] }));
    const led = topics.flatMap(({ partitions }) => partitions).filter(({ leader }) => leader >= 0);
    return led.length === topic.numPartitions;
  });
}

/** Starts a broker and waits until it answers. */
export async function startKafka(options: KafkaOptions = {}): Promise<Broker> {
  return await start(options, await archivedClasses());
}

async function start(options: KafkaOptions, java: readonly string[]): Promise<Broker> {
  const libs = await jarsOf("kafka-4.3.1", new URL("kafka/pom.xml", import.meta.url));
  const folder = options.dataDir ?? await Deno.makeTempDir({ prefix: "clickstream-kafka-" });
  await Deno.mkdir(folder, { recursive: true });
  const { node } = options;
  const ports = {
    open: options.port ?? freePort(),
    controller: node?.controllerPorts[node.id - 1] ?? freePort(),
    secure: node?.securePort ?? freePort(),
    mutual: options.mutualTls ? freePort() : null,
  };
  const authority = options.secure?.tls ? await makeCertificate(folder) : null;
  const config = `${folder}/server.properties`;
  await Deno.writeTextFile(config, properties(folder, ports, options));
  await format(libs, config, java, options.secure?.sasl);
  const classes = options.classes === undefined ? "" : `:${options.classes}`;
  const launch = () => {
    // By default brokers are short-lived, so a fast start matters more than throughput.
    const heap = options.heapMiB === undefined ? [...SHORT_LIVED, "-Xmx512m"] : [`-Xmx${options.heapMiB}m`];
    const args = [...heap, ...java, ...options.java ?? [], "-cp", `${libs}/*${classes}`, "kafka.Kafka", config];
    return Child.start("java", args, `${folder}/broker.log`);
  };
  let child = launch();
  const bootstrap = `127.0.0.1:${ports.open}`;
  const broker: Broker = {
    bootstrap,
    port: ports.open,
    get pid() {
      return child.pid;
    },
    secureBootstrap: `localhost:${ports.secure}`,
    mutualBootstrap: `localhost:${ports.mutual}`,
    caPem: authority?.pem ?? "",
    authority,
    libs,
    async createTopic(topic, numPartitions) {
      const admin = clientOf(bootstrap).admin();
      await admin.connect();
      await createTopic(admin, { topic, numPartitions, replicationFactor: 1 });
      await admin.disconnect();
    },
    async deleteTopics(prefix) {
      const admin = clientOf(bootstrap).admin();
      await admin.connect();
      await admin.deleteTopics({ topics: (await admin.listTopics()).filter((topic) => topic.startsWith(prefix)) });
      await admin.disconnect();
    },
    async stop(signal = "SIGTERM") {
      await child.end(signal);
    },
    kill: () => broker.stop("SIGKILL"),
    async start() {
      child = launch();
      await answers(bootstrap, child);
    },
    async restart() {
      await broker.stop();
      await broker.start();
    },
    async [Symbol.asyncDispose]() {
      await child.end("SIGKILL");
      if (options.dataDir === undefined) await Deno.remove(folder, { recursive: true });
    },
  };
  try {
    await answers(bootstrap, child);
    return broker;
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
}

/** Formats the folder of a new broker with its users, unless it is formatted. */
async function format(
  libs: string,
  config: string,
  java: readonly string[],
  sasl?: Mechanism | "OAUTHBEARER",
): Promise<void> {
  const user = `[name=${USER.username},password=${USER.password}]`;
  const scram = sasl?.startsWith("SCRAM") ? ["--add-scram", `${sasl}=${user}`] : [];
  const tool = [...SHORT_LIVED, ...java, "-cp", `${libs}/*`, "kafka.tools.StorageTool", "format", "--ignore-formatted"];
  await run("java", [...tool, "-t", "clickstreamTestsAAAAAA", "-c", config, ...scram]);
}

function clientOf(bootstrap: string): Kafka {
  return new Kafka({
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 5000,
  });
}

async function answers(bootstrap: string, child: Child): Promise<void> {
  await until(
    "the Kafka broker answers",
    async () => {
      if (child.ended) throw new Error(`the Kafka broker did not start:\n${await child.tail()}`);
      const admin = clientOf(bootstrap).admin();
      try {
        await admin.connect();
        if ((await admin.describeCluster()).brokers.length === 0) return false;
        // The group coordinator is ready last: until it has loaded its state, nobody can join a group.
        await admin.fetchOffsets({ groupId: "nobody" });
        return true;
      } catch {
        return false;
      } finally {
        await admin.disconnect();
      }
    },
    120_000,
    200,
  );
}

function properties(
  folder: string,
  ports: Readonly<Record<"open" | "controller" | "secure", number>> & { readonly mutual: number | null },
  { secure, node, properties: more = {} }: KafkaOptions,
): string {
  const protocol = `${secure?.sasl === undefined ? "" : "SASL_"}${secure?.tls ? "SSL" : "PLAINTEXT"}`;
  const mutual = ports.mutual === null ? "" : `,MUTUAL://localhost:${ports.mutual}`;
  const guarded = (port: number) => secure === undefined ? "" : `,SECURE://localhost:${port}${mutual}`;
  const voters = (node?.controllerPorts ?? [ports.controller]).map((port, n) => `${n + 1}@127.0.0.1:${port}`);
  const lines: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": `${node?.id ?? 1}`,
    "controller.quorum.voters": voters.join(","),
    "listeners": `PLAINTEXT://127.0.0.1:${ports.open},CONTROLLER://127.0.0.1:${ports.controller}${
      guarded(ports.secure)
    }`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${ports.open}${guarded(node?.advertisedPort ?? ports.secure)}`,
    "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:${protocol},MUTUAL:SSL`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "log.dirs": `${folder}/data`,
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "3",
    "group.initial.rebalance.delay.ms": "0",
    // Tests send records of the past, which Kafka would delete half a minute after its start.
    "log.retention.ms": "-1",
  };
  if (secure?.tls) {
    for (const name of ports.mutual === null ? ["secure"] : ["secure", "mutual"]) {
      lines[`listener.name.${name}.ssl.keystore.location`] = `${folder}/server.p12`;
      lines[`listener.name.${name}.ssl.keystore.password`] = "changeit";
      lines[`listener.name.${name}.ssl.keystore.type`] = "PKCS12";
    }
  }
  if (ports.mutual !== null) {
    lines["listener.name.mutual.ssl.client.auth"] = "required";
    lines["listener.name.mutual.ssl.truststore.location"] = `${folder}/ca.pem`;
    lines["listener.name.mutual.ssl.truststore.type"] = "PEM";
  }
  if (secure?.sasl !== undefined) {
    const { username, password } = USER;
    const plain = secure.sasl === "PLAIN";
    const kind = plain ? "plain.Plain" : secure.sasl === "OAUTHBEARER" ? "oauthbearer.OAuthBearer" : "scram.Scram";
    const module = `org.apache.kafka.common.security.${kind}LoginModule`;
    const users = plain ? ` username="${username}" password="${password}" user_${username}="${password}"` : "";
    lines["listener.name.secure.sasl.enabled.mechanisms"] = secure.sasl;
    lines[`listener.name.secure.${secure.sasl.toLowerCase()}.sasl.jaas.config`] = `${module} required${users};`;
  }
  return Object.entries({ ...lines, ...more }).map(([name, value]) => `${name}=${value}\n`).join("");
}

/** Creates an authority and a certificate for localhost in `folder`. */
async function makeCertificate(folder: string): Promise<Authority> {
  const authority = await makeAuthority(folder);
  const { certFile, keyFile } = await authority.issue("localhost", ["DNS:localhost", "IP:127.0.0.1"]);
  const pair = ["-in", certFile, "-inkey", keyFile, "-out", `${folder}/server.p12`];
  await run("openssl", ["pkcs12", "-export", "-passout", "pass:changeit", ...pair]);
  return authority;
}
