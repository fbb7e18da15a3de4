/**
 * Runs the script that renews packages as each host on each night, with stand-ins for what would change the machine.
 */
import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { disk, noMachines } from "../testing/machine.ts";
import { hostFiles } from "./mod.ts";
import { type HostKind, PORTS } from "./settings.ts";

const why = await noMachines();

/** Production's hosts, in the order of the list of all. */
const HOSTS = ["kafka-1", "kafka-2", "kafka-3", "processor-1", "processor-2", "monitoring-1"];

/** Stand-ins that say what they were asked; packages change if `NEW` is set. */
const STAND_INS: Readonly<Record<string, string>> = {
  dnf: 'echo "dnf $*" >>/run/said',
  rpm: '[ -z "$NEW" ] || date +%N',
  systemctl: `case "$*" in
    "show --property=ActiveState --value kafka.service") echo active ;;
    "start kafka-check.service") ;;
    *) echo "systemctl $*" >>/run/said ;;
  esac`,
};

/** Runs each of these hosts on this night; prints what is done there, and the exit code. */
const SCRIPT = `set -euo pipefail
folder=$1 disk=$2 kind=$3
mkdir "$folder"/work "$folder"/root
mount -t overlay overlay -o "lowerdir=$disk,upperdir=$folder/files,workdir=$folder/work" "$folder/root"
mount -t proc proc "$folder/root/proc"
mount -t tmpfs tmpfs "$folder/root/run"
trap 'umount -R "$folder/root"' EXIT
mkdir -p "$folder/root/run/clickstream" "$folder/root/run/kafka-check"
cp "$folder/release.json" "$folder/root/run/clickstream/release.json"
echo "$OUT_OF_SYNC" >"$folder/root/run/kafka-check/others"
for host in $HOSTS; do
  for night in 0 1 2 3 4 5 6; do
    : >"$folder/root/run/said"
    code=0
    chroot "$folder/root" env NIGHT=$night KIND="$kind" HOST=$host HOST_NAME=$host.internal NEW="$NEW" \\
      /usr/local/lib/clickstream/patch 2>"$folder/error" || code=$?
    [[ ! -s $folder/root/run/said && $code == 0 ]] ||
      echo "$host $night $code $(cat "$folder/root/run/said" "$folder/error" | paste -sd ';')"
  done
done
`;

interface Nights {
  readonly hosts: readonly string[];
  readonly outOfSync?: number;
  readonly isNew?: boolean;
}

async function nights(kind: HostKind, { hosts, outOfSync = 0, isNew = false }: Nights): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-patch-", dir: "/tmp" });
  const standIns = Object.entries(STAND_INS).map(([name, text]) => ({
    path: `usr/local/bin/${name}`,
    bytes: new TextEncoder().encode(`#!/bin/sh\n${text}\n`),
    mode: 0o755,
  }));
  for (const { path, bytes, mode } of [...hostFiles(kind), ...standIns]) {
    await Deno.mkdir(`${folder}/files/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${folder}/files/${path}`, bytes, { mode });
  }
  const node = HOSTS.map((host) => `${host}.internal:${PORTS.nodeExporter}`);
  await Deno.writeTextFile(`${folder}/release.json`, JSON.stringify({ targets: { node } }));
  try {
    const env = { HOSTS: hosts.join(" "), OUT_OF_SYNC: `${outOfSync}`, NEW: isNew ? "yes" : "" };
    const said = await run("unshare", ["--mount", "bash", "-c", SCRIPT, "bash", folder, await disk(), kind], env);
    return said.trim().split("\n").filter((line) => line !== "");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const UPGRADE = "dnf upgrade --releasever=latest --assumeyes --quiet";

Deno.test({
  name: `packages are renewed one host a night, and no broker while another is out of sync${why ? ` (${why})` : ""}`,
  ignore: why !== null,
  fn: async () => {
    const all = await nights("processor", { hosts: HOSTS });
    assert.deepEqual(all, HOSTS.map((host, night) => `${host} ${night} 0 ${UPGRADE}`));
    const [anew] = await nights("kafka", { hosts: ["kafka-2"], isNew: true });
    assert.equal(
      anew,
      `kafka-2 1 0 ${UPGRADE};systemctl stop clickstream-apply.timer;systemctl reboot;packages are new: this machine starts anew`,
    );
    assert.deepEqual(await nights("kafka", { hosts: ["kafka-2"], outOfSync: 4, isNew: true }), [
      "kafka-2 1 1 not patched tonight: another broker is out of sync in 4 partitions",
    ]);
  },
});
