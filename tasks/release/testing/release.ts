/**
 * Releases for tests: built as `deno task release` builds them, in copies of the repository.
 * @module
 */
import { fileURLToPath } from "node:url";
import { prepared, run } from "../../../testing/servers/child.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Copies the working copy to `folder`, with other dates, and runs a script there; returns the folder of its release. */
export async function releaseFrom(folder: string, script: string): Promise<string> {
  await run("git", ["clone", "--quiet", ROOT, folder]);
  const files = `cd '${ROOT}' && git ls-files -coz --exclude-standard | tar -c --null -T - | tar -x -C '${folder}'`;
  const dates = `find '${folder}' -not -path '*/.git/*' -type f -exec touch -d 2001-02-03 {} +`;
  await run("sh", ["-c", `${files} && ${dates} && cd '${folder}' && ${script}`]);
  return `${folder}/dist/release`;
}

/** Builds the release of the working copy in place; returns its files' folder. */
export async function releaseHere(): Promise<string> {
  await run(Deno.execPath(), ["run", "--allow-all", "--quiet", `${ROOT}tasks/release/release.ts`]);
  return `${ROOT}dist/release`;
}

/** The names of a folder's files, sorted. */
export function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Validates files with CycloneDX's own library, in its strictest way. */
const VALIDATE = `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for path in sys.argv[1:]:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(path).read())
    if error: sys.exit(path + ": " + str(error))
`;

/** Fails unless each file is a list of components in CycloneDX's format. */
export async function validSboms(files: readonly string[]): Promise<void> {
  const folder = await prepared("cyclonedx-1", async (folder) => {
    await run("python3", ["-m", "venv", folder]);
    const install = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-compile",
      "cyclonedx-python-lib[json-validation]==11.5.0",
    ];
    await run(`${folder}/bin/python`, install);
  });
  await run(`${folder}/bin/python`, ["-c", VALIDATE, ...files]);
}
