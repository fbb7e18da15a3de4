/**
 * `deno task monitoring`: writes the files for Prometheus, its exporters and Grafana's alerting, and docs/metrics.md.
 * With `--check` it writes nothing, and fails if a file differs from its source.
 * @module
 */
import { generatedFiles } from "../grafana/prometheus/files.ts";
import { metricsPage } from "./metrics_page.ts";

const ROOT = new URL("..", import.meta.url);

/** The content of every file, by its path in the repository. */
export async function everyFile(): Promise<Readonly<Record<string, string>>> {
  return { ...generatedFiles(), "docs/metrics.md": await metricsPage() };
}

/** Paths of missing or stale files. */
export async function staleFiles(files: Readonly<Record<string, string>>, root = ROOT): Promise<string[]> {
  const stale = Object.entries(files).map(async ([path, text]) => {
    const there = await Deno.readTextFile(new URL(path, root)).catch(() => null);
    return there === text ? [] : [path];
  });
  return (await Promise.all(stale)).flat();
}

async function main(): Promise<number> {
  const files = await everyFile();
  if (!Deno.args.includes("--check")) {
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(new URL(path, ROOT), text);
    return 0;
  }
  const stale = await staleFiles(files);
  if (stale.length === 0) return 0;
  console.error(`not what their sources say: ${stale.join(", ")}. Run deno task monitoring.`);
  return 1;
}

if (import.meta.main) Deno.exit(await main());
