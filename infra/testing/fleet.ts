/**
 * A whole deployment for tests: a cloud with artifacts, secrets and releases, and the machines of the hosts.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { monitoringFiles } from "../hosts/folder.ts";
import { hostArchive, type Ports, userData } from "../hosts/mod.ts";
import type { Artifact, ArtifactName, BootSettings, HostKind, HostSettings, SecretName } from "../hosts/settings.ts";
import { tarGz } from "../hosts/tar.ts";
import { freePort, prepared, run } from "../../testing/servers/child.ts";
import type { Server } from "../../testing/servers/postgres.ts";
import { type Cloud, REGION } from "./aws.ts";
import { disk, Machine } from "./machine.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUCKET = "artifacts";
const CERTIFICATE = "/clickstream/tests/kafka-1/certificate";

/** Passwords; each may exist in memory only. */
export const PASSWORDS = {
  "kafka-admin": "kafka-admin-3lZ0",
  "kafka-processor": "kafka-processor-8Qw1",
  "kafka-generator": "kafka-generator-5Rt7",
  "database-processor": "database/processor:9@Yu2",
  "database-monitoring": "database/monitoring:4@Io6",
  "grafana-admin": "grafana-admin-6Pp3",
} as const;

const NEEDS: Readonly<Record<HostKind, readonly ArtifactName[]>> = {
  kafka: ["host", "kafka", "node_exporter"],
  processor: ["host", "clickstream", "rds-ca", "node_exporter", "views"],
  monitoring: ["host", "rds-ca", "prometheus", "grafana", "dashboards", "node_exporter", "postgres_exporter"],
};

const ALLOWED: Readonly<Record<HostKind, readonly SecretName[]>> = {
  kafka: ["kafka-admin", "kafka-processor", "kafka-generator"],
  processor: ["kafka-processor", "database-admin", "database-processor", "database-monitoring"],
  monitoring: ["database-monitoring", "grafana-admin"],
};

/** Grafana is not available as a package. This stand-in reports that it is ready, and reads its files and listens like Grafana. */
const GRAFANA = `#!/usr/bin/python3
import glob, http.server, os, re, socket
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *line): pass
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["GF_SERVER_HTTP_PORT"])), Healthy)
password = open(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read()
folder = os.environ["GF_PATHS_PROVISIONING"]
source = re.sub("(?m)^#.*", "", open(folder + "/datasources/clickstream.yaml").read())
for name in re.findall(r"\\$(CLICKSTREAM_\\w+)", source): os.environ[name]
database = open(re.search(r"password: \\$__file{(.*)}", source)[1]).read()
open(os.environ[re.search(r"sslRootCertFile: \\$(\\w+)", source)[1]]).read()
dashboards = len(glob.glob(folder + "/../dashboards/*.json"))
status = f"passwords of {len(password)} and {len(database)} characters, {dashboards} dashboards"
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(
    f"READY=1\\nSTATUS={status}".encode(), os.environ["NOTIFY_SOCKET"])
server.serve_forever()
`;

/** Ports of all hosts. They share the test's network, so each needs a port of its own for what all of them run. */
type FleetPorts = Omit<Ports, "nodeExporter"> & { readonly nodeExporters: Readonly<Record<HostKind, number>> };

/** A deployment. */
export class Fleet {
  readonly ports: FleetPorts;
  readonly #cloud: Cloud;
  readonly #server: Server;
  readonly #database: string;
  readonly #artifacts: Map<string, Artifact>;
  readonly #secrets: Map<SecretName, string>;

  private constructor(
    cloud: Cloud,
    server: Server,
    database: string,
    ports: FleetPorts,
    artifacts: Map<string, Artifact>,
    secrets: Map<SecretName, string>,
  ) {
    this.#cloud = cloud;
    this.#server = server;
    this.#database = database;
    this.ports = ports;
    this.#artifacts = artifacts;
    this.#secrets = secrets;
  }

  /** Uploads everything; starts nothing. */
  static async prepare(cloud: Cloud, server: Server): Promise<Fleet> {
    const database = new URL(await server.createDatabase("shop")).pathname.slice(1);
    // Free ports, because tests on the same network run at the same time.
    const ports: FleetPorts = {
      broker: freePort(),
      controller: freePort(),
      kafkaExporter: freePort(),
      nodeExporters: { kafka: freePort(), processor: freePort(), monitoring: freePort() },
      processor: freePort(),
      prometheus: freePort(),
      grafana: freePort(),
      postgresExporter: freePort(),
    };
    const { username, password } = new URL(server.url());
    const secrets = new Map<SecretName, string>();
    const admin = JSON.stringify({ username, password: decodeURIComponent(password) });
    for (const [name, value] of [...Object.entries(PASSWORDS), ["database-admin", admin]] as [SecretName, string][]) {
      secrets.set(name, await cloud.makeSecret(name, value));
    }
    await cloud.setParameter(CERTIFICATE, "not made yet");
    const fleet = new Fleet(cloud, server, database, ports, new Map(), secrets);
    for (const [name, bytes] of await artifacts(ports, server.caPem)) await fleet.upload(name, bytes);
    return fleet;
  }

  /** Uploads a file as a new version of an artifact. */
  async upload(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Artifact> {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const artifact = { key: `${name}/${sha256}`, sha256 };
    await this.#cloud.upload(BUCKET, artifact.key, bytes);
    this.#artifacts.set(name, artifact);
    return artifact;
  }

  /** Changes the value of a secret. */
  async change(name: SecretName, value: string): Promise<void> {
    await this.#cloud.setSecret(this.#secrets.get(name)!, value);
  }

  /** Returns the current content of an artifact. */
  artifact(name: string): Artifact {
    return this.#artifacts.get(name)!;
  }

  /** Replaces an artifact, such as by an older or a wrong one. */
  pretend(name: string, artifact: Artifact): void {
    this.#artifacts.set(name, artifact);
  }

  /** Leaves an artifact out. */
  remove(name: string): void {
    this.#artifacts.delete(name);
  }

  /** Releases the current artifacts to all hosts of a kind. */
  async release(kind: HostKind, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const { ports } = this;
    const artifact = (name: ArtifactName) => this.artifact(name === "host" ? `host-${kind}` : name);
    const settings: HostSettings = {
      kind,
      bucket: BUCKET,
      artifacts: Object.fromEntries(
        NEEDS[kind].map((name) => [name, artifact(name)]).filter(([, found]) => found !== undefined),
      ),
      secrets: Object.fromEntries(ALLOWED[kind].map((name) => [name, this.#secrets.get(name)!])),
      environment: {
        KAFKA_BROKERS: `localhost:${ports.broker}`,
        KAFKA_TOPIC: "clicks",
        KAFKA_PARTITIONS: "3",
        KAFKA_GROUP_ID: "clickstream",
        HTTP_LISTEN: `127.0.0.1:${ports.processor}`,
        WORKERS: "2",
        ...more,
      },
      database: { host: "localhost", port: String(this.#server.port), name: this.#database },
      kafka: {
        brokers: [{ id: 1, hostName: "localhost", certificateParameter: CERTIFICATE }],
        clusterId: "clickstreamTestsAAAAAA",
        heapMiB: 384,
        replicas: 1,
        minInSyncReplicas: 1,
        retentionHours: 48,
      },
      targets: {
        processor: [`127.0.0.1:${ports.processor}`],
        kafka: [`127.0.0.1:${ports.kafkaExporter}`],
        node: Object.values(ports.nodeExporters).map((port) => `127.0.0.1:${port}`),
      },
      logGroup: "/clickstream/tests",
      namespace: "tests",
    };
    await this.#cloud.setParameter(parameterOf(kind), JSON.stringify(settings));
  }

  /** Boots a host with its user data, once it has a release. */
  async boot(kind: HostKind): Promise<Machine> {
    const settings: BootSettings = {
      kind,
      host: `${kind}-1`,
      hostName: "localhost",
      region: REGION,
      releaseParameter: parameterOf(kind),
      dataVolume: null,
    };
    return await Machine.boot({
      name: `${kind}-1`,
      userData: userData(settings),
      files: {
        // On AWS, from the instance's role and its region.
        "/root/.aws/config": `[default]\nregion = ${REGION}\nendpoint_url = ${this.#cloud.endpoint}\n`,
        "/root/.aws/credentials": "[default]\naws_access_key_id = test\naws_secret_access_key = test\n",
        // It can't see root's home.
        "/etc/systemd/system/clickstream-report.service.d/90-test.conf": `[Service]\n${
          Object.entries(this.#cloud.env).map(([name, value]) => `Environment=${name}=${value}\n`).join("")
        }`,
      },
    });
  }

  /** Name of the parameter with the broker's certificate. */
  readonly certificateParameter = CERTIFICATE;

  /** URL of the database, for its superuser. */
  get databaseUrl(): string {
    return this.#server.url(this.#database);
  }

  /** Settings for an external program that writes to the topic; the broker's certificate is in `caFile`. */
  async generator(caFile: string): Promise<Record<string, string>> {
    await Deno.writeTextFile(caFile, await this.#cloud.parameter(CERTIFICATE));
    return {
      KAFKA_BROKERS: `localhost:${this.ports.broker}`,
      KAFKA_TOPIC: "clicks",
      KAFKA_TLS_CA: caFile,
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: "generator",
      KAFKA_SASL_PASSWORD: PASSWORDS["kafka-generator"],
    };
  }
}

function parameterOf(kind: HostKind): string {
  return `/clickstream/tests/${kind}-1/release`;
}

/** Folder with the archives of third-party programs. */
export async function programs(): Promise<string> {
  return await prepared("host-artifacts-3", makeArchives);
}

/** First version of every artifact. */
async function artifacts(ports: FleetPorts, caPem: string): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const made = await programs();
  const { nodeExporters, ...shared } = ports;
  const host = (kind: HostKind) => hostArchive(kind, { ...shared, nodeExporter: nodeExporters[kind] });
  const all = new Map<string, Uint8Array<ArrayBuffer>>([
    ["host-kafka", host("kafka")],
    ["host-processor", host("processor")],
    ["host-monitoring", host("monitoring")],
    ["clickstream", await Deno.readFile(`${ROOT}dist/clickstream`)],
    ["rds-ca", new TextEncoder().encode(caPem)],
    ["dashboards", tarGz(await monitoringFiles())],
    ["grafana", await grafana()],
  ]);
  for await (const { name } of Deno.readDir(made)) all.set(name, await Deno.readFile(`${made}/${name}`));
  return all;
}

/** The stand-in for Grafana. It is made anew each time, since it changes with what it reads. */
async function grafana(): Promise<Uint8Array<ArrayBuffer>> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/grafana/bin`, { recursive: true });
  await Deno.writeTextFile(`${folder}/grafana/bin/grafana`, GRAFANA, { mode: 0o755 });
  const bytes = await packed(["-C", folder, "grafana"]);
  await Deno.remove(folder, { recursive: true });
  return bytes;
}

/** What tar makes of these arguments. */
async function packed(args: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const path = await Deno.makeTempFile();
  await run("tar", ["-czf", path, ...args]);
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  return bytes;
}

/** Archives of third-party programs, which don't change. */
async function makeArchives(folder: string): Promise<void> {
  const parts = await Deno.makeTempDir();
  const pom = fileURLToPath(new URL("../hosts/kafka/pom.xml", import.meta.url));
  await run("mvn", ["-B", "-q", "-f", pom, "dependency:copy-dependencies", `-DoutputDirectory=${parts}/kafka`]);
  const bin = `${await disk()}/usr/bin`;
  const tar = async (from: string, name: string, as = name) => {
    const renamed = ["--transform", `s,^${name},${as},`];
    await run("tar", ["-C", from, ...renamed, "-I", "gzip -1", "-cf", `${folder}/${as}`, name]);
  };
  await tar(parts, "kafka");
  await tar(bin, "prometheus");
  await tar(bin, "prometheus-node-exporter", "node_exporter");
  await tar(bin, "prometheus-postgres-exporter", "postgres_exporter");
  await Deno.remove(parts, { recursive: true });
}
