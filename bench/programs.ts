/**
 * The versions of the service that a benchmark runs: this checkout, and another checkout, binary or commit.
 * @module
 */
import { fileURLToPath } from "node:url";
import { exists, run } from "../testing/servers/child.ts";
import { build } from "../tasks/build.ts";
import { AGAINST, THIS } from "./figures.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = `${ROOT}processor/main.ts`;

/** The binary of this checkout. */
export const BINARY = `${ROOT}dist/clickstream`;

/** A version of the service: its name in the report, and the command that runs it. */
export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** Builds this checkout. */
export async function builtHere(): Promise<Program> {
  await build();
  return { name: THIS, command: [BINARY] };
}

/** This checkout run from its sources, for profiles; `v8` are options of V8. */
export function fromSources(v8: readonly string[]): Program {
  return { name: THIS, command: [Deno.execPath(), "run", "-A", "--quiet", ...v8, MAIN] };
}

/**
 * Another version to compare with: a binary as it is, or a checkout or a commit of this repository, which are built.
 *
 * @param folder an existing folder for the sources of a commit
 */
export async function builtAgainst(what: string, folder: string): Promise<Program> {
  if (await exists(what)) {
    const path = await Deno.realPath(what);
    return { name: AGAINST, command: [(await Deno.stat(path)).isFile ? path : await builtIn(path)] };
  }
  if (!await hasCommit(what)) throw new Error(`--against ${what}: there is no such file, folder or commit`);
  await run("git", ["clone", "--quiet", "--shared", "--no-checkout", ROOT, `${folder}/clone`]);
  await run("git", ["-C", `${folder}/clone`, "checkout", "--quiet", "--detach", what]);
  return { name: AGAINST, command: [await builtIn(`${folder}/clone`)] };
}

async function builtIn(checkout: string): Promise<string> {
  console.log(`builds ${checkout} …`);
  await run("sh", ["-c", `cd '${checkout}' && ./deno task build`]);
  return `${checkout}/dist/clickstream`;
}

/** Whether this repository has a commit. */
export async function hasCommit(commit: string): Promise<boolean> {
  return await git("rev-parse", "--verify", "--quiet", `${commit}^{commit}`) !== null;
}

/** The commit of this checkout, with `-dirty` if files were changed; `unknown` outside a repository. */
export async function thisCommit(): Promise<string> {
  return await git("describe", "--always", "--abbrev=12", "--dirty", "--exclude=*") ?? "unknown";
}

async function git(...args: string[]): Promise<string | null> {
  return await run("git", ["-C", ROOT, ...args]).then((text) => text.trim(), () => null);
}
