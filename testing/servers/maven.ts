/**
 * Jars resolved by Maven, fetched once.
 * @module
 */
import { fileURLToPath } from "node:url";
import { cacheFolder, prepared, run } from "./child.ts";

/** Returns the folder `name` in the cache, with the jars of the project file `pom` and their dependencies. */
export async function jarsOf(name: string, pom: URL): Promise<string> {
  return await prepared(name, async (folder) => {
    await maven("-f", fileURLToPath(pom), "dependency:copy-dependencies", `-DoutputDirectory=${folder}`);
  });
}

/** Runs Maven; installs it if it is missing. */
export async function maven(...args: readonly string[]): Promise<void> {
  // Neither apt nor Maven's local repository supports two processes at a time.
  const alone = (...command: string[]) => run("flock", [`${cacheFolder()}/.lock`, ...command]);
  if (!await run("sh", ["-c", "command -v mvn"]).then(() => true, () => false)) {
    if (Deno.uid() !== 0) throw new Error("Maven is needed to fetch programs in Java: apt-get install maven");
    await alone(
      "sh",
      "-c",
      "apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 maven",
    );
  }
  await alone("mvn", "-B", "-q", ...args);
}
