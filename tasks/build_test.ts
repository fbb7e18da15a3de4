import assert from "node:assert/strict";
import { build } from "./build.ts";

/** Bytes 18 and 19 of an ELF file: its architecture. */
const MACHINE = { "x86_64-unknown-linux-gnu": 62, "aarch64-unknown-linux-gnu": 183 } as const;

Deno.test("build: the binary can be built for the other architecture", async () => {
  const other = Deno.build.arch === "aarch64" ? "x86_64-unknown-linux-gnu" : "aarch64-unknown-linux-gnu";
  const file = await Deno.makeTempFile({ prefix: "clickstream-" });
  try {
    await build(other, file);
    using binary = await Deno.open(file);
    const start = new Uint8Array(20);
    await binary.read(start);
    assert.deepEqual([...start.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    assert.equal(start[18]! + 256 * start[19]!, MACHINE[other]);
    assert.ok((await binary.stat()).size > 80e6);
  } finally {
    await Deno.remove(file);
  }
});
