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

/** Returns all files, and the names of missing ones; an empty file stands in for each missing one. */
export async function builtFiles(
  architecture: Architecture,
): Promise<{ files: Record<FileName, BuiltFile>; missing: FileName[] }> {
  const missing: FileName[] = [];
  const entries = await Promise.all(FILES.map(async (name) => {
    const path = pathOf(name, architecture);
    const sha256 = await hashOf(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      missing.push(name);
      return null;
    });
    return [name, sha256 === null ? await nothing() : { path, sha256 }] as const;
  }));
  return {
    files: Object.fromEntries(entries) as Record<FileName, BuiltFile>,
    missing: FILES.filter((name) => missing.includes(name)),
  };
}

async function hashOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

async function nothing(): Promise<BuiltFile> {
  const path = `${DIST}artifacts/nothing`;
  await Deno.mkdir(`${DIST}artifacts`, { recursive: true });
  await Deno.writeFile(path, new Uint8Array());
  return { path, sha256: await hashOf(path) };
}
