/**
 * Checks the hosts' files with the tools for them: user data with cloud-init, scripts with shellcheck, units with
 * systemd in the version that runs them.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../../testing/servers/child.ts";
import { hostArchive, hostFiles, MAX_USER_DATA_BYTES, OPEN_UNITS, userData } from "./mod.ts";
import { type BootSettings, HOST_KINDS, type HostKind } from "./settings.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Highest exposure that a service may have. */
const MOST_EXPOSURE = 2;

/** Accepted findings of `systemd-analyze security`, each with its exposure. Nothing else is accepted. */
const SAID: Readonly<Record<string, string>> = {
  // Kafka, PostgreSQL and clients are reached through it: the private network and nothing else.
  PrivateNetwork: "0.5",
  RestrictAddressFamilies_AF_INET_INET6: "0.3",
  // It would be 0.2 if every address were reachable.
  IPAddressDeny: "0.1",
  // Used to talk to systemd itself.
  RestrictAddressFamilies_AF_UNIX: "0.1",
  // V8 and the JVM generate code.
  MemoryDenyWriteExecute: "0.1",
  // Programs find their libraries in it.
  RootDirectoryOrRootImage: "0.1",
  // ProtectClock still allows reading the clock.
  DeviceAllow: "0.1",
};

/** Accepted findings of single services. */
const SAID_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // Its purpose is to report what /proc says about the machine.
  "node-exporter.service": { ProcSubset: "0.1" },
};

/** Findings that systemd does not count, or that another directive covers. */
const UNSEEN = /^(AmbientCapabilities|DevicePolicy|NoNewPrivileges|SystemCallErrorNumber|InaccessiblePaths)=/;

async function missing(program: string, from: string): Promise<string | null> {
  const there = await run("sh", ["-c", `command -v ${program}`]).then(() => true, () => false);
  return there ? null : `needs ${program}: apt-get install ${from}`;
}

/** Registers a test that names the reason if it cannot run here. */
function tool(name: string, why: string | null, body: () => Promise<void>): void {
  Deno.test({ name: why === null ? name : `${name} (${why})`, ignore: why !== null, fn: body });
}

function boot(kind: HostKind): BootSettings {
  return {
    kind,
    host: `${kind}-1`,
    hostName: `${kind}-1.clickstream.internal`,
    region: "eu-central-1",
    releaseParameter: `/clickstream/dev/${kind}-1/release`,
    dataVolume: kind === "processor" ? null : { device: "/dev/sdf", mount: `/var/lib/${kind}` },
  };
}

/** Writes a host's files into a folder, with the programs that its units start. */
async function laidOut(kind: HostKind): Promise<string> {
  const root = await Deno.makeTempDir();
  const put = async (path: string, bytes: Uint8Array, mode: number) => {
    await Deno.mkdir(`${root}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${root}/${path}`, bytes, { mode });
  };
  for (const { path, bytes, mode } of hostFiles(kind)) await put(path, bytes, mode);
  for (const { path, bytes } of hostFiles(kind)) {
    if (!path.endsWith(".service")) continue;
    for (const [, program] of new TextDecoder().decode(bytes).matchAll(/^ExecStart=(\/opt\/\S+)/gm)) {
      await put(program!.slice(1), new Uint8Array(), 0o755);
    }
  }
  // Parts of systemd that units wait for or call.
  await Deno.symlink("/lib/systemd/system", `${root}/lib-systemd`);
  await Deno.mkdir(`${root}/lib/systemd`, { recursive: true });
  await run("cp", ["-a", "/lib/systemd/system", `${root}/lib/systemd/`]);
  await put("bin/kill", new Uint8Array(), 0o755);
  return root;
}

tool(
  "user data is what cloud-init knows, small, and the same for every version",
  await missing("cloud-init", "cloud-init"),
  async () => {
    for (const kind of HOST_KINDS) {
      const text = userData(boot(kind));
      assert.ok(new TextEncoder().encode(text).length < MAX_USER_DATA_BYTES / 4, `${kind}: ${text.length}`);
      const file = await Deno.makeTempFile();
      await Deno.writeTextFile(file, text);
      await run("cloud-init", ["schema", "--config-file", file]);
      // The schema accepts misspelled keys.
      assert.deepEqual(text.match(/^[a-z_]+(?=:)/gm), ["write_files", "runcmd"]);
    }
    const wrong = await Deno.makeTempFile();
    await Deno.writeTextFile(wrong, userData(boot("kafka")).replace("write_files:", "write_files: 1\nbootcmd:"));
    await assert.rejects(() => run("cloud-init", ["schema", "--config-file", wrong]));
  },
);

tool("shellcheck accepts the scripts", await missing("shellcheck", "shellcheck"), async () => {
  const scripts = [...Deno.readDirSync(`${HERE}scripts`)].map(({ name }) => `${HERE}scripts/${name}`)
    .filter((path) => !/\.(xml|yaml)$/.test(path));
  await run("shellcheck", ["--external-sources", `--source-path=${HERE}scripts`, `${HERE}start.sh`, ...scripts]);
});

tool(
  "units are what systemd knows, and their sandboxes are tight",
  await missing("systemd-analyze", "systemd"),
  async () => {
    for (const kind of HOST_KINDS) {
      const root = await laidOut(kind);
      const units = hostFiles(kind).map(({ path }) => path).filter((path) => /^etc\/systemd\/system\/[^/]+$/.test(path))
        .map((path) => path.slice(path.lastIndexOf("/") + 1));
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: [`--root=${root}`, "--man=no", "verify", ...units],
      }).output();
      assert.equal(new TextDecoder().decode(stderr), "");
      assert.equal(code, 0);
      for (const unit of units.filter((name) => name.endsWith(".service") && !OPEN_UNITS.includes(name))) {
        const exposure = await exposed(root, unit);
        assert.ok(exposure <= MOST_EXPOSURE, `${unit} has an exposure of ${exposure}`);
        assert.deepEqual(await saidAgainst(root, unit), { ...SAID, ...SAID_OF[unit] }, unit);
      }
      await Deno.remove(root, { recursive: true });
    }
  },
);

tool(
  "a sandbox that lacks any of its directives would be seen",
  await missing("systemd-analyze", "systemd"),
  async () => {
    // DynamicUser implies some of them.
    const unit = "kafka.service";
    const root = await laidOut("kafka");
    const file = `${root}/etc/systemd/system/${unit}.d/10-sandbox.conf`;
    const sandbox = await Deno.readTextFile(file);
    const sound = await saidAgainst(root, unit);
    for (const directive of sandbox.match(/^[A-Z]\w+=.*$/gm)!.filter((line) => !UNSEEN.test(line))) {
      await Deno.writeTextFile(file, sandbox.replace(`${directive}\n`, ""));
      assert.notDeepEqual(await saidAgainst(root, unit), sound, `without ${directive}`);
    }
    await Deno.remove(root, { recursive: true });
  },
);

async function exposed(root: string, unit: string): Promise<number> {
  const said = await run("systemd-analyze", [`--root=${root}`, "--offline=yes", "security", "--no-pager", unit]);
  return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
}

/** Findings of systemd about a unit, each with its exposure. */
async function saidAgainst(root: string, unit: string): Promise<Record<string, string>> {
  const args = [`--root=${root}`, "--offline=yes", "security", "--no-pager", "--json=short", unit];
  const checks = JSON.parse(await run("systemd-analyze", args)) as { json_field: string; exposure: string | null }[];
  return Object.fromEntries(
    checks.flatMap(({ json_field: check, exposure }) => exposure === null ? [] : [[check, exposure]]),
  );
}

Deno.test("no service writes its memory, which holds secrets, to disk", async () => {
  for await (const { name } of Deno.readDir(`${HERE}units`)) {
    if (!name.endsWith(".service")) continue;
    assert.match(await Deno.readTextFile(`${HERE}units/${name}`), /^LimitCORE=0$/m, name);
  }
});

Deno.test("every unit and script is on a host, and packing again gives the same bytes", async () => {
  const all = HOST_KINDS.flatMap((kind) => hostFiles(kind)).map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
  for (const folder of ["units", "scripts"]) {
    for await (const { name } of Deno.readDir(HERE + folder)) {
      assert.ok(all.includes(name === "sandbox.conf" ? "10-sandbox.conf" : name), `${name} is on no host`);
    }
  }
  for (const kind of HOST_KINDS) {
    assert.deepEqual(hostArchive(kind), hostArchive(kind));
    const file = await Deno.makeTempFile();
    await Deno.writeFile(file, hostArchive(kind));
    const listed = (await run("tar", ["-tzf", file])).trim().split("\n");
    assert.deepEqual(listed, hostFiles(kind).map(({ path }) => path).sort());
  }
});
