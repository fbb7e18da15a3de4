/**
 * The files for the bucket: as built in dist, and the shop's file of declared views.
 * @module
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readSettings } from "../processor/config/config.ts";
import { type BuiltFile, type FileName, FILES } from "./artifacts.ts";
import type { Architecture } from "./instances.ts";
import { type Settings, WrongSettings } from "./settings.ts";

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

/** Digits of the hash with which `VIEWS_FILE` is recorded. */
const HASH_DIGITS = 16;

/**
 * Returns the environment with the content of the file in `VIEWS_FILE`, as in `views.yaml#1f0c9e2b7a310d44`: another
 * content is another setting.
 *
 * @throws {WrongSettings} if the file is missing, or naming every fault in it
 */
export function withViews(env: (name: string) => string | undefined): (name: string) => string | undefined {
  const path = env("VIEWS_FILE");
  if (!path) return env;
  const named = `${path}#${checkedHash(path, env).slice(0, HASH_DIGITS)}`;
  return (name) => name === "VIEWS_FILE" ? named : env(name);
}

/**
 * Returns the file of `VIEWS_FILE`, if it is set.
 *
 * @throws {WrongSettings} if the file is missing, is not the one that is recorded, or naming every fault in it
 */
export function viewsFile({ VIEWS_FILE: named, passedOn }: Settings): { readonly views?: BuiltFile } {
  if (named === null) return {};
  const at = named.lastIndexOf("#");
  const [path, recorded] = [named.slice(0, at), named.slice(at + 1)];
  const sha256 = checkedHash(path, (name) => passedOn[name]);
  if (sha256.startsWith(recorded)) return { views: { path: resolve(path), sha256 } };
  throw new WrongSettings(
    `${path} is not the file that is deployed. To deploy it, set VIEWS_FILE=${path} and name it: --change VIEWS_FILE`,
  );
}

/** SHA-256 of a file of declared views that has no fault, with these settings beside it. */
function checkedHash(path: string, env: (name: string) => string | undefined): string {
  readSettings(["VIEWS", "VIEWS_FILE"], (name) => name === "VIEWS_FILE" ? path : env(name));
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

async function hashOf(path: string): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}
