/**
 * The packages for Debian's and Red Hat's families, written by their own tools, `dpkg-deb` and `rpmbuild`.
 * @module
 */
import type { TarFile } from "../../infra/hosts/tar.ts";
import { packageFiles, SETTINGS_FILE, type Texts } from "./contents.ts";
import { type ArchitectureName, ARCHITECTURES, ROOT, run, type Source } from "./source.ts";

const SCRIPTS = `${ROOT}infra/packages/`;

/** One sentence, without a full stop; Red Hat wants a capital letter where Debian wants none. */
const SUMMARY = "counts a shop's clicks from Kafka into PostgreSQL, exactly once";

const ABOUT = [
  "clickstream reads a shop's clicks from Kafka and keeps windows, sessions,",
  "funnels and revenue in PostgreSQL. It is one binary, with a status page.",
];

/** What a package is made from. */
export interface PackageParts {
  readonly source: Source;
  readonly architecture: ArchitectureName;
  readonly binary: Uint8Array;
  readonly texts: Texts;
}

/** Environment of the tools: they take this date instead of the present. */
function dated({ timeS }: Source): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(timeS), LC_ALL: "C.UTF-8" };
}

/** The package for Debian, Ubuntu and what follows them; returns its bytes. */
export async function debPackage({ source, architecture, binary, texts }: PackageParts): Promise<Uint8Array> {
  return await inFolder(async (folder) => {
    const files = await packageFiles(binary, texts);
    const root = `${folder}/root`;
    await layOut(root, files);
    await Deno.copyFile(`${ROOT}LICENSE`, `${root}/usr/share/doc/clickstream/copyright`);
    await Deno.mkdir(`${root}/DEBIAN`);
    const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
    const control = [
      "Package: clickstream",
      `Version: ${source.version}`,
      `Architecture: ${ARCHITECTURES[architecture].debian}`,
      "Maintainer: The clickstream authors <maintainers@clickstream.example>",
      "Section: net",
      "Priority: optional",
      `Installed-Size: ${Math.ceil(bytes / 1024)}`,
      "Depends: libc6 (>= 2.28), libgcc-s1, systemd (>= 252), init-system-helpers (>= 1.52)",
      `Description: ${SUMMARY}`,
      ...ABOUT.map((line) => ` ${line}`),
    ];
    await Deno.writeTextFile(`${root}/DEBIAN/control`, `${control.join("\n")}\n`);
    await Deno.writeTextFile(`${root}/DEBIAN/conffiles`, `/${SETTINGS_FILE}\n`);
    for (const name of ["postinst", "prerm", "postrm"]) {
      const text = `#!/bin/sh\nset -eu\n${await script("common.sh")}${await script(`deb-${name}.sh`)}`;
      await Deno.writeTextFile(`${root}/DEBIAN/${name}`, text);
      await Deno.chmod(`${root}/DEBIAN/${name}`, 0o755);
    }
    await run("chmod", ["-R", "u=rwX,go=rX", `${root}/DEBIAN`]);
    await run("dpkg-deb", ["--root-owner-group", "-Zzstd", "-z3", "--build", root, `${folder}/x.deb`], dated(source));
    return await Deno.readFile(`${folder}/x.deb`);
  });
}

/** The package for Fedora, RHEL, Amazon Linux and what follows them; returns its bytes. */
export async function rpmPackage({ source, architecture, binary, texts }: PackageParts): Promise<Uint8Array> {
  return await inFolder(async (folder) => {
    const files = await packageFiles(binary, texts);
    await layOut(`${folder}/root`, files);
    const listed = files.map(({ path, mode }) =>
      path === SETTINGS_FILE
        ? `%config(noreplace) %attr(0640, root, root) /${path}`
        : `%attr(0${mode.toString(8)}, root, root) /${path}`
    );
    const scripts = await Promise.all(
      ["post", "preun", "postun"].map(async (name) =>
        `%${name}\nset -eu\n${await script("common.sh")}${await script(`rpm-${name}.sh`)}`
      ),
    );
    const spec = `Name: clickstream
Version: ${source.version}
Release: 1
Summary: ${SUMMARY[0]!.toUpperCase()}${SUMMARY.slice(1)}
License: MIT
AutoReqProv: no
Requires: glibc >= 2.28, libgcc, systemd >= 252
%description
${ABOUT.join("\n")}
%install
cp -a ${folder}/root/. %{buildroot}/
${scripts.join("\n")}
%files
${ownFolders(files).map((path) => `%dir %attr(0755, root, root) /${path}`).join("\n")}
${listed.join("\n")}
`;
    await Deno.writeTextFile(`${folder}/clickstream.spec`, spec);
    const { rpm } = ARCHITECTURES[architecture];
    const defined = Object.entries({
      _topdir: folder,
      _dbpath: `${folder}/db`,
      _rpmfilename: "x.rpm",
      _buildhost: "clickstream",
      use_source_date_epoch_as_buildtime: "1",
      clamp_mtime_to_source_date_epoch: "1",
      _binary_payload: "w3.zstdio",
      __os_install_post: "%{nil}",
      debug_package: "%{nil}",
      _build_id_links: "none",
    }).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
    await run(
      "rpmbuild",
      ["-bb", "--quiet", `--target=${rpm}-linux`, ...defined, `${folder}/clickstream.spec`],
      dated(source),
    );
    return await Deno.readFile(`${folder}/RPMS/x.rpm`);
  });
}

/** Folders that the package brings with it, and takes away when it is removed. */
function ownFolders(files: readonly TarFile[]): string[] {
  const folders = files.flatMap(({ path }) => {
    const parts = path.split("/").slice(0, -1);
    return parts.map((_, n) => parts.slice(0, n + 1)).filter((some) =>
      some.some((part) => part.startsWith("clickstream"))
    )
      .map((some) => some.join("/"));
  });
  return ["etc/clickstream", ...new Set(folders)].filter((path, n, all) => all.indexOf(path) === n).sort();
}

async function script(name: string): Promise<string> {
  return await Deno.readTextFile(SCRIPTS + name);
}

async function inFolder(body: (folder: string) => Promise<Uint8Array>): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-package-" });
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes the files below a folder. */
async function layOut(root: string, files: readonly TarFile[]): Promise<void> {
  for (const { path, mode, bytes } of files) {
    const file = `${root}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(file, bytes);
    await Deno.chmod(file, mode);
  }
  // Whatever the caller's umask is.
  await run("find", [root, "-type", "d", "-exec", "chmod", "0755", "{}", "+"]);
}
