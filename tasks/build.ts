/**
 * `deno task build`: builds the binary `dist/clickstream`. It is bundled first, in parts, so that a command loads only
 * what it needs: this halves the CPU time of the start. The same sources give the same bytes, in any folder of any
 * machine, at any time.
 * @module
 */
import { fileURLToPath } from "node:url";
import { gzipSync } from "fflate";
import { assertLazyValidators, readsKafkaWasm, withKafkaWasm, withLazyValidators } from "./kafka_client.ts";
import { stableParts } from "./bundle/parts.ts";
import { hasRuntime, provideRuntime } from "./denort.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Permissions of the program: network, settings, the files of `demo`, `generate` and `produce`, and the host name. */
const PERMISSIONS = ["--allow-net", "--allow-env", "--allow-read", "--allow-write", "--allow-sys"];

/**
 * Files of the embedded PostgreSQL, which is bundled like everything else. They are compressed: what is in the binary is
 * also in the memory of every process.
 */
const EMBEDDED = ["pglite.wasm", "pglite.data"];

/** Flags of the compiler. */
export const COMPILE = [
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-check",
  "--no-prompt",
  "--no-code-cache",
  // Datagrams to systemd.
  "--unstable-net",
  // Half of V8's default young generation, and a heap that grows to twice what is alive, where V8 would let so small
  // a one grow to four times: it saves 20 to 50 MB in each worker, and costs no time.
  "--v8-flags=--max-semi-space-size=8,--heap-growing-percent=100",
  ...PERMISSIONS,
] as const;

async function deno(...args: string[]): Promise<void> {
  // The bundle is nested too deeply for the compiler's default stack.
  const env = { RUST_MIN_STACK: String(64 * 1024 * 1024) };
  const { success, code, stderr } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
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

/** Folder of the parts, which replace one another as a whole. */
const PARTS = "dist/program";

/** The part that starts the program, and the one that it loads first. */
const MAIN = "main.js";
const FIRST = "timers.js";

/** Sets the timers before anything else, changes the Kafka client, and makes the parts the same on every machine. */
async function finishParts(): Promise<void> {
  let validators = 0;
  let wasms = 0;
  const parts = new Map<string, string>();
  for (const name of [...Deno.readDirSync(`${ROOT}${PARTS}`)].map(({ name }) => name).sort()) {
    const lazy = withLazyValidators(await Deno.readTextFile(`${ROOT}${PARTS}/${name}`));
    validators += lazy.validators;
    let { text } = lazy;
    if (readsKafkaWasm(text)) {
      text = await withKafkaWasm(text);
      wasms++;
    }
    parts.set(name, name === MAIN ? `import "./${FIRST}";\n${text}` : text);
    await Deno.remove(`${ROOT}${PARTS}/${name}`);
  }
  assertLazyValidators(validators);
  if (wasms !== 1) throw new Error(`${wasms} parts read the Kafka client's WebAssembly, not 1`);
  for (const [name, text] of stableParts(parts).set(FIRST, NODE_TIMERS)) {
    await Deno.writeTextFile(`${ROOT}${PARTS}/${name}`, text);
  }
}

/** Dates the parts, because the compiler writes their dates into the binary. */
async function dateParts(): Promise<void> {
  for (const { name } of Deno.readDirSync(`${ROOT}${PARTS}`)) await Deno.utime(`${ROOT}${PARTS}/${name}`, 0, 0);
  await Deno.utime(`${ROOT}${PARTS}`, 0, 0);
}

/** Compresses the files of the embedded PostgreSQL; returns their paths. */
async function packEmbedded(): Promise<string[]> {
  return await Promise.all(EMBEDDED.map(async (name) => {
    const path = `${PARTS}/${name}.gz`;
    const file = await Deno.readFile(new URL(name, import.meta.resolve("@electric-sql/pglite")));
    await Deno.writeFile(`${ROOT}${path}`, gzipSync(file, { level: 9, mtime: 0 }));
    return path;
  }));
}

/** Builds the binary for this machine or another target. */
export async function build(target = Deno.build.target, output = "dist/clickstream"): Promise<void> {
  await buildAll({ [target]: output });
}

/** Builds the binaries for several targets, each at its path; waits for other builds in this folder to end. */
export async function buildAll(outputs: Readonly<Record<string, string>>): Promise<void> {
  // Builds would remove each other's parts, whose path cannot differ, because the compiler writes it into the binary.
  await Deno.mkdir(`${ROOT}dist`, { recursive: true });
  using lock = await Deno.open(`${ROOT}dist/build.lock`, { write: true, create: true });
  await lock.lock(true);
  await Deno.remove(`${ROOT}${PARTS}`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${ROOT}${PARTS}`, { recursive: true });
  await deno(
    "bundle",
    "--quiet",
    "--platform=deno",
    "--code-splitting",
    `--outdir=${PARTS}`,
    "processor/main.ts",
  );
  await finishParts();
  const includes = (await packEmbedded()).map((path) => `--include=${path}`);
  await dateParts();
  for (const [target, output] of Object.entries(outputs)) {
    await compile(target, [`--target=${target}`, `--output=${output}`, ...includes, `${PARTS}/${MAIN}`]);
  }
}

async function compile(target: string, files: readonly string[]): Promise<void> {
  try {
    await deno("compile", ...COMPILE, ...files);
  } catch (error) {
    if (await hasRuntime(target)) throw error;
    console.error("Deno's download site can't be reached; the runtime is taken from a package instead");
    await provideRuntime(target);
    await deno("compile", ...COMPILE, ...files);
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
