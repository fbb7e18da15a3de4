/**
 * `deno task ok`: everything that must hold before a commit and is quick to say.
 * @module
 */
const ROOT = new URL("..", import.meta.url).pathname;

const CHECKS: readonly (readonly string[])[] = [
  ["fmt", "--check", "--quiet"],
  ["lint", "--quiet"],
  ["check", "--quiet", "."],
];

for (const args of CHECKS) {
  console.log(`deno ${args.join(" ")}`);
  const { code } = await new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT }).spawn().status;
  if (code !== 0) Deno.exit(code);
}
