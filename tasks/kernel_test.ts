import assert from "node:assert/strict";
import { compiled } from "./kernel.ts";

Deno.test("the committed kernel is what its sources give; otherwise run `deno task kernel`", async () => {
  const committed = await Deno.readFile(new URL("../processor/kernel/kernel.wasm", import.meta.url));
  assert.ok(Uint8Array.from(await compiled()).toHex() === committed.toHex(), "processor/kernel/kernel.wasm is stale");
});
