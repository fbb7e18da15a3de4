import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makePictures } from "./pictures.ts";

const DOCS = fileURLToPath(new URL("../docs", import.meta.url));
const README = await Deno.readTextFile(new URL("../README.md", import.meta.url));

// kafkajs and the browser's client leave timers behind.
const leaky = { sanitizeOps: false, sanitizeResources: false };

/** Width and height of a PNG. */
async function sizeOf(path: string): Promise<readonly [width: number, height: number]> {
  const view = new DataView((await Deno.readFile(path)).buffer);
  assert.equal(view.getUint32(0), 0x89504e47, `${path} is no PNG`);
  return [view.getUint32(16), view.getUint32(20)];
}

Deno.test("the page's pictures can be taken, and are those in docs/", leaky, async () => {
  const folder = await Deno.makeTempDir({ prefix: "clickstream-pictures-test-" });
  const paths = await makePictures(folder, 0);
  assert.equal(paths.length, 4);
  for (const path of paths) {
    const name = path.slice(folder.length);
    const [width] = await sizeOf(path);
    // Content changes over time, but the kinds of pictures don't.
    assert.equal((await sizeOf(`${DOCS}${name}`))[0], width, name);
  }
  const shown = [...README.matchAll(/!\[[^\]]+\]\((docs\/[^)]+)\)/g)].map(([, path]) => path!);
  assert.ok(shown.length > 0);
  for (const path of shown) await sizeOf(fileURLToPath(new URL(`../${path}`, import.meta.url)));
  await Deno.remove(folder, { recursive: true });
});
