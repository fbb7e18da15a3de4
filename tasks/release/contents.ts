/**
 * The files of a release, wherever they are installed.
 * @module
 */
import type { TarFile } from "../../infra/hosts/tar.ts";
import { folderFiles, monitoringFiles } from "../../infra/hosts/folder.ts";
import { zipped } from "../../infra/hosts/tar.ts";
import { allSettings } from "./settings_list.ts";
import { ROOT, run } from "./source.ts";
import { packagedUnits } from "./units.ts";

/** What is the same for every architecture. */
export interface Texts {
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  readonly manual: string;
  readonly licenses: string;
  /** What is in the binary, in CycloneDX's format; `imageSbom` has the image's libraries, too. */
  readonly sbom: string;
  readonly imageSbom: string;
}

/** What the program says of itself, run from its sources. */
export async function ownTexts(): Promise<Pick<Texts, "completions" | "manual">> {
  const said = (...args: string[]) => run(Deno.execPath(), ["run", "-A", "--quiet", "processor/main.ts", ...args]);
  const [bash, zsh, fish, manual] = await Promise.all([
    ...["bash", "zsh", "fish"].map((shell) => said("completions", shell)),
    said("manual"),
  ]);
  return { completions: { bash: bash!, zsh: zsh!, fish: fish! }, manual: manual! };
}

/** Pages that are installed. */
async function pages(): Promise<TarFile[]> {
  const root = ["README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"].map((path) => copied(path, path));
  return [...await Promise.all(root), ...below("docs", await folderFiles(`${ROOT}docs`, /\.md$/))];
}

/** Dashboards, data sources and rules, as on the hosts of AWS. */
async function monitoring(): Promise<TarFile[]> {
  return below("grafana", await monitoringFiles());
}

/** The example of a whole pipeline in containers; it stands beside `grafana/`. */
async function composeFiles(): Promise<TarFile[]> {
  const files = await folderFiles(`${ROOT}infra/compose`, /^(targets\/)?[^/]+\.(yaml|yml|sql|sh)$/);
  return below("compose", files).map(({ path, bytes }) =>
    text(path, new TextDecoder().decode(bytes).replaceAll("../../grafana", "../grafana"))
  );
}

function below(folder: string, files: readonly TarFile[]): TarFile[] {
  return files.map((file) => ({ ...file, path: `${folder}/${file.path}` }));
}

/** The files of an archive, below one folder. */
export async function archiveFiles(folder: string, binary: Uint8Array, texts: Texts): Promise<TarFile[]> {
  const { completions, manual, licenses, sbom } = texts;
  const files = [
    { path: "clickstream", mode: 0o755, bytes: binary },
    await copied(SETTINGS, "clickstream.env"),
    text("settings.env", allSettings()),
    text("completions/clickstream.bash", completions.bash),
    text("completions/_clickstream", completions.zsh),
    text("completions/clickstream.fish", completions.fish),
    text("man/clickstream.1", manual),
    text("THIRD-PARTY-LICENSES", licenses),
    text("sbom.cdx.json", sbom),
    ...await pages(),
    ...await monitoring(),
    ...await composeFiles(),
    ...[...packagedUnits("/usr/local/bin/clickstream")].map(([name, unit]) => text(`systemd/${name}`, unit)),
    text("sysusers/clickstream.conf", SYSTEM_USER),
  ];
  return files.map((file) => ({ ...file, path: `${folder}/${file.path}` }));
}

/** The user whose group may read the settings. */
const SYSTEM_USER = 'u clickstream - "clickstream" /\n';

/** The settings that are installed, none of them set. */
const SETTINGS = "infra/packages/clickstream.env";

/** Path of the settings in a package. */
export const SETTINGS_FILE = "etc/clickstream/clickstream.env";

/** The files of a package for Linux, by their paths from the root. */
export async function packageFiles(binary: Uint8Array, texts: Texts): Promise<TarFile[]> {
  const { completions, manual, licenses, sbom } = texts;
  const documentation = [...await pages(), text("THIRD-PARTY-LICENSES", licenses), text("sbom.cdx.json", sbom)];
  return [
    { path: "usr/bin/clickstream", mode: 0o755, bytes: binary },
    { ...await copied(SETTINGS, SETTINGS_FILE), mode: 0o640 },
    text("usr/share/clickstream/settings.env", allSettings()),
    text("usr/share/bash-completion/completions/clickstream", completions.bash),
    text("usr/share/zsh/site-functions/_clickstream", completions.zsh),
    text("usr/share/fish/vendor_completions.d/clickstream.fish", completions.fish),
    { path: "usr/share/man/man1/clickstream.1.gz", mode: 0o644, bytes: zipped(bytesOf(manual), 9) },
    ...documentation.map((file) => ({ ...file, path: `usr/share/doc/clickstream/${file.path}` })),
    ...[...await monitoring(), ...await composeFiles()].map((file) => ({
      ...file,
      path: `usr/share/clickstream/${file.path}`,
    })),
    ...[...packagedUnits("/usr/bin/clickstream")].map(([name, unit]) => text(`usr/lib/systemd/system/${name}`, unit)),
    text("usr/lib/sysusers.d/clickstream.conf", SYSTEM_USER),
  ];
}

/** A file with this text. */
export function text(path: string, content: string): TarFile {
  return { path, mode: 0o644, bytes: bytesOf(content) };
}

function bytesOf(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

async function copied(from: string, path: string): Promise<TarFile> {
  return { path, mode: 0o644, bytes: await Deno.readFile(`${ROOT}${from}`) };
}
