/**
 * Decompresses Snappy as Kafka writes it: one block, or consecutive blocks in Java's framing (xerial).
 * @module
 */
import type { Output } from "./output.ts";

/** Start of Java's framing: these bytes, its version, and the oldest compatible version. */
const FRAMING = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
const FRAMING_BYTES = 16;

/** More than any input byte can decompress to: three bytes can stand for 64. */
const MOST_PER_BYTE = 32;

/** @throws {Error} saying what is wrong with the data, or that it exceeds the output's limit */
export function unpackSnappy(packed: Uint8Array, out: Output): void {
  if (!FRAMING.every((byte, i) => packed[i] === byte)) return unpackBlock(packed, out);
  for (let at = FRAMING_BYTES; at < packed.length;) {
    if (at + 4 > packed.length) throw new Error("it is cut off");
    const length = (packed[at]! << 24 | packed[at + 1]! << 16 | packed[at + 2]! << 8 | packed[at + 3]!) >>> 0;
    at += 4;
    if (length > packed.length - at) throw new Error("it is cut off");
    unpackBlock(packed.subarray(at, at + length), out);
    at += length;
  }
}

function unpackBlock(packed: Uint8Array, out: Output): void {
  let at = 0;
  let size = 0;
  for (let shift = 0;; shift += 7) {
    if (at >= packed.length || shift > 28) throw new Error("it does not say its size");
    const byte = packed[at++]!;
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (size > packed.length * MOST_PER_BYTE) throw new Error("it says a size that it can't have");
  out.check(size);
  const { bytes } = out;
  let to = out.length;
  const end = to + size;
  while (at < packed.length) {
    const tag = packed[at++]!;
    const kind = tag & 3;
    // Bytes after the tag: a literal's length, or a copy's distance.
    const more = kind === 0 ? Math.max(0, (tag >>> 2) - 59) : kind === 3 ? 4 : kind;
    if (at + more > packed.length) throw new Error("it is cut off");
    let number = 0;
    for (let i = more - 1; i >= 0; i--) number = number << 8 | packed[at + i]!;
    number >>>= 0;
    at += more;
    if (kind === 0) {
      const length = (more > 0 ? number : tag >>> 2) + 1;
      if (length > packed.length - at) throw new Error("it is cut off");
      if (length > end - to) throw new Error("it is larger than it says");
      if (length > 32) bytes.set(packed.subarray(at, at + length), to);
      else for (let i = 0; i < length; i++) bytes[to + i] = packed[at + i]!;
      at += length;
      to += length;
    } else {
      const distance = kind === 1 ? tag >>> 5 << 8 | number : number;
      const length = kind === 1 ? (tag >>> 2 & 7) + 4 : (tag >>> 2) + 1;
      if (distance < 1 || distance > to - out.length) throw new Error("it refers to bytes before its beginning");
      if (length > end - to) throw new Error("it is larger than it says");
      for (let from = to - distance, stop = to + length; to < stop;) bytes[to++] = bytes[from++]!;
    }
  }
  if (to !== end) throw new Error("it is smaller than it says");
  out.length = end;
}
