/**
 * `deno task test`: installs missing packages, builds the binary, runs the tests, and prints how many passed and
 * failed. `--all` also boots the AWS hosts and follows the checklists of CONTRIBUTING.md, last, when the machine is free.
 * Other arguments are passed on to `deno test`, instead of all folders.
 * @module
 */
import { fileURLToPath } from "node:url";
import { build } from "./build.ts";
import { readSources } from "./imports.ts";
import { installPackages } from "./packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Numbers of passed and failed tests in a JUnit report. */
function countsOf(report: string): Counts {
  const number = (name: string) => Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? NaN);
  const failed = number("failures") + number("errors");
  const skipped = report.match(/<skipped/g)?.length ?? 0;
  return { passed: number("tests") - failed - skipped, failed };
}

/** Boots machines, applies all stacks, and builds in copies of the repository: each takes minutes. */
const SLOW = [
  "infra/hosts/boot_test.ts",
  "tasks/contributing_test.ts",
  "tasks/deploy/aws_test.ts",
  "tasks/release/release_test.ts",
];

/**
 * Only tasks of their own run these: `test:hosts` boots three brokers, and restarts each several times; what
 * `test:drawing` sees depends on the time of day and on what else the machine does.
 */
const BY_TASK = ["infra/hosts/brokers_test.ts", "testing/drawing/drawing_test.ts"];

/** Folders of the first half of the tests, which takes about as long as all others. */
const FIRST_HALF = /^(processor|grafana)\//;

/**
 * All tests but the slow ones, in two halves. They run in parallel, because they mostly wait for servers. `--ignore` is
 * no way to leave out the slow ones: with several folders, Deno ignores some of the named files only.
 */
async function halves(): Promise<string[][]> {
  const sources = await readSources();
  const tests = [...sources.keys()].filter((path) => path.endsWith("_test.ts") && ![...SLOW, ...BY_TASK].includes(path))
    .sort();
  return [tests.filter((path) => FIRST_HALF.test(path)), tests.filter((path) => !FIRST_HALF.test(path))];
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Runs tests; returns how many passed and failed. */
async function run(args: readonly string[], stdout: "inherit" | "piped"): Promise<Counts> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["test", "--allow-all", "--no-prompt", `--junit-path=${report}`, ...args],
      cwd: ROOT,
      stdout,
      stderr: stdout,
    });
    const code = stdout === "inherit" ? (await command.spawn().status).code : await printed(command);
    const { passed, failed } = countsOf(await Deno.readTextFile(report));
    // A module that can't be loaded, or a crash, fails the run without a failed test.
    if (Number.isNaN(failed)) return { passed: 0, failed: 1 };
    return { passed, failed: code === 0 ? failed : Math.max(1, failed) };
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
    const args = Deno.args.filter((arg) => arg !== "--all");
    const groups = args.length > 0 ? [args] : await halves();
    const results = await Promise.all(groups.map((args, n) => run(args, n === 0 ? "inherit" : "piped")));
    if (Deno.args.includes("--all")) results.push(await run(SLOW, "inherit"));
    const [passed, failed] = (["passed", "failed"] as const).map((of) =>
      results.reduce((sum, each) => sum + each[of], 0)
    );
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 && passed! > 0 ? 0 : 1;
  } catch (error) {
    console.error(error);
    console.log("0 passed, 1 failed");
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
