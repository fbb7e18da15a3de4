/**
 * The files for the bucket, as built in dist.
 * @module
 */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type BuiltFile, type FileName, FILES } from "./artifacts.ts";
import type { Architecture } from "./instances.ts";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));

/** Files that depend on the hosts' architecture. */
const BY_ARCHITECTURE: ReadonlySet<FileName> = new Set([
  "clickstream",
  "prometheus",
  "node_exporter",
  "postgres_exporter",
  "grafana",
]);

/** Path of a built file. */
export function pathOf(name: FileName, architecture: Architecture): string {
  return `${DIST}artifacts/${BY_ARCHITECTURE.has(name) ? `${name}-${architecture}` : name}`;
}

/** Artifacts are missing or empty: nothing can be deployed. */
export class NotBuilt extends Error {
  override name = "NotBuilt";
}

/**
 * Returns all files.
 *
 * @throws {NotBuilt} naming each file that is missing or empty
 */
export async function builtFiles(
  architecture: Architecture,
  place = (name: FileName) => pathOf(name, architecture),
): Promise<Record<FileName, BuiltFile>> {
  const faults: string[] = [];
  const entries = await Promise.all(FILES.map(async (name) => {
    const path = place(name);
    const size = await Deno.stat(path).then(({ size }) => size, () => null);
    if (size === null || size === 0) faults.push(`${name} is ${size === null ? "missing" : "empty"}`);
    return [name, { path, sha256: size === null ? "" : await hashOf(path) }] as const;
  }));
  if (faults.length > 0) throw new NotBuilt(`${faults.sort().join(", ")}: ./deno task artifacts builds them`);
  return Object.fromEntries(entries) as Record<FileName, BuiltFile>;
}

/** Returns a stand-in for each file, to look at what is synthesized; Terraform refuses to apply one. */
export async function unbuiltFiles(): Promise<Record<FileName, BuiltFile>> {
  const path = `${DIST}artifacts/unbuilt`;
  await Deno.mkdir(`${DIST}artifacts`, { recursive: true });
  await Deno.writeTextFile(path, "This stands for an artifact that was not built.\n");
  const file = { path, sha256: await hashOf(path), unbuilt: true };
  return Object.fromEntries(FILES.map((name) => [name, file])) as Record<FileName, BuiltFile>;
}

async function hashOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}
