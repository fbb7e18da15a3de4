/**
 * `deno task kernel`: compiles the kernel (`processor/kernel/assembly/`) with AssemblyScript. The result is committed,
 * because it changes rarely and the compiler takes seconds; a test proves that it is what the sources give.
 * @module
 */
import { main } from "assemblyscript/asc";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const KERNEL = "processor/kernel/kernel.wasm";

const OPTIONS = [
  "-O3",
  // No allocator and no garbage collector: the kernel has memory of its own.
  "--runtime",
  "stub",
  "--use",
  "abort=",
  "--noAssert",
  "--enable",
  "simd",
  // The host decides on its size.
  "--importMemory",
];

/**
 * Compiles the kernel; the same sources give the same bytes.
 *
 * @throws {Error} with the compiler's messages
 */
export async function compiled(): Promise<Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let messages = "";
  const { error } = await main(
    ["processor/kernel/assembly/index.ts", "--baseDir", ROOT, "--outFile", KERNEL, ...OPTIONS],
    {
      stderr: { write: (text: string | Uint8Array) => void (messages += text) },
      writeFile: (name: string, contents: string | Uint8Array) => {
        if (contents instanceof Uint8Array) files.set(name, contents);
      },
    },
  );
  const kernel = files.get(KERNEL);
  if (error !== null || kernel === undefined) throw new Error(`the kernel does not compile\n${messages}`);
  return kernel;
}

if (import.meta.main) {
  const kernel = await compiled();
  await Deno.writeFile(`${ROOT}${KERNEL}`, kernel);
  console.log(`${KERNEL}: ${(kernel.length / 1000).toFixed(0)} kB`);
}
