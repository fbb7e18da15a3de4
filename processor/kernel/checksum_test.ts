import assert from "node:assert/strict";
import { crc32c as reference } from "@platformatic/kafka";
import fc from "fast-check";
import { crc32c } from "./checksum.ts";
import { Random } from "../../generator/random.ts";

// RFC 3720, appendix B.4.
const KNOWN: readonly (readonly [string, Uint8Array, number])[] = [
  ["32 bytes of 0", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes of 0xff", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 bytes that count up", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ["32 bytes that count down", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ["nothing", new Uint8Array(), 0],
];

for (const [what, bytes, checksum] of KNOWN) {
  Deno.test(`CRC-32C of ${what} matches the standard`, () => assert.equal(crc32c(bytes), checksum));
}

Deno.test("CRC-32C matches the reference implementation for random bytes at any position", () => {
  const bytes = fc.uint8Array({ maxLength: 100 });
  fc.assert(
    fc.property(bytes, fc.nat(8), (all, from) => {
      const part = all.subarray(from);
      assert.equal(crc32c(part), reference(part) >>> 0);
    }),
    { seed: 1, numRuns: 1000 },
  );
});

Deno.test("CRC-32C matches the reference implementation where blocks are folded, and over several rooms", () => {
  const bytes = new Uint8Array(600_000);
  const random = new Random(1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  const folded = 3 * 209 * 16;
  const room = 256 * 1024;
  for (const around of [folded, folded + 209 * 16, 100_000, room, room + folded, 2 * room]) {
    for (let length = around - 17; length <= around + 17; length++) {
      const part = bytes.subarray(length % 5, length % 5 + length);
      assert.equal(crc32c(part), reference(part) >>> 0, `${length} bytes`);
    }
  }
  const damaged = bytes.slice();
  for (const at of [0, 15, 16, 5_000, room - 1, room, 599_999]) {
    damaged[at]! ^= 4;
    assert.notEqual(crc32c(damaged), crc32c(bytes), `a bit at ${at}`);
    damaged[at]! ^= 4;
  }
});
