/**
 * Finds the imports of the repository's files in their source.
 * @module
 */
import { fileURLToPath } from "node:url";

/** Source by path, relative to the repository. */
export type Files = ReadonlyMap<string, string>;

const ROOT = new URL("../", import.meta.url);

/** Folders with source. */
export const FOLDERS = ["bench", "generator", "grafana", "infra", "migrations", "processor", "tasks", "testing"];

/** Reads every TypeScript file of `FOLDERS`. */
export async function readSources(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of FOLDERS) await readFolder(folder, files);
  return files;
}

async function readFolder(folder: string, files: Map<string, string>): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    const path = `${folder}/${name}`;
    if (isDirectory) await readFolder(path, files);
    else if (name.endsWith(".ts")) files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
}

/** Returns the text without comments; line numbers stay the same. */
export function withoutComments(text: string): string {
  return text
    .replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replaceAll(/[^\n]/g, ""))
    .replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

/** Returns the imports of a file: paths in the repository, or package names. */
export function importsOf(path: string, text: string): string[] {
  const code = withoutComments(text);
  const statements = code.matchAll(/^(?:import|export)\s+(?:[^;"'()]*?\sfrom\s+)?"([^"]+)"/gm);
  const dynamic = code.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [...statements, ...dynamic].map(([, of]) => resolved(path, of!));
}

function resolved(path: string, of: string): string {
  if (!of.startsWith(".")) return of;
  const file = fileURLToPath(new URL(of, `file:///${path}`)).slice(1);
  // AssemblyScript leaves the extension out.
  return path.startsWith("processor/kernel/assembly/") ? `${file}.ts` : file;
}
