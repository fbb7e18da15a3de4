/**
 * Installs missing Debian packages that the tests need besides Node, Java and Python, where possible.
 * @module
 */

/** A command that succeeds if the package is installed, and the package. */
export const NEEDED: readonly (readonly [command: string, name: string])[] = [
  ["mvn --version", "maven"],
  ["chromium --version", "chromium"],
  ["openssl version", "openssl"],
  ["setpriv --version", "util-linux"],
  ["debootstrap --version", "debootstrap"],
  ["systemd-nspawn --version", "systemd-container"],
  ["cloud-init --version", "cloud-init"],
  ["shellcheck --version", "shellcheck"],
  ["PATH=$PATH:/usr/sbin pgbouncer --version", "pgbouncer"],
  ["rpmbuild --version", "rpm"],
  ["podman --version", "podman"],
  ["runc --version", "runc"],
  ["qemu-aarch64-static --version", "qemu-user-static"],
  ["docker-compose --version", "docker-compose"],
  ["ip -V", "iproute2"],
  ["zsh --version", "zsh"],
  ["fish --version", "fish"],
  ["command -v mandoc", "mandoc"],
  // Debian's Python has neither by default.
  ["python3 -c 'import ensurepip'", "python3-venv"],
  ["python3 -c 'import pip'", "python3-pip"],
];

/** Installs missing packages if run as root; otherwise names them and the command to install them. */
export async function installPackages(): Promise<void> {
  const missing: string[] = [];
  for (const [command, name] of NEEDED) if (!await succeeds(command)) missing.push(name);
  if (missing.length === 0) return;
  const install = `apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 ${missing.join(" ")}`;
  console.log(`${Deno.uid() === 0 ? "installs" : "some tests need"} ${missing.join(", ")}: ${install}`);
  if (Deno.uid() !== 0) return;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const { success } = await new Deno.Command("sh", { args: ["-c", `apt-get update -q && ${install}`], env }).spawn()
    .status;
  // Tests that need them report it themselves.
  if (!success) console.error(`could not install ${missing.join(", ")}`);
}

async function succeeds(command: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", command], stdout: "null", stderr: "null" }).output();
  return success;
}
