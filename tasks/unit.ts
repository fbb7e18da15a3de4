/**
 * `deno task test:unit`: the tests that need no server, process or network, in seconds. Arguments go on to `deno test`:
 * with `--watch` they run again at every change. Types are left to the editor and `deno task ok --quick`.
 * @module
 */
import { fileURLToPath } from "node:url";
import { type Files, importsOf, readSources, withoutComments } from "./imports.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folders and packages that start something: real servers, and the PostgreSQL that is embedded. */
const STARTS = /^(testing\/servers\/|@electric-sql\/pglite$|node:child_process$)/;

/** What starts a process, wherever it stands in what a test imports. */
const PROCESS = /\bDeno\.Command\b/;

/** What uses the network. Source may be able to, as long as the test doesn't make it: the task denies it. */
const NETWORK = /\bDeno\.(listen|connect|serve)|\bfetch\(/;

/** Less work than in the whole run, for the tests that try much. */
const EFFORT = { TEST_SHARE: "0.1", SIM_SEEDS: "40", AGREEMENT_RUNS: "15", SCAN_INPUTS: "20000" };

/** Why each test file that is not a unit test is none; null for those that are. */
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

/** A file and all that it imports, in however many steps. */
function reachedFrom(path: string, imports: ReadonlyMap<string, readonly string[]>): string[] {
  const reached = new Set([path]);
  // What is added to a set while it is walked is walked as well.
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
