import assert from "node:assert/strict";
import { Memory } from "./memory.ts";

Deno.test("kernel: a write past the end of any block is found", () => {
  const memory = new Memory(16);
  const { functions, bytes } = memory;
  const blocks = [1, 64, 65, 1000, 100_000].map((size) => ({ at: functions.alloc(size), size }));
  functions.free(blocks[2]!.at);
  for (const { at, size } of blocks) {
    const end = at + Math.max(64, 2 ** Math.ceil(Math.log2(size)));
    bytes.fill(1, at, end);
    functions.checkGuards();
    for (const over of [0, 7, 40]) {
      const before = bytes[end + over]!;
      bytes[end + over] = before ^ 1;
      assert.throws(() => functions.checkGuards(), /written past the end of a block/, `${size} bytes, ${over} over`);
      bytes[end + over] = before;
    }
  }
  functions.checkGuards();
});

Deno.test("kernel: freed blocks are used again, and are zeros", () => {
  const { functions, bytes } = new Memory(16);
  const at = functions.alloc(1000);
  bytes.fill(7, at, at + 1000);
  functions.free(at);
  assert.equal(functions.alloc(600), at);
  assert.ok(bytes.subarray(at, at + 1024).every((byte) => byte === 0));
});

Deno.test("kernel: when its memory is full, it ends and says so", () => {
  const { functions } = new Memory(16);
  assert.throws(() => {
    for (;;) functions.alloc(1024 * 1024);
  }, /the kernel of 16 MiB has failed: it has no memory left/);
});
