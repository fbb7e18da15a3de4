/**
 * Jars, as Maven resolves them, fetched once.
 * @module
 */
import { fileURLToPath } from "node:url";
import { cacheFolder, prepared, run } from "./child.ts";

/** The folder `name` in the cache, with the jars that the project in the file `pom` asks for, and theirs. */
export async function jarsOf(name: string, pom: URL): Promise<string> {
  return await prepared(name, async (folder) => {
    await maven("-f", fileURLToPath(pom), "dependency:copy-dependencies", `-DoutputDirectory=${folder}`);
  });
}

/** Runs Maven, and brings it where it is missing. */
export async function maven(...args: readonly string[]): Promise<void> {
  // Neither apt nor Maven's own store is made for two at a time.
  const alone = (...command: string[]) => run("flock", [`${cacheFolder()}/.lock`, ...command]);
  if (!await run("sh", ["-c", "command -v mvn"]).then(() => true, () => false)) {
    if (Deno.uid() !== 0) throw new Error("Maven is needed to fetch programs in Java: apt-get install maven");
    await alone("sh", "-c", "apt-get update -q && apt-get install -q -y --no-install-recommends maven");
  }
  await alone("mvn", "-B", "-q", ...args);
}
