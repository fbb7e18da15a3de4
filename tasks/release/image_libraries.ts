/**
 * The libraries of the container image, from Debian's packages. Their hashes are pinned, so it does not matter where they
 * come from.
 * @module
 */
import type { TarFile } from "../../infra/hosts/tar.ts";
import type { Component } from "../sbom.ts";
import { type Material, sha256Of } from "./provenance.ts";
import { type ArchitectureName, ARCHITECTURES, ROOT, run } from "./source.ts";

/** A package of Debian, and the files of it that the binary needs. */
interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder in Debian's archive. */
  readonly pool: string;
  readonly license: string;
  readonly files: readonly string[];
  /** False if the text of its licence is in another of these packages. */
  readonly hasLicense: boolean;
  /** SHA-256 of the package. */
  readonly sums: Readonly<Record<ArchitectureName, string>>;
}

/** Debian 12, whose glibc is older than that of any system on which the image may be run. */
const PACKAGES: readonly DebianPackage[] = [
  {
    name: "libc6",
    version: "2.36-9+deb12u14",
    pool: "pool/main/g/glibc",
    license: "LGPL-2.1-or-later",
    files: ["libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "ld-linux-*.so.*"],
    hasLicense: true,
    sums: {
      x86_64: "ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf",
      arm64: "01f4330719fd4f65580e16ea5a0527f372fca750e8f588d26deaf09f2d3b1cf4",
    },
  },
  {
    name: "libgcc-s1",
    version: "12.2.0-14+deb12u1",
    pool: "pool/main/g/gcc-12",
    license: "GPL-3.0-or-later WITH GCC-exception-3.1",
    files: ["libgcc_s.so.1"],
    hasLicense: false,
    sums: {
      x86_64: "3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7",
      arm64: "576926b283613db80168ddf76380a3bd877602778cf0d226caa7bfbfa71eacf3",
    },
  },
  {
    name: "gcc-12-base",
    version: "12.2.0-14+deb12u1",
    pool: "pool/main/g/gcc-12",
    license: "GPL-3.0-or-later WITH GCC-exception-3.1",
    files: [],
    hasLicense: true,
    sums: {
      x86_64: "1896a2aacf4ad681ff5eacc24a5b0ca4d5d9c9b9c9e4b6de5197bc1e116ea619",
      arm64: "674cf6cba6d432bd200c45fe866c1652c7a53523cc2e7a613e05bc4abf7b5440",
    },
  },
];

/** Where packages are kept between builds. */
const KEPT = `${ROOT}dist/debian`;

/** The libraries for an architecture, and their licences. */
export async function libraries(architecture: ArchitectureName): Promise<TarFile[]> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-image-" });
  try {
    const files: TarFile[] = [];
    for (const each of PACKAGES) {
      const archive = await fetched(each, architecture);
      await run("dpkg-deb", ["--extract", archive, `${folder}/${each.name}`]);
      const { libraries } = ARCHITECTURES[architecture];
      for (const pattern of each.files) {
        files.push(await library(`${folder}/${each.name}`, `lib/${libraries}`, pattern));
      }
      if (!each.hasLicense) continue;
      const path = `usr/share/doc/${each.name}/copyright`;
      files.push({ path, mode: 0o644, bytes: await Deno.readFile(`${folder}/${each.name}/${path}`) });
    }
    return files;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The one file that fits a pattern; a link in the package becomes the file itself. */
async function library(root: string, folder: string, pattern: string): Promise<TarFile> {
  const fits = new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", ".*")}$`);
  const names = [...Deno.readDirSync(`${root}/${folder}`)].map(({ name }) => name).filter((name) => fits.test(name));
  if (names.length !== 1) throw new Error(`${names.length} files of the package fit ${pattern}, not 1`);
  const path = `${folder}/${names[0]}`;
  return { path, mode: 0o755, bytes: await Deno.readFile(`${root}/${path}`) };
}

/** Path of a package, fetched once. */
async function fetched({ name, version, pool, sums }: DebianPackage, architecture: ArchitectureName): Promise<string> {
  const sha256 = sums[architecture];
  const file = `${name}_${version}_${ARCHITECTURES[architecture].debian}.deb`;
  const path = `${KEPT}/${file}`;
  const isRight = async () => sha256Of(await Deno.readFile(path)) === sha256;
  if (await isRight().catch(() => false)) return path;
  const url = `${await mirror()}/${pool}/${encodeURIComponent(file)}`;
  const bytes = await download(url).catch((error: Error) => {
    throw new Error(
      `${url} can't be had: ${error.message}. If Debian has a later version, pin that one; earlier ones are in a ` +
        "mirror of a former day, which DEBIAN_MIRROR names",
    );
  });
  const found = sha256Of(bytes);
  if (found !== sha256) throw new Error(`${url} has the SHA-256 ${found}, not ${sha256}`);
  await Deno.mkdir(KEPT, { recursive: true });
  await Deno.writeFile(path, bytes);
  return path;
}

/** URL of a mirror of Debian's archive: `DEBIAN_MIRROR`, or that of this system's packages. */
async function mirror(): Promise<string> {
  const given = Deno.env.get("DEBIAN_MIRROR");
  if (given) return given.replace(/\/$/, "");
  const own = /'(\w+:[^']*)\/pool\//.exec(await run("apt-get", ["download", "--print-uris", "libc6"]))?.[1];
  if (own === undefined) throw new Error("apt-get does not say where Debian's packages are: set DEBIAN_MIRROR");
  return own;
}

async function download(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A package as a component of the image. */
export type LibraryComponent = Omit<Component, "licenses"> & {
  readonly licenses: readonly ({ readonly expression: string } | { readonly license: { readonly id: string } })[];
};

/** The packages as components of the image. */
export function libraryComponents(): readonly LibraryComponent[] {
  return PACKAGES.filter(({ files }) => files.length > 0).map(({ name, version, license }) => ({
    type: "library" as const,
    name,
    version,
    purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?distro=bookworm`,
    licenses: [license.includes(" ") ? { expression: license } : { license: { id: license } }],
  }));
}

/** The packages as materials of the release. */
export function libraryMaterials(architecture: ArchitectureName): Material[] {
  return PACKAGES.map(({ name, version, sums }) => ({
    uri: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${ARCHITECTURES[architecture].debian}`,
    sha256: sums[architecture],
  }));
}
