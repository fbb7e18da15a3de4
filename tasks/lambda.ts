/**
 * `deno task lambda`: builds the simulator as an AWS Lambda function, `dist/generator.zip`: one file for Node. The same
 * sources give the same bytes, so nothing unchanged is deployed.
 * @module
 */
import { fileURLToPath } from "node:url";
import { zipped } from "./denort.ts";
import { withKafkaWasm } from "./kafka_client.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The file in the archive; its name is part of the handler's name. */
const MODULE = "index.mjs";

/** The handler in the function's configuration. */
export const HANDLER = "index.handler";

/** Defines what CommonJS packages expect and modules lack. */
const REQUIRE = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);\n';

/** Path of the archive. */
const ARCHIVE = `${ROOT}dist/generator.zip`;

/** Bundles the function into `archive`; also returns the path of its single file. */
export async function bundleLambda(archive = ARCHIVE): Promise<string> {
  const folder = archive.slice(0, archive.lastIndexOf("/"));
  await Deno.mkdir(folder, { recursive: true });
  const module = `${folder}/${MODULE}`;
  const args = ["bundle", "--quiet", "--minify", "--platform=deno", `--output=${module}`, "generator/handler.ts"];
  const env = { RUST_MIN_STACK: String(64 * 1024 * 1024) };
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT }).output();
  if (!success) throw new Error(`deno ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  await Deno.writeTextFile(module, REQUIRE + await withKafkaWasm(await Deno.readTextFile(module)));
  await Deno.writeFile(archive, zipped(MODULE, await Deno.readFile(module), 9));
  return module;
}

if (import.meta.main) {
  await bundleLambda();
  console.log(`dist/generator.zip: ${((await Deno.stat(ARCHIVE)).size / 1000).toFixed(0)} kB`);
}
