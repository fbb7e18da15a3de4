/**
 * `deno task build`: builds the binary `dist/clickstream`. It is bundled first, which halves its start-up time.
 * @module
 */
import { fileURLToPath } from "node:url";
import { withKafkaWasm } from "./wasm.ts";
import { hasRuntime, provideRuntime } from "./denort.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Permissions of the program: network, settings, the files of `demo`, `generate` and `produce`, and the host name. */
const PERMISSIONS = ["--allow-net", "--allow-env", "--allow-read", "--allow-write", "--allow-sys"];

/** Not bundled: it finds its WebAssembly and data next to its own files. */
const UNBUNDLED = ["@electric-sql/pglite"];

async function deno(...args: string[]): Promise<void> {
  // The bundle is nested too deeply for the compiler's default stack.
  const env = { RUST_MIN_STACK: String(64 * 1024 * 1024) };
  const { success, code } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} ended with ${code}`);
}

/**
 * Gives packages from npm Node's timers, which are objects that can be refreshed. Deno does so for packages that it
 * loads itself. In a bundle they would get the browser's timers, which are numbers, and a consumer's heartbeat would
 * stop.
 */
const NODE_TIMERS = `import * as nodeTimers from "node:timers";
for (const name of ["Timeout", "Interval", "Immediate"]) {
  globalThis["set" + name] = nodeTimers["set" + name];
  globalThis["clear" + name] = nodeTimers["clear" + name];
}
`;

/** Pins the version of what is not bundled, so that the binary contains no other, and sets the timers. */
async function finishBundle(): Promise<void> {
  const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as { imports: Record<string, string> };
  let bundle = await Deno.readTextFile(`${ROOT}dist/clickstream.js`);
  for (const name of UNBUNDLED) bundle = bundle.replaceAll(`"${name}"`, `"${imports[name]}"`);
  await Deno.writeTextFile(`${ROOT}dist/clickstream.js`, NODE_TIMERS + await withKafkaWasm(bundle));
}

/** Builds the binary for this machine or another target. */
export async function build(target = Deno.build.target, output = "dist/clickstream"): Promise<void> {
  await Deno.mkdir(`${ROOT}dist`, { recursive: true });
  await deno(
    "bundle",
    "--quiet",
    "--platform=deno",
    ...UNBUNDLED.map((name) => `--external=${name}`),
    "--output=dist/clickstream.js",
    "processor/main.ts",
  );
  await finishBundle();
  const compile = [
    "--quiet",
    "--no-config",
    "--no-lock",
    "--no-check",
    "--no-prompt",
    "--no-code-cache",
    // Datagrams to systemd.
    "--unstable-net",
    // Half of V8's default young generation. It costs no time here and saves 30 MB in each worker.
    "--v8-flags=--max-semi-space-size=8",
    ...PERMISSIONS,
  ];
  const files = [`--target=${target}`, `--output=${output}`, "dist/clickstream.js"];
  try {
    await deno("compile", ...compile, ...files);
  } catch (error) {
    if (await hasRuntime(target)) throw error;
    console.error("Deno's download site can't be reached; the runtime is taken from a package instead");
    await provideRuntime(target);
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
