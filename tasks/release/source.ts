/**
 * What a release is made from.
 * @module
 */
import { fileURLToPath } from "node:url";
import { VERSION } from "../../processor/version.ts";

/** The folder of the repository, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The commit that a release is made from. */
export interface Source {
  /** Version of the program; `processor/version.ts` is the only place that has it. */
  readonly version: string;
  readonly commit: string;
  /** Whether files differ from the commit's. */
  readonly changed: boolean;
  /** Time of the commit, in seconds since 1970: the date of everything in the release. */
  readonly timeS: number;
}

/**
 * Reads the version and the commit.
 *
 * @throws {Error} if the repository is no clone
 */
export async function readSource(): Promise<Source> {
  const [commit, timeS] = (await run("git", ["log", "-1", "--format=%H %ct"])).trim().split(" ");
  const changed = (await run("git", ["status", "--porcelain"])).trim() !== "";
  return { version: VERSION, commit: commit!, changed, timeS: Number(timeS) };
}

/**
 * Runs a program to its end, in the repository, and returns its output.
 *
 * @throws {Error} with its output if it fails
 */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { success, code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env, cwd: ROOT })
    .output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${out}${err}`);
  return out!;
}

/** What a processor architecture is called. */
export interface Architecture {
  readonly target: string;
  readonly debian: string;
  readonly rpm: string;
  /** Where Debian has libraries, below `lib/`. */
  readonly libraries: string;
  /** Path of the loader of programs, and what it links to. */
  readonly loader: readonly [path: string, to: string];
}

/** The architectures of a release. */
export const ARCHITECTURES = {
  x86_64: {
    target: "x86_64-unknown-linux-gnu",
    debian: "amd64",
    rpm: "x86_64",
    libraries: "x86_64-linux-gnu",
    loader: ["lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"],
  },
  arm64: {
    target: "aarch64-unknown-linux-gnu",
    debian: "arm64",
    rpm: "aarch64",
    libraries: "aarch64-linux-gnu",
    loader: ["lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1"],
  },
} as const satisfies Record<string, Architecture>;

/** Name of an architecture. */
export type ArchitectureName = keyof typeof ARCHITECTURES;
