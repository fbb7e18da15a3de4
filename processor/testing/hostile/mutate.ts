/**
 * Mutations of valid input.
 * @module
 */
import type { Random } from "../../../generator/random.ts";
import { bytesOf, concat } from "./target.ts";

/** Bytes with a meaning in one of the formats. */
const TELLING = [
  ...[0, 1, 7, 8, 9, 10, 13, 0x1b, 0x1f, 0x20, 0x22, 0x25, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x3a, 0x3d, 0x40, 0x5b],
  ...[0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0x9b, 0xc0, 0xc2, 0xe2, 0xed, 0xf0, 0xf4, 0xfe, 0xff],
];

/** Numbers at which a length, a count or an offset goes wrong. */
const NUMBERS = [
  ...[0, 1, -1, -2, 2, 3, 7, 14, 48, 49, 61, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 131_072, 2 ** 24],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, -(2 ** 31), 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 62, -(2 ** 62)],
];

/** Texts that confuse parsers or attack what shows them. */
export const TOKENS: readonly string[] = [
  ...[
    "\0",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\t",
    "\x1b[31m",
    "\x1b]0;x\x07",
    "\x7f",
    "\u009b2J",
    "\u00a0",
    "\u202e",
    "\u2028",
    "\ufeff",
  ],
  ...[
    "\ud83d",
    "\u{10ffff}",
    "\u{e0041}",
    "é",
    "🛒",
    "%00",
    "%0d%0a",
    "%",
    "%zz",
    "%C0%AF",
    "../",
    "//",
    "\\",
    "'",
    '"',
  ],
  ...["--", "-", "--help", "=", "==", "<script>", "${x}", "$(x)", "`x`", "{}", "[]", "null", "NaN", "Infinity", "-0"],
  ...["1e999", "0x10", "00", "+1", "1_000", "9".repeat(400), "1.5", "__proto__", "constructor", "toString", "[::1]"],
  ...["[::1", "localhost", "0.0.0.0", ":0", ":65536", ":99999999", ",", ",,", ";", "@", ":", "?", "#", "&", "*", " "],
  "'; drop table clickstream.progress; --",
  "=1+1",
];

const ENCODED = TOKENS.map(bytesOf);

/** One mutation of the bytes; `other` lends parts. */
export function mutateOnce(random: Random, bytes: Uint8Array, other: Uint8Array = bytes): Uint8Array {
  const at = random.below(bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  const size = Math.min(after.length, 1 + Math.floor(random.logUniform(1, 64)));
  switch (random.below(13)) {
    case 0:
      return replaced(bytes, at, Uint8Array.of((bytes[at] ?? 0) ^ 1 << random.below(8)));
    case 1:
      return replaced(bytes, at, Uint8Array.of(random.pick(TELLING)));
    case 2:
      return replaced(bytes, at, Uint8Array.of(random.below(256)));
    case 3:
    case 4:
      return replaced(bytes, at, number(random));
    case 5:
      return concat([before, Uint8Array.of(random.pick(TELLING)), after]);
    case 6:
      return concat([before, after.subarray(size)]);
    case 7:
      return concat([before, after.subarray(0, size), after]);
    case 8:
      return before;
    case 9: {
      const from = random.below(other.length + 1);
      return concat([before, other.subarray(from, from + size), after.subarray(random.chance(0.5) ? size : 0)]);
    }
    case 10:
      return concat([before, ...Array<Uint8Array>(1 + random.below(300)).fill(after.subarray(0, 1)), after]);
    case 11:
      return concat([before, random.pick(ENCODED), after.subarray(random.chance(0.5) ? size : 0)]);
    default: {
      // A number in decimal digits becomes another.
      const digits = /\d+/.exec(String.fromCharCode(...after.subarray(0, 200)));
      if (digits === null) return replaced(bytes, at, Uint8Array.of(random.below(256)));
      const from = at + digits.index;
      const to = bytesOf(String(random.pick(NUMBERS) + random.below(3) - 1));
      return concat([bytes.subarray(0, from), to, bytes.subarray(from + digits[0].length)]);
    }
  }
}

/** Up to `most` mutations of the bytes, at least one. */
export function mutated(random: Random, bytes: Uint8Array, most = 4, other: Uint8Array = bytes): Uint8Array {
  let all = bytes;
  for (let left = 1 + random.below(most); left > 0; left--) all = mutateOnce(random, all, other);
  return all;
}

/** A telling number in 1, 2, 4 or 8 bytes of either order. */
function number(random: Random): Uint8Array {
  const value = random.pick(NUMBERS);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value) + BigInt(random.below(3) - 1));
  const size = random.pick([1, 2, 4, 4, 8]);
  const big = bytes.subarray(8 - size);
  return random.chance(0.7) ? big : big.toReversed();
}

function replaced(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  return concat([bytes.subarray(0, at), by, bytes.subarray(Math.min(bytes.length, at + by.length))]);
}
