/**
 * Attaches a volume to a host's own script late, and makes it larger: a loop device with a real file system.
 */
import assert from "node:assert/strict";
import { run } from "../../testing/servers/child.ts";
import { disk, noMachines } from "../testing/machine.ts";
import { hostFiles } from "./mod.ts";

const why = await noMachines();

/** Runs in mounts of its own; prints what happens, one a line. */
const SCRIPT = `set -euo pipefail
folder=$1 disk=$2 name=$3
mkdir "$folder"/work "$folder"/root
mount -t overlay overlay -o "lowerdir=$disk,upperdir=$folder/files,workdir=$folder/work" "$folder/root"
mount --bind /dev "$folder/root/dev"
mount -t proc proc "$folder/root/proc"
mount -t tmpfs tmpfs "$folder/root/run"
ended() { rm -f "/dev/$name"; umount -R "$folder/root" || true; [[ -z \${loop:-} ]] || losetup --detach "$loop"; }
trap ended EXIT
volume() {
  chroot "$folder/root" env DATA_DEVICE="/dev/$name" DATA_MOUNT=/var/lib/kafka LOOK_EVERY=0.2 KIND=kafka HOST=kafka-1 \
    /usr/local/lib/clickstream/data-volume
}
mebibytes() { df --block-size=1M --output=size "$folder/root/var/lib/kafka" | tail -1 | tr -d ' '; }
volume &
sleep 2
kill -0 $! && echo waits
truncate --size=400M "$folder/volume"
loop=$(losetup --find --show "$folder/volume")
ln -s "$loop" "/dev/$name"
wait $!
echo "size $(mebibytes)"
echo kept >"$folder/root/var/lib/kafka/data"
truncate --size=700M "$folder/volume"
losetup --set-capacity "$loop"
volume
echo "size $(mebibytes)"
cat "$folder/root/var/lib/kafka/data"
volume
grep -c xfs "$folder/root/etc/fstab"
`;

Deno.test({
  name: `a host waits for its data volume, and its file system grows with it${why === null ? "" : ` (${why})`}`,
  ignore: why !== null,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "clickstream-volume-", dir: "/tmp" });
    for (const { path, bytes, mode } of hostFiles("kafka")) {
      await Deno.mkdir(`${folder}/files/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.writeFile(`${folder}/files/${path}`, bytes, { mode });
    }
    try {
      const name = folder.slice(folder.lastIndexOf("/") + 1);
      const said = await run("unshare", ["--mount", "bash", "-c", SCRIPT, "bash", folder, await disk(), name]);
      const [waits, before, after, ...rest] = said.trim().split("\n");
      assert.equal(waits, "waits");
      const [small, large] = [before, after].map((line) => Number(line!.replace("size ", "")));
      assert.ok(small! > 300 && small! < 400, before!);
      assert.ok(large! > 600 && large! < 700, after!);
      assert.deepEqual(rest, ["kept", "1"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
