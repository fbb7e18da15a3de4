/**
 * `deno task test:unit`: runs the tests that need no server, process or network, in seconds. Arguments are passed on to
 * `deno test`: with `--watch` they run again at every change. Types are checked by the editor and `deno task ok
 * --quick`.
 * @module
 */
import { fileURLToPath } from "node:url";
import { type Files, importsOf, readSources, withoutComments } from "./imports.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folders and packages that start something: real servers and the embedded PostgreSQL. */
const STARTS = /^(testing\/servers\/|@electric-sql\/pglite$|node:child_process$)/;

/** Starts a process; searched in everything that a test imports. */
const PROCESS = /\bDeno\.Command\b/;

/** Uses the network; searched in the test only. The task denies the network, so imported code may contain it. */
const NETWORK = /\bDeno\.(listen|connect|serve)|\bfetch\(/;

/** Less work than in the whole run, for tests with many cases. */
const EFFORT = { TEST_SHARE: "0.1", AGREEMENT_RUNS: "15", KERNEL_INPUTS: "20000" };

/** The reason why a test file is no unit test; null for unit tests. */
export function whyNotUnit(files: Files): Map<string, string | null> {
  const imports = new Map([...files].map(([path, text]) => [path, importsOf(path, text)]));
  const tests = [...files.keys()].filter((path) => path.endsWith("_test.ts")).sort();
  return new Map(tests.map((path) => {
    const network = NETWORK.exec(withoutStrings(files.get(path)!))?.[0];
    if (network !== undefined) return [path, `it says ${network}`];
    const reached = reachedFrom(path, imports);
    const started = reached.find((of) => STARTS.test(of));
    if (started !== undefined) return [path, `it imports ${started}`];
    const starting = reached.find((of) => PROCESS.test(withoutStrings(files.get(of) ?? "")));
    return [path, starting === undefined ? null : `${starting} starts a process`];
  }));
}

function withoutStrings(text: string): string {
  return withoutComments(text).replaceAll(/(["'])(?:\\.|(?!\1)[^\\\n])*\1/g, '""');
}

/** A file and everything that it imports, directly or indirectly. */
function reachedFrom(path: string, imports: ReadonlyMap<string, readonly string[]>): string[] {
  const reached = new Set([path]);
  // Iterating over a set includes elements that are added meanwhile.
  for (const of of reached) for (const next of imports.get(of) ?? []) reached.add(next);
  return [...reached];
}

async function main(): Promise<number> {
  const units = [...whyNotUnit(await readSources())].flatMap(([path, why]) => why === null ? [path] : []);
  const denied = [
    "--deny-net",
    "--deny-run",
    "--no-prompt",
    "--allow-read",
    "--allow-write",
    "--allow-env",
    "--allow-sys",
  ];
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "--quiet", "--parallel", ...denied, "--allow-ffi", ...Deno.args, ...units],
    cwd: ROOT,
    env: EFFORT,
  }).spawn().status;
  return code;
}

if (import.meta.main) Deno.exit(await main());
