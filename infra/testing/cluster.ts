/**
 * A cluster of three brokers for tests: machines with an address each, and a volume each that outlives its machine.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { freePort, run, until } from "../../testing/servers/child.ts";
import { hostArchive, userData } from "../hosts/mod.ts";
import { type Artifact, type HostSettings, PORTS } from "../hosts/settings.ts";
import { type Cloud, REGION, startCloud } from "./aws.ts";
import { PASSWORDS, programs } from "./fleet.ts";
import { Machine } from "./machine.ts";

const BINARY = fileURLToPath(new URL("../../dist/clickstream", import.meta.url));
const BUCKET = "artifacts";
const NODES = [1, 2, 3] as const;

/** Node id of a broker. */
export type Node = typeof NODES[number];

const nameOf = (node: Node) => `kafka-${node}`;
const certificateOf = (node: Node) => `/clickstream/tests/${nameOf(node)}/certificate`;
const releaseOf = (node: Node) => `/clickstream/tests/${nameOf(node)}/release`;

/** Three brokers, and the cloud that they get their releases from. */
export class Cluster implements AsyncDisposable {
  readonly #cloud: Cloud;
  /** First three bytes of all addresses. */
  readonly #network: string;
  readonly #bridge: string;
  readonly #folder: string;
  readonly #artifacts: Map<string, Artifact>;
  readonly #secrets: Readonly<Record<string, string>>;
  readonly #machines = new Map<Node, Machine>();

  private constructor(
    cloud: Cloud,
    network: { readonly prefix: string; readonly bridge: string },
    folder: string,
    artifacts: Map<string, Artifact>,
    secrets: Readonly<Record<string, string>>,
  ) {
    this.#cloud = cloud;
    this.#network = network.prefix;
    this.#bridge = network.bridge;
    this.#folder = folder;
    this.#artifacts = artifacts;
    this.#secrets = secrets;
  }

  /** Makes the network and the cloud, and releases the first version; boots nothing. */
  static async prepare(): Promise<Cluster> {
    const third = 1 + freePort() % 250;
    const network = { prefix: `10.213.${third}`, bridge: `cs${third}` };
    await run("ip", ["link", "add", network.bridge, "type", "bridge"]);
    await run("ip", ["addr", "add", `${network.prefix}.1/24`, "dev", network.bridge]);
    await run("ip", ["link", "set", network.bridge, "up"]);
    const cloud = await startCloud(`${network.prefix}.1`);
    const secrets: Record<string, string> = {};
    for (const name of ["kafka-admin", "kafka-processor", "kafka-generator"] as const) {
      secrets[name] = await cloud.makeSecret(name, PASSWORDS[name]);
    }
    const folder = await Deno.makeTempDir({ prefix: "clickstream-cluster-", dir: "/tmp" });
    const cluster = new Cluster(cloud, network, folder, new Map(), secrets);
    const made = await programs();
    for (const name of ["kafka", "node_exporter"]) await cluster.upload(name, await Deno.readFile(`${made}/${name}`));
    await cluster.upload("host", hostArchive("kafka"));
    for (const node of NODES) {
      await cloud.setParameter(certificateOf(node), "not made yet");
      await Deno.mkdir(`${folder}/${nameOf(node)}`);
      await cluster.#plug(node);
    }
    await cluster.release({});
    return cluster;
  }

  /** All brokers, by their node ids. */
  readonly nodes = NODES;

  /** The machine of a broker. */
  machine(node: Node): Machine {
    return this.#machines.get(node)!;
  }

  /** Uploads a new version of an artifact. */
  async upload(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await this.#cloud.upload(BUCKET, `${name}/${sha256}`, bytes);
    this.#artifacts.set(name, { key: `${name}/${sha256}`, sha256 });
  }

  /** Releases these settings of Kafka, and the newest artifacts, to the brokers. */
  async release(kafka: Partial<HostSettings["kafka"]>, nodes: readonly Node[] = NODES): Promise<void> {
    const settings: HostSettings = {
      kind: "kafka",
      bucket: BUCKET,
      artifacts: Object.fromEntries(this.#artifacts),
      secrets: this.#secrets,
      environment: { KAFKA_TOPIC: "clicks", KAFKA_PARTITIONS: "6", KAFKA_GROUP_ID: "clickstream" },
      database: { host: "localhost", port: "5432", name: "none" },
      kafka: {
        brokers: NODES.map((id) => ({ id, hostName: nameOf(id), certificateParameter: certificateOf(id) })),
        clusterId: "clickstreamTestsAAAAAA",
        heapMiB: 320,
        replicas: 3,
        minInSyncReplicas: 2,
        retentionHours: 48,
        ...kafka,
      },
      targets: { processor: [], kafka: [], node: NODES.map((node) => `${nameOf(node)}:${PORTS.nodeExporter}`) },
      logGroup: "/clickstream/tests",
      namespace: "tests",
    };
    for (const node of nodes) await this.#cloud.setParameter(releaseOf(node), JSON.stringify(settings));
  }

  /** Boots a machine for a broker: the first one, or another with the same address and volume. */
  async boot(node: Node, files: Readonly<Record<string, string>> = {}): Promise<void> {
    const machine = await Machine.boot({
      name: nameOf(node),
      userData: userData({
        kind: "kafka",
        host: nameOf(node),
        hostName: nameOf(node),
        region: REGION,
        releaseParameter: releaseOf(node),
        dataVolume: null,
      }),
      files: {
        "/root/.aws/config": `[default]\nregion = ${REGION}\nendpoint_url = ${this.#cloud.endpoint}\n`,
        "/root/.aws/credentials": "[default]\naws_access_key_id = test\naws_secret_access_key = test\n",
        // Short turns, so that the test need not wait; the test says when to look for a new release.
        "/etc/systemd/system/clickstream-apply.service.d/90-test.conf": "[Service]\nEnvironment=TURN_SECONDS=30\n",
        ...files,
      },
      network: {
        namespace: this.#namespaceOf(node),
        hosts: Object.fromEntries(NODES.map((node) => [nameOf(node), this.#addressOf(node)])),
      },
      volumes: { "/var/lib/kafka": `${this.#folder}/${nameOf(node)}` },
    });
    this.#machines.set(node, machine);
    await until(`${nameOf(node)} is set up`, async () => {
      return await machine.sh("test -e /run/cloud-init/result.json").then(() => true, () => false);
    }, 300_000);
  }

  /** Loses the machine of a broker; its volume stays. */
  async lose(node: Node): Promise<void> {
    await this.#machines.get(node)?.[Symbol.asyncDispose]();
    this.#machines.delete(node);
  }

  /** What a broker tells Prometheus about itself; null if it does not answer. */
  async metrics(node: Node): Promise<string | null> {
    const url = `http://${this.#addressOf(node)}:${PORTS.kafkaExporter}/metrics`;
    // It may also stop in the middle of an answer.
    return await fetch(url, { signal: AbortSignal.timeout(5000) }).then((answer) => answer.text()).catch(() => null);
  }

  /** Starts a simulator that sends until it is stopped; returns how many records the cluster has acknowledged. */
  async load(): Promise<AsyncDisposable & { stop(): Promise<number> }> {
    const caFile = `${this.#folder}/ca.pem`;
    const certificates = await Promise.all(NODES.map((node) => this.#cloud.parameter(certificateOf(node))));
    await Deno.writeTextFile(caFile, certificates.join("\n"));
    const hosts = `${this.#folder}/hosts`;
    await Deno.writeTextFile(hosts, NODES.map((node) => `${this.#addressOf(node)} ${nameOf(node)}\n`).join(""));
    // The names of the brokers are known to this program alone.
    const inside = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
    const generate = [BINARY, "generate", "--json", "--rate", "200", "--seed", "1"];
    const shop = new Deno.Command("unshare", {
      args: ["--mount", "sh", "-c", inside, "sh", hosts, ...generate],
      env: {
        KAFKA_BROKERS: NODES.map((node) => `${nameOf(node)}:${PORTS.broker}`).join(","),
        KAFKA_TOPIC: "clicks",
        KAFKA_TLS_CA: caFile,
        KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
        KAFKA_SASL_USERNAME: "generator",
        KAFKA_SASL_PASSWORD: PASSWORDS["kafka-generator"],
      },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = shop.output();
    let ended = false;
    void shop.status.then(() => ended = true);
    return {
      async [Symbol.asyncDispose]() {
        if (!ended) shop.kill("SIGKILL");
        await output;
      },
      async stop() {
        if (!ended) shop.kill("SIGTERM");
        const { code, stdout, stderr } = await output;
        if (code !== 0) throw new Error(`the simulator ended with ${code}: ${new TextDecoder().decode(stderr)}`);
        return (JSON.parse(new TextDecoder().decode(stdout)) as { records: number }).records;
      },
    };
  }

  #addressOf(node: Node): string {
    return `${this.#network}.${10 + node}`;
  }

  #namespaceOf(node: Node): string {
    return `${this.#bridge}-${node}`;
  }

  /** Makes a network for a machine, connected to the bridge. */
  async #plug(node: Node): Promise<void> {
    const [namespace, outside] = [this.#namespaceOf(node), `${this.#bridge}-v${node}`];
    await run("ip", ["netns", "add", namespace]);
    await run("ip", ["link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
    await run("ip", ["link", "set", outside, "master", this.#bridge, "up"]);
    const inside = (...args: string[]) => run("ip", ["-n", namespace, ...args]);
    await inside("addr", "add", `${this.#addressOf(node)}/24`, "dev", "eth0");
    await inside("link", "set", "eth0", "up");
    await inside("link", "set", "lo", "up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(NODES.map((node) => this.lose(node)));
    await this.#cloud[Symbol.asyncDispose]();
    for (const node of NODES) await run("ip", ["netns", "del", this.#namespaceOf(node)]).catch(() => {});
    await run("ip", ["link", "del", this.#bridge]).catch(() => {});
    await Deno.remove(this.#folder, { recursive: true });
  }
}
