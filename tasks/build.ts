/**
 * `deno task build`: the single binary `dist/clickstream`. Bundled first, so that it starts in half the time.
 * @module
 */
import { hasRuntime, provideRuntime } from "./denort.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** What the program may do: the network, its settings, the files of `demo`, `generate` and `produce`, the host's name. */
const PERMISSIONS = ["--allow-net", "--allow-env", "--allow-read", "--allow-write", "--allow-sys"];

/** Kept out of the bundle: it finds its WebAssembly and data beside its own files. */
const UNBUNDLED = "@electric-sql/pglite";

async function deno(...args: string[]): Promise<void> {
  // A bundle is deeper than the compiler's own stack.
  const env = { RUST_MIN_STACK: String(64 * 1024 * 1024) };
  const { success, code } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} ended with ${code}`);
}

/** Names the version of what was not bundled, so that nothing else of the project's packages goes into the binary. */
async function pinUnbundled(): Promise<void> {
  const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as { imports: Record<string, string> };
  const bundle = await Deno.readTextFile(`${ROOT}dist/clickstream.js`);
  await Deno.writeTextFile(
    `${ROOT}dist/clickstream.js`,
    bundle.replaceAll(`"${UNBUNDLED}"`, `"${imports[UNBUNDLED]}"`),
  );
}

/** Builds the binary. */
export async function build(): Promise<void> {
  await Deno.mkdir(`${ROOT}dist`, { recursive: true });
  await deno(
    "bundle",
    "--quiet",
    "--platform=deno",
    `--external=${UNBUNDLED}`,
    "--output=dist/clickstream.js",
    "processor/main.ts",
  );
  await pinUnbundled();
  const compile = [
    "--quiet",
    "--no-config",
    "--no-lock",
    "--no-check",
    "--no-prompt",
    "--no-code-cache",
    ...PERMISSIONS,
  ];
  const files = ["--output=dist/clickstream", "dist/clickstream.js"];
  try {
    await deno("compile", ...compile, ...files);
  } catch (error) {
    if (await hasRuntime()) throw error;
    console.error("Deno's download site can't be reached; the runtime is taken from a package instead");
    await provideRuntime();
    await deno("compile", ...compile, ...files);
  }
}

if (import.meta.main) {
  const startedMs = performance.now();
  await build();
  const { size } = await Deno.stat(`${ROOT}dist/clickstream`);
  console.log(
    `dist/clickstream: ${(size / 1e6).toFixed(0)} MB in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
  );
}
