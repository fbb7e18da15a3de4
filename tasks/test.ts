/**
 * `deno task test`: installs what is missing, builds the binary, runs every test, and ends with a line that says how
 * many passed and failed.
 * @module
 */
import { fileURLToPath } from "node:url";
import { build } from "./build.ts";
import { installPackages } from "./packages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Passed and failed tests, out of a JUnit report. */
function countsOf(report: string): { passed: number; failed: number } {
  const number = (name: string) => Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? NaN);
  const failed = number("failures") + number("errors");
  const skipped = report.match(/<skipped/g)?.length ?? 0;
  return { passed: number("tests") - failed - skipped, failed };
}

async function main(): Promise<number> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    await installPackages();
    console.log("building dist/clickstream …");
    await build();
    const args = ["test", "--allow-all", "--no-prompt", `--junit-path=${report}`, ...Deno.args];
    const { code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
    const { passed, failed } = countsOf(await Deno.readTextFile(report));
    // A module that can't be loaded, or a crash, fails the run without failing a test.
    const total = Number.isNaN(failed)
      ? { passed: 0, failed: 1 }
      : { passed, failed: code === 0 ? failed : Math.max(1, failed) };
    console.log(`${total.passed} passed, ${total.failed} failed`);
    return total.failed === 0 && total.passed > 0 ? 0 : 1;
  } catch (error) {
    console.error(error);
    console.log("0 passed, 1 failed");
    return 1;
  } finally {
    await Deno.remove(report);
  }
}

if (import.meta.main) Deno.exit(await main());
