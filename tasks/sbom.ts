/**
 * `deno task sbom`: writes docs/sbom.cdx.json, which lists every package whose code is in the binary, in CycloneDX's
 * format. It needs the parts that `deno task build` leaves.
 * @module
 */
import { Buffer } from "node:buffer";

const ROOT = new URL("..", import.meta.url);

/** The list, in the repository. */
export const SBOM = new URL("docs/sbom.cdx.json", ROOT);

/** Licences that allow to pass on a program with this code, whatever the program's own licence is. */
export const ALLOWED_LICENSES: readonly string[] = [
  ...["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD", "BlueOak-1.0.0", "PostgreSQL", "Python-2.0"],
  "Unlicense",
];

/** A package with code in the binary. */
export interface Component {
  readonly type: "library" | "platform";
  readonly name: string;
  readonly version: string;
  /** Package URL. */
  readonly purl: string;
  readonly licenses: readonly { readonly license: { readonly id: string } }[];
  /** The hash that the lock file demands of the package's archive, in hexadecimal. */
  readonly hashes?: readonly { readonly alg: "SHA-256" | "SHA-512"; readonly content: string }[];
}

interface Lock {
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

/** Names and versions of the packages in a part of the bundle: each file's path is above its code. */
export function packagesIn(part: string): string[] {
  const files = part.matchAll(/^\s*\/\/ npm\/((?:@[^/\s]+\/)?[^/\s]+)\/(\d[^/\s]*)\//gm);
  return [...new Set([...files].map(([, name, version]) => `${name}@${version}`))];
}

/**
 * The components of the binary, sorted by name.
 *
 * @throws {Error} if a package has no licence or is not in the lock file
 */
export async function components(): Promise<readonly Component[]> {
  const found = new Set<string>();
  for await (const { name } of Deno.readDir(new URL("dist/program/", ROOT))) {
    const part = await Deno.readTextFile(new URL(`dist/program/${name}`, ROOT));
    for (const one of packagesIn(part)) found.add(one);
  }
  const lock = JSON.parse(await Deno.readTextFile(new URL("deno.lock", ROOT))) as Lock;
  const libraries = await Promise.all([...found].sort().map((one) => library(one, lock)));
  return [...libraries, {
    type: "platform",
    name: "deno",
    version: Deno.version.deno,
    purl: `pkg:github/denoland/deno@v${Deno.version.deno}`,
    licenses: [{ license: { id: "MIT" } }],
  }];
}

async function library(one: string, lock: Lock): Promise<Component> {
  const at = one.lastIndexOf("@");
  const [name, version] = [one.slice(0, at), one.slice(at + 1)];
  const locked = Object.entries(lock.npm).find(([key]) => key === one || key.startsWith(`${one}_`));
  if (locked === undefined) throw new Error(`${one} is in the binary, and not in deno.lock`);
  const [algorithm, hash] = locked[1].integrity.split("-");
  if (algorithm !== "sha512") throw new Error(`deno.lock has a ${algorithm} of ${one}, not a sha512`);
  const { license } = JSON.parse(
    await Deno.readTextFile(`${await npmFolder()}/${one.slice(0, at)}/${version}/package.json`),
  ) as {
    readonly license?: string;
  };
  if (license === undefined) throw new Error(`${one} names no licence`);
  return {
    type: "library",
    name,
    version,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    licenses: [{ license: { id: license } }],
    hashes: [{ alg: "SHA-512", content: Buffer.from(hash!, "base64").toString("hex") }],
  };
}

/** The folder of packages in Deno's cache. */
export async function npmFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: ROOT }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout)) as { readonly npmCache: string };
  for await (const { name, isDirectory } of Deno.readDir(npmCache)) if (isDirectory) return `${npmCache}/${name}`;
  throw new Error(`${npmCache} has no packages`);
}

/** The list as text, of a released version if there is one: the same components give the same bytes. */
export function sbomText(all: readonly Omit<Component, "licenses">[], version?: string): string {
  const released = version === undefined ? {} : { version, licenses: [{ license: { id: "MIT" } }] };
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", name: "clickstream", ...released } },
    components: all,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

if (import.meta.main) {
  const all = await components();
  await Deno.writeTextFile(SBOM, sbomText(all));
  console.log(`docs/sbom.cdx.json: ${all.length} components`);
}
