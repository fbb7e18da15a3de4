/**
 * The container image, run by Podman as docs/install.md says.
 * @module
 */
import assert from "node:assert/strict";
import { freePort, run, until } from "../../../testing/servers/child.ts";
import type { Broker } from "../../../testing/servers/kafka.ts";
import { type Server, using } from "../../../testing/servers/postgres.ts";
import type { InstallPage } from "./install_page.ts";

/** Limits within those of the machine, whose root may not raise them. */
const LIMITS = "--ulimit=nofile=4096:4096 --ulimit=nproc=4096:4096";

/** What a test of the image needs. */
export interface ContainerOptions {
  readonly broker: Broker;
  readonly server: Server;
  readonly page: InstallPage;
  /** The folder with a release's files. */
  readonly release: string;
}

/**
 * A `podman` with its data in a folder. Containers share the machine's network, and not even `/tmp` can be written to.
 * Docker reads the same image; its daemon is not needed here.
 */
async function podmanIn(folder: string): Promise<string> {
  const bin = `${folder}/bin`;
  await Deno.mkdir(bin, { recursive: true });
  const program = await run("sh", ["-c", "command -v podman"]).then((path) => path.trim(), () => "podman");
  const data =
    `--root=${folder}/data --runroot=${folder}/run --runtime=runc --cgroup-manager=cgroupfs --events-backend=none`;
  const script = `#!/bin/sh
command=$1
shift
case $command in
  run) exec ${program} ${data} run --network=host --read-only-tmpfs=false ${LIMITS} "$@" ;;
  *) exec ${program} ${data} "$command" "$@" ;;
esac
`;
  await Deno.writeTextFile(`${bin}/podman`, script);
  await Deno.chmod(`${bin}/podman`, 0o755);
  return bin;
}

/** Why no container can run here; null if it can. */
export async function noContainers(): Promise<string | null> {
  if (Deno.uid() !== 0) return "needs root, to run a container";
  for (const program of ["podman", "runc"]) {
    if (!await run("sh", ["-c", `command -v ${program}`]).then(() => true, () => false)) {
      return `needs ${program}: apt-get install podman runc`;
    }
  }
  return null;
}

/** Loads the image, runs it as the page says, and counts what the simulator sends. */
export async function runsInContainer({ broker, server, page, release }: ContainerOptions): Promise<void> {
  // Podman takes at most 50 characters.
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "clickstream-" });
  const bin = await podmanIn(folder);
  const port = freePort();
  const url = await server.createDatabase("container");
  await broker.createTopic("container", 2);
  const shell = async (script: string): Promise<string> =>
    await run("sh", ["-c", `exec 2>&1\ncd '${folder}'\nexport RELEASE='file://${release}'\n${script}`], {
      PATH: `${bin}:${Deno.env.get("PATH")}`,
    });
  // It answers after a moment.
  const asked = "podman exec clickstream clickstream status";
  const addresses = {
    [asked]: `timeout 60 sh -c 'until ${asked}; do sleep 1; done'`,
    "localhost:9092": broker.bootstrap,
    "postgres://clickstream@localhost/clickstream": url,
    "--publish 127.0.0.1:8080:8080":
      `--env HTTP_LISTEN=127.0.0.1:${port} --env KAFKA_TOPIC=container --env KAFKA_GROUP_ID=container`,
  };
  try {
    const said = await shell(page.script("Container image 1", addresses));
    assert.match(said, /^1\.0\.0$/m);
    assert.match(said, /^0 records: 0 stored/m);
    const image = "localhost/clickstream:1.0.0";
    const settings = `--env KAFKA_BROKERS=${broker.bootstrap} --env KAFKA_TOPIC=container`;
    const generate = `podman run --rm ${settings} ${image} generate --fast --seconds 10 --rate 100 --json 2>/dev/null`;
    const { records } = JSON.parse((await shell(generate)).trim().split("\n").at(-1)!) as { readonly records: number };
    await using(url, (db) =>
      until("the container counts everything", async () => {
        const { rows } = await db.query<{ consumed: number }>(
          "select coalesce(sum(consumed), 0)::integer as consumed from clickstream.progress",
        );
        return rows[0]!.consumed === records;
      }));
    // Neither root nor able to write.
    const inspected = await shell(
      "podman inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' clickstream",
    );
    assert.equal(inspected.trim(), "65532:65532 true");
    const pid = (await shell("podman inspect --format '{{.State.Pid}}' clickstream")).trim();
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    assert.match(status, /^Uid:\s65532\s65532\s/m);
    assert.match(status, /^CapEff:\s0+$/m);
    await shell(page.script("Container image 2"));
    assert.equal((await shell("podman inspect --format '{{.State.ExitCode}}' clickstream")).trim(), "0");
  } finally {
    await shell("podman rm --all --force --time=0; podman rmi --all --force; umount data/overlay 2>/dev/null || true");
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs the program of the other architecture, with the libraries of its image, in an emulator. */
export async function runsEmulated(release: string, folder: string): Promise<void> {
  const root = `${folder}/arm64`;
  const layout = `${folder}/layout`;
  await Deno.mkdir(layout, { recursive: true });
  await Deno.mkdir(root);
  await run("tar", ["-xf", `${release}/clickstream-1.0.0-image.tar`, "-C", layout]);
  const read = async <T>(digest: string) =>
    JSON.parse(await Deno.readTextFile(`${layout}/blobs/${digest.replace(":", "/")}`)) as T;
  interface Part {
    readonly digest: string;
    readonly platform?: { readonly architecture: string };
  }
  const top = JSON.parse(await Deno.readTextFile(`${layout}/index.json`)) as { readonly manifests: readonly Part[] };
  const { manifests } = await read<{ readonly manifests: readonly Part[] }>(top.manifests[0]!.digest);
  assert.deepEqual(manifests.map(({ platform }) => platform!.architecture), ["amd64", "arm64"]);
  const { layers } = await read<{ readonly layers: readonly Part[] }>(manifests[1]!.digest);
  for (const { digest } of layers) {
    await run("tar", ["-xzf", `${layout}/blobs/${digest.replace(":", "/")}`, "-C", root]);
  }
  const said = await run("qemu-aarch64-static", ["-L", root, `${root}/usr/bin/clickstream`, "version", "--json"]);
  const { version, target } = JSON.parse(said) as { readonly version: string; readonly target: string };
  assert.deepEqual([version, target], ["1.0.0", "aarch64-unknown-linux-gnu"]);
}
