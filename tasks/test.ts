/**
 * `deno task test`: installs missing packages, builds the binary, runs the tests, and prints how many passed and
 * failed. `--all` also builds the release, follows the checklists of CONTRIBUTING.md, and at last boots the AWS hosts.
 * Other arguments are passed on to `deno test`, instead of all folders.
 * @module
 */
import { fileURLToPath } from "node:url";
import { build } from "./build.ts";
import { readSources } from "./imports.ts";
import { installPackages } from "./packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What a JUnit report says of tests and their steps. */
export interface Outcome {
  readonly passed: number;
  /** Of each failed one: its file, its name, and what went wrong. */
  readonly failures: readonly string[];
}

/** Reads a JUnit report; null if it is not whole, as after a crash. */
export function outcomeOf(report: string): Outcome | null {
  if (!report.includes("</testsuites>")) return null;
  const cases = [...report.matchAll(/<testcase name="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)];
  const failures = cases.flatMap(([, name, file, body]) => {
    const message = /<(?:failure|error) message="([^"]*)"/.exec(body!)?.[1];
    return message === undefined ? [] : [unescaped(`${file}: ${name}: ${message.trimEnd()}`)];
  });
  const skipped = cases.filter(([, , , body]) => body!.includes("<skipped")).length;
  return { passed: cases.length - skipped - failures.length, failures };
}

/** Text of an XML attribute. */
function unescaped(text: string): string {
  const characters: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(\w+);/g, (entity, name) => characters[name] ?? entity);
}

/** Boot machines, apply all stacks, and build in copies of the repository: only with `--all`. */
const SLOW = ["tasks/contributing_test.ts", "tasks/deploy/aws_test.ts", "tasks/release/release_test.ts"];

/** Boots several machines at once, and waits no longer for each than an operator would: only with `--all`, and alone. */
const ALONE = "infra/hosts/boot_test.ts";

/**
 * Only tasks of their own run these: `test:hosts` boots three brokers, and restarts each several times; what
 * `test:drawing` sees depends on the time of day and on what else the machine does.
 */
const BY_TASK = ["infra/hosts/brokers_test.ts", "testing/drawing/drawing_test.ts"];

/** Files in one process: enough that its start does not count, few enough that the last one is soon done. */
const FILES_AT_ONCE = 4;

/** All files of tests but those that run alone, a group for each process, in the order of their names. */
async function groupsOf(slow: boolean): Promise<string[][]> {
  const left = new Set([...BY_TASK, ALONE, ...slow ? [] : SLOW]);
  const sources = await readSources();
  const files = [...sources.keys()].filter((path) => path.endsWith("_test.ts") && !left.has(path)).sort();
  return Array.from(
    { length: Math.ceil(files.length / FILES_AT_ONCE) },
    (_, n) => files.slice(n * FILES_AT_ONCE, (n + 1) * FILES_AT_ONCE),
  );
}

/**
 * Runs groups of tests, three at a time on two cores, since most of them wait for servers. The tests of whole services,
 * at the end of the groups, wait longest, so one worker begins there.
 */
async function runGroups(groups: string[][]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const work = async (next: () => string[] | undefined) => {
    for (let group = next(); group !== undefined; group = next()) outcomes.push(await run(group, "piped"));
  };
  const first = () => groups.shift();
  const last = () => groups.pop();
  await Promise.all([work(first), work(first), work(last)]);
  return outcomes;
}

/** Checks all types, once and not in each process of tests. */
async function check(): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["check", "--quiet", "."], cwd: ROOT }).spawn()
    .status;
  if (!success) throw new Error("types are wrong, see above");
}

/** Runs tests; returns how they went. */
async function run(args: readonly string[], stdout: "inherit" | "piped"): Promise<Outcome> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-all", "--no-prompt", "--no-check", `--junit-path=${report}`, ...args],
      cwd: ROOT,
      stdout,
      stderr: stdout,
    });
    const code = stdout === "inherit" ? (await command.spawn().status).code : await printed(command);
    const outcome = outcomeOf(await Deno.readTextFile(report));
    if (outcome !== null && (code === 0 || outcome.failures.length > 0)) return outcome;
    // A module that can't be loaded, or a crash, fails the run without a failed test.
    const crash = `the tests ended with exit code ${code}, see above: ${args.join(" ")}`;
    return { passed: outcome?.passed ?? 0, failures: [crash] };
  } finally {
    await Deno.remove(report);
  }
}

/** Runs a command and prints its output at its end, so that lines of parallel commands don't mix. */
async function printed(command: Deno.Command): Promise<number> {
  const { code, stdout, stderr } = await command.output();
  for (const bytes of [stdout, stderr]) console.log(new TextDecoder().decode(bytes));
  return code;
}

async function main(): Promise<number> {
  try {
    await installPackages();
    console.log("building dist/clickstream …");
    await build();
    await check();
    const all = Deno.args.includes("--all");
    const args = Deno.args.filter((arg) => arg !== "--all");
    const outcomes = args.length > 0 ? [await run(args, "inherit")] : await runGroups(await groupsOf(all));
    if (all) outcomes.push(await run([ALONE], "inherit"));
    const passed = outcomes.reduce((sum, each) => sum + each.passed, 0);
    const failures = outcomes.flatMap((each) => each.failures);
    for (const failure of failures) console.log(`failed: ${failure}`);
    console.log(`${passed} passed, ${failures.length} failed`);
    return failures.length === 0 && passed > 0 ? 0 : 1;
  } catch (error) {
    console.error(error);
    console.log("0 passed, 1 failed");
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
