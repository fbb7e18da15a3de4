/**
 * What a release was made from and by, as an in-toto statement in SLSA's format. It is unsigned: the workflow that
 * publishes a release has it signed.
 * @module
 */
import { createHash } from "node:crypto";
import { ROOT, type Source } from "./source.ts";

/** A file that the release was made from. */
export interface Material {
  readonly uri: string;
  readonly sha256: string;
}

/** SHA-256 in hexadecimal. */
export function sha256Of(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The statement about these files; `sums` has their SHA-256 by name. */
export async function provenance(
  { version, commit, changed }: Source,
  sums: ReadonlyMap<string, string>,
  materials: readonly Material[],
): Promise<string> {
  const locked = { uri: "deno.lock", sha256: sha256Of(await Deno.readFile(`${ROOT}deno.lock`)) };
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [...sums].map(([name, sha256]) => ({ name, digest: { sha256 } })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "urn:clickstream:deno-task-release:v1",
        externalParameters: { version, command: "./deno task release" },
        internalParameters: {},
        resolvedDependencies: [
          { uri: "git+file:.", digest: { gitCommit: commit }, ...(changed ? { annotations: { changed } } : {}) },
          ...[locked, ...materials].map(({ uri, sha256 }) => ({ uri, digest: { sha256 } })),
        ],
      },
      runDetails: { builder: { id: "urn:clickstream:deno-task-release", version: { deno: Deno.version.deno } } },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}
