/**
 * A folder's files, to be archived.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { TarFile } from "./tar.ts";

const GRAFANA = fileURLToPath(new URL("../../grafana", import.meta.url));

/**
 * Reads the files of a folder and of the folders in it; `wanted` chooses by the path below the folder.
 *
 * @throws {Error} if there are none: an archive without files is never meant
 */
export async function folderFiles(folder: string, wanted: RegExp = /./): Promise<TarFile[]> {
  const paths = (await pathsIn(folder)).filter((path) => wanted.test(path));
  if (paths.length === 0) throw new Error(`${folder} has no file to archive`);
  return await Promise.all(paths.map(async (path) => ({
    path,
    mode: 0o644,
    bytes: await Deno.readFile(`${folder}/${path}`),
  })));
}

/** Dashboards, data sources and alert rules of Grafana, and the files of Prometheus. */
export async function monitoringFiles(): Promise<TarFile[]> {
  return await folderFiles(GRAFANA, /^(dashboards\/.*\.json|provisioning\/.*\.yaml|prometheus\/.*\.yml)$/);
}

/** The paths of a folder's files below it, sorted. */
async function pathsIn(folder: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${below}`)) {
    if (isDirectory) found.push(...await pathsIn(folder, `${below}${name}/`));
    else found.push(`${below}${name}`);
  }
  return found.sort();
}
