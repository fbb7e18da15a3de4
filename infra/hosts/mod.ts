/**
 * Content of a host: its user data for cloud-init, and an archive of the units and scripts that it fetches.
 * @module
 */
import { type BootSettings, type HostKind, PORTS } from "./settings.ts";
import { type TarFile, tarGz } from "./tar.ts";

/** Ports on which hosts listen. */
export type Ports = { readonly [name in keyof typeof PORTS]: number };

/** Limit of EC2 for user data, in bytes before encoding. */
export const MAX_USER_DATA_BYTES = 16_384;

const HERE = new URL(".", import.meta.url);
const UNITS = "etc/systemd/system";
const SCRIPTS = "usr/local/lib/clickstream";

/** Packages of Amazon Linux; the AWS CLI and Python are in its image. */
const PACKAGES: Readonly<Record<HostKind, readonly string[]>> = {
  kafka: ["openssl", "java-21-amazon-corretto-headless"],
  processor: ["postgresql16"],
  monitoring: [],
};

/** rsyslog writes the file that the CloudWatch agent reads. */
const EVERY_PACKAGE = ["jq", "rsyslog", "amazon-cloudwatch-agent", "xfsprogs"];

interface Contents {
  readonly units: readonly string[];
  readonly scripts: readonly string[];
  /** System users that own files. */
  readonly users: readonly string[];
}

const EVERY_HOST: Contents = {
  units: [
    "clickstream-apply.service",
    "clickstream-apply.timer",
    "clickstream-patch.service",
    "clickstream-patch.timer",
    "clickstream-report.service",
    "clickstream-report.timer",
    "node-exporter.service",
  ],
  scripts: ["apply", "boot", "check", "common", "cloudwatch", "data-volume", "patch", "report"],
  users: [],
};

const CONTENTS: Readonly<Record<HostKind, Contents>> = {
  kafka: {
    units: ["kafka.service", "kafka-check.service", "kafka-setup.service"],
    scripts: [
      "apply-kafka",
      "health-kafka",
      "kafka-check",
      "kafka-format",
      "kafka-log.xml",
      "kafka-run",
      "kafka-setup",
    ],
    users: ["kafka"],
  },
  processor: {
    units: [
      "clickstream.service",
      "clickstream-administrator.service",
      "clickstream-migrate.service",
      "clickstream-views.service",
      "clickstream-maintain.service",
      "clickstream-maintain.timer",
    ],
    scripts: ["administrator", "apply-processor", "as-owner", "health-processor", "database-users"],
    users: [],
  },
  monitoring: {
    units: ["prometheus.service", "grafana.service", "postgres-exporter.service"],
    scripts: ["apply-monitoring", "health-monitoring"],
    users: ["prometheus", "grafana"],
  },
};

/** Not sandboxed, because they set up the others. */
export const OPEN_UNITS: readonly string[] = [
  "clickstream-apply.service",
  "clickstream-administrator.service",
  "clickstream-patch.service",
];

/**
 * The user data of a host: just enough to fetch the rest. A running host keeps the one that it was made with, so what may
 * change is in the archive, packages included.
 */
export function userData(boot: BootSettings): string {
  return `#cloud-config
write_files:
  - path: /etc/clickstream/boot
    content: |
${indented(bootFile(boot))}
  - path: /usr/local/sbin/clickstream-boot
    permissions: "0755"
    content: |
${indented(read("start.sh"))}
runcmd:
  - [/usr/local/sbin/clickstream-boot]
`;
}

/** The files of a host, by their paths from the root. */
export function hostFiles(kind: HostKind, ports: Ports = PORTS): TarFile[] {
  const { units, scripts, users } = CONTENTS[kind];
  const sandbox = read("units/sandbox.conf");
  const services = [...EVERY_HOST.units, ...units];
  return [
    ...services.map((name) => file(`${UNITS}/${name}`, read(`units/${name}`))),
    ...services.filter((name) => name.endsWith(".service") && !OPEN_UNITS.includes(name))
      .map((name) => file(`${UNITS}/${name}.d/10-sandbox.conf`, sandbox)),
    ...[...EVERY_HOST.scripts, ...scripts].map((name) => {
      const text = read(`scripts/${name}`);
      return { ...file(`${SCRIPTS}/${name}`, text), mode: startsItself(text) ? 0o755 : 0o644 };
    }),
    // The metrics of a broker that panels and alerts use.
    ...(kind === "kafka" ? [file(`${SCRIPTS}/kafka-metrics.yaml`, read("../../grafana/prometheus/kafka.yml"))] : []),
    file(`${SCRIPTS}/packages`, [...EVERY_PACKAGE, ...PACKAGES[kind]].map((name) => `${name}\n`).join("")),
    file(`${SCRIPTS}/ports`, lines(ports)),
    ...users.map((name) => file(`etc/sysusers.d/clickstream-${name}.conf`, `u ${name} -\n`)),
  ];
}

/** The same files as a compressed tar. The same files give the same bytes, at any time and on any machine. */
export function hostArchive(kind: HostKind, ports: Ports = PORTS): Uint8Array<ArrayBuffer> {
  return tarGz(hostFiles(kind, ports));
}

function bootFile({ kind, host, hostName, region, releaseParameter, dataVolume }: BootSettings): string {
  const values = {
    KIND: kind,
    HOST: host,
    HOST_NAME: hostName,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    RELEASE_PARAMETER: releaseParameter,
    DATA_DEVICE: dataVolume?.device ?? "",
    DATA_MOUNT: dataVolume?.mount ?? "",
  };
  return Object.entries(values).map(([name, value]) => `${name}=${value}\n`).join("");
}

/** Lines such as `PORT_NODE_EXPORTER=9100`. */
function lines(ports: Ports): string {
  return Object.entries(ports)
    .map(([name, port]) => `PORT_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}=${port}\n`)
    .join("");
}

function startsItself(text: string): boolean {
  return text.startsWith("#!");
}

function file(path: string, text: string): TarFile {
  return { path, mode: 0o644, bytes: new TextEncoder().encode(text) };
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, HERE));
}

function indented(text: string): string {
  return text.trimEnd().split("\n").map((line) => line === "" ? "" : `      ${line}`).join("\n");
}
