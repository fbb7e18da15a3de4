/**
 * `deno task ok`: all checks before a commit. `--quick` leaves out the tests, which take minutes. CI runs the same
 * checks.
 * @module
 */
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const CHECKS: readonly (readonly string[])[] = [
  ["fmt", "--check", "--quiet"],
  ["lint", "--quiet"],
  // Frozen: a lock file that does not match the imports is an error, and is not updated silently.
  ["check", "--frozen", "--quiet", "."],
  ["run", "--frozen", "--quiet", "--allow-all", "tasks/monitoring.ts", "--check"],
  ["run", "--frozen", "--allow-read", "tasks/dashboards.ts", "--check"],
  ...(Deno.args.includes("--quick") ? [] : [["run", "--allow-all", "tasks/test.ts", "--all"]]),
];

for (const args of CHECKS) {
  console.log(`deno ${args.join(" ")}`);
  const { code } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT }).spawn().status;
  if (code !== 0) Deno.exit(code);
}
