/**
 * Machines for tests: Debian with the same systemd as Amazon Linux 2023, really booted in a container that shares the
 * test's network, or has an address of its own. Tests can inspect what is written to the disk; it is deleted with the machine.
 * @module
 */
import { Child, exists, prepared, run, until } from "../../testing/servers/child.ts";

/** Not registered with systemd-machined: only the test uses it. */
const UNREGISTERED = ["--register=no", "--keep-unit"];

/** Why no machine can boot here; null if it can. */
export async function noMachines(): Promise<string | null> {
  if (Deno.uid() !== 0) return "needs root, to boot a machine";
  for (const program of ["debootstrap", "systemd-nspawn"]) {
    if (!await run("sh", ["-c", `command -v ${program}`]).then(() => true, () => false)) {
      return `needs ${program}: apt-get install debootstrap systemd-container`;
    }
  }
  const because = ({ message }: Error) => `no machine can be booted here: ${message.split("\n")[1] ?? message}`;
  return await tried().then(() => null, because);
}

/** Runs a program with a machine's privileges, on this system's own files. */
async function tried(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-tried-", dir: "/tmp" });
  try {
    const root = await layered("/", folder);
    await run("systemd-nspawn", ["--quiet", `--directory=${root}`, ...UNREGISTERED, "--link-journal=no", "true"]);
  } finally {
    await gone(folder);
  }
}

/** Overlays a writable folder on a read-only one; returns the merged folder. */
async function layered(lower: string, folder: string): Promise<string> {
  for (const part of ["written", "work", "root"]) await Deno.mkdir(`${folder}/${part}`);
  const layers = `lowerdir=${lower},upperdir=${folder}/written,workdir=${folder}/work`;
  await run("mount", ["-t", "overlay", "overlay", "-o", layers, `${folder}/root`]);
  return `${folder}/root`;
}

/** Debian packages that stand in for Amazon Linux's and for the makers' archives. */
const PACKAGES = [
  "ca-certificates",
  "cloud-init",
  "curl",
  "dbus",
  "jq",
  "openjdk-17-jre-headless",
  "openssl",
  "postgresql-client",
  "prometheus",
  "prometheus-node-exporter",
  "prometheus-postgres-exporter",
  "python3",
  // Tries the package for Red Hat's family.
  "rpm",
  "rsyslog",
  "systemd-sysv",
  "xfsprogs",
];

/** Their units are not used. */
const NOT_STARTED = [
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "console-getty.service",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "prometheus.service",
  "prometheus-node-exporter.service",
  "prometheus-postgres-exporter.service",
];

/** cloud-init modules that the user data needs; packages are preinstalled. */
const CLOUD_INIT = `datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user]
`;

/** CloudWatch's agent is not available as a package. This stand-in keeps its configuration and runs. */
const AGENT = `#!/bin/sh
for argument; do case $argument in file:*) cp "\${argument#file:}" /run/cloudwatch-agent.json ;; esac; done
systemctl stop amazon-cloudwatch-agent.service 2>/dev/null
exec systemd-run --quiet --unit=amazon-cloudwatch-agent.service sleep infinity
`;

/** Amazon Linux's packages are there as Debian's, so this stand-in only keeps what it was asked for. */
const DNF = '#!/bin/sh\necho "$@" >>/run/dnf.log\n';

/** The initial disk of all machines. */
export async function disk(): Promise<string> {
  return await prepared("debian-12-host-5", async (folder) => {
    await run("debootstrap", ["--variant=minbase", "bookworm", folder]);
    // Services must not start during installation.
    await Deno.writeTextFile(`${folder}/usr/sbin/policy-rc.d`, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    // No need to survive a power failure.
    await Deno.writeTextFile(`${folder}/etc/dpkg/dpkg.cfg.d/fast`, "force-unsafe-io\n");
    const install = `apt-get install -q -y --no-install-recommends ${PACKAGES.join(" ")} && apt-get clean`;
    const inside = ["--quiet", `--directory=${folder}`, ...UNREGISTERED, "--pipe"];
    await run("systemd-nspawn", [...inside, "--setenv=DEBIAN_FRONTEND=noninteractive", "sh", "-c", install]);
    await run("rm", ["-rf", `${folder}/var/lib/apt/lists`, `${folder}/usr/share/doc`, `${folder}/usr/share/locale`]);
    const libraries = `${folder}/usr/local/lib/awscli`;
    await run("python3", ["-m", "pip", "install", "--quiet", "--target", libraries, "awscli==1.42.60"]);
    const aws = `${folder}/usr/local/bin/aws`;
    await Deno.writeTextFile(aws, '#!/bin/sh\nPYTHONPATH=/usr/local/lib/awscli exec python3 -m awscli "$@"\n', {
      mode: 0o755,
    });
    await Deno.writeTextFile(`${folder}/usr/local/bin/dnf`, DNF, { mode: 0o755 });
    const agent = `${folder}/opt/aws/amazon-cloudwatch-agent/bin`;
    await Deno.mkdir(agent, { recursive: true });
    await Deno.writeTextFile(`${agent}/amazon-cloudwatch-agent-ctl`, AGENT, { mode: 0o755 });
    // As on Amazon Linux, where rsyslog does this by default. A container's kernel has no messages, and asking for them
    // without a pause would take a core.
    await Deno.writeTextFile(`${folder}/etc/rsyslog.d/messages.conf`, "*.info /var/log/messages\n");
    const rsyslog = `${folder}/etc/rsyslog.conf`;
    const asks = /^module\(load="imklog"\)/m;
    const configured = await Deno.readTextFile(rsyslog);
    if (!asks.test(configured)) throw new Error(`${rsyslog} does not load imklog where it did`);
    await Deno.writeTextFile(rsyslog, configured.replace(asks, "# $&"));
    const systemd = `${folder}/etc/systemd/system`;
    for (const unit of NOT_STARTED) {
      await Deno.remove(`${systemd}/${unit}`).catch(() => {});
      await Deno.symlink("/dev/null", `${systemd}/${unit}`);
    }
    await Deno.writeTextFile(
      `${folder}/etc/cloud/cloud.cfg.d/99_tests.cfg`,
      CLOUD_INIT,
    );
  });
}

/** Initial state of a machine, besides the shared disk. */
export interface MachineOptions {
  readonly name: string;
  readonly userData: string;
  /** Additional files by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** A network of its own, made by the test. */
  readonly network?: { readonly namespace: string; readonly hosts: Readonly<Record<string, string>> };
  /** Folders of the test that it has at a path, as a volume. */
  readonly volumes?: Readonly<Record<string, string>>;
}

/** A running machine. */
export class Machine implements AsyncDisposable {
  readonly name: string;
  readonly #folder: string;
  readonly #cgroup: string;
  readonly #container: Child;
  readonly #leader: string;

  private constructor(name: string, folder: string, cgroup: string, container: Child, leader: string) {
    this.name = name;
    this.#folder = folder;
    this.#cgroup = cgroup;
    this.#container = container;
    this.#leader = leader;
  }

  /** Boots a machine as a cloud would, with user data for cloud-init. */
  static async boot({ name, userData, files = {}, network, volumes = {} }: MachineOptions): Promise<Machine> {
    const lower = await disk();
    const folder = await Deno.makeTempDir({ prefix: `clickstream-${name}-`, dir: "/tmp" });
    const root = await layered(lower, folder);
    const seed = "/var/lib/cloud/seed/nocloud";
    const all: Record<string, string> = {
      [`${seed}/user-data`]: userData,
      [`${seed}/meta-data`]: `instance-id: ${name}\n`,
      ...files,
    };
    // Names must resolve locally: a sandboxed service cannot reach outside.
    all["/etc/hostname"] = `${name}\n`;
    const others = Object.entries(network?.hosts ?? {}).map(([name, address]) => `${address} ${name}\n`).join("");
    all["/etc/hosts"] = `127.0.0.1 localhost${network === undefined ? ` ${name}` : ""}\n::1 localhost\n${others}`;
    for (const [path, text] of Object.entries(all)) {
      await Deno.mkdir(`${root}${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.writeTextFile(`${root}${path}`, text);
    }
    const cgroup = `${await cgroupOfThis()}/${folder.slice(folder.lastIndexOf("/") + 1)}`;
    const container = Child.start(
      "sh",
      [
        "-c",
        'mkdir -p "$1" && echo $$ >"$1/cgroup.procs" && shift && exec systemd-nspawn "$@"',
        "sh",
        cgroup,
        "--quiet",
        `--directory=${root}`,
        `--machine=${name}-${folder.slice(-6)}`,
        `--hostname=${name}`,
        ...UNREGISTERED,
        ...(network === undefined ? [] : [`--network-namespace-path=/run/netns/${network.namespace}`]),
        ...Object.entries(volumes).map(([path, folder]) => `--bind=${folder}:${path}`),
        // IPAddressDeny is an eBPF program.
        "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
        "--system-call-filter=bpf",
        "--console=pipe",
        "--boot",
      ],
      `${folder}/console`,
      { SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
    );
    let leader = "";
    try {
      await until(`${name} boots`, async () => {
        if (container.ended) throw new Error(`${name} did not boot:\n${await container.tail()}`);
        const children = `/proc/${container.pid}/task/${container.pid}/children`;
        leader = (await Deno.readTextFile(children)).trim().split(" ").at(-1)!;
        return leader !== "" && await exists(`/proc/${leader}/root/run/systemd/private`);
      });
      return new Machine(name, folder, cgroup, container, leader);
    } catch (error) {
      await ended(container, leader, folder);
      await gone(folder, cgroup);
      throw error;
    }
  }

  /** Folder with exactly the files that were written to its disk. */
  get written(): string {
    return `${this.#folder}/written`;
  }

  /** Runs a shell command in it and returns its output. */
  async sh(command: string): Promise<string> {
    return (await run("nsenter", ["-t", this.#leader, "-m", "-u", "-i", "-n", "-p", "--", "sh", "-c", command])).trim();
  }

  /** A property of a unit. */
  async property(unit: string, property: string): Promise<string> {
    return await this.sh(`systemctl show --property=${property} --value ${unit}`);
  }

  /** Waits until a unit is active. */
  async active(unit: string, timeoutMs = 300_000): Promise<void> {
    try {
      await until(
        `${unit} is active on ${this.name}`,
        async () => {
          return await this.property(unit, "ActiveState") === "active";
        },
        timeoutMs,
        250,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.journal()}`);
    }
  }

  /** The last lines of the journal, of all units or of one. */
  async journal(unit?: string, lines = 60): Promise<string> {
    return await this.sh(
      `journalctl -b -o cat -n ${lines} ${unit === undefined ? "-p info" : `-u ${unit}`} --no-pager`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#container, this.#leader, this.#folder);
    await gone(this.#folder, this.#cgroup);
  }
}

/**
 * Kills a machine at once. Its first process must be killed by itself, because it outlives the program that started it;
 * everything in the machine ends with it.
 */
async function ended(container: Child, leader: string, folder: string): Promise<void> {
  // The process id may have been reused.
  const mounts = await Deno.readTextFile(`/proc/${leader}/mountinfo`).catch(() => "");
  if (mounts.includes(`upperdir=${folder}/`)) Deno.kill(Number(leader), "SIGKILL");
  await container.end("SIGKILL");
}

/**
 * Path of this process's cgroup. Each machine gets one of its own within it: machines in the same one would have the same
 * cgroup for units of the same name, so that stopping a unit in one ended its processes in all.
 */
async function cgroupOfThis(): Promise<string> {
  const [, own] = /^0::(.*)$/m.exec(await Deno.readTextFile("/proc/self/cgroup")) ?? [];
  const [, mount] = /^\S+ (\S+) cgroup2 /m.exec(await Deno.readTextFile("/proc/self/mounts")) ?? [];
  if (own === undefined || mount === undefined) throw new Error("this machine has no cgroup2");
  return `${mount}${own === "/" ? "" : own}`;
}

async function gone(folder: string, cgroup?: string): Promise<void> {
  if (cgroup !== undefined) {
    await until("the machine's cgroup is empty", () => {
      return run("find", [cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]).then(() => true, () => false);
    });
  }
  await until("the machine's disk can be unmounted", async () => {
    const mounts = await Deno.readTextFile("/proc/self/mounts");
    return !mounts.includes(` ${folder}/root `) ||
      await run("umount", [`${folder}/root`]).then(() => true, () => false);
  });
  await Deno.remove(folder, { recursive: true });
}
