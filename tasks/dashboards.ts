/**
 * `deno task dashboards`: writes `grafana/dashboards/`. With `--check` it writes nothing, and fails if a file differs
 * from its source.
 * @module
 */
import { fileOf, FILES } from "../grafana/mod.ts";

const FOLDER = new URL("../grafana/dashboards/", import.meta.url);

/** Names of files that are stale, missing, or belong to no dashboard. */
export async function staleFiles(folder: URL): Promise<string[]> {
  const stale = Object.entries(FILES).map(async ([name, dashboard]) => {
    const there = await Deno.readTextFile(new URL(name, folder)).catch(() => null);
    return there === fileOf(dashboard) ? [] : [name];
  });
  const others = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
    .filter((name) => !(name in FILES));
  return [...(await Promise.all(stale)).flat(), ...others];
}

async function main(): Promise<number> {
  if (!Deno.args.includes("--check")) {
    for (const [name, dashboard] of Object.entries(FILES)) {
      await Deno.writeTextFile(new URL(name, FOLDER), fileOf(dashboard));
    }
    return 0;
  }
  const stale = await staleFiles(FOLDER);
  if (stale.length === 0) return 0;
  console.error(`grafana/dashboards/ is not what its sources say: ${stale.join(", ")}. Run deno task dashboards.`);
  return 1;
}

if (import.meta.main) Deno.exit(await main());
