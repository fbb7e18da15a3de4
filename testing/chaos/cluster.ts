/**
 * Kafka as in production: several brokers that replicate every topic, with TLS and SCRAM, each behind a proxy.
 * @module
 */
import { Kafka, logLevel } from "kafkajs";
import { Reader, Writer } from "@platformatic/kafka";
import { BrokerConnection, type KafkaAccess } from "../../processor/kafka/broker.ts";
import { BufferPool } from "../../processor/kafka/answer.ts";
import { offsetsOf } from "../../processor/testing/fakes/log.ts";
import { freePort, until } from "../servers/child.ts";
import { type Broker, startKafka, USER } from "../servers/kafka.ts";
import type { Env } from "../servers/binary.ts";
import { Proxy } from "./proxy.ts";

const MECHANISM = "SCRAM-SHA-512";

/** Which brokers, and how to connect to them. */
type Access = KafkaAccess & { readonly brokers: readonly string[] };

/** Shorter than Kafka's defaults, so that a dead broker is replaced within seconds. */
const QUICK = {
  "broker.session.timeout.ms": "3000",
  "broker.heartbeat.interval.ms": "500",
  "replica.lag.time.max.ms": "5000",
};

/** Memory of a small broker. */
const JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
const HEAP_MIB = 256;

/** Running brokers. */
export class Cluster implements AsyncDisposable {
  readonly brokers: readonly Broker[];
  /** The proxy in front of each broker. */
  readonly proxies: readonly Proxy[];
  /** How a client connects, and the same as settings of the service. */
  readonly access: Access;
  readonly env: Env;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    brokers: readonly Broker[],
    proxies: readonly Proxy[],
    { access, env }: { readonly access: Access; readonly env: Env },
    resources: AsyncDisposableStack,
  ) {
    this.brokers = brokers;
    this.proxies = proxies;
    this.access = access;
    this.env = env;
    this.#resources = resources;
  }

  /** Starts brokers and waits until they answer. `folder` keeps the file of their authorities. */
  static async start(count: number, folder: string): Promise<Cluster> {
    await using resources = new AsyncDisposableStack();
    const numbers = Array.from({ length: count }, (_, n) => n);
    const [controllerPorts, securePorts] = [numbers.map(freePort), numbers.map(freePort)];
    const proxies = securePorts.map((port) => resources.use(new Proxy(() => port)));
    const replicas = String(count);
    const enough = String(Math.min(2, count));
    const started = await Promise.allSettled(numbers.map((n) =>
      startKafka({
        node: { id: n + 1, controllerPorts, securePort: securePorts[n]!, advertisedPort: proxies[n]!.port },
        secure: { tls: true, sasl: MECHANISM },
        heapMiB: HEAP_MIB,
        java: JAVA,
        properties: {
          ...QUICK,
          "offsets.topic.replication.factor": replicas,
          "transaction.state.log.replication.factor": replicas,
          "transaction.state.log.min.isr": enough,
          "default.replication.factor": replicas,
          "min.insync.replicas": enough,
        },
      })
    ));
    for (const one of started) if (one.status === "fulfilled") resources.use(one.value);
    const brokers = started.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
    const ca = `${folder}/ca.pem`;
    const tlsCa = brokers.map(({ caPem }) => caPem).join("\n");
    await Deno.writeTextFile(ca, tlsCa);
    const addresses = proxies.map(({ port }) => `localhost:${port}`);
    const access: Access = { brokers: addresses, tlsCa, sasl: { mechanism: MECHANISM, ...USER } };
    const env = {
      KAFKA_BROKERS: addresses.join(","),
      KAFKA_TLS_CA: ca,
      KAFKA_SASL_MECHANISM: MECHANISM,
      KAFKA_SASL_USERNAME: USER.username,
      KAFKA_SASL_PASSWORD: USER.password,
    };
    return new Cluster(brokers, proxies, { access, env }, resources.move());
  }

  /** Addresses that bypass the proxies, and need no login. */
  get open(): readonly string[] {
    return this.brokers.map(({ bootstrap }) => bootstrap);
  }

  /** Creates a topic with a list of brokers for each partition, and waits until each has all its replicas. */
  async createTopic(
    topic: string,
    replicas: readonly (readonly number[])[],
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const replicaAssignment = replicas.map((of, partition) => ({ partition, replicas: [...of] }));
    const topics = [{ topic, replicaAssignment, configEntries }];
    // Right after it was created, a broker may not know the topic yet.
    await this.#administers((admin) => admin.createTopics({ topics, waitForLeaders: false }));
    await until(`topic ${topic} has all replicas`, async () => {
      const all = await this.partitionsOf(topic).catch(() => []);
      return all.length === replicas.length &&
        all.every(({ partitionId, isr }) => isr.length === replicas[partitionId]!.length);
    });
  }

  /** All brokers as replicas of each of some partitions, led by each in turn. */
  everywhere(partitions: number): readonly (readonly number[])[] {
    const ids = this.brokers.map((_, n) => n + 1);
    return Array.from({ length: partitions }, (_, first) => ids.map((_, n) => ids[(first + n) % ids.length]!));
  }

  /** Id of the active controller. */
  async controller(): Promise<number> {
    let leader = -1;
    await until("there is a controller", async () => {
      for (const { port } of this.brokers) leader = Math.max(leader, await controllerBy(port).catch(() => -1));
      return leader > 0;
    });
    return leader;
  }

  /** Deletes a topic. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#administers((admin) => admin.deleteTopics({ topics: [topic] }));
  }

  /** The partitions of a topic: leader and replicas in sync, by the ids of brokers. */
  async partitionsOf(topic: string): Promise<{ partitionId: number; leader: number; isr: number[] }[]> {
    return await this.#administers(async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]!.partitions.map(({ partitionId, leader, isr }) => ({ partitionId, leader, isr }));
    });
  }

  /** Sum of the ends of all partitions of a topic. */
  async endOf(topic: string): Promise<number> {
    return await this.#administers(async (admin) =>
      (await offsetsOf(admin, topic)).reduce((sum, { high }) => sum + high, 0)
    );
  }

  /** Waits until every partition of a topic has all its replicas in sync again. */
  async whole(topic: string): Promise<void> {
    await until(`topic ${topic} is in sync`, async () => {
      const all = await this.partitionsOf(topic).catch(() => []);
      return all.length > 0 && all.every(({ isr, leader }) => leader >= 0 && isr.length === this.brokers.length);
    }, 90_000);
  }

  async #administers<T>(body: (admin: ReturnType<Kafka["admin"]>) => Promise<T>): Promise<T> {
    const admin = new Kafka({ brokers: [...this.open], logLevel: logLevel.NOTHING, retry: { retries: 8 } }).admin();
    await admin.connect();
    try {
      return await body(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

const DESCRIBE_QUORUM = 55;

/** Id of the active controller, as one broker knows it. */
async function controllerBy(port: number): Promise<number> {
  const connection = await BrokerConnection.open("127.0.0.1", port, { clientId: "chaos" });
  try {
    const request = Writer.create().appendArray(["__cluster_metadata"], (topics, name) => {
      topics.appendString(name).appendArray([0], (partitions, n) => void partitions.appendInt32(n));
    }).appendTaggedFields();
    const reader = Reader.from(await connection.request(DESCRIBE_QUORUM, 0, request, true, new BufferPool()));
    reader.readInt16(); // error
    reader.readUnsignedVarInt(); // topics
    reader.readString();
    reader.readUnsignedVarInt(); // partitions
    reader.readInt32();
    reader.readInt16(); // error
    return reader.readInt32();
  } finally {
    connection.close();
  }
}
