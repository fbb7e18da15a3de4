/**
 * `deno task release`: builds everything that is published of a version into dist/release. The same commit gives the same
 * bytes. `--only archive,deb,rpm,image` and `--architecture x86_64` build a part; `--out` names another folder.
 * @module
 */
import { parseArgs } from "node:util";
import { tarGz } from "../../infra/hosts/tar.ts";
import { buildAll } from "../build.ts";
import { runtimeSum } from "../denort.ts";
import { components, sbomText } from "../sbom.ts";
import { archiveFiles, ownTexts, type Texts } from "./contents.ts";
import { image } from "./image.ts";
import { libraryComponents, libraryMaterials } from "./image_libraries.ts";
import { licensesText } from "./licenses.ts";
import { debPackage, rpmPackage } from "./packages.ts";
import { type Material, provenance, sha256Of } from "./provenance.ts";
import { type ArchitectureName, ARCHITECTURES, readSource, ROOT, type Source } from "./source.ts";

/** Compression of archives: 9 makes them 1 % smaller, and takes three times as long. */
const LEVEL = 6;

/** The binary for an architecture. */
export interface Built {
  readonly architecture: ArchitectureName;
  readonly binary: Uint8Array;
}

/** A file of the release. */
export interface Artifact {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What an artifact is made from. */
export interface Ingredients {
  readonly source: Source;
  readonly texts: Texts;
  readonly built: readonly Built[];
}

/** Kinds of artifacts. */
const KINDS: Readonly<Record<string, (of: Ingredients) => Promise<Artifact[]>>> = {
  archive: archives,
  deb: ({ source, texts, built }) =>
    eachOf(built, async (one) => ({
      name: `clickstream_${source.version}_${ARCHITECTURES[one.architecture].debian}.deb`,
      bytes: await debPackage({ source, texts, ...one }),
    })),
  rpm: ({ source, texts, built }) =>
    eachOf(built, async (one) => ({
      name: `clickstream-${source.version}-1.${ARCHITECTURES[one.architecture].rpm}.rpm`,
      bytes: await rpmPackage({ source, texts, ...one }),
    })),
  image: async (of) => [{ name: `clickstream-${of.source.version}-image.tar`, bytes: await image(of) }],
};

/** One after the other, since each is large. */
async function eachOf(built: readonly Built[], make: (one: Built) => Promise<Artifact>): Promise<Artifact[]> {
  const made: Artifact[] = [];
  for (const one of built) made.push(await make(one));
  return made;
}

async function archives({ source: { version, timeS }, texts, built }: Ingredients): Promise<Artifact[]> {
  return await eachOf(built, async ({ architecture, binary }) => ({
    name: `clickstream-${version}-linux-${architecture}.tar.gz`,
    bytes: tarGz(await archiveFiles(`clickstream-${version}`, binary, texts), { timeS, level: LEVEL }),
  }));
}

/** Builds the binaries; returns them and what they contain. */
async function buildBinaries(
  source: Source,
  architectures: readonly ArchitectureName[],
): Promise<Pick<Ingredients, "texts" | "built">> {
  const path = (architecture: ArchitectureName) => `${ROOT}dist/clickstream-${architecture}`;
  await buildAll(Object.fromEntries(architectures.map((one) => [ARCHITECTURES[one].target, path(one)])));
  const built = architectures.map((architecture) => ({ architecture, binary: Deno.readFileSync(path(architecture)) }));
  const all = await components();
  const texts = {
    ...await ownTexts(),
    licenses: await licensesText(all),
    sbom: sbomText(all, source.version),
    imageSbom: sbomText([...all, ...libraryComponents()], source.version),
  };
  return { texts, built };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      only: { type: "string", default: Object.keys(KINDS).join(",") },
      architecture: { type: "string", default: Object.keys(ARCHITECTURES).join(",") },
      out: { type: "string", default: `${ROOT}dist/release` },
    },
  });
  const kinds = chosen(values.only, Object.keys(KINDS), "--only");
  const architectures = chosen(values.architecture, Object.keys(ARCHITECTURES), "--architecture") as ArchitectureName[];
  const source = await readSource();
  if (source.changed) console.error("release: files differ from the commit; this is no release to publish");
  const ingredients = { source, ...await buildBinaries(source, architectures) };
  await Deno.remove(values.out, { recursive: true }).catch(() => {});
  await Deno.mkdir(values.out, { recursive: true });
  const sums = new Map<string, string>();
  const put = async ({ name, bytes }: Artifact) => {
    await Deno.writeFile(`${values.out}/${name}`, bytes);
    sums.set(name, sha256Of(bytes));
    console.log(`${(bytes.length / 1e6).toFixed(1).padStart(6)} MB  ${sums.get(name)}  ${name}`);
  };
  for (const kind of kinds) for (const artifact of await KINDS[kind]!(ingredients)) await put(artifact);
  const named = (name: string, text: string) => ({ name, bytes: new TextEncoder().encode(text) });
  await put(named(`clickstream-${source.version}.cdx.json`, ingredients.texts.sbom));
  await put(named(`clickstream-${source.version}-image.cdx.json`, ingredients.texts.imageSbom));
  const materials: Material[] = architectures.flatMap((one) => [{
    uri: `pkg:github/denoland/deno@v${Deno.version.deno}?denort=${ARCHITECTURES[one].target}`,
    sha256: runtimeSum(ARCHITECTURES[one].target),
  }, ...libraryMaterials(one)]);
  await put(named(`clickstream-${source.version}.provenance.json`, await provenance(source, sums, materials)));
  const list = [...sums].map(([name, sum]) => `${sum}  ${name}\n`).join("");
  await Deno.writeTextFile(`${values.out}/SHA256SUMS`, list);
}

/** The names in a list separated by commas. */
function chosen(list: string, allowed: readonly string[], option: string): string[] {
  const names = list.split(",");
  const unknown = names.filter((name) => !allowed.includes(name));
  if (unknown.length > 0) throw new Error(`${option} has ${unknown.join(", ")}; it takes ${allowed.join(", ")}`);
  return names;
}

if (import.meta.main) await main();
